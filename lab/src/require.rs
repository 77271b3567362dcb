//! For test programs: enter a sandbox, or say why the tests cannot run.

use crate::sandbox::Sandbox;

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

/// Enters a sandbox for a test program; call it first in `main`.
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

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
