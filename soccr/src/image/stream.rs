//! Images in a stream, one behind the other: a file, a pipe, a connection to another host.
//!
//! An image says its own length, so that nothing is needed between two of them.

use super::container::{HEADER, LEAST, LENGTH_AT, claimed_length};
use super::error::ImageError;
use crate::snapshot::Snapshot;
use std::fmt;
use std::io::{self, Read, Write};

impl Snapshot {
    /// Writes the snapshot to a stream, as an [image](crate::image): [`read_from`](Self::read_from) reads it.
    ///
    /// Any number of them can follow each other. The stream is not flushed.
    ///
    /// # Errors
    /// Those of the stream; it may have taken a part of the image then.
    pub fn write_to(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.to_image())
    }

    /// Reads the next snapshot from a stream of [images](crate::image); `None` where the stream ends in front of it.
    ///
    /// `limit` is how many bytes long an image may be: a longer one is refused by what it says of itself, before any of it
    /// but these 20 bytes was taken. Memory is taken only for what has come, so that a length that was made up costs
    /// nothing. Nothing behind the image is taken, and the stream is read in small pieces: give it a
    /// [`BufReader`](std::io::BufReader) where that matters. It has to wait for what has not come yet
    /// ([`ErrorKind::WouldBlock`](io::ErrorKind::WouldBlock) is an error as any other); a read that a signal has interrupted
    /// is made again.
    ///
    /// # Errors
    /// [`StreamError`], with the place in the image. The stream is not to be read on then: where the next image begins is
    /// not known.
    pub fn read_from(from: &mut impl Read, limit: u64) -> Result<Option<Self>, StreamError> {
        let mut image = Vec::new();
        read_up_to(from, &mut image, HEADER as u64)?;
        if image.is_empty() {
            return Ok(None);
        }
        let length = claimed_length(&image)?;
        if length > limit {
            return Err(StreamError::TooLong { length, limit });
        }
        // One that is too short to be one is read as far as its checksum, and refused.
        read_up_to(from, &mut image, length.max(LEAST))?;
        Ok(Some(Self::from_image(&image)?))
    }
}

/// Reads on until the image is `length` bytes long, or the stream ends.
fn read_up_to(from: &mut impl Read, image: &mut Vec<u8>, length: u64) -> Result<(), StreamError> {
    let missing = length.saturating_sub(image.len() as u64);
    match from.take(missing).read_to_end(image) {
        Ok(_) => Ok(()),
        Err(source) => Err(StreamError::Read {
            offset: image.len() as u64,
            source,
        }),
    }
}

/// Why no snapshot was read from a stream; offsets count from the first byte of the image that was being read.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream failed.
    #[non_exhaustive]
    Read {
        /// How much of the image had come.
        offset: u64,
        /// What it said.
        source: io::Error,
    },
    /// The image is longer than it may be, by what it says of itself.
    #[non_exhaustive]
    TooLong {
        /// How long it says that it is, bytes.
        length: u64,
        /// How long it may be, bytes.
        limit: u64,
    },
    /// What has come is not an image; [`ImageError::Truncated`] where the stream has ended within it.
    Image(ImageError),
}

impl StreamError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "the image is lost with its stream: transfer it again",
            Self::TooLong { .. } => {
                "allow more, if its writer can be trusted with that much memory"
            }
            Self::Image(error) => error.hint(),
        }
    }
}

impl From<ImageError> for StreamError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { offset, source } => {
                write!(
                    f,
                    "reading an image from a stream: at offset {offset}: {source}"
                )?;
            }
            Self::TooLong { length, limit } => write!(
                f,
                "reading an image from a stream: its length, at offset {LENGTH_AT}, is {length} bytes, and it may have \
                 {limit}"
            )?,
            // Says what to do itself.
            Self::Image(error) => return error.fmt(f),
        }
        write!(f, " ({})", self.hint())
    }
}

// No `source()`: the message says the cause already, and a chain would say it twice.
impl std::error::Error for StreamError {}
