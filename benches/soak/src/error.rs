//! Why a run has ended before its end.

use soccr::Seq;
use std::io;

/// Why a run has ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The network could not be built or changed.
    #[error("the lab: {0}")]
    Lab(#[from] lab::Error),
    /// The library has failed.
    #[error("the library: {0}")]
    Library(#[from] soccr::Error),
    /// An image could not be read again.
    #[error("the library: {0}")]
    Image(#[from] soccr::image::ImageError),
    /// The system has refused something.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A byte is not the one that it has to be.
    #[error(
        "{who}, {place}: at offset {offset} there had to be {expected:x?}, and there was {found:x?}"
    )]
    Byte {
        /// Whose stream it is.
        who: String,
        /// Where it was found.
        place: &'static str,
        /// Where it is in the stream.
        offset: u64,
        /// What had to be there.
        expected: Vec<u8>,
        /// What was there.
        found: Vec<u8>,
    },
    /// One end has not heard what the other has said.
    #[error("{who} has said {said} bytes, and {heard} of them were heard")]
    Length {
        /// Who has said it.
        who: String,
        /// How much was said.
        said: u64,
        /// How much was heard.
        heard: u64,
    },
    /// A snapshot says that a stream has come further than it has, or less far.
    #[error(
        "{who}: by a snapshot, what it hears and says begins at {now:?}; by the first one, at {first:?}"
    )]
    Numbers {
        /// Whose streams they are.
        who: String,
        /// Where the streams begin by the first snapshot.
        first: [Seq; 2],
        /// Where they begin by this one.
        now: [Seq; 2],
    },
    /// Nothing moves any more.
    #[error("{0}: nothing moves any more")]
    Stalled(String),
    /// A host has counted what a connection that lives does not cause.
    #[error("host {host} has counted resets: {moved}")]
    Reset {
        /// Its name.
        host: String,
        /// What was counted.
        moved: String,
    },
    /// Something grows.
    #[error("{0}")]
    Grown(String),
    /// A thread has ended with a panic.
    #[error("{0} has panicked")]
    Panicked(&'static str),
    /// It cannot be run here.
    #[error("{0}")]
    Skipped(String),
}

impl<T> From<soccr::NotSaved<T>> for Error {
    fn from(not_saved: soccr::NotSaved<T>) -> Self {
        Self::Library(not_saved.error)
    }
}

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
