//! What goes wrong in CI's own work, as opposed to a step that finds something.

use std::{fmt, io};

/// CI could not do its own part. The message says what was being done, with which value, and what to do.
#[derive(Debug)]
pub(crate) enum Error {
    /// The system refused something.
    System {
        /// What was being done, with its value, as in "opening /x".
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// What was found is not what is needed.
    Unfit {
        /// What was being done.
        doing: String,
        /// What was found.
        found: String,
        /// What the reader can do about it.
        help: String,
    },
}

impl Error {
    /// What was found is not what is needed.
    pub(crate) fn unfit(
        doing: impl Into<String>,
        found: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self::Unfit {
            doing: doing.into(),
            found: found.into(),
            help: help.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { doing, source } => write!(f, "{doing}: {source}"),
            Self::Unfit { doing, found, help } => write!(f, "{doing}: {found}; {help}"),
        }
    }
}

impl std::error::Error for Error {}

/// Adds what was being done to an error of the system.
pub(crate) trait While<T> {
    /// `doing` reads as "opening /x".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> While<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::System {
            doing: doing(),
            source: error.into(),
        })
    }
}
