//! Whether the tests of a program can run, and what becomes of them if not.

use crate::sandbox::{Sandbox, SandboxError};
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
    Sandbox::enter().map_or_else(|error| Requirement::unmet(&error), Requirement::Met)
}

impl Requirement {
    /// What becomes of tests that cannot have a sandbox.
    pub(super) fn unmet(error: &SandboxError) -> Self {
        if in_ci() {
            return Self::Fail(error.to_string());
        }
        Self::Skip(error.to_string())
    }

    /// The tests as they are, or what [`Requirement::judge`] makes of them; says once why they are all ignored.
    pub(super) fn judge_all(&self, trials: impl IntoIterator<Item = Trial>) -> Vec<Trial> {
        if let Self::Skip(reason) = self {
            eprintln!("every test is ignored: {reason}");
        }
        trials.into_iter().map(|trial| self.judge(trial)).collect()
    }

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
