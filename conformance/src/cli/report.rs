//! `conformance report`: what runs have told, in another format.

use super::complain;
use crate::report::format::Format;
use crate::report::told::{Run, Told};
use crate::summary::Exit;
use std::fs::File;
use std::io::{self, BufReader, stdout};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What runs have written with --events, each a run of its own
    #[arg(required = true, value_name = "EVENTS")]
    files: Vec<PathBuf>,
    /// In which format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the report. It ends as the worst of the runs did, so that it can stand at the end of a pipeline.
pub(super) fn report(args: &Args) -> Exit {
    let mut runs = Vec::new();
    for path in &args.files {
        match read(path) {
            Ok(told) => runs.push(Run::from(told)),
            Err(error) => return complain(Exit::Usage, format!("{}: {error}", path.display())),
        }
    }
    let written = match &args.output {
        Some(path) => File::create(path)
            .and_then(|mut file| args.format.write(&mut file, &runs))
            .map_err(|error| format!("writing {}: {error}", path.display())),
        // Where the reader has gone, nobody is there to be told.
        None => match args.format.write(&mut stdout().lock(), &runs) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
            _ => Ok(()),
        },
    };
    match written {
        Ok(()) => Exit::worst(runs.iter().map(|run| run.told.exit())),
        Err(error) => complain(Exit::Harness, error),
    }
}

fn read(path: &Path) -> Result<Told, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    Told::read(BufReader::new(file)).map_err(|error| error.to_string())
}
