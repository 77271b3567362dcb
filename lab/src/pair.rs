//! The topology of most tests: two hosts joined by a veth pair.

use crate::address::Family;
use crate::connection::ConnectionBuilder;
use crate::error::Error;
use crate::host::Host;
use crate::network::{self, LINK, Node, Seat};
use crate::settings::{Builder, Settings};
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Two hosts, `a` and `b`, joined by a veth pair; gone on drop.
///
/// Host `a` is 10.77.0.1 and fd77::1, host `b` 10.77.0.2 and fd77::2, on a link named `veth0` on both. They know
/// each other's Ethernet address, so that no ARP and no neighbour discovery gets between the packets of a test.
/// Every pair is a world of its own: many can be alive at once with the same addresses.
#[derive(Debug)]
pub struct Pair {
    hosts: [Host; 2],
}

impl Pair {
    /// A pair with the usual settings: MTU 1500, offloads on, the sysctls of [`BASELINE`](crate::sysctl::BASELINE).
    ///
    /// The first packet already passes when this returns.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] before [`Sandbox::enter`](crate::Sandbox::enter); otherwise what the kernel refused.
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A pair with settings of its own.
    pub fn builder() -> PairBuilder {
        PairBuilder::default()
    }

    /// The pair of two hosts that are joined already.
    pub(crate) fn of(hosts: [Host; 2]) -> Self {
        Self { hosts }
    }

    /// The first host; by custom the client's.
    #[must_use]
    pub fn a(&self) -> &Host {
        let [a, _] = &self.hosts;
        a
    }

    /// The second host; by custom the server's.
    #[must_use]
    pub fn b(&self) -> &Host {
        let [_, b] = &self.hosts;
        b
    }

    /// Both hosts, `a` first.
    #[must_use]
    pub fn hosts(&self) -> [&Host; 2] {
        [self.a(), self.b()]
    }

    /// A TCP connection from `a` to `b`, with settings of its own.
    pub fn connection(&self, family: Family) -> ConnectionBuilder<'_> {
        self.a().connection_to(self.b(), family)
    }
}

/// How a [`Pair`] is to be.
pub type PairBuilder = Builder<Pair>;

impl Builder<Pair> {
    /// Adds a further IPv6 address to each host.
    pub fn extra_v6(mut self, a: Ipv6Addr, b: Ipv6Addr, prefix: u8) -> Self {
        self.settings.extra_v6.push((a, b, prefix));
        self
    }

    /// Builds the pair.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] before [`Sandbox::enter`](crate::Sandbox::enter); [`Error::Invalid`] for a value that
    /// no link can have; otherwise what the kernel refused.
    pub fn build(self) -> Result<Pair, Error> {
        let settings = &self.settings;
        settings.check()?;
        let [seat_a, seat_b] = &seats(settings);
        let a = Node::host("a", settings)?;
        let b = Node::host("b", settings)?;
        let [mut port_a, mut port_b] =
            network::join((&a, LINK, seat_a.mac), (&b, LINK, seat_b.mac), settings)?;
        a.configure(&mut port_a, seat_a, settings)?;
        b.configure(&mut port_b, seat_b, settings)?;
        network::raise(&[(&a, &port_a), (&b, &port_b)])?;
        a.settle(seat_a, settings)?;
        b.settle(seat_b, settings)?;
        a.add_neighbour(&port_a, seat_b, settings)?;
        b.add_neighbour(&port_b, seat_a, settings)?;
        let (far_a, far_b) = (Arc::clone(&port_b.sender), Arc::clone(&port_a.sender));
        Ok(Pair {
            hosts: [
                a.into_host(port_a, far_a, 1, seat_a, settings),
                b.into_host(port_b, far_b, 1, seat_b, settings),
            ],
        })
    }
}

/// Who the two are.
fn seats(settings: &Settings) -> [Seat; 2] {
    let mut seats = [Seat::new(1), Seat::new(2)];
    for &(a, b, prefix) in &settings.extra_v6 {
        for (seat, address) in seats.iter_mut().zip([a, b]) {
            seat.extra.push((address.into(), prefix));
        }
    }
    seats
}
