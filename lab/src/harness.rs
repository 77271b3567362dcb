//! Test programs: tests that each get a network of their own, under `cargo test` and nextest, without root.
//!
//! A test program that uses a lab has to enter the sandbox before it has threads, so it needs a `main` of its own
//! (`harness = false` in `Cargo.toml`), which [`main!`](crate::main) writes:
//!
//! ```no_run
//! use lab::harness::Result;
//! use lab::{Family, Pair};
//!
//! lab::main![a_byte_arrives];
//!
//! fn a_byte_arrives(lab: Pair) -> Result {
//!     let (mut client, mut server) = lab.connection(Family::V4).open()?.into_peers();
//!     client.send(1)?;
//!     server.receive(1)?;
//!     Ok(())
//! }
//! ```
//!
//! - Tests run in parallel, each in a lab of its own, and can be chosen as with any test program (`--help` says how).
//! - An error and a panic are failures. What was on the links of a test that failed is printed, and written for
//!   Wireshark to `target/lab-failures`, or where the environment variable `LAB_FAILURES` says; what was between two
//!   hosts is drawn there as well ([`Ladder`](crate::Ladder)).
//! - Where namespaces cannot be had, every test is ignored and says why; with the environment variable `CI` set to
//!   something other than nothing, `0` or `false`, every test fails instead.
//!
//! A test that is written and not listed is a warning of the compiler: it is never used. The examples of a package are
//! tests, too: [`examples()`].

mod evidence;
mod examples;
mod fixture;
mod requirement;

use evidence::Evidence;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

pub use examples::examples;
pub use fixture::Fixture;
pub use libtest_mimic;
pub use requirement::{Requirement, sandbox};

/// What a test returns: any error will do, and a text too (`Err("…".into())`).
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Writes the `main` of a test program: the tests by name, see [`harness`](mod@crate::harness).
#[macro_export]
macro_rules! main {
    ($($test:path),* $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::harness::main([$($crate::harness::Test::new(stringify!($test), $test)),*])
        }
    };
}

/// Runs a test program; call it first in `main`, or let [`main!`](crate::main) do it.
///
/// Enters the sandbox, then does what the command line asks for, as the test programs of the standard library do.
pub fn main(tests: impl IntoIterator<Item = Test>) -> ExitCode {
    let requirement = sandbox();
    let arguments = Arguments::from_args();
    let trials = tests.into_iter().map(|test| test.0);
    libtest_mimic::run(&arguments, requirement.judge_all(trials)).exit_code()
}

/// A test: its name and what it does.
#[derive(Debug)]
#[must_use = "a test is run by harness::main"]
pub struct Test(Trial);

impl Test {
    /// The test `body` under a name: a function that takes a lab, or nothing if it builds its own.
    pub fn new<Arguments>(
        name: impl Into<String>,
        body: impl Body<Arguments> + Send + 'static,
    ) -> Self {
        let name = name.into();
        Self(Trial::ignorable_test(name.clone(), move || body.run(&name)))
    }
}

/// What can be a test: a function of nothing or of one [`Fixture`], that returns an [`Outcome`].
pub trait Body<Arguments> {
    /// Runs it once, as the test of this name.
    ///
    /// # Errors
    /// Why the test has failed.
    fn run(self, name: &str) -> std::result::Result<Completion, Failed>;
}

impl<F: FnOnce() -> R, R: Outcome> Body<()> for F {
    fn run(self, _: &str) -> std::result::Result<Completion, Failed> {
        self().into_completion()
    }
}

impl<F: FnOnce(L) -> R, L: Fixture, R: Outcome> Body<(L,)> for F {
    fn run(self, name: &str) -> std::result::Result<Completion, Failed> {
        let lab = L::build()?;
        let evidence = Evidence::collect(&lab.hosts())?;
        let outcome = catch_unwind(AssertUnwindSafe(|| self(lab).into_completion()));
        let outcome = outcome.unwrap_or_else(|panic| Err(panic_message(&*panic).into()));
        outcome.map_err(|failed| evidence.append_to(failed, name))
    }
}

/// What a test can return: nothing, or a result with any error that can be printed.
///
/// A [`Completion`] in the result says whether the test was run at all.
pub trait Outcome {
    /// As the runner wants it.
    ///
    /// # Errors
    /// Why the test has failed.
    fn into_completion(self) -> std::result::Result<Completion, Failed>;
}

impl Outcome for () {
    fn into_completion(self) -> std::result::Result<Completion, Failed> {
        Ok(Completion::Completed)
    }
}

impl<E: Into<Failed>> Outcome for std::result::Result<(), E> {
    fn into_completion(self) -> std::result::Result<Completion, Failed> {
        self.map(|()| Completion::Completed).map_err(Into::into)
    }
}

impl<E: Into<Failed>> Outcome for std::result::Result<Completion, E> {
    fn into_completion(self) -> std::result::Result<Completion, Failed> {
        self.map_err(Into::into)
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("(without a message)"))
}
