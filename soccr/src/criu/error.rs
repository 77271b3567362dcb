//! What can be wrong with an image.

use crate::error::{Error, Refusal};
use std::fmt;

/// An image of CRIU that cannot be read, or a snapshot that cannot be written as one.
#[derive(Debug)]
#[non_exhaustive]
pub enum CriuError {
    /// The image ends early.
    #[non_exhaustive]
    Short {
        /// What was being read.
        what: &'static str,
        /// How many bytes it has, or claims to have.
        wanted: u64,
        /// How many bytes are left.
        found: usize,
    },
    /// The image is one of another kind, or no image of CRIU.
    #[non_exhaustive]
    Magic {
        /// The kind that was expected, as CRIU names its files.
        image: &'static str,
        /// The number that it starts with.
        wanted: u32,
        /// The number that is there.
        found: u32,
    },
    /// Bytes are left behind the end of the image.
    #[non_exhaustive]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The bytes are not such a message.
    #[non_exhaustive]
    Malformed {
        /// The message, as CRIU's sources name it.
        message: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Something is not there without which there is no connection.
    #[non_exhaustive]
    Missing {
        /// The message, as CRIU's sources name it.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The file with numbers and queues is not there, of a socket that is or was connected.
    #[non_exhaustive]
    NoStream {
        /// Its name.
        name: String,
    },
    /// A field says something that no connection can be: the field as CRIU's sources name it.
    Refused(Refusal),
    /// What is to be written is no snapshot that can be restored.
    Snapshot(Error),
}

impl CriuError {
    pub(super) fn malformed(message: &'static str, detail: impl ToString) -> Self {
        Self::Malformed {
            message,
            detail: detail.to_string(),
        }
    }

    pub(super) fn refused(field: &'static str, value: impl ToString, rule: impl ToString) -> Self {
        Self::Refused(Refusal::new(field, value, rule))
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Magic { .. } => Some("`crit decode -i FILE` names the kind of an image"),
            Self::Short { .. } | Self::Malformed { .. } => {
                Some("the file was cut or changed: take it from where CRIU has written it")
            }
            Self::NoStream { .. } => {
                Some("CRIU writes none where it was told to close connections (--tcp-close)")
            }
            _ => None,
        }
    }
}

/// The name of the message in a `tcp-stream` image.
pub(super) const STREAM: &str = "tcp_stream_entry";

impl fmt::Display for CriuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image of CRIU: ")?;
        match self {
            Self::Short {
                what,
                wanted,
                found,
            } => write!(
                f,
                "{what} has {wanted} bytes, of which only {found} are there"
            ),
            Self::Magic {
                image,
                wanted,
                found,
            } => write!(
                f,
                "a {image} image starts with {wanted:#010x}, this one with {found:#010x}"
            ),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes follow the end"),
            Self::Malformed { message, detail } => write!(f, "no {message}: {detail}"),
            Self::Missing { message, field } => write!(f, "{message} lacks {field}"),
            Self::NoStream { name } => {
                write!(f, "{name}, which holds the connection, is not there")
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Snapshot(error) => error.fmt(f),
        }?;
        match self.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

// No `source()`, as for `Error`: the message says the cause already.
impl std::error::Error for CriuError {}
