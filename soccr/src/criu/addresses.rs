//! Addresses in CRIU's words: as they lie in memory, ports in host byte order.

use crate::criu::CriuError;
use crate::criu::messages::InetSkEntry;
use crate::endpoints::{Endpoints, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Both addresses of a socket. Scopes are not in an image: a link-local address has the name of its device there.
pub(super) fn read(entry: &InetSkEntry) -> Result<Endpoints, CriuError> {
    let address = |[words, port]: [&'static str; 2], address: &[u32], number: u32| {
        let ip = ip(entry.family, words, address)?;
        let number = u16::try_from(number)
            .map_err(|_| CriuError::refused(port, number, "must be at most 65535"))?;
        Ok(SocketAddr::new(ip, number))
    };
    Ok(Endpoints {
        local: address(["src_addr", "src_port"], &entry.src_addr, entry.src_port)?,
        remote: address(["dst_addr", "dst_port"], &entry.dst_addr, entry.dst_port)?,
    })
}

/// Writes both addresses of a socket.
pub(super) fn write(endpoints: &Endpoints, entry: &mut InetSkEntry) {
    entry.family = endpoints.family().domain().unsigned_abs();
    (entry.src_addr, entry.src_port) = words(endpoints.local);
    (entry.dst_addr, entry.dst_port) = words(endpoints.remote);
}

/// Whether CRIU asks for the device of an address: without it, the kernel does not bind to a link-local one.
pub(super) fn needs_device(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn ip(family: u32, field: &'static str, words: &[u32]) -> Result<IpAddr, CriuError> {
    let octets = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let refused = |rule| {
        let value = format!("{} words", words.len());
        Err(CriuError::refused(field, value, rule))
    };
    if family == Family::V4.domain().unsigned_abs() {
        // The first versions of CRIU wrote four words, of which one counts.
        let Some(word) = words.first() else {
            return refused("must be an IPv4 address, one word");
        };
        return Ok(Ipv4Addr::from(word.to_le_bytes()).into());
    }
    if family != Family::V6.domain().unsigned_abs() {
        let rule = "must be AF_INET (2) or AF_INET6 (10)";
        return Err(CriuError::refused("family", family, rule));
    }
    let octets: Vec<u8> = octets(words);
    match <[u8; 16]>::try_from(octets) {
        Ok(octets) => Ok(Ipv6Addr::from(octets).into()),
        Err(_) => refused("must be an IPv6 address, four words"),
    }
}

fn words(address: SocketAddr) -> (Vec<u32>, u32) {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let words = octets.chunks_exact(4).map(word).collect();
    (words, address.port().into())
}
