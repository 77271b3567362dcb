//! Why there is nothing to measure, or nothing that could be measured.

use std::io;
use std::path::PathBuf;

/// Why there is nothing to measure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lab could not be built, or did not do what it was to do in time.
    #[error("in the lab: {0}")]
    Lab(#[from] lab::Error),
    /// There are no namespaces to measure in.
    #[error(transparent)]
    Sandbox(#[from] lab::SandboxError),
    /// A call that everything depends on has failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The library has failed: a figure over failed rounds is worth nothing.
    #[error("soccr: {0}")]
    Soccr(#[from] soccr::Error),
    /// The library that is measured beside ours has failed.
    #[error("the baseline: {0}")]
    Baseline(#[from] soccr_capi::client::Failed),
    /// The library that is measured beside ours has not restored what it has saved: its time is that of less work.
    #[error("{0}")]
    BaselineLoses(String),
    /// `SOCCR_BASELINE` names no library with the C interface.
    #[error("SOCCR_BASELINE: {0}")]
    NotOpened(#[from] soccr_capi::client::NotOpened),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Results that cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What has failed, and what was being measured.
    #[error("{what}: {error}")]
    During {
        /// What was being measured.
        what: String,
        /// What has failed.
        error: Box<Error>,
    },
    /// A queue is not any more what it was when it was filled: rounds were measured on another one.
    #[error("{0}")]
    Changed(String),
    /// What was measured is not what was to be measured: bytes are missing, the connection was reset.
    #[error("{0}")]
    Broken(String),
}

impl Error {
    /// Says what was being measured, if there was something yet.
    pub(crate) fn during(self, what: String) -> Self {
        if what.is_empty() {
            return self;
        }
        let error = Box::new(self);
        Self::During { what, error }
    }

    /// Something that must not happen.
    pub(crate) fn broken(what: impl Into<String>) -> Self {
        Self::Broken(what.into())
    }
}
