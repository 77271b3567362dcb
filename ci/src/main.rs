//! Everything that continuous integration runs, as one command: `cargo ci`.
//!
//! `cargo ci --list` names the steps. A run ends with a table of what became of each; its exit code is 0 only
//! if no step failed.

mod capi;
mod checks;
mod command;
mod context;
mod error;
mod flakes;
mod fuzz;
mod leftovers;
mod package;
mod processes;
mod room;
mod snapshot;
mod steps;
mod tee;
mod user;
mod versions;

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
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.iter().map(|step| step.name)))]
    steps: Vec<String>,
    /// Name the steps and what they do
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    // Not for people: the steps `user` and `flakes` start this program again in this way. See room.rs.
    let for_room = std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == "__room");
    let result = if for_room {
        let room = room::Room::parse_from(std::env::args_os().skip(1));
        Err(room::enter(&room))
    } else {
        run(Arguments::parse())
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    if arguments.list {
        print!("{}", steps::list());
        return Ok(ExitCode::SUCCESS);
    }
    processes::adopt_orphans()?;
    let mut context = Context::new(arguments.options)?;
    let done = steps::run(&context, &steps::chosen(&arguments.steps));
    print!("{}", steps::summary(&done));
    if steps::failed(&done) {
        context.keep_temporary_files();
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
