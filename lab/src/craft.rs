//! Crafted segments: whole frames of a TCP segment that no kernel has sent.

use crate::address::Flow;
use crate::error::Error;
use crate::flags::Flags;
use crate::host::Host;
use crate::link::Mac;
use crate::options::TcpOption;
use crate::segment::Segment;
use crate::vlan;
use pnet::packet::MutablePacket;
use pnet::packet::ethernet::{EtherType, EtherTypes, MutableEthernetPacket};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::{self, Ipv4Flags, Ipv4Packet, MutableIpv4Packet};
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet::packet::tcp::{self, MutableTcpPacket, TcpPacket};
use pnet::util::MacAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERNET: usize = MutableEthernetPacket::minimum_packet_size();
const HOPS: u8 = 64;
/// What the data offset, which counts words in four bits, leaves for options.
const MOST_OPTIONS: usize = 40;

/// A TCP segment to be sent by [`Host::inject`], complete with its Ethernet and IP headers and its checksums.
///
/// ```no_run
/// # use lab::{Craft, Family, Flags, Pair};
/// # fn main() -> Result<(), lab::Error> {
/// # let pair = Pair::new()?;
/// let capture = pair.b().capture()?;
/// let connection = pair.connection(Family::V4).open()?;
/// let trace = capture.trace()?;
/// // As if the client had sent it: the next byte the server waits for, and a reset.
/// if let Some(last) = trace.along(&connection.flow()).segments().last() {
///     let reset = Craft::like(pair.a(), pair.b(), last).seq(last.end_seq()).flags(Flags::RST);
///     pair.a().inject(&reset.frame()?)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before Host::inject(&craft.frame()?)"]
pub struct Craft {
    source: Mac,
    destination: Mac,
    vlan: Option<u16>,
    flow: Flow,
    seq: u32,
    ack: u32,
    flags: Flags,
    window: u16,
    options: Vec<u8>,
    payload: Vec<u8>,
    wrong_checksum: bool,
}

impl Craft {
    /// A bare acknowledgment along `flow`, on the way from the link of one host to that of another.
    ///
    /// The flow may name addresses and ports of anybody: only the Ethernet addresses are those of the hosts. All
    /// numbers are zero, but for the window of 65535.
    pub fn new(from: &Host, to: &Host, flow: Flow) -> Self {
        Self {
            source: from.mac(),
            destination: to.mac(),
            vlan: from.vlan,
            flow,
            seq: 0,
            ack: 0,
            flags: Flags::ACK,
            window: u16::MAX,
            options: Vec::new(),
            payload: Vec::new(),
            wrong_checksum: false,
        }
    }

    /// A copy of a captured segment, to be varied; without the data, if not all of it was captured.
    pub fn like(from: &Host, to: &Host, segment: &Segment) -> Self {
        let whole = segment.payload.len() == segment.payload_len as usize;
        Self::new(from, to, segment.flow)
            .seq(segment.seq)
            .ack(segment.ack)
            .flags(segment.flags)
            .window(segment.window)
            .options(&segment.options)
            .payload(if whole { &segment.payload } else { &[] })
    }

    /// The sequence number.
    pub fn seq(mut self, number: u32) -> Self {
        self.seq = number;
        self
    }

    /// The acknowledgment number; it means something only with [`Flags::ACK`], which this does not set.
    pub fn ack(mut self, number: u32) -> Self {
        self.ack = number;
        self
    }

    /// The control bits, all of them.
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// The window as it is to stand in the header, unscaled.
    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// The options, in order; what is missing to a multiple of four bytes is filled up.
    pub fn options(self, options: &[TcpOption]) -> Self {
        let bytes: Vec<u8> = options.iter().flat_map(TcpOption::encode).collect();
        self.raw_options(&bytes)
    }

    /// The options as bytes, for some that are none; what is missing to a multiple of four bytes is filled up.
    pub fn raw_options(mut self, bytes: &[u8]) -> Self {
        self.options = bytes.to_vec();
        // Zero is the end of the options (RFC 9293, section 3.1).
        self.options.resize(bytes.len().next_multiple_of(4), 0);
        self
    }

    /// The data.
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.payload = bytes.to_vec();
        self
    }

    /// Gives it a TCP checksum that is wrong; its IP header stays right.
    pub fn wrong_checksum(mut self) -> Self {
        self.wrong_checksum = true;
        self
    }

    /// The VLAN that its frame is tagged with; without it that of the sending host, if it is in one.
    pub fn vlan(mut self, id: u16) -> Self {
        self.vlan = Some(id);
        self
    }

    /// The frame, from the Ethernet header on, for [`Host::inject`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for addresses of two families, more than 40 bytes of options, more data than an IP packet can
    /// have, or a number that no VLAN has.
    pub fn frame(&self) -> Result<Vec<u8>, Error> {
        if self.options.len() > MOST_OPTIONS {
            return Err(Error::Invalid {
                what: "the options of a segment",
                value: format!("{} bytes long", self.options.len()),
                why: "a TCP header has room for 40 bytes",
            });
        }
        self.vlan.map_or(Ok(()), vlan::check)?;
        let frame = match (self.flow.source.ip(), self.flow.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => self.frame_v4(source, destination),
            (IpAddr::V6(source), IpAddr::V6(destination)) => self.frame_v6(source, destination),
            _ => Err(Error::Invalid {
                what: "the flow of a segment",
                value: self.flow.to_string(),
                why: "both addresses are IPv4, or both IPv6",
            }),
        };
        frame.map(|frame| vlan::put_in(&frame, self.vlan.map(vlan::tag)).into_owned())
    }

    fn frame_v4(&self, source: Ipv4Addr, destination: Ipv4Addr) -> Result<Vec<u8>, Error> {
        let header = Ipv4Packet::minimum_packet_size();
        let length = self.length(header + self.tcp_len())?;
        let mut frame = self.ethernet(EtherTypes::Ipv4, length.into());
        if let Some(mut ip) = MutableIpv4Packet::new(frame.get_mut(ETHERNET..).unwrap_or_default())
        {
            ip.set_version(4);
            ip.set_header_length((header / 4) as u8);
            ip.set_total_length(length);
            ip.set_flags(Ipv4Flags::DontFragment);
            ip.set_ttl(HOPS);
            ip.set_next_level_protocol(IpNextHeaderProtocols::Tcp);
            ip.set_source(source);
            ip.set_destination(destination);
            ip.set_checksum(ipv4::checksum(&ip.to_immutable()));
            self.write_tcp(ip.payload_mut(), |tcp| {
                tcp::ipv4_checksum(tcp, &source, &destination)
            });
        }
        Ok(frame)
    }

    fn frame_v6(&self, source: Ipv6Addr, destination: Ipv6Addr) -> Result<Vec<u8>, Error> {
        let length = self.length(self.tcp_len())?;
        let packet = Ipv6Packet::minimum_packet_size() + self.tcp_len();
        let mut frame = self.ethernet(EtherTypes::Ipv6, packet);
        if let Some(mut ip) = MutableIpv6Packet::new(frame.get_mut(ETHERNET..).unwrap_or_default())
        {
            ip.set_version(6);
            ip.set_payload_length(length);
            ip.set_next_header(IpNextHeaderProtocols::Tcp);
            ip.set_hop_limit(HOPS);
            ip.set_source(source);
            ip.set_destination(destination);
            self.write_tcp(ip.payload_mut(), |tcp| {
                tcp::ipv6_checksum(tcp, &source, &destination)
            });
        }
        Ok(frame)
    }

    /// How long header and data are, in bytes.
    fn tcp_len(&self) -> usize {
        TcpPacket::minimum_packet_size() + self.options.len() + self.payload.len()
    }

    /// A length as an IP header states it.
    fn length(&self, bytes: usize) -> Result<u16, Error> {
        u16::try_from(bytes).map_err(|_| Error::Invalid {
            what: "the data of a segment",
            value: format!("{} bytes long", self.payload.len()),
            why: "an IP packet has at most 65535 bytes",
        })
    }

    /// A frame with its Ethernet header, and zeros for the packet.
    fn ethernet(&self, kind: EtherType, packet: usize) -> Vec<u8> {
        let mut frame = vec![0; ETHERNET + packet];
        if let Some(mut ethernet) = MutableEthernetPacket::new(&mut frame) {
            ethernet.set_source(MacAddr::from(self.source.0));
            ethernet.set_destination(MacAddr::from(self.destination.0));
            ethernet.set_ethertype(kind);
        }
        frame
    }

    /// Writes header, options and data to where they have exactly the room they need.
    fn write_tcp(&self, to: &mut [u8], checksum: impl Fn(&TcpPacket<'_>) -> u16) {
        let Some(mut tcp) = MutableTcpPacket::new(to) else {
            return;
        };
        let header = TcpPacket::minimum_packet_size() + self.options.len();
        tcp.set_source(self.flow.source.port());
        tcp.set_destination(self.flow.destination.port());
        tcp.set_sequence(self.seq);
        tcp.set_acknowledgement(self.ack);
        tcp.set_data_offset((header / 4) as u8);
        tcp.set_flags(self.flags.0);
        tcp.set_window(self.window);
        tcp.get_options_raw_mut().copy_from_slice(&self.options);
        tcp.set_payload(&self.payload);
        let right = checksum(&tcp.to_immutable());
        // Not its complement: that of zero is zero, too.
        tcp.set_checksum(if self.wrong_checksum {
            right ^ 1
        } else {
            right
        });
    }
}
