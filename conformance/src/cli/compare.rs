//! `conformance compare`: two reports, and what differs between them.

use super::{complain, print};
use crate::report::changes::{Outcomes, compare as compared};
use crate::report::text::colours;
use crate::summary::Exit;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What was: a report of `run --json`, `run --events` or `matrix --json`
    old: PathBuf,
    /// What is now
    new: PathBuf,
}

pub(super) fn compare(args: &Args) -> Exit {
    match (read(&args.old), read(&args.new)) {
        (Ok(old), Ok(new)) => {
            let (text, exit) = compared(&old, &new, &colours());
            print(&text);
            exit
        }
        (Err(error), _) | (_, Err(error)) => complain(Exit::Usage, error),
    }
}

fn read(path: &Path) -> Result<Outcomes, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    let read = text.and_then(|text| Outcomes::read(&text).map_err(|error| error.to_string()));
    read.map_err(|error| format!("{}: {error}", path.display()))
}
