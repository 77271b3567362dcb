//! What can go wrong in a lab: what was being done, with which value, and what the kernel said.

use crate::sandbox::SandboxError;
use std::io;
use std::time::Duration;

/// Why a lab could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A lab was asked for before [`Sandbox::enter`](crate::Sandbox::enter).
    #[error(
        "there is no sandbox: call lab::Sandbox::enter() at the start of main, before the first thread"
    )]
    NoSandbox,

    /// The sandbox cannot be entered here.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),

    /// The kernel refused a call.
    #[error("{doing}: {source}")]
    Os {
        /// What was being done, with which value.
        doing: String,
        /// What the kernel said.
        source: io::Error,
    },

    /// A namespace could not be made or entered.
    #[error("{doing}: {reason}")]
    Namespace {
        /// What was being done, to which namespace.
        doing: String,
        /// What netns-rs said.
        reason: String,
    },

    /// Something did not happen in time.
    #[error("waited {timeout:?} for {what}, in vain")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        timeout: Duration,
    },

    /// The kernel saw frames that the capture has no room for, so that the trace would have holes.
    #[error(
        "the capture on {link} lost {frames} frames: capture with a larger ring (CaptureOptions::frames), or send less"
    )]
    FramesLost {
        /// Host and link of the capture.
        link: String,
        /// How many were lost since the capture began.
        frames: u64,
    },

    /// A wire cannot move frames any more.
    #[error("the wire has failed: {0}")]
    Wire(String),

    /// A trace has no such mark.
    #[error("the trace has no mark {wanted:?}; its marks are {present:?}")]
    NoSuchMark {
        /// The mark that was asked for.
        wanted: String,
        /// The marks that are there, in order.
        present: Vec<String>,
    },

    /// A peer has found, at an offset of its stream, something other than what had to be there.
    #[error("{doing}: at offset {offset} there had to be {expected}, and there was {found}")]
    Stream {
        /// Which peer, and what it was doing.
        doing: String,
        /// The offset, counted from the beginning of the stream.
        offset: u64,
        /// What had to be there.
        expected: String,
        /// What was there.
        found: String,
    },

    /// A value that cannot be used.
    #[error("{what} cannot be {value}: {why}")]
    Invalid {
        /// Which parameter.
        what: &'static str,
        /// The value that was given.
        value: String,
        /// What would be possible.
        why: &'static str,
    },

    /// This kernel was built without something, or its module is not there.
    #[error("this kernel has no {what}")]
    NotInKernel {
        /// What the kernel calls it.
        what: &'static str,
    },

    /// A blocking call was made where blocking is not possible.
    #[error(
        "{doing}: the lab blocks, so it cannot be used inside an async runtime; use spawn_blocking"
    )]
    InsideRuntime {
        /// What was being done.
        doing: String,
    },
}

impl Error {
    /// The error number of the kernel, where the kernel refused.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Os { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// Says what was being done when a system call failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::Os {
            doing: what(),
            source: error.into(),
        })
    }
}
