//! What the header of the IP packet around a segment says, as far as it stays the same for the life of a connection.

use lab::Packet;
use std::fmt;

/// Behind the header of Ethernet; the links of the lab have no tags.
const ETHERNET: usize = 14;

/// The bits of ECN in a class.
pub(super) const ECN: u8 = 3;

/// What an IP header says of a connection rather than of its one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Header {
    /// TTL, or hop limit.
    pub(super) hops: u8,
    /// TOS, or traffic class, with the two bits of ECN.
    pub(super) class: u8,
    /// DF; an IPv6 packet cannot be cut on its way.
    pub(super) whole: bool,
    /// The flow label of IPv6.
    pub(super) label: u32,
}

impl Header {
    /// Reads the header of a frame that carries IP.
    pub(super) fn of(packet: &Packet) -> Option<Self> {
        Self::read(packet.bytes.get(ETHERNET..)?)
    }

    fn read(ip: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = ip.get(at..at + 4)?.first_chunk()?;
            Some(u32::from_be_bytes(*bytes))
        };
        let first = word(0)?;
        Some(match first >> 28 {
            4 => Self {
                hops: (word(8)? >> 24) as u8,
                class: (first >> 16) as u8,
                whole: word(4)? & 0x4000 != 0,
                label: 0,
            },
            6 => Self {
                hops: word(4)? as u8,
                class: (first >> 20) as u8,
                whole: true,
                label: first & 0xf_ffff,
            },
            _ => return None,
        })
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.whole { "DF" } else { "no DF" };
        write!(f, "ttl {} class {:#04x} {cut}", self.hops, self.class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_are_read() {
        let mut v4 = [0; 20];
        v4[..2].copy_from_slice(&[0x45, 0x2a]);
        v4[6] = 0x40;
        v4[8] = 63;
        let header = Header {
            hops: 63,
            class: 0x2a,
            whole: true,
            label: 0,
        };
        assert_eq!(Header::read(&v4), Some(header));
        let mut v6 = [0; 40];
        v6[..4].copy_from_slice(&[0x62, 0xa1, 0x23, 0x45]);
        v6[7] = 63;
        let header = Header {
            label: 0x1_2345,
            ..header
        };
        assert_eq!(Header::read(&v6), Some(header));
        assert_eq!(Header::read(&v6[..6]), None);
        assert_eq!(Header::read(&[0; 40]), None);
    }
}
