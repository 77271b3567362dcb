//! The decoder of frames against another one (etherparse): the same segment, or a refusal from both. And what is made of
//! frames, a trace with its notes, its ladder and its file, comes to its end whatever they are.
//!
//! An input is a row of frames, each behind two bytes, little-endian: its length, and in the highest bit its direction.
//!
//! These differences are allowed:
//!
//! - The lab takes frames whose data were cut off by a capture. The other one takes whole packets only.
//! - The lab takes the first fragment of a packet for the segment that begins in it. The other one takes no fragments.
//! - The lab does not follow extension headers, nor authentication headers, nor MACsec, nor the tags of old (0x9100).
//! - The lab takes any number of VLAN tags. The other one takes three.
//! - A length of zero in an IPv6 header is taken by the other one for that of a jumbogram.
//! - Options that make no sense are a refusal of the segment in the lab. The other one leaves them alone.

mod pictures;

use crate::tcp_options;
use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};
use lab::{Checksum, DecodeError, Direction, Flags, Flow, Packet, Segment};
use std::net::{IpAddr, SocketAddr};

const VLAN: u16 = 0x8100;
const PROVIDER_VLAN: u16 = 0x88a8;
const OLD_VLAN: u16 = 0x9100;
const MACSEC: u16 = 0x88e5;
/// How many tags the other decoder takes.
const MOST_TAGS: usize = 3;

/// Judges an input.
pub fn judge(input: &[u8]) {
    let packets = frames(input);
    for packet in &packets {
        compare(packet);
    }
    pictures::judge(packets);
}

/// The frames of an input, as a capture would have them.
fn frames(mut input: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some((head, rest)) = input.split_first_chunk::<2>() {
        let head = u16::from_le_bytes(*head);
        let direction = match head & 0x8000 {
            0 => Direction::Egress,
            _ => Direction::Ingress,
        };
        let length = usize::from(head & 0x7fff).min(rest.len());
        let (frame, rest) = rest.split_at(length);
        let time = packets.len() as u64 * 1000;
        packets.push(Packet::decode(time, direction, frame.to_vec()));
        input = rest;
    }
    packets
}

fn compare(packet: &Packet) {
    let frame = &packet.bytes[..];
    let ours = Segment::decode(frame);
    assert_eq!(
        ours.as_ref().ok().and_then(Option::as_ref),
        packet.segment()
    );
    assert_eq!(ours.as_ref().err().copied(), packet.malformed());
    if let Ok(Some(segment)) = &ours {
        sound(segment);
    }
    let theirs = SlicedPacket::from_ethernet(frame);
    let found = theirs.as_ref().ok().and_then(|it| found(frame, it));
    match (found, ours) {
        (Some(theirs), Ok(Some(ours))) => same(&theirs, &ours, packet.checksum),
        (Some(theirs), Err(DecodeError::Options(error))) => {
            let options = tcp_options::theirs(theirs.tcp.options());
            assert!(options.is_none(), "{error} and {options:?}");
        }
        (Some(theirs), ours) => panic!("{ours:?} and {theirs:?}"),
        (None, Ok(Some(ours))) => {
            let allowed = is_cut(&ours) || is_fragment(frame) || tags(frame).len() > MOST_TAGS;
            assert!(allowed, "{ours:?} and {theirs:?}");
        }
        (None, Ok(None) | Err(_)) => {}
    }
}

/// What holds of a segment by itself.
fn sound(segment: &Segment) {
    assert!(segment.payload.len() <= segment.payload_len as usize);
    let fins = u32::from(segment.flags.syn()) + u32::from(segment.flags.fin());
    assert_eq!(segment.sequence_len(), segment.payload_len + fins);
    let end = segment.seq.wrapping_add(segment.sequence_len());
    assert_eq!(segment.end_seq(), end);
    assert!(segment.to_string().contains(&segment.flow.to_string()));
}

/// A segment that the other decoder has found, where the lab has to find it, too.
#[derive(Debug)]
struct Found<'a> {
    source: IpAddr,
    destination: IpAddr,
    tcp: TcpSlice<'a>,
}

fn found<'a>(frame: &[u8], packet: &SlicedPacket<'a>) -> Option<Found<'a>> {
    let Some(TransportSlice::Tcp(tcp)) = &packet.transport else {
        return None;
    };
    let others = [OLD_VLAN, MACSEC];
    if tags(frame).iter().any(|it| others.contains(it)) {
        return None;
    }
    let (source, destination) = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) if ip.extensions().auth.is_none() => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        NetSlice::Ipv6(ip) if ip.extensions().is_empty() && ip.header().payload_length() > 0 => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        _ => return None,
    };
    Some(Found {
        source,
        destination,
        tcp: tcp.clone(),
    })
}

fn same(theirs: &Found<'_>, ours: &Segment, checksum: Checksum) {
    let tcp = &theirs.tcp;
    let flow = Flow::new(
        SocketAddr::new(theirs.source, tcp.source_port()),
        SocketAddr::new(theirs.destination, tcp.destination_port()),
    );
    let expected = Segment {
        flow,
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        flags: flags(tcp),
        window: tcp.window_size(),
        options: tcp_options::theirs(tcp.options()).expect("options that the lab has read"),
        payload_len: tcp.payload().len() as u32,
        payload: tcp.payload().to_vec(),
    };
    assert_eq!(*ours, expected);
    let right = match (theirs.source, theirs.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            tcp.calc_checksum_ipv4(source.octets(), destination.octets())
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            tcp.calc_checksum_ipv6(source.octets(), destination.octets())
        }
        _ => panic!("addresses of two families"),
    };
    let right = right.expect("as long as an IP packet can be");
    // Zero has two forms in one's complement.
    let zero = |sum: u16| sum == 0 || sum == 0xffff;
    let is_right = tcp.checksum() == right || (zero(tcp.checksum()) && zero(right));
    let expected = match is_right {
        true => Checksum::Valid,
        false => Checksum::Invalid,
    };
    assert_eq!(checksum, expected, "{:#x} and {right:#x}", tcp.checksum());
}

fn flags(tcp: &TcpSlice<'_>) -> Flags {
    let set = [
        (tcp.fin(), Flags::FIN),
        (tcp.syn(), Flags::SYN),
        (tcp.rst(), Flags::RST),
        (tcp.psh(), Flags::PSH),
        (tcp.ack(), Flags::ACK),
        (tcp.urg(), Flags::URG),
        (tcp.ece(), Flags::ECE),
        (tcp.cwr(), Flags::CWR),
    ];
    let set = set.iter().filter(|(is_set, _)| *is_set);
    set.fold(Flags::default(), |all, (_, flag)| all.and(*flag))
}

fn is_cut(segment: &Segment) -> bool {
    segment.payload.len() < segment.payload_len as usize
}

/// Whether an IPv4 packet is the first fragment of a larger one.
fn is_fragment(frame: &[u8]) -> bool {
    const MORE_FRAGMENTS: u8 = 0x20;
    let header = frame.get(14 + 4 * tags(frame).len()..);
    header.is_some_and(|ip| ip[0] >> 4 == 4 && ip[6] & MORE_FRAGMENTS != 0)
}

/// The tags of a frame, by their EtherTypes.
fn tags(frame: &[u8]) -> Vec<u16> {
    let mut tags = Vec::new();
    let mut rest = frame.get(12..).unwrap_or_default();
    while let Some((ethertype, behind)) = rest.split_first_chunk::<2>() {
        let ethertype = u16::from_be_bytes(*ethertype);
        if ![VLAN, PROVIDER_VLAN, OLD_VLAN, MACSEC].contains(&ethertype) {
            break;
        }
        tags.push(ethertype);
        rest = behind.get(2..).unwrap_or_default();
    }
    tags
}
