//! The steps that are cargo commands.

use std::fs;
use std::path;
use std::time::Duration;

use nix::unistd::Uid;

use crate::command::{self, judge};
use crate::context::Context;
use crate::error::{Error, While as _};
use crate::steps::Outcome;
use crate::user::{OrdinaryUser, target_directory};

/// The README's command for the tests.
const TEST: [&str; 2] = ["test", "--workspace"];
/// The README's command for the suite.
pub(crate) const CONFORMANCE: [&str; 4] = ["run", "--release", "-p", "conformance"];

/// The suite, with the same scenarios every time: what fails here is a fault of the change. New ones are for runs of their own.
fn suite() -> Vec<&'static str> {
    [&CONFORMANCE[..], &["--", "--seed", "1"]].concat()
}

/// The suite, asked of a C interface, with fewer scenarios: they are about the library behind it more than about it.
fn through_c(subject: &'static str) -> Vec<&'static str> {
    let fewer = ["--seed", "1", "--scenarios", "100"];
    [&CONFORMANCE[..], &["--", "--subject", subject], &fewer].concat()
}

fn cargo(context: &Context, words: &[&str]) -> Result<Outcome, Error> {
    judge(context.limit, [context.cargo(words)])
}

/// Step `fmt`. The fuzz targets are a workspace of their own.
pub(crate) fn fmt(context: &Context) -> Result<Outcome, Error> {
    let ours = context.cargo(["fmt", "--all", "--check"]);
    let fuzz = context.cargo(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]);
    judge(context.limit, [ours, fuzz])
}

/// Step `clippy`.
pub(crate) fn clippy(context: &Context) -> Result<Outcome, Error> {
    let ours = "clippy --workspace --all-targets --all-features -- -D warnings";
    // One line a target: without that which would build the suite once more.
    let fuzz = "clippy --manifest-path fuzz/Cargo.toml --no-default-features -- -D warnings";
    judge(
        context.limit,
        [ours, fuzz].map(|words| context.cargo(words.split(' '))),
    )
}

/// Step `docs`. First what only this project's developers read, so that what is left to look at is for everybody.
pub(crate) fn docs(context: &Context) -> Result<Outcome, Error> {
    let internal = "doc --workspace --no-deps --all-features --document-private-items";
    let public = "doc --workspace --no-deps --all-features";
    let commands = [internal, public].map(|words| {
        let mut command = context.cargo(words.split(' '));
        command.env("RUSTDOCFLAGS", "-D warnings");
        command
    });
    judge(context.limit, commands)
}

/// Step `test`. What is behind a feature is not in the README's command.
pub(crate) fn test(context: &Context) -> Result<Outcome, Error> {
    let features = context.cargo(["test", "-p", "soccr", "--all-features"]);
    judge(context.limit, [context.cargo(TEST), features])
}

/// Step `conformance`.
pub(crate) fn conformance(context: &Context) -> Result<Outcome, Error> {
    let c = ["capi", "staged"].map(|subject| context.cargo(through_c(subject)));
    let commands = [context.cargo(suite())].into_iter().chain(c);
    judge(context.limit, commands)
}

/// Step `self-test`.
pub(crate) fn self_test(context: &Context) -> Result<Outcome, Error> {
    cargo(context, &[&CONFORMANCE[..], &["--", "self-test"]].concat())
}

/// What the suite may take in all kernels of [`matrix`]: ten minutes on two quiet processors by emulation, and slower ones are
/// many. A kernel that hangs is ended by the matrix itself, long before.
const IN_ALL_KERNELS: Duration = Duration::from_secs(60 * 45);

/// Step `matrix`. How kernels are told that go wrong is one of the tests; it takes a kernel. The limit is for building and
/// fetching; the suite comes on top.
pub(crate) fn matrix(context: &Context) -> Result<Outcome, Error> {
    let target = context.root.join("target");
    fs::create_dir_all(&target).doing(|| format!("creating {}", target.display()))?;
    let newest = ["--", "matrix", "--debian", "newest"];
    let reports = [
        "--json",
        "target/matrix.json",
        "--report",
        "html=target/matrix.html",
    ];
    // What takes something from the whole machine, one case at a time.
    let alone = [
        "--filter",
        "fault/memory/machine/*",
        "--jobs",
        "1",
        "--artifacts",
        "target/matrix-alone",
    ];
    let commands = [&reports[..], &alone].map(|options| {
        let words = [&CONFORMANCE[..], &newest, options].concat();
        context.cargo(words)
    });
    judge(context.limit + IN_ALL_KERNELS, commands)
}

/// What all benchmarks may take: eight minutes on two quiet processors.
const ALL_BENCHMARKS: Duration = Duration::from_secs(60 * 30);

/// Step `bench`. The limit is for building, as in `soak`.
pub(crate) fn bench(context: &Context) -> Result<Outcome, Error> {
    let words = ["bench", "-p", "benches"];
    judge(context.limit + ALL_BENCHMARKS, [context.cargo(words)])
}

/// Step `soak`. The limit is for building; the soak comes on top.
pub(crate) fn soak(context: &Context) -> Result<Outcome, Error> {
    let minutes = context.options.minutes.to_string();
    let words = [
        "run",
        "--release",
        "-p",
        "soak",
        "--",
        "--minutes",
        &minutes,
    ];
    let time = Duration::from_secs(60 * u64::from(context.options.minutes));
    judge(context.limit + time, [context.cargo(words)])
}

/// Step `bench-report`.
pub(crate) fn bench_report(context: &Context) -> Result<Outcome, Error> {
    let report = context.root.join("target/bench-report");
    let mut command = context.cargo(["bench", "-p", "benches", "--bench", "side_by_side", "--"]);
    command.arg("--report").arg(report);
    if let Some(old) = &context.options.against {
        // cargo runs it in the folder of its package.
        let old = path::absolute(old).doing(|| format!("looking for {}", old.display()))?;
        command.arg("--against").arg(old);
    }
    judge(context.limit, [command])
}

/// Step `user`.
pub(crate) fn user(context: &Context) -> Result<Outcome, Error> {
    if !Uid::effective().is_root() {
        let why = "this run is an ordinary user's already; for root's half, run it as root";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    // What is fetched and built by now, the user finds and does not fetch and build again.
    let built = [
        context.cargo([&TEST[..], &["--no-run"]].concat()),
        context.cargo(["build", "--release", "-p", "conformance"]),
    ];
    let built = judge(context.limit, built)?;
    if built != Outcome::Passed {
        return Ok(built);
    }
    let user = OrdinaryUser::prepare(context)?;
    let outcome = judge(
        context.limit,
        [
            user.cargo(TEST),
            user.cargo(suite()),
            user.cargo(through_c("capi")),
        ],
    )?;
    if outcome != Outcome::Passed {
        for place in user.save_evidence()? {
            println!(
                "What the ordinary user's run left as evidence is in {}.",
                place.display()
            );
        }
    }
    Ok(outcome)
}

/// Step `deny`. Not advisories, which are fetched from elsewhere: there, today's answer is not yesterday's.
pub(crate) fn deny(context: &Context) -> Result<Outcome, Error> {
    needs(
        context,
        &["deny", "--version"],
        "cargo install --locked cargo-deny",
    )?;
    cargo(context, &["deny", "check", "bans", "licenses", "sources"])
}

/// Step `msrv`.
pub(crate) fn msrv(context: &Context) -> Result<Outcome, Error> {
    let manifest = context.root.join("soccr/Cargo.toml");
    let text = fs::read_to_string(&manifest).doing(|| format!("reading {}", manifest.display()))?;
    let version = rust_version(&text).ok_or_else(|| {
        let doing = format!("looking for the oldest compiler in {}", manifest.display());
        Error::unfit(doing, "no line `rust-version = \"…\"`", "state one")
    })?;
    let toolchain = format!("+{version}");
    let help = format!("rustup toolchain install --profile minimal {version}");
    needs(context, &[&toolchain, "--version"], &help)?;
    // A directory of its own: two compilers in one directory make each other's work stale.
    let mut command = context.cargo([
        &toolchain,
        "check",
        "-p",
        "soccr",
        "-p",
        "soccr-capi",
        "--all-features",
    ]);
    command
        .arg("--target-dir")
        .arg(target_directory()?.join("msrv"));
    judge(context.limit, [command])
}

/// An error if `cargo WORDS` does not work, with the command that changes this.
pub(crate) fn needs(context: &Context, words: &[&str], help: &str) -> Result<(), Error> {
    let found = command::read(&mut context.cargo(words));
    found.map(drop).map_err(|_| {
        let found = format!("`cargo {}` does not work", words.join(" "));
        let help = format!("install what is missing: `{help}`");
        Error::unfit("looking for a tool of this step", found, help)
    })
}

fn rust_version(manifest: &str) -> Option<&str> {
    let mut lines = manifest.lines();
    lines.find_map(|line| line.strip_prefix("rust-version = \"")?.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_compiler_is_read_and_not_guessed() {
        let manifest = "[package]\nname = \"x\"\nrust-version = \"1.85\" # why\n";
        assert_eq!(rust_version(manifest), Some("1.85"));
        assert_eq!(rust_version("rust-version.workspace = true\n"), None);
    }
}
