//! CRIU's images: those that CRIU has written, those that its own tool `crit` writes, and ours.
//!
//! `images/README.md` says where the images come from.

mod crit;
mod golden;
mod hostile;
mod properties;
mod snapshots;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::ExitCode;

/// A test: its name and what it does.
type Case = (&'static str, fn() -> Result<(), Failed>);

/// A test that finds out itself whether it has what it needs.
type OptionalCase = (&'static str, fn() -> Result<Completion, Failed>);

fn main() -> ExitCode {
    let cases = [golden::CASES, hostile::CASES, properties::CASES];
    let cases = cases.concat().into_iter();
    let cases = cases.map(|(name, run)| Trial::test(name, run));
    let optional = crit::CASES.iter();
    let optional = optional.map(|&(name, run)| Trial::ignorable_test(name, run));
    libtest_mimic::run(&Arguments::from_args(), cases.chain(optional).collect()).exit_code()
}
