//! The steps that are a cargo command, and the two of them that run again as an ordinary user.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::command;
use crate::context::{Context, installed_toolchain};
use crate::error::{Error, While as _};
use crate::steps::Outcome;
use crate::user::OrdinaryUser;

/// The README's command for the tests.
const TEST: [&str; 3] = ["cargo", "test", "--workspace"];
/// The README's command for the suite.
const CONFORMANCE: [&str; 5] = ["cargo", "run", "--release", "-p", "conformance"];

/// Runs `command`, announced; its success is the step's.
pub(crate) fn judge(context: &Context, command: &mut Command) -> Result<Outcome, Error> {
    judge_within(context.options.limit(), command)
}

/// [`judge`] with a limit of its own.
pub(crate) fn judge_within(limit: Duration, command: &mut Command) -> Result<Outcome, Error> {
    let shown = command::shown(command);
    println!("$ {shown}");
    let ended = command::run(command, limit)?;
    Ok(match ended.verdict(&shown) {
        Ok(()) => Outcome::GOOD,
        Err(why) => Outcome::Failed(why),
    })
}

/// Step `fmt`. The fuzz targets are a workspace of their own.
pub(crate) fn fmt(context: &Context) -> Result<Outcome, Error> {
    let workspace = judge(context, &mut context.cargo(&["fmt", "--all", "--check"]))?;
    if !context.root.join("fuzz/Cargo.toml").is_file() {
        return Ok(workspace);
    }
    let fuzz = judge(
        context,
        &mut context.cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
    )?;
    Ok(if workspace == Outcome::GOOD {
        fuzz
    } else {
        workspace
    })
}

/// Step `clippy`.
pub(crate) fn clippy(context: &Context) -> Result<Outcome, Error> {
    let words = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    judge(context, &mut context.cargo(&words))
}

/// Step `docs`.
pub(crate) fn docs(context: &Context) -> Result<Outcome, Error> {
    let mut command = context.cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    judge(context, command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Step `test`.
pub(crate) fn test(context: &Context) -> Result<Outcome, Error> {
    judge(context, &mut context.cargo(&TEST[1..]))
}

/// Step `conformance`.
pub(crate) fn conformance(context: &Context) -> Result<Outcome, Error> {
    judge(context, &mut context.cargo(&CONFORMANCE[1..]))
}

/// Step `bench`.
pub(crate) fn bench(context: &Context) -> Result<Outcome, Error> {
    judge(context, &mut context.cargo(&["bench", "-p", "benches"]))
}

/// Step `user`.
pub(crate) fn user(context: &Context) -> Result<Outcome, Error> {
    if !Context::is_root() {
        let why = "this run is an ordinary user's: the steps test and conformance were it";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    // The user works offline, with the packages that root has.
    let fetched = judge(
        context,
        &mut context.cargo(&["fetch", "--target", host(context)?.as_str()]),
    )?;
    if fetched != Outcome::GOOD {
        return Ok(fetched);
    }
    let user = OrdinaryUser::prepare(context)?;
    let mut wrong = Vec::new();
    for words in [&TEST[..], &CONFORMANCE[..]] {
        let shown = words.join(" ");
        println!("$ {shown}   (as an ordinary user)");
        let ended = user.run(context, &mut user.command(words))?;
        if let Err(why) = ended.verdict(&shown) {
            wrong.push(why);
        }
    }
    if !wrong.is_empty() {
        for place in user.save_evidence()? {
            println!("what the failing tests left is in {}", place.display());
        }
        return Ok(Outcome::Failed(format!(
            "as an ordinary user: {}",
            wrong.join("; ")
        )));
    }
    Ok(Outcome::Passed((!user.namespaces).then(|| {
        "but ordinary users may not make user namespaces here, so whatever needs a network was skipped".to_owned()
    })))
}

fn host(context: &Context) -> Result<String, Error> {
    let text = command::read(context.command("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Error::unfit("asking rustc for its host", text.clone(), "see `rustc -vV`"))
}

/// Step `deny`.
pub(crate) fn deny(context: &Context) -> Result<Outcome, Error> {
    if command::read(&mut context.cargo(&["deny", "--version"])).is_err() {
        let why = "cargo-deny is not installed (cargo install --locked cargo-deny)";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    judge(
        context,
        &mut context.cargo(&["deny", "check", "bans", "licenses", "sources"]),
    )
}

/// Step `msrv`.
pub(crate) fn msrv(context: &Context) -> Result<Outcome, Error> {
    let manifest = context.root.join("soccr/Cargo.toml");
    let text = fs::read_to_string(&manifest).doing(|| format!("reading {}", manifest.display()))?;
    let version = rust_version(&text).ok_or_else(|| {
        Error::unfit(
            format!("looking for the oldest compiler in {}", manifest.display()),
            "no line `rust-version = \"…\"`",
            "state one",
        )
    })?;
    let Some(toolchain) = installed_toolchain(context, version) else {
        let why = format!(
            "Rust {version} is not installed (rustup toolchain install --profile minimal {version})"
        );
        return Ok(Outcome::Skipped(why));
    };
    // A directory of its own: two compilers in one directory make each other's work stale.
    let mut command = context.cargo(&[
        &format!("+{toolchain}"),
        "check",
        "-p",
        "soccr",
        "--all-features",
    ]);
    judge(
        context,
        command.env("CARGO_TARGET_DIR", context.target.join("msrv")),
    )
}

fn rust_version(manifest: &str) -> Option<&str> {
    let value = manifest.lines().find_map(|line| {
        line.trim()
            .strip_prefix("rust-version")?
            .trim()
            .strip_prefix('=')
    })?;
    value
        .trim()
        .strip_prefix('"')?
        .split_once('"')
        .map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_compiler_is_read_and_not_guessed() {
        assert_eq!(
            rust_version("[package]\nname = \"x\"\nrust-version = \"1.85\" # why\n"),
            Some("1.85")
        );
        assert_eq!(rust_version("rust-version.workspace = true\n"), None);
        assert_eq!(rust_version(""), None);
    }
}
