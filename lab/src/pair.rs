//! The topology: two hosts joined by a veth pair.

use crate::address::Family;
use crate::connection::ConnectionBuilder;
use crate::error::Error;
use crate::host::Host;
use crate::link::{self, End, LINK, Mac};
use crate::netlink::Netlink;
use crate::ns::Namespace;
use crate::wire::Wire;
use crate::{offload, sysctl};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicU16;

const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;
/// Locally administered, and "LAB" in ASCII.
const MACS: [Mac; 2] = [
    Mac([0x02, b'L', b'A', b'B', 0, 1]),
    Mac([0x02, b'L', b'A', b'B', 0, 2]),
];
const V4: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
const V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2),
];

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
        ConnectionBuilder::new(self, family)
    }
}

/// How a [`Pair`] is to be.
#[derive(Clone, Debug)]
#[must_use = "nothing is built before build()"]
pub struct PairBuilder {
    mtu: u32,
    offload: bool,
    sysctls: Vec<(String, String)>,
    extra_v6: Vec<(Ipv6Addr, Ipv6Addr, u8)>,
}

impl Default for PairBuilder {
    fn default() -> Self {
        Self {
            mtu: 1500,
            offload: true,
            sysctls: Vec::new(),
            extra_v6: Vec::new(),
        }
    }
}

impl PairBuilder {
    /// The largest IP packet that the link takes, in bytes; at least 1280, which IPv6 asks for.
    pub fn mtu(mut self, bytes: u32) -> Self {
        self.mtu = bytes;
        self
    }

    /// Whether checksums and the cutting into segments are left to the link, as on real hardware.
    ///
    /// With `false` every packet on the wire is at most as large as the MTU and carries its checksum.
    pub fn offload(mut self, on: bool) -> Self {
        self.offload = on;
        self
    }

    /// Sets a sysctl on both hosts, after the baseline.
    pub fn sysctl(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sysctls.push((name.into(), value.into()));
        self
    }

    /// Adds a further IPv6 address to each host.
    pub fn extra_v6(mut self, a: Ipv6Addr, b: Ipv6Addr, prefix: u8) -> Self {
        self.extra_v6.push((a, b, prefix));
        self
    }

    /// Builds the pair.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] before [`Sandbox::enter`](crate::Sandbox::enter); [`Error::Invalid`] for a value that
    /// no link can have; otherwise what the kernel refused.
    pub fn build(self) -> Result<Pair, Error> {
        if !(1280..=65_535).contains(&self.mtu) {
            return Err(Error::Invalid {
                what: "the MTU",
                value: format!("{} bytes", self.mtu),
                why: "IPv6 needs 1280 bytes, and a veth takes 65535 at most",
            });
        }
        let spaces = [
            Arc::new(Namespace::new("a")?),
            Arc::new(Namespace::new("b")?),
        ];
        let netlinks = [
            Arc::new(Netlink::open(&spaces[0])?),
            Arc::new(Netlink::open(&spaces[1])?),
        ];
        for namespace in &spaces {
            namespace.enter(|| {
                sysctl::apply_baseline()?;
                self.apply_sysctls(|name| !belongs_to_link(name))
            })??;
        }
        let end = |i: usize| End {
            namespace: &spaces[i],
            netlink: &netlinks[i],
            mac: MACS[i],
        };
        let (index_a, index_b) = link::create_veth(&end(0), &end(1), self.mtu)?;
        let indexes = [index_a, index_b];
        for (i, namespace) in spaces.iter().enumerate() {
            namespace.enter(|| {
                self.apply_sysctls(belongs_to_link)?;
                if self.offload {
                    Ok(())
                } else {
                    offload::disable(LINK)
                }
            })??;
            self.add_addresses(&netlinks[i], indexes[i], i)?;
        }
        // A link has a carrier only when both of its ends are up.
        for i in [0, 1] {
            link::set_up(&netlinks[i], indexes[i])?;
        }
        for i in [0, 1] {
            link::settle(&netlinks[i], indexes[i])?;
            spaces[i].enter(|| self.v6_addresses(i).try_for_each(link::settle_address))??;
            self.add_neighbours(&netlinks[i], indexes[i], 1 - i)?;
        }
        let wires = [
            Arc::new(Wire::new(&spaces[0], indexes[0], MACS[0])),
            Arc::new(Wire::new(&spaces[1], indexes[1], MACS[1])),
        ];
        let [space_a, space_b] = spaces;
        let [netlink_a, netlink_b] = netlinks;
        let host = |i: usize, name, namespace, netlink| Host {
            netlink,
            namespace,
            wire: Arc::clone(&wires[i]),
            far: Arc::clone(&wires[1 - i]),
            name,
            link: LINK,
            index: indexes[i],
            mac: MACS[i],
            mtu: self.mtu,
            filters: AtomicU16::new(0),
            v4: V4[i],
            v6: V6[i],
        };
        Ok(Pair {
            hosts: [
                host(0, "a", space_a, netlink_a),
                host(1, "b", space_b, netlink_b),
            ],
        })
    }

    fn apply_sysctls(&self, which: impl Fn(&str) -> bool) -> Result<(), Error> {
        self.sysctls
            .iter()
            .filter(|(name, _)| which(name))
            .try_for_each(|(name, value)| sysctl::write(name, value))
    }

    fn add_addresses(&self, netlink: &Netlink, index: u32, host: usize) -> Result<(), Error> {
        link::add_address(netlink, index, V4[host].into(), PREFIX_V4)?;
        link::add_address(netlink, index, V6[host].into(), PREFIX_V6)?;
        for &(a, b, prefix) in &self.extra_v6 {
            link::add_address(netlink, index, [a, b][host].into(), prefix)?;
        }
        Ok(())
    }

    /// All IPv6 addresses of a host.
    fn v6_addresses(&self, host: usize) -> impl Iterator<Item = Ipv6Addr> {
        let extra = self.extra_v6.iter().map(move |&(a, b, _)| [a, b][host]);
        std::iter::once(V6[host]).chain(extra)
    }

    fn add_neighbours(&self, netlink: &Netlink, index: u32, far: usize) -> Result<(), Error> {
        link::add_neighbour(netlink, index, V4[far].into(), MACS[far])?;
        link::add_neighbour(netlink, index, V6[far].into(), MACS[far])?;
        for &(a, b, _) in &self.extra_v6 {
            link::add_neighbour(netlink, index, [a, b][far].into(), MACS[far])?;
        }
        Ok(())
    }
}

/// Whether a sysctl exists only once the link does; all others come before, for the link to inherit from.
fn belongs_to_link(name: &str) -> bool {
    name.split('.').any(|part| part == LINK)
}
