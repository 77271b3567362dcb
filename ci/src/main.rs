//! Everything that continuous integration runs, as one command: `cargo ci`.
//!
//! `cargo ci --list` names the steps. A run ends with a table of what became of each; its exit code is 0 only
//! if no step failed.

mod builds;
mod command;
mod context;
mod copy;
mod environment;
mod error;
mod flakes;
mod fuzz;
mod leftovers;
mod ordinary;
mod processes;
mod room;
mod snapshot;
mod steps;
mod uid;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::context::{Context, Options};
use crate::error::Error;
use crate::steps::STEPS;

/// Everything that continuous integration runs
#[derive(Debug, Parser)]
#[command(name = "cargo ci", bin_name = "cargo ci")]
struct Arguments {
    /// Steps to run instead of the default ones
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.map(|step| step.name)))]
    steps: Vec<String>,
    /// Name the steps and what they do
    #[arg(long)]
    list: bool,
    /// Do not start another step after one that failed
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let first = words.nth(1).unwrap_or_default();
    let result = if first == "__room" {
        // Not for people: `cargo ci user` starts itself in this way. See room.rs.
        Err(room::enter(&room::Room::parse_from(
            std::iter::once(OsString::from("ci __room")).chain(words),
        )))
    } else if first == "__whoami" {
        ordinary::whoami().map(|code| ExitCode::from(u8::try_from(code).unwrap_or(1)))
    } else {
        run(&Arguments::parse())
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    if arguments.list {
        for step in &STEPS {
            println!(
                "{:<12} {:<11} {}",
                step.name,
                if step.default {
                    "default"
                } else {
                    "on request"
                },
                step.about
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    leftovers::adopt_orphans()?;
    let mut context = Context::new(arguments.options.clone())?;
    let done = steps::run(
        &context,
        &steps::chosen(&arguments.steps),
        arguments.fail_fast,
    );
    print!("{}", steps::summary(&done));
    if !Context::is_root() {
        println!(
            "This run was an ordinary user's. The half that root sees was not run: `sudo` it for that."
        );
    }
    let failed = steps::failed(&done);
    if failed && context.has_temporary_files() {
        // Tests that fail leave what they saw in TMPDIR.
        context.scratch.disable_cleanup(true);
        println!(
            "Temporary files of this run are kept in {}.",
            context.scratch.path().display()
        );
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
