//! The lab, tested on the kernel that it runs on, as root and as an ordinary user alike.
//!
//! Without a sandbox every test is ignored and says why; with `CI` set every test fails instead.

mod blackhole;
mod capture;
mod child;
mod cleanup;
mod connect;
mod counters;
mod inject;
mod marks;
mod offload;
mod sandbox;
mod shaping;
mod star;
mod sysctl;
mod trace;
mod trio;
mod wire;

use lab::require::{self, Requirement};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::ExitCode;

/// A test: its name and what it does.
type Case = (&'static str, fn() -> Result<(), Failed>);

const CASES: &[&[Case]] = &[
    blackhole::CASES,
    capture::CASES,
    cleanup::CASES,
    connect::CASES,
    counters::CASES,
    inject::CASES,
    marks::CASES,
    offload::CASES,
    sandbox::CASES,
    shaping::CASES,
    star::CASES,
    sysctl::CASES,
    trace::CASES,
    trio::CASES,
    wire::CASES,
];

/// A test of what not every kernel has, and whether this one has.
type NeedyCase = (Case, fn() -> Result<(), lab::Error>);

const NEEDY: &[&[NeedyCase]] = &[shaping::NEEDY];

fn main() -> ExitCode {
    // Some tests need a process of their own: they start this program again.
    if let Some(role) = child::role() {
        return role;
    }
    // First: the sandbox is entered by a process without threads, or not at all.
    let requirement = require::sandbox();
    let args = Arguments::from_args();
    if let Requirement::Skip(reason) = &requirement {
        eprintln!("every test is ignored: {reason}");
    }
    let cases = CASES.iter().copied().flatten();
    let mut trials: Vec<_> = cases.map(|case| trial(case, &requirement)).collect();
    let needy = NEEDY.iter().copied().flatten();
    trials.extend(needy.map(|(case, need)| match &requirement {
        Requirement::Met(_) => needy_trial(case, *need),
        _ => trial(case, &requirement),
    }));
    libtest_mimic::run(&args, trials).exit_code()
}

fn trial(&(name, run): &Case, requirement: &Requirement) -> Trial {
    match requirement {
        Requirement::Met(_) => Trial::test(name, run),
        Requirement::Skip(reason) => {
            let reason = reason.clone();
            Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)))
                .with_ignored_flag(true)
        }
        Requirement::Fail(reason) => {
            let reason = reason.clone();
            Trial::test(name, move || Err(Failed::from(reason)))
        }
    }
}

/// A test that is ignored where the kernel has not what it needs, and says so.
fn needy_trial(&(name, run): &Case, need: fn() -> Result<(), lab::Error>) -> Trial {
    Trial::ignorable_test(name, move || match need() {
        Err(error @ lab::Error::NotInKernel { .. }) => {
            Ok(Completion::ignored_with(error.to_string()))
        }
        other => {
            other?;
            run().map(|()| Completion::Completed)
        }
    })
}
