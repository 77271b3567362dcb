//! What can go wrong before a kernel is judged.

use std::io;

/// Why a kernel could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something is not what it would have to be.
    #[error("cannot {doing}: {what}\n  {help}")]
    Unfit {
        /// What was being done.
        doing: String,
        /// What is wrong.
        what: String,
        /// What to do about it.
        help: &'static str,
    },
}

impl Error {
    /// A program could not be started; `help` says where one is had that is not there.
    pub(super) fn of_program(
        error: io::Error,
        program: &str,
        doing: &str,
        help: &'static str,
    ) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Unfit {
                doing: doing.to_owned(),
                what: format!("there is no {program}"),
                help,
            },
            _ => Self::Io {
                doing: format!("start {program}"),
                source: error,
            },
        }
    }
}

/// Says what was being done when something went wrong.
pub(super) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::Io {
            doing: what(),
            source: error.into(),
        })
    }
}
