//! Address families and flows.

use std::fmt;
use std::net::SocketAddr;

/// How two hosts talk: over IPv4, over IPv6, or over IPv4 from an IPv6 socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 on both sides.
    V4,
    /// IPv6 on both sides.
    V6,
    /// The client is an `AF_INET6` socket connected to an IPv4-mapped address (`::ffff:10.77.0.2`), the server an
    /// `AF_INET` one: IPv4 on the wire.
    V4Mapped,
}

impl Family {
    /// Every family, for tests that run in each.
    pub const ALL: [Self; 3] = [Self::V4, Self::V6, Self::V4Mapped];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
            Self::V4Mapped => "mapped",
        })
    }
}

/// One direction of a TCP connection: who sends to whom, as it stands on the wire.
///
/// Addresses are canonical: an IPv4-mapped IPv6 address is the IPv4 address, without flow label and scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// Who sends.
    pub source: SocketAddr,
    /// Who receives.
    pub destination: SocketAddr,
}

impl Flow {
    /// The flow from `source` to `destination`; both are made canonical.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source: canonical(source),
            destination: canonical(destination),
        }
    }

    /// The other direction of the same connection.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
        }
    }

    /// Whether `other` is this flow or its other direction.
    #[must_use]
    pub fn same_connection(&self, other: &Self) -> bool {
        self == other || self.reversed() == *other
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.source, self.destination)
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_address_on_the_wire() {
        let mapped = Flow::new(
            "[::ffff:10.77.0.1]:4".parse().unwrap(),
            "[::ffff:10.77.0.2]:5".parse().unwrap(),
        );
        let plain = Flow::new(
            "10.77.0.1:4".parse().unwrap(),
            "10.77.0.2:5".parse().unwrap(),
        );
        assert_eq!(mapped, plain);
        assert_eq!(mapped.to_string(), "10.77.0.1:4 > 10.77.0.2:5");
    }

    #[test]
    fn an_address_that_only_looks_mapped_stays() {
        let flow = Flow::new(
            "[fd77::ffff:a4d:1]:4".parse().unwrap(),
            "[fd77::ffff:a4d:2]:5".parse().unwrap(),
        );
        assert!(flow.source.is_ipv6());
        assert!(flow.same_connection(&flow.reversed()));
        assert_eq!(flow.reversed().reversed(), flow);
    }
}
