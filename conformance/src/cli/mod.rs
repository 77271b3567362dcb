//! The command line: what can be asked for, and how the process ends.

mod bisect;
mod compare;
mod coverage;
mod doctor;
mod list;
mod matrix;
mod replay;
mod report;
mod report_file;
mod repro;
mod run;
mod self_test;

use crate::catalogue;
use crate::report::text::width;
use crate::runner::ask_for_descriptors;
use crate::summary::Exit;
use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::io::{Write, stdout};
use std::process::ExitCode;

/// Does this kernel keep the promises of TCP repair?
///
/// Every case runs in a network of its own, made of namespaces; nothing outside of them is touched, and no root is
/// needed. Without a command, all cases are run.
#[derive(Debug, Parser)]
#[command(
    name = "conformance",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 passed, 1 a promise is not kept, 2 usage, 3 the harness broke, 4 nothing ran"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run cases (the default)
    Run(run::Args),
    /// List cases: id, level, numbers of facts (`show` says which), promise
    List(list::Args),
    /// Say everything about one case
    Show {
        /// The id of the case
        id: String,
    },
    /// Let the suite convict defects that are planted in the library, one at a time
    SelfTest(self_test::Args),
    /// Run scenarios that were written down
    Replay(replay::Files),
    /// Print a generated scenario
    Scenario(replay::Numbered),
    /// Print a program that stands alone and does what a scenario says
    Repro(repro::Args),
    /// Print what the facts state, which cases ask it, and what is not asked and why
    Coverage(coverage::Args),
    /// Judge other kernels, each in a virtual machine (QEMU), and put the results side by side
    Matrix(matrix::Args),
    /// Judge one kernel by one case, as `git bisect run` wants it: 0 good, 1 bad, 125 cannot be told
    Bisect(bisect::Args),
    /// Tell what runs have told (`run --events`) in another format: KTAP, JUnit, GitHub
    Report(report::Args),
    /// Compare two reports: what got worse, what got better, what is new, what is gone; 1 where anything got worse
    Compare(compare::Args),
    /// Find out what is possible here, and what to do about the rest
    Doctor {
        /// Print what the library can do here, for machines
        #[arg(long)]
        json: bool,
    },
}

/// Does what the command line asks for. To be called before the process has started a thread.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    ask_for_descriptors();
    let exit = match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run::run(args),
        Command::List(args) => tell(list::list(&args, catalogue::all())),
        Command::Show { id } => tell(list::show(&id, catalogue::all(), width())),
        Command::SelfTest(args) => self_test::self_test(args),
        Command::Replay(args) => replay::replay(args),
        Command::Scenario(args) => replay::print(&args),
        Command::Repro(args) => repro::print(&args),
        Command::Coverage(args) => tell(coverage::coverage(&args, &catalogue::all())),
        Command::Matrix(args) => matrix::matrix(args),
        Command::Bisect(args) => return bisect::bisect(&args),
        Command::Report(args) => report::report(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Doctor { json: false } => doctor::doctor(),
        Command::Doctor { json: true } => doctor::json(),
    };
    exit.into()
}

/// Prints a text, or why there is none.
fn tell(text: Result<String, impl Display>) -> Exit {
    match text {
        Ok(text) => {
            print(&text);
            Exit::Passed
        }
        Err(error) => complain(Exit::Usage, error),
    }
}

/// Unlike `print!` no panic where the reader has gone, as in `conformance list | head`.
fn print(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
}

fn complain(exit: Exit, error: impl Display) -> Exit {
    eprintln!("error: {error}");
    exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_command() {
        let filter = |words: &[&str]| {
            let cli = Cli::try_parse_from([&["conformance"], words].concat()).unwrap();
            match cli.command.unwrap_or(Command::Run(cli.run)) {
                Command::Run(args) => args.selection.filter,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(filter(&["--filter", "a", "--filter", "b"]), ["a", "b"]);
        assert_eq!(filter(&["run", "--filter", "a"]), ["a"]);
        assert!(filter(&[]).is_empty());
    }

    #[test]
    fn options_that_make_no_sense_are_usage_errors() {
        for words in [
            vec!["--jobs", "0"],
            vec!["--seed", "x"],
            vec!["--subject", "capy"],
            vec!["--filter"],
            vec!["--filter", "a", "list"],
            vec!["show"],
            vec!["dance"],
        ] {
            let line = std::iter::once("conformance").chain(words);
            assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2);
        }
    }
}
