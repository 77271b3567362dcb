//! Connections that are being closed, attempted, or over: every state that can be carried comes back as it was.

mod accept;
mod attempt;
mod closed;
mod closing;
mod given_up;
mod half;
mod over;
mod seen;

use crate::case::Case;
use lab::{Family, Host, Pair};
use std::net::{IpAddr, SocketAddr};

const LOCAL_PORT: u16 = 40_001;

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = closing::cases();
    cases.extend(half::cases());
    cases.extend(seen::cases());
    cases.extend(attempt::cases());
    cases.extend(accept::cases());
    cases.extend(closed::cases());
    cases.extend(given_up::cases());
    cases
}

/// An address of the subject, as a socket of this family names it.
fn local(pair: &Pair, family: Family) -> SocketAddr {
    address(pair.a(), family, LOCAL_PORT)
}

/// An address of the peer, as a socket of the subject's names it.
fn remote(pair: &Pair, family: Family, port: u16) -> SocketAddr {
    address(pair.b(), family, port)
}

fn address(host: &Host, family: Family, port: u16) -> SocketAddr {
    match (host.address(family), family) {
        (IpAddr::V4(v4), Family::V4Mapped) => SocketAddr::new(v4.to_ipv6_mapped().into(), port),
        (ip, _) => SocketAddr::new(ip, port),
    }
}

/// As it is on the wire: IPv4 for a v4-mapped address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn family(family: Family) -> soccr::Family {
    match family {
        Family::V4 => soccr::Family::V4,
        Family::V6 | Family::V4Mapped => soccr::Family::V6,
    }
}
