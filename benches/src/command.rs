//! The command line of the benchmark that measures side by side.

use crate::against::Comparison;
use crate::error::Error;
use crate::report::{short, write_to};
use crate::results::Results;
use crate::run::{Scale, run};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures saves and restores beside the least that could be done, and beside the library that SOCCR_BASELINE names
#[derive(Debug, Parser)]
#[command(name = "side_by_side")]
pub struct Arguments {
    /// Measure less: some seconds instead of some minutes, and wider intervals
    #[arg(long)]
    quick: bool,
    /// Measure as little as shows that it works
    #[arg(long)]
    test: bool,
    /// Write results.json, report.html and report.md with its plots into this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Compare with the results.json of an earlier run; exit code 1 where this one is worse, 2 where nothing can be compared
    #[arg(long, value_name = "OLD.json")]
    against: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// What criterion knows, for it is given the same command line
    #[arg(hide = true)]
    filter: Option<String>,
}

impl Arguments {
    /// How much is asked for; `cargo test --benches`, which does not say `--bench`, asks for a test.
    fn scale(&self) -> Scale {
        match (self.test || !self.bench, self.quick) {
            (true, _) => Scale::test(),
            (false, true) => Scale::quick(),
            (false, false) => Scale::full(),
        }
    }
}

/// What went wrong with the run itself; not what it has shown.
const BROKEN: u8 = 2;

/// Does what the command line asks for, as the first thing of a process. 0: done; 1: worse than before; 2: not measured, or
/// nothing of it measured before.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn measure(arguments: &Arguments) -> Result<ExitCode, Error> {
    // Before there are threads.
    let sandbox = lab::Sandbox::enter()?;
    // What cannot be read is better known before all is measured.
    let old = arguments
        .against
        .as_deref()
        .map(Results::read)
        .transpose()?;
    let results = run(&arguments.scale(), sandbox.is_root(), |what| {
        eprintln!("… {what}");
    })?;
    print!("{}", short(&results));
    if let Some(folder) = &arguments.report {
        write_to(folder, &results)?;
        println!("\nThe report is in {}.", folder.display());
    }
    Ok(match old {
        Some(old) => tell(&Comparison::of(&old, &results)),
        None => ExitCode::SUCCESS,
    })
}

fn tell(comparison: &Comparison) -> ExitCode {
    let Comparison {
        worse,
        better,
        missing,
        compared,
    } = comparison;
    println!(
        "\nOf {compared} ratios and counts {} are worse, {} better.",
        worse.len(),
        better.len()
    );
    for worse in worse {
        println!("worse   {worse}");
    }
    for better in better {
        println!("better  {better}");
    }
    for missing in missing {
        println!("missing {missing}");
    }
    match (*compared, worse.is_empty()) {
        (0, _) => ExitCode::from(BROKEN),
        (_, true) => ExitCode::SUCCESS,
        (_, false) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(words: &[&str]) -> &'static str {
        let words = std::iter::once(&"side_by_side").chain(words);
        Arguments::parse_from(words).scale().name
    }

    #[test]
    fn all_is_measured_only_where_cargo_bench_asks() {
        assert_eq!(scale(&["--bench"]), "full");
        assert_eq!(scale(&["--bench", "--quick"]), "quick");
        assert_eq!(scale(&["--bench", "--test"]), "test");
        assert_eq!(scale(&[]), "test");
        assert_eq!(scale(&["--quick"]), "test");
    }

    #[test]
    fn only_what_is_worse_fails_and_nothing_that_could_be_compared_is_no_answer() {
        let code = |worse: &[&str], better: &[&str], compared| {
            let all = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
            tell(&Comparison {
                worse: all(worse),
                better: all(better),
                missing: all(&["y"]),
                compared,
            })
        };
        assert_eq!(code(&[], &["x"], 2), ExitCode::SUCCESS);
        assert_eq!(code(&["x"], &[], 2), ExitCode::FAILURE);
        assert_eq!(code(&[], &[], 0), ExitCode::from(BROKEN));
    }
}
