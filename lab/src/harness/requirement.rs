//! Whether the tests of a program can run, and what becomes of them if not.

use crate::sandbox::Sandbox;
use libtest_mimic::{Completion, Failed, Trial};

/// What a test program is to do.
#[derive(Debug)]
pub enum Requirement {
    /// Run the tests.
    Met(Sandbox),
    /// Report every test as ignored, for this reason.
    Skip(String),
    /// Fail, for this reason: in continuous integration a test that silently does not run is a hole.
    Fail(String),
}

/// Enters a sandbox for a test program with a `main` of its own; call it first in `main`.
///
/// Where none can be entered the answer is [`Requirement::Skip`], or [`Requirement::Fail`] if the environment
/// variable `CI` is set to something other than nothing, `0` or `false`.
#[must_use]
pub fn sandbox() -> Requirement {
    match Sandbox::enter() {
        Ok(sandbox) => Requirement::Met(sandbox),
        Err(error) if in_ci() => Requirement::Fail(error.to_string()),
        Err(error) => Requirement::Skip(error.to_string()),
    }
}

impl Requirement {
    /// The test as it is, or in its place one that is ignored or fails, with the reason.
    #[must_use]
    pub fn judge(&self, trial: Trial) -> Trial {
        let (name, kind) = (trial.name(), trial.kind());
        match self {
            Self::Met(_) => trial,
            Self::Skip(reason) => {
                let reason = reason.clone();
                Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)))
                    .with_ignored_flag(true)
                    .with_kind(kind)
            }
            Self::Fail(reason) => {
                let reason = reason.clone();
                Trial::test(name, move || Err(Failed::from(reason))).with_kind(kind)
            }
        }
    }
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
