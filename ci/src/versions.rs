//! Steps about versions: of ours, what has changed since the last release; of others', the oldest and the newest.

use std::process::Command;

use crate::checks::needs;
use crate::command::{self, judge};
use crate::context::Context;
use crate::error::Error;
use crate::package::PACKAGES;
use crate::snapshot::git;
use crate::steps::Outcome;
use crate::user::{copy_checkout, target_directory};

/// Step `semver`: what has changed in the interfaces fits the number of the version.
pub(crate) fn semver(context: &Context) -> Result<Outcome, Error> {
    let Some(baseline) = baseline(context) else {
        let why = "there is no release yet, no tag v…; --baseline REV compares with any revision";
        return Ok(Outcome::Skipped(why.to_owned()));
    };
    let install = "cargo install --locked cargo-semver-checks";
    needs(context, &["semver-checks", "--version"], install)?;
    let words = ["semver-checks", "--baseline-rev", &baseline].into_iter();
    let words = words.chain(PACKAGES.into_iter().flat_map(|name| ["--package", name]));
    judge(context.limit, [context.cargo(words)])
}

/// What was asked for, or the last release.
fn baseline(context: &Context) -> Option<String> {
    context.options.baseline.clone().or_else(|| {
        let mut tags = git(&context.root);
        tags.args(["tag", "--list", "v[0-9]*", "--sort=-version:refname"]);
        let tags = command::read(&mut tags).ok()?;
        tags.lines().next().map(str::to_owned)
    })
}

/// Step `minimal-versions`: everything builds with the oldest version of each dependency that its `Cargo.toml` promises.
///
/// In a copy: which versions are taken stands in `Cargo.lock`.
pub(crate) fn minimal_versions(context: &Context) -> Result<Outcome, Error> {
    let nightly = "rustup toolchain install --profile minimal nightly";
    needs(context, &["+nightly", "--version"], nightly)?;
    let copy = context.scratch.path().join("minimal-versions");
    copy_checkout(&context.root, &copy)?;
    let in_copy = |words: &[&str]| {
        let mut command = context.cargo(words);
        command.current_dir(&copy);
        command
    };
    let oldest = in_copy(&["+nightly", "update", "-Z", "direct-minimal-versions"]);
    let chosen = judge(context.limit, [oldest])?;
    if chosen != Outcome::Passed {
        return Ok(chosen);
    }
    // A directory of its own: what is built there is of no use to any other step.
    let target = target_directory()?.join("minimal-versions");
    let mut check = in_copy(&[
        "+nightly",
        "check",
        "--workspace",
        "--all-features",
        "--target-dir",
    ]);
    check.arg(target);
    judge(context.limit, [check])
}

/// Step `advisories`. The answer is that of the day.
pub(crate) fn advisories(context: &Context) -> Result<Outcome, Error> {
    let install = "cargo install --locked cargo-deny";
    needs(context, &["deny", "--version"], install)?;
    let mut fetch: Command = context.cargo(["deny", "fetch", "db"]);
    println!("$ {}", command::shown(&fetch));
    if let Err(error) = command::read(&mut fetch) {
        let error = error.to_string();
        // Before it stands where it was tried.
        let reason = error.lines().last().unwrap_or(&error);
        return Ok(Outcome::Skipped(format!(
            "the advisories cannot be had: {reason}"
        )));
    }
    judge(
        context.limit,
        [context.cargo(["deny", "check", "advisories"])],
    )
}
