//! `conformance repro`: a scenario as a program that stands alone.

use super::complain;
use crate::repro::{self, Language};
use crate::scenario::Scenario;
use crate::summary::Exit;
use std::fs;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file with a scenario
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the program is to be written in
    #[arg(long, value_name = "LANGUAGE")]
    emit: Language,
}

/// Prints the program, all of it or nothing.
pub(super) fn print(args: &Args) -> Exit {
    match program(args) {
        Ok(program) => {
            super::print(&program);
            Exit::Passed
        }
        Err(error) => complain(Exit::Usage, format!("{}: {error}", args.file.display())),
    }
}

fn program(args: &Args) -> Result<String, Box<dyn std::error::Error>> {
    let scenario: Scenario = fs::read_to_string(&args.file)?.parse()?;
    Ok(repro::emit(&scenario, args.emit)?)
}
