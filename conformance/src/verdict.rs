//! What a case concludes, and the expectations that it concludes it from.

use std::fmt::{self, Debug, Display};
use std::io;

/// The outcome of a case: it held, or why it stopped.
pub type Verdict = Result<(), Stop>;

/// Why a case stopped.
#[derive(Debug)]
pub enum Stop {
    /// The promise was not kept.
    Fail(Failure),
    /// What the case needs is not here; the reason is printed, never swallowed.
    Skip(String),
    /// The harness broke: nothing was learned about the kernel or the library.
    Broken(String),
}

/// A promise that was not kept: what was looked at, what was expected, what was there.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was looked at.
    pub what: String,
    /// What should have been there.
    pub expected: String,
    /// What was there.
    pub actual: String,
}

impl Failure {
    /// A failure, as text that is printed side by side.
    pub fn new(what: impl Display, expected: impl Display, actual: impl Display) -> Self {
        Self {
            what: what.to_string(),
            expected: expected.to_string(),
            actual: actual.to_string(),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n    expected: {}\n    actual:   {}",
            self.what, self.expected, self.actual
        )
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

impl From<lab::Error> for Stop {
    fn from(error: lab::Error) -> Self {
        Self::Broken(format!("the lab: {error}"))
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(format!("a system call of the harness: {error}"))
    }
}

impl From<soccr::Error> for Stop {
    fn from(error: soccr::Error) -> Self {
        Self::Fail(Failure::new("the library", "success", error))
    }
}

impl<T> From<soccr::NotSaved<T>> for Stop {
    fn from(not_saved: soccr::NotSaved<T>) -> Self {
        not_saved.error.into()
    }
}

impl<T> From<soccr::NotClosed<T>> for Stop {
    fn from(not_closed: soccr::NotClosed<T>) -> Self {
        not_closed.error.into()
    }
}

/// Fails unless both are equal.
///
/// # Errors
/// [`Stop::Fail`] with both values.
pub fn expect_eq<T: PartialEq + Debug>(what: impl Display, actual: T, expected: T) -> Verdict {
    if actual == expected {
        return Ok(());
    }
    Err(Failure::new(what, format!("{expected:?}"), format!("{actual:?}")).into())
}

/// Fails unless `holds`; `actual` says what was there instead.
///
/// # Errors
/// [`Stop::Fail`].
pub fn expect(
    what: impl Display,
    expected: impl Display,
    actual: impl Display,
    holds: bool,
) -> Verdict {
    if holds {
        return Ok(());
    }
    Err(Failure::new(what, expected, actual).into())
}

/// Fails unless the call failed with `errno`.
///
/// # Errors
/// [`Stop::Fail`] naming both errors.
pub fn expect_errno<T: Debug>(what: impl Display, result: io::Result<T>, errno: i32) -> Verdict {
    let expected = io::Error::from_raw_os_error(errno);
    match result {
        Err(error) if error.raw_os_error() == Some(errno) => Ok(()),
        Err(error) => Err(Failure::new(what, expected, error).into()),
        Ok(value) => Err(Failure::new(what, expected, format!("success, {value:?}")).into()),
    }
}

/// Fails if the call failed: for calls that are themselves what is judged.
///
/// # Errors
/// [`Stop::Fail`] with the error.
pub fn expect_ok<T>(what: impl Display, result: io::Result<T>) -> Result<T, Stop> {
    result.map_err(|error| Failure::new(what, "success", error).into())
}
