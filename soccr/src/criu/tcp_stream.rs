//! The file of one connection: its numbers and its queues.

use crate::criu::CriuError;
use crate::criu::container::{Format, Reader, TCP_STREAM, push};
use crate::criu::entry::Entry;
use crate::criu::messages::TcpStreamEntry;
use std::fmt;

/// `tcp-stream-INO.img`: a [`TcpStreamEntry`], and behind it the bytes of the receive queue and of the send queue.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TcpStreamImage {
    format: Format,
    entry: Entry<TcpStreamEntry>,
    receive: Vec<u8>,
    send: Vec<u8>,
}

impl TcpStreamImage {
    /// Puts one together. The lengths in the message are set to those of the queues.
    ///
    /// # Errors
    /// [`CriuError::Refused`] for a queue of 2^32 bytes or more.
    pub fn new(
        mut message: TcpStreamEntry,
        receive: Vec<u8>,
        send: Vec<u8>,
    ) -> Result<Self, CriuError> {
        message.inq_len = length("inq_len", &receive)?;
        message.outq_len = length("outq_len", &send)?;
        Ok(Self {
            format: Format::default(),
            entry: Entry::new(message),
            receive,
            send,
        })
    }

    /// Reads the file. Memory is taken for what is there, not for what lengths claim.
    ///
    /// # Errors
    /// Where it is another kind of file, has no such message, or is longer or shorter than the message says.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CriuError> {
        let (mut reader, format) = Reader::open(bytes, &TCP_STREAM)?;
        let entry: Entry<TcpStreamEntry> = reader.entry()?;
        let receive = reader.take("the receive queue", entry.message().inq_len)?;
        let send = reader.take("the send queue", entry.message().outq_len)?;
        match reader.left() {
            0 => Ok(Self {
                format,
                receive: receive.to_vec(),
                send: send.to_vec(),
                entry,
            }),
            bytes => Err(CriuError::Trailing { bytes }),
        }
    }

    /// Writes the file: that which was read, if it was read.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = self.format.write(&TCP_STREAM);
        push(&mut file, &self.entry);
        file.extend_from_slice(&self.receive);
        file.extend_from_slice(&self.send);
        file
    }

    /// The numbers.
    #[must_use]
    pub fn entry(&self) -> &Entry<TcpStreamEntry> {
        &self.entry
    }

    /// The bytes that were received and not read, oldest first.
    #[must_use]
    pub fn receive(&self) -> &[u8] {
        &self.receive
    }

    /// The bytes that were written and not acknowledged, oldest first: sent ones, then unsent ones.
    #[must_use]
    pub fn send(&self) -> &[u8] {
        &self.send
    }
}

fn length(field: &'static str, bytes: &[u8]) -> Result<u32, CriuError> {
    let rule = "must be less than 2^32";
    u32::try_from(bytes.len()).map_err(|_| CriuError::refused(field, bytes.len(), rule))
}

impl fmt::Debug for TcpStreamImage {
    /// Without the bytes: a queue can be megabytes long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStreamImage")
            .field("format", &self.format)
            .field("entry", self.entry.message())
            .finish_non_exhaustive()
    }
}
