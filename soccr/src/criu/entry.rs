//! A message of an image, with the bytes that it was read from.

use crate::criu::CriuError;
use crate::criu::layouts::ISK;
use crate::criu::messages::{FileEntry, InetSkEntry};
use crate::criu::wire::{self, Layout};

/// A message that stands in an image: [`TcpStreamEntry`](super::TcpStreamEntry), [`InetSkEntry`], [`FileEntry`].
pub trait Record: prost::Message + Default + Sealed {}

/// Keeps [`Record`] to the messages of this crate.
pub trait Sealed {
    /// What is known of its encoding.
    const LAYOUT: &'static Layout;
}

/// A message, as it was read: it is written again as the same bytes, whatever they hold that this version does not
/// know.
///
/// That is why it cannot be changed. A new one is made by [`new`](Self::new), and has what this version knows and
/// nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry<M> {
    message: M,
    bytes: Vec<u8>,
    unknown: Vec<String>,
}

impl<M: Record> Entry<M> {
    /// Encodes a message, its fields in the order of their numbers, as CRIU does.
    #[must_use]
    pub fn new(message: M) -> Self {
        let bytes = message.encode_to_vec();
        Self {
            message,
            bytes,
            unknown: Vec::new(),
        }
    }

    /// Decodes a message, without the length before it.
    ///
    /// # Errors
    /// [`CriuError::Malformed`], and [`CriuError::Missing`] where a field is not there without which CRIU refuses
    /// the message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CriuError> {
        let unknown = M::LAYOUT.check(bytes)?;
        let message =
            M::decode(bytes).map_err(|error| CriuError::malformed(M::LAYOUT.name, error))?;
        Ok(Self {
            message,
            bytes: bytes.to_vec(),
            unknown,
        })
    }

    /// What it says.
    #[must_use]
    pub fn message(&self) -> &M {
        &self.message
    }

    /// The encoded message, without the length before it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The fields that this version does not know, such as `opts.26`: of messages in it, behind their name.
    #[must_use]
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }
}

impl Entry<FileEntry> {
    /// The socket in it, if it is an inet socket.
    ///
    /// # Errors
    /// None of an entry that was read: it was checked then.
    pub fn socket(&self) -> Result<Option<Entry<InetSkEntry>>, CriuError> {
        let bytes = wire::nested(&self.bytes, ISK);
        bytes.map(|bytes| Entry::from_bytes(&bytes)).transpose()
    }
}
