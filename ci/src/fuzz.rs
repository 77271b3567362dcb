//! Step `fuzz`: every target of the fuzz workspace for a while.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::checks::needs;
use crate::command::{self, judge};
use crate::context::Context;
use crate::error::{Error, While as _};
use crate::steps::Outcome;

/// Step `fuzz`.
pub(crate) fn fuzz(context: &Context) -> Result<Outcome, Error> {
    let nightly = "rustup toolchain install --profile minimal nightly";
    needs(context, &["+nightly", "--version"], nightly)?;
    needs(
        context,
        &["fuzz", "--version"],
        "cargo install --locked cargo-fuzz",
    )?;
    let listed = command::read(&mut context.cargo(["fuzz", "list"]))?;
    let targets = listed.split_ascii_whitespace();
    let commands: Vec<_> = targets
        .map(|target| run(context, target))
        .collect::<Result<_, _>>()?;
    if commands.is_empty() {
        return Ok(Outcome::Failed(
            "`cargo fuzz list` names no target".to_owned(),
        ));
    }
    // The limit is for building; fuzzing comes on top.
    let seconds = Duration::from_secs(context.options.seconds.into());
    judge(context.limit + seconds, commands)
}

/// New inputs go to the corpus, which git ignores; the committed seeds are only read.
fn run(context: &Context, target: &str) -> Result<Command, Error> {
    let (corpus, seeds) = (
        format!("fuzz/corpus/{target}"),
        format!("fuzz/seeds/{target}"),
    );
    for place in [&corpus, &seeds].map(|place| context.root.join(place)) {
        fs::create_dir_all(&place).doing(|| format!("creating {}", place.display()))?;
    }
    let time = format!("-max_total_time={}", context.options.seconds);
    Ok(context.cargo([
        "+nightly", "fuzz", "run", target, &corpus, &seeds, "--", &time,
    ]))
}
