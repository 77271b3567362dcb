//! Why a call of the C interface failed: what its log says, and its `errno`.

use soccr::{Error, ErrorKind};
use std::fmt;
use std::io;

/// Why a call of the C interface failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was being done, with which value, and why it failed.
    pub message: String,
    /// What the caller finds in `errno`.
    pub errno: i32,
}

impl Fault {
    pub(crate) fn new(errno: i32, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            errno,
        }
    }

    /// An argument that makes no sense.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(libc::EINVAL, message)
    }

    /// A number that cannot be that of a connection.
    pub(crate) fn refused(field: &str, value: impl fmt::Display, rule: impl fmt::Display) -> Self {
        Self::argument(format!("{field} = {value} {rule}"))
    }

    /// A call to the system that failed while something was done.
    pub(crate) fn system(doing: &str, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        Self::new(errno, format!("{doing}: {error}"))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let errno = match error.kind() {
            ErrorKind::System { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
            ErrorKind::Unsupported(_) => libc::EOPNOTSUPP,
            ErrorKind::AlreadyInRepair => libc::EBUSY,
            ErrorKind::Unstable { .. } => libc::EAGAIN,
            ErrorKind::Buffer { .. } => libc::ENOBUFS,
            ErrorKind::Memory { .. } => libc::ENOMEM,
            ErrorKind::NotInjected { .. } => libc::ETIMEDOUT,
            ErrorKind::NoLink { .. } => libc::ENODEV,
            _ => libc::EINVAL,
        };
        Self::new(errno, error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
