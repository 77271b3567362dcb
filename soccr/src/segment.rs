//! TCP segments of our own making, complete with their IP header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
/// Where the checksum stands in a TCP header.
const CHECKSUM: usize = 16;
const HOP_LIMIT: u8 = 64;
const PROTOCOL_TCP: u8 = 6;

/// Flag: no more data comes (RFC 9293, section 3.1).
pub(crate) const FIN: u8 = 1;
/// Flag: the acknowledgement number counts.
pub(crate) const ACK: u8 = 16;

/// A segment without data and without options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    /// As it stands in the header: already shifted.
    pub(crate) window: u16,
}

impl Segment {
    /// The packet: an IPv4 one for v4-mapped addresses. Checksums are filled in.
    pub(crate) fn to_packet(self) -> Vec<u8> {
        let tcp = |pseudo: u32| {
            let mut tcp = self.tcp_header();
            let sum = checksum(pseudo, &tcp);
            tcp[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
            tcp
        };
        match (self.from.ip().to_canonical(), self.to.ip().to_canonical()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let pseudo = pseudo_header(&from.octets(), &to.octets());
                [ipv4_header(from, to).as_slice(), &tcp(pseudo)].concat()
            }
            (from, to) => {
                let (from, to) = (as_v6(from), as_v6(to));
                let pseudo = pseudo_header(&from.octets(), &to.octets());
                [ipv6_header(from, to).as_slice(), &tcp(pseudo)].concat()
            }
        }
    }

    fn tcp_header(self) -> [u8; TCP_HEADER] {
        let mut header = [0; TCP_HEADER];
        header[0..2].copy_from_slice(&self.from.port().to_be_bytes());
        header[2..4].copy_from_slice(&self.to.port().to_be_bytes());
        header[4..8].copy_from_slice(&self.seq.to_be_bytes());
        header[8..12].copy_from_slice(&self.ack.to_be_bytes());
        // Length of the header, in words of four bytes, in the high half of the byte.
        header[12] = (TCP_HEADER as u8 / 4) << 4;
        header[13] = self.flags;
        header[14..16].copy_from_slice(&self.window.to_be_bytes());
        header
    }
}

fn as_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// RFC 791, section 3.1.
fn ipv4_header(from: Ipv4Addr, to: Ipv4Addr) -> [u8; IPV4_HEADER] {
    let mut header = [0; IPV4_HEADER];
    // Version 4, five words long.
    header[0] = 0x45;
    header[2..4].copy_from_slice(&((IPV4_HEADER + TCP_HEADER) as u16).to_be_bytes());
    header[8] = HOP_LIMIT;
    header[9] = PROTOCOL_TCP;
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let sum = checksum(0, &header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// RFC 8200, section 3.
fn ipv6_header(from: Ipv6Addr, to: Ipv6Addr) -> [u8; IPV6_HEADER] {
    let mut header = [0; IPV6_HEADER];
    header[0] = 6 << 4;
    header[4..6].copy_from_slice(&(TCP_HEADER as u16).to_be_bytes());
    header[6] = PROTOCOL_TCP;
    header[7] = HOP_LIMIT;
    header[8..24].copy_from_slice(&from.octets());
    header[24..40].copy_from_slice(&to.octets());
    header
}

/// The sum over what the TCP checksum covers of the IP header (RFC 9293, section 3.1).
fn pseudo_header(from: &[u8], to: &[u8]) -> u32 {
    sum(from) + sum(to) + u32::from(PROTOCOL_TCP) + TCP_HEADER as u32
}

/// The Internet checksum (RFC 1071), started with `seed`.
fn checksum(seed: u32, bytes: &[u8]) -> u16 {
    let mut sum = seed + sum(bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The sum of the 16-bit words; every header here is of even length, and far too short to overflow.
fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(from: &str, to: &str) -> Segment {
        Segment {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            seq: 0xfedc_ba98,
            ack: 0x0123_4567,
            flags: FIN | ACK,
            window: 0x8001,
        }
    }

    /// What the decoder of the lab makes of it, behind an Ethernet header.
    fn decoded(packet: &[u8], ethertype: u16) -> lab::Segment {
        let frame = [&[0; 12], &ethertype.to_be_bytes()[..], packet].concat();
        lab::Segment::decode(&frame).unwrap().unwrap()
    }

    #[test]
    fn every_field_is_where_a_decoder_expects_it() {
        for (from, to, ethertype) in [
            ("192.0.2.1:80", "198.51.100.2:40000", 0x0800),
            (
                "[::ffff:192.0.2.1]:80",
                "[::ffff:198.51.100.2]:40000",
                0x0800,
            ),
            ("[2001:db8::1]:80", "[2001:db8::2]:40000", 0x86dd),
        ] {
            let segment = segment(from, to);
            let decoded = decoded(&segment.to_packet(), ethertype);
            let canonical =
                |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            assert_eq!(decoded.flow.source, canonical(segment.from));
            assert_eq!(decoded.flow.destination, canonical(segment.to));
            assert_eq!((decoded.seq, decoded.ack), (segment.seq, segment.ack));
            assert_eq!(decoded.window, segment.window);
            assert!(decoded.flags.fin() && !decoded.flags.syn() && !decoded.flags.rst());
            assert_eq!(decoded.payload_len, 0);
        }
    }

    #[test]
    fn checksums_are_those_of_the_standards() {
        // The example of RFC 1071, section 3.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(0, &example), !0xddf2);
        let packet = segment("192.0.2.1:80", "198.51.100.2:40000").to_packet();
        assert_eq!(checksum(0, &packet[..IPV4_HEADER]), 0);
        let pseudo = pseudo_header(&packet[12..16], &packet[16..20]);
        assert_eq!(checksum(pseudo, &packet[IPV4_HEADER..]), 0);
    }
}
