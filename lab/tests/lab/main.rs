//! The lab, tested on the kernel that it runs on, as root and as an ordinary user alike.
//!
//! Without a sandbox every test is ignored and says why; with `CI` set every test fails instead.

mod blackhole;
mod capture;
mod child;
mod cleanup;
mod connect;
mod counters;
mod craft;
mod harness;
mod inject;
mod ladder;
mod marks;
mod notes;
mod offload;
mod peer;
mod process;
mod reuse;
mod sandbox;
mod shaping;
mod sockets;
mod star;
mod sysctl;
mod trace;
mod trio;
mod tshark;
mod vlan;
mod wire;

use lab::harness::Test;
use libtest_mimic::{Completion, Failed};
use std::process::ExitCode;

/// A test: its name and what it does.
type Case = (&'static str, fn() -> Result<(), Failed>);

const CASES: &[&[Case]] = &[
    blackhole::CASES,
    capture::CASES,
    cleanup::CASES,
    connect::CASES,
    counters::CASES,
    craft::CASES,
    harness::CASES,
    inject::CASES,
    ladder::CASES,
    marks::CASES,
    notes::CASES,
    offload::CASES,
    peer::CASES,
    process::CASES,
    reuse::CASES,
    sandbox::CASES,
    shaping::CASES,
    sockets::CASES,
    star::CASES,
    sysctl::CASES,
    trace::CASES,
    trio::CASES,
    vlan::CASES,
    wire::CASES,
];

/// A test of what not every kernel has, and whether this one has.
type NeedyCase = (Case, fn() -> Result<(), lab::Error>);

const NEEDY: &[&[NeedyCase]] = &[shaping::NEEDY, vlan::NEEDY];

/// A test that finds out itself whether it has what it needs.
type OptionalCase = (&'static str, fn() -> Result<Completion, Failed>);

fn main() -> ExitCode {
    // Some tests need a process of their own: they start this program again.
    if let Some(role) = child::role() {
        return role;
    }
    let cases = CASES.iter().copied().flatten();
    let tests = cases.map(|&(name, run)| Test::new(name, run));
    let needy = NEEDY.iter().copied().flatten();
    let needy = needy.map(|(case, need)| needy_test(case, *need));
    let optional = tshark::CASES
        .iter()
        .map(|&(name, run)| Test::new(name, run));
    lab::harness::main(tests.chain(needy).chain(optional))
}

/// A test that is ignored where the kernel has not what it needs, and says so.
fn needy_test(&(name, run): &Case, need: fn() -> Result<(), lab::Error>) -> Test {
    Test::new(name, move || match need() {
        Err(error @ lab::Error::NotInKernel { .. }) => {
            Ok(Completion::ignored_with(error.to_string()))
        }
        other => {
            other?;
            run().map(|()| Completion::Completed)
        }
    })
}
