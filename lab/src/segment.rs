//! TCP segments, decoded from frames.
//!
//! pnet reads the fixed headers; lengths and options are checked here, because a capture may cut frames short.

use crate::address::Flow;
use crate::flags::Flags;
use crate::options::{OptionError, TcpOption, printed};
use crate::packet::Checksum;
use crate::vlan;
use pnet::packet::ethernet::{EtherType, EtherTypes};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::packet::tcp::{self, TcpPacket};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A TCP segment; numbers are in host byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who sends it to whom.
    pub flow: Flow,
    /// The sequence number of its first byte, or of the SYN.
    pub seq: u32,
    /// The acknowledgment number; it means something only with [`Flags::ack`].
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// The window as it stands in the header, unscaled.
    pub window: u16,
    /// The options, in order, without padding.
    pub options: Vec<TcpOption>,
    /// How many bytes of data it carries, by the length in the IP header.
    pub payload_len: u32,
    /// What was captured of the data: less than `payload_len` bytes when the frame was cut short.
    pub payload: Vec<u8>,
}

impl Segment {
    /// Decodes an Ethernet frame; `None` when it is whole but not TCP. VLAN tags are skipped.
    ///
    /// The data may be cut off at the end of `frame`; the headers have to be there. IPv6 extension headers are not
    /// followed: such a packet is not TCP to this decoder. So is any fragment but the first.
    ///
    /// # Errors
    /// [`DecodeError`] for a frame that is cut short within its headers, or contradicts itself.
    pub fn decode(frame: &[u8]) -> Result<Option<Self>, DecodeError> {
        match Layers::of(frame)? {
            Some(layers) => layers.segment().map(Some),
            None => Ok(None),
        }
    }

    /// How much sequence space it takes: its data, and one each for SYN and FIN.
    #[must_use]
    pub fn sequence_len(&self) -> u32 {
        self.payload_len + u32::from(self.flags.syn()) + u32::from(self.flags.fin())
    }

    /// The sequence number behind its last byte.
    #[must_use]
    pub fn end_seq(&self) -> u32 {
        self.seq.wrapping_add(self.sequence_len())
    }

    /// The maximum segment size that it announces.
    #[must_use]
    pub fn mss(&self) -> Option<u16> {
        self.options.iter().find_map(|option| match option {
            TcpOption::Mss(bytes) => Some(*bytes),
            _ => None,
        })
    }

    /// The window scale that it announces.
    #[must_use]
    pub fn window_scale(&self) -> Option<u8> {
        self.options.iter().find_map(|option| match option {
            TcpOption::WindowScale(shift) => Some(*shift),
            _ => None,
        })
    }

    /// Its timestamps: value and echo reply.
    #[must_use]
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        self.options.iter().find_map(|option| match option {
            TcpOption::Timestamps { value, echo_reply } => Some((*value, *echo_reply)),
            _ => None,
        })
    }

    /// Whether it permits selective acknowledgments.
    #[must_use]
    pub fn sack_permitted(&self) -> bool {
        self.options.contains(&TcpOption::SackPermitted)
    }
}

impl fmt::Display for Segment {
    /// Writes the segment as packetdrill does, with absolute numbers: `10.77.0.1:4000 > 10.77.0.2:80 P. 1:11(10) ack 7
    /// win 502 <TS val 1 ecr 2>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // packetdrill and tcpdump count the data only, not SYN and FIN.
        let end = self.seq.wrapping_add(self.payload_len);
        let (flow, flags, seq) = (self.flow, self.flags, self.seq);
        write!(f, "{flow} {flags} {seq}:{end}({})", self.payload_len)?;
        if self.flags.ack() {
            write!(f, " ack {}", self.ack)?;
        }
        write!(f, " win {}{}", self.window, printed(&self.options))
    }
}

/// Why a frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DecodeError {
    /// The frame ends within a header.
    #[error("the frame ends within its {0} header")]
    Truncated(&'static str),
    /// A header is not of the version that the frame says.
    #[error("the {header} header is one of version {version}")]
    Version {
        /// Which header.
        header: &'static str,
        /// What it says.
        version: u8,
    },
    /// A header states a length that cannot be.
    #[error("the {header} header says {length} bytes, which is impossible here")]
    Length {
        /// Which header.
        header: &'static str,
        /// What it says.
        length: usize,
    },
    /// The options make no sense.
    #[error("TCP options: {0}")]
    Options(#[from] OptionError),
}

/// Where the TCP segment of a frame is.
struct Layers<'a> {
    source: IpAddr,
    destination: IpAddr,
    /// From the TCP header to the end of the IP packet, or of what was captured of it.
    tcp: &'a [u8],
    /// How long header and data were on the link.
    tcp_len: usize,
}

impl<'a> Layers<'a> {
    fn of(frame: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let (kind, packet) = vlan::payload(frame).ok_or(DecodeError::Truncated("Ethernet"))?;
        match EtherType::new(kind) {
            EtherTypes::Ipv4 => Self::of_v4(packet),
            EtherTypes::Ipv6 => Self::of_v6(packet),
            _ => Ok(None),
        }
    }

    fn of_v4(packet: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let ip = Ipv4Packet::new(packet).ok_or(DecodeError::Truncated("IPv4"))?;
        require_version("IPv4", 4, ip.get_version())?;
        if !is_tcp(ip.get_next_level_protocol()) || ip.get_fragment_offset() != 0 {
            return Ok(None);
        }
        let header = usize::from(ip.get_header_length()) * 4;
        if header < Ipv4Packet::minimum_packet_size() {
            return Err(DecodeError::Length {
                header: "IPv4",
                length: header,
            });
        }
        let total = usize::from(ip.get_total_length());
        let tcp_len = total.checked_sub(header).ok_or(DecodeError::Length {
            header: "IPv4",
            length: total,
        })?;
        Self::new(
            (ip.get_source().into(), ip.get_destination().into()),
            packet.get(header..).ok_or(DecodeError::Truncated("IPv4"))?,
            tcp_len,
        )
    }

    fn of_v6(packet: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let ip = Ipv6Packet::new(packet).ok_or(DecodeError::Truncated("IPv6"))?;
        require_version("IPv6", 6, ip.get_version())?;
        if !is_tcp(ip.get_next_header()) {
            return Ok(None);
        }
        Self::new(
            (ip.get_source().into(), ip.get_destination().into()),
            packet
                .get(Ipv6Packet::minimum_packet_size()..)
                .unwrap_or_default(),
            usize::from(ip.get_payload_length()),
        )
    }

    fn new(
        (source, destination): (IpAddr, IpAddr),
        rest: &'a [u8],
        tcp_len: usize,
    ) -> Result<Option<Self>, DecodeError> {
        Ok(Some(Self {
            source,
            destination,
            // Ethernet pads short frames: what lies behind the IP packet is not part of it.
            tcp: rest.get(..tcp_len).unwrap_or(rest),
            tcp_len,
        }))
    }

    fn segment(&self) -> Result<Segment, DecodeError> {
        let tcp = TcpPacket::new(self.tcp).ok_or(DecodeError::Truncated("TCP"))?;
        let header = usize::from(tcp.get_data_offset()) * 4;
        if header < TcpPacket::minimum_packet_size() || header > self.tcp_len {
            return Err(DecodeError::Length {
                header: "TCP",
                length: header,
            });
        }
        let options = self
            .tcp
            .get(TcpPacket::minimum_packet_size()..header)
            .ok_or(DecodeError::Truncated("TCP"))?;
        Ok(Segment {
            flow: Flow::new(
                SocketAddr::new(self.source, tcp.get_source()),
                SocketAddr::new(self.destination, tcp.get_destination()),
            ),
            seq: tcp.get_sequence(),
            ack: tcp.get_acknowledgement(),
            flags: Flags(tcp.get_flags()),
            window: tcp.get_window(),
            options: TcpOption::decode(options)?,
            // An IP length has sixteen bits.
            payload_len: (self.tcp_len - header) as u32,
            payload: self.tcp.get(header..).unwrap_or_default().to_vec(),
        })
    }

    /// Whether the checksum in the header is right; `None` when the frame was cut short.
    fn checksum_is_right(&self) -> Option<bool> {
        let tcp = TcpPacket::new(self.tcp).filter(|_| self.tcp.len() == self.tcp_len)?;
        let right = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                tcp::ipv4_checksum(&tcp, &source, &destination)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                tcp::ipv6_checksum(&tcp, &source, &destination)
            }
            _ => return None,
        };
        let stated = tcp.get_checksum();
        // Zero has two forms in one's complement, and the kernel writes either: skb_checksum_help() always the second.
        Some(stated == right || (stated == 0xffff && right == 0))
    }
}

fn require_version(header: &'static str, wanted: u8, version: u8) -> Result<(), DecodeError> {
    match version == wanted {
        true => Ok(()),
        false => Err(DecodeError::Version { header, version }),
    }
}

fn is_tcp(protocol: IpNextHeaderProtocol) -> bool {
    protocol == IpNextHeaderProtocols::Tcp
}

/// Whether the TCP checksum of a frame is right.
pub(crate) fn verify_checksum(frame: &[u8]) -> Checksum {
    match Layers::of(frame)
        .ok()
        .flatten()
        .and_then(|layers| layers.checksum_is_right())
    {
        Some(true) => Checksum::Valid,
        Some(false) => Checksum::Invalid,
        None => Checksum::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with `word` as the only data, and `checksum` in the TCP header; IPv4 or IPv6.
    fn frame(v4: bool, word: u16, checksum: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        if v4 {
            frame.extend([0x08, 0x00, 0x45, 0, 0, 42, 0, 0, 0x40, 0, 64, 6, 0, 0]);
            frame.extend([10, 77, 0, 1, 10, 77, 0, 2]);
        } else {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 22, 6, 64]);
            frame.extend([0xfd; 32]);
        }
        frame.extend([0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0]);
        frame.extend(checksum.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(word.to_be_bytes());
        frame
    }

    /// The checksums that are taken for right, of all that there are.
    fn right(v4: bool, word: u16) -> Vec<u16> {
        let is_right = |it: &u16| verify_checksum(&frame(v4, word, *it)) == Checksum::Valid;
        (0..=u16::MAX).filter(is_right).collect()
    }

    #[test]
    fn one_checksum_is_right_and_zero_in_both_of_its_forms() {
        for v4 in [true, false] {
            let [checksum] = right(v4, 0)[..] else {
                panic!("{:?}", right(v4, 0));
            };
            // The data that bring the sum to 0xffff, and so the checksum to zero.
            assert_eq!(right(v4, checksum), [0, 0xffff]);
        }
    }

    #[test]
    fn a_header_of_another_version_is_refused() {
        for (v4, header) in [(true, "IPv4"), (false, "IPv6")] {
            let mut frame = frame(v4, 7, 0);
            assert!(Segment::decode(&frame).unwrap().is_some());
            frame[14] ^= 0x20;
            let version = frame[14] >> 4;
            let refused = Err(DecodeError::Version { header, version });
            assert_eq!(Segment::decode(&frame), refused);
        }
    }

    #[test]
    fn what_is_not_there_is_not_judged() {
        let whole = frame(true, 7, 0);
        assert_eq!(verify_checksum(&whole), Checksum::Invalid);
        for length in 0..whole.len() {
            assert_eq!(
                verify_checksum(&whole[..length]),
                Checksum::Unknown,
                "{length}"
            );
        }
        // Ethernet pads short frames.
        let [checksum] = right(true, 7)[..] else {
            panic!("one is right");
        };
        let padded = [frame(true, 7, checksum), vec![9; 6]].concat();
        assert_eq!(verify_checksum(&padded), Checksum::Valid);
    }
}
