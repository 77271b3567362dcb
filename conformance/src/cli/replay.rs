//! `conformance replay`, `conformance scenario`: scenarios by file, and by number.

use super::{complain, run};
use crate::case::Case;
use crate::scenario::{self, Scenario};
use crate::summary::Exit;
use std::fs;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Files {
    /// Files with a scenario each
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Compare each with the same scenario without its checkpoints, instead; faults of the network are left out
    #[arg(long)]
    compared: bool,
    #[command(flatten)]
    run: run::Args,
}

/// Runs the scenarios of some files.
pub(super) fn replay(args: Files) -> Exit {
    let mut cases = Vec::new();
    for (index, path) in args.files.iter().enumerate() {
        let read = fs::read_to_string(path).map_err(|error| error.to_string());
        let scenario =
            read.and_then(|text| text.parse::<Scenario>().map_err(|error| error.to_string()));
        match scenario {
            Ok(scenario) => {
                let path = path.display().to_string();
                cases.push(case(index + 1, path, scenario, args.compared));
            }
            Err(error) => return complain(Exit::Usage, format!("{}: {error}", path.display())),
        }
    }
    run::run_these(args.run, cases)
}

fn case(number: usize, path: String, scenario: Scenario, compared: bool) -> Case {
    Case::new(
        format!("scenario/replay/{number}"),
        format!("the scenario of {path}: no end notices a checkpoint"),
        &["E1"],
        move |ctx| match compared {
            true => scenario::compared(ctx, &scenario),
            false => scenario::run(ctx, &scenario, || {}),
        },
    )
    .bound(scenario::BOUND)
    .in_c()
}

#[derive(Debug, clap::Args)]
pub(super) struct Numbered {
    /// The seed of a run
    #[arg(long, value_name = "N")]
    seed: u64,
    /// The number of a scenario in it, from 1
    #[arg(value_name = "NUMBER")]
    number: std::num::NonZeroUsize,
}

/// Prints a generated scenario.
pub(super) fn print(args: &Numbered) -> Exit {
    match scenario::scenario(args.seed, args.number.get() - 1) {
        Some(scenario) => {
            super::print(&scenario.to_string());
            Exit::Passed
        }
        None => complain(Exit::Harness, "this one cannot be generated"),
    }
}
