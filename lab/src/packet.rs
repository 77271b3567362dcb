//! Frames as a capture hands them out.

use crate::segment::{DecodeError, Segment, verify_checksum};
use crate::vlan;

/// Which way a packet goes, seen from the host whose link it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Into the host.
    Ingress,
    /// Out of the host.
    Egress,
}

/// What is known about a packet's TCP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// It is right.
    Valid,
    /// It is wrong.
    Invalid,
    /// It is left to the link, which on a veth pair nobody ever does: the bytes in the header mean nothing.
    Partial,
    /// It is not TCP, or the frame was cut short.
    Unknown,
}

/// A frame as it was on the link.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When the kernel saw it: nanoseconds since the Unix epoch, by the clock of the machine.
    pub time: u64,
    /// Which way it went.
    pub direction: Direction,
    /// How long it was on the link, in bytes, with its Ethernet header.
    pub original_len: u32,
    /// What was kept of it, from the Ethernet header on.
    pub bytes: Vec<u8>,
    /// What is known about its TCP checksum.
    pub checksum: Checksum,
    /// Whether it is larger than the link could send: the kernel leaves the cutting to the link.
    pub gso: bool,
    pub(crate) content: Content,
}

/// What a frame turned out to be.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Segment(Segment),
    Malformed(DecodeError),
    Other,
}

impl Content {
    /// What a frame turns out to be.
    pub(crate) fn of(frame: &[u8]) -> Self {
        match Segment::decode(frame) {
            Ok(Some(segment)) => Self::Segment(segment),
            Ok(None) => Self::Other,
            Err(error) => Self::Malformed(error),
        }
    }
}

impl Packet {
    /// A whole frame that was captured elsewhere, decoded as a capture of the lab decodes it.
    #[must_use]
    pub fn decode(time: u64, direction: Direction, bytes: Vec<u8>) -> Self {
        Self {
            time,
            direction,
            original_len: bytes.len() as u32,
            checksum: verify_checksum(&bytes),
            gso: false,
            content: Content::of(&bytes),
            bytes,
        }
    }

    /// The TCP segment in it, if there is one.
    #[must_use]
    pub fn segment(&self) -> Option<&Segment> {
        match &self.content {
            Content::Segment(segment) => Some(segment),
            Content::Malformed(_) | Content::Other => None,
        }
    }

    /// The number of the VLAN that it belongs to, if it is tagged (IEEE 802.1Q); of several the outermost.
    #[must_use]
    pub fn vlan(&self) -> Option<u16> {
        vlan::id(&self.bytes)
    }

    /// Why it cannot be read, if it looks like TCP but is not.
    #[must_use]
    pub fn malformed(&self) -> Option<DecodeError> {
        match self.content {
            Content::Malformed(error) => Some(error),
            Content::Segment(_) | Content::Other => None,
        }
    }
}
