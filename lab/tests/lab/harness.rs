//! Test programs that are written with the harness.

use crate::Case;
use crate::child::{self, Role, text};
use lab::harness::{self, Fixture, Test};
use lab::{Family, Host, Pair};
use libtest_mimic::{Completion, Failed};
use std::io::{Read, Write};
use std::process::ExitCode;
use std::{fs, path::Path};

pub(crate) const CASES: &[Case] = &[
    (
        "harness/every_test_has_a_lab_of_its_own",
        every_test_has_a_lab_of_its_own,
    ),
    (
        "harness/a_failure_shows_what_was_on_the_link",
        a_failure_shows_what_was_on_the_link,
    ),
    (
        "harness/what_cannot_be_built_is_a_failure",
        what_cannot_be_built_is_a_failure,
    ),
];

pub(crate) const ROLES: &[Role] = &[
    ("passing-tests", passing_tests),
    ("failing-tests", failing_tests),
    ("unbuilt-tests", unbuilt_tests),
];

/// Plays a role that is a test program; what it printed, and whether it was content.
fn run(role: &str, failures: &Path) -> Result<(String, bool), Failed> {
    let output = child::command(role)
        .env("LAB_FAILURES", failures)
        .output()?;
    Ok((text(&output), output.status.success()))
}

fn conclude(code: ExitCode) -> Result<(), Failed> {
    if code == ExitCode::SUCCESS {
        Ok(())
    } else {
        Err("not every test has passed".into())
    }
}

fn every_test_has_a_lab_of_its_own() -> Result<(), Failed> {
    let failures = tempfile::tempdir()?;
    let (said, passed) = run("passing-tests", failures.path())?;
    assert!(passed, "{said}");
    assert!(said.contains("4 passed; 0 failed; 1 ignored"), "{said}");
    assert!(said.contains("not_now"), "{said}");
    assert_eq!(fs::read_dir(failures.path())?.count(), 0);
    Ok(())
}

/// A role: the same port in every lab, and every kind of function that can be a test.
fn passing_tests() -> Result<(), Failed> {
    fn connect(lab: &Pair) -> Result<(), lab::Error> {
        lab.connection(Family::V6).server_port(80).open().map(drop)
    }
    fn with_an_error_of_its_own(lab: Pair) -> Result<(), lab::Error> {
        connect(&lab)
    }
    fn with_any_error(lab: Pair) -> harness::Result {
        Ok(connect(&lab)?)
    }
    fn without_errors(lab: Pair) {
        assert!(connect(&lab).is_ok());
    }
    fn without_a_lab() -> harness::Result {
        Ok(())
    }
    conclude(harness::main([
        Test::new("with_an_error_of_its_own", with_an_error_of_its_own),
        Test::new("with_any_error", with_any_error),
        Test::new("without_errors", without_errors),
        Test::new("without_a_lab", without_a_lab),
        Test::new("not_now", || {
            Ok::<_, Failed>(Completion::ignored_with("not now"))
        }),
    ]))
}

fn a_failure_shows_what_was_on_the_link() -> Result<(), Failed> {
    let failures = tempfile::tempdir()?;
    let (said, passed) = run("failing-tests", failures.path())?;
    assert!(!passed, "{said}");
    assert!(said.contains("1 passed; 2 failed"), "{said}");
    for reason in [
        "the sky fell",
        "it panicked: assertion",
        "there an hour ago",
    ] {
        assert!(said.contains(reason), "{said}");
    }
    // Both labs are gone by then. The last thing on their links was the data.
    let data = said.lines().filter(|line| line.contains("1:6(5)"));
    assert_eq!(data.count(), 2, "{said}");
    for test in ["an_error", "area_a_panic"] {
        for host in ["a", "b"] {
            let place = failures.path().join("lab").join(test);
            let file = place.join(format!("{host}.pcapng"));
            let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            assert!(bytes.windows(5).any(|it| it == b"hello"), "{test} {host}");
            assert!(said.contains(&*place.to_string_lossy()), "{said}");
        }
        let drawn = fs::read_to_string(failures.path().join("lab").join(test).join("ladder.svg"))?;
        assert!(drawn.contains("1:6(5)"), "{drawn}");
    }
    Ok(())
}

/// A role.
fn failing_tests() -> Result<(), Failed> {
    fn hello(lab: Pair) -> harness::Result {
        let mut connection = lab.connection(Family::V4).open()?;
        connection.client.write_all(b"hello")?;
        connection.server.read_exact(&mut [0; 5])?;
        Ok(())
    }
    fn an_error(lab: Pair) -> harness::Result {
        hello(lab)?;
        Err("the sky fell".into())
    }
    fn a_panic(lab: Pair) {
        hello(lab).unwrap_or_default();
        assert_eq!("the sky", "nothing", "it was there {} ago", "an hour");
    }
    conclude(harness::main([
        Test::new("an_error", an_error),
        Test::new("area/a_panic", a_panic),
        Test::new("hello", hello),
    ]))
}

fn what_cannot_be_built_is_a_failure() -> Result<(), Failed> {
    let failures = tempfile::tempdir()?;
    let (said, passed) = run("unbuilt-tests", failures.path())?;
    assert!(!passed && said.contains("the MTU cannot be 12"), "{said}");
    assert_eq!(fs::read_dir(failures.path())?.count(), 0);
    Ok(())
}

/// A network with settings of its own, which no link can have.
struct Narrow(Pair);

impl Fixture for Narrow {
    fn build() -> harness::Result<Self> {
        Ok(Self(Pair::builder().mtu(12).build()?))
    }

    fn hosts(&self) -> Vec<&Host> {
        self.0.hosts().to_vec()
    }
}

/// A role.
fn unbuilt_tests() -> Result<(), Failed> {
    conclude(harness::main([Test::new("unbuilt", |_: Narrow| ())]))
}
