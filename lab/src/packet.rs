//! Packets and TCP segments: what a capture hands out.
//!
//! pnet reads the fixed headers; lengths and options are checked here, because a capture may cut frames short.

use crate::address::Flow;
use crate::options::{OptionError, TcpOption};
use pnet::packet::Packet as _;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::packet::tcp::{self, TcpPacket};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

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

impl Packet {
    /// The TCP segment in it, if there is one.
    #[must_use]
    pub fn segment(&self) -> Option<&Segment> {
        match &self.content {
            Content::Segment(segment) => Some(segment),
            Content::Malformed(_) | Content::Other => None,
        }
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
    /// Decodes an Ethernet frame; `None` when it is whole but not TCP.
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

/// Why a frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DecodeError {
    /// The frame ends within a header.
    #[error("the frame ends within its {0} header")]
    Truncated(&'static str),
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
        let ethernet = EthernetPacket::new(frame).ok_or(DecodeError::Truncated("Ethernet"))?;
        let packet = frame.get(EthernetPacket::minimum_packet_size()..).unwrap_or_default();
        match ethernet.get_ethertype() {
            EtherTypes::Ipv4 => Self::of_v4(packet),
            EtherTypes::Ipv6 => Self::of_v6(packet),
            _ => Ok(None),
        }
    }

    fn of_v4(packet: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let ip = Ipv4Packet::new(packet).ok_or(DecodeError::Truncated("IPv4"))?;
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
        if !is_tcp(ip.get_next_header()) {
            return Ok(None);
        }
        Self::new(
            (ip.get_source().into(), ip.get_destination().into()),
            packet.get(Ipv6Packet::minimum_packet_size()..).unwrap_or_default(),
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
        debug_assert_eq!(tcp.packet().len(), self.tcp_len);
        Some(right == tcp.get_checksum())
    }
}

fn is_tcp(protocol: IpNextHeaderProtocol) -> bool {
    protocol == IpNextHeaderProtocols::Tcp
}

/// Whether the TCP checksum of a frame is right.
pub(crate) fn verify_checksum(frame: &[u8]) -> Checksum {
    match Layers::of(frame).ok().flatten().and_then(|layers| layers.checksum_is_right()) {
        Some(true) => Checksum::Valid,
        Some(false) => Checksum::Invalid,
        None => Checksum::Unknown,
    }
}

/// The control bits of a TCP header (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether FIN is set.
    #[must_use]
    pub fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// Whether SYN is set.
    #[must_use]
    pub fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// Whether RST is set.
    #[must_use]
    pub fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// Whether PSH is set.
    #[must_use]
    pub fn psh(self) -> bool {
        self.contains(Self::PSH)
    }

    /// Whether ACK is set.
    #[must_use]
    pub fn ack(self) -> bool {
        self.contains(Self::ACK)
    }

    /// Whether URG is set.
    #[must_use]
    pub fn urg(self) -> bool {
        self.contains(Self::URG)
    }

    /// Whether ECE is set.
    #[must_use]
    pub fn ece(self) -> bool {
        self.contains(Self::ECE)
    }

    /// Whether CWR is set.
    #[must_use]
    pub fn cwr(self) -> bool {
        self.contains(Self::CWR)
    }
}

impl fmt::Display for Flags {
    /// Writes one letter per bit as packetdrill does, ACK as a dot: `S.`, `P.`, `R`; `-` for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(Flags, char); 8] = [
            (Flags::FIN, 'F'),
            (Flags::SYN, 'S'),
            (Flags::RST, 'R'),
            (Flags::PSH, 'P'),
            (Flags::ACK, '.'),
            (Flags::URG, 'U'),
            (Flags::ECE, 'E'),
            (Flags::CWR, 'W'),
        ];
        let set: String = LETTERS
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, letter)| letter)
            .collect();
        f.pad(if set.is_empty() { "-" } else { &set })
    }
}
