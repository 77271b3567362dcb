//! Step `fuzz`: every target of the fuzz workspace for a while.

use std::fs;
use std::time::Duration;

use crate::builds::judge_within;
use crate::command;
use crate::context::{Context, installed_toolchain};
use crate::error::{Error, While as _};
use crate::steps::Outcome;

/// Step `fuzz`.
pub(crate) fn fuzz(context: &Context) -> Result<Outcome, Error> {
    if installed_toolchain(context, "nightly").is_none() {
        let why = "no nightly compiler; install it with `rustup toolchain install --profile minimal nightly`";
        return Ok(Outcome::Failed(why.to_owned()));
    }
    if command::read(&mut context.cargo(&["fuzz", "--version"])).is_err() {
        let why = "no cargo-fuzz; install it with `cargo install --locked cargo-fuzz`";
        return Ok(Outcome::Failed(why.to_owned()));
    }
    let listed = command::read(&mut context.cargo(&["fuzz", "list", "--fuzz-dir", "fuzz"]))?;
    let targets: Vec<&str> = listed.split_ascii_whitespace().collect();
    if targets.is_empty() {
        return Ok(Outcome::Failed(
            "`cargo fuzz list` names no target".to_owned(),
        ));
    }
    // The limit is for building; fuzzing comes on top.
    let limit = context.options.limit() + Duration::from_secs(context.options.seconds.into());
    let mut wrong = Vec::new();
    for target in &targets {
        let corpus = format!("fuzz/corpus/{target}");
        let place = context.root.join(&corpus);
        fs::create_dir_all(&place).doing(|| format!("creating {}", place.display()))?;
        // New inputs go to the first directory; the committed ones are only read.
        let (seeds, time) = (
            format!("fuzz/seeds/{target}"),
            format!("-max_total_time={}", context.options.seconds),
        );
        let mut command = context.cargo(&[
            "+nightly",
            "fuzz",
            "run",
            "--fuzz-dir",
            "fuzz",
            target,
            &corpus,
        ]);
        if context.root.join(&seeds).is_dir() {
            command.arg(&seeds);
        } else {
            println!("note: no seeds in {seeds}");
        }
        command.args(["--", &time]);
        // Another compiler, other flags: a directory of its own, the one that `cargo fuzz` itself would use.
        command.env("CARGO_TARGET_DIR", context.root.join("fuzz/target"));
        if let Outcome::Failed(why) = judge_within(limit, &mut command)? {
            wrong.push(format!("{target}: {why}"));
        }
    }
    Ok(if wrong.is_empty() {
        Outcome::Passed(Some(format!(
            "{} targets, {} s each",
            targets.len(),
            context.options.seconds
        )))
    } else {
        Outcome::Failed(wrong.join("; "))
    })
}
