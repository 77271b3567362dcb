//! The topology for moving: a client, and an address that moves from one host to another.

use crate::address::Family;
use crate::announce;
use crate::error::{Doing, Error};
use crate::host::Host;
use crate::link;
use crate::network::Seat;
use crate::settings::Builder;
use crate::switch::Switch;
use crate::vlan;
use crate::wait;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The addresses that move, as networks of one address: it does not matter then which others their host has.
const V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100);
const MOVING: [(IpAddr, u8); 3] = [
    (IpAddr::V4(V4), 32),
    (IpAddr::V6(V6), 128),
    (IpAddr::V6(LINK_LOCAL), 128),
];
/// Far more than an announcement needs from one namespace to another, also on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client, an old host and a new host around a switch, and an address that moves; gone on drop.
///
/// The client is 10.77.0.1 and fd77::1, the old host 10.77.0.2 and fd77::2, the new host 10.77.0.3 and fd77::3. The
/// old host has 10.77.0.100, fd77::100 and fe80::100 as well, until [`Trio::move_address`]. Their links have one name,
/// and each a number of its own ([`Host::ifindex`]). All know each other's Ethernet
/// addresses for good, except for the address that moves: who has it the client learns as on any Ethernet, and may
/// ask again by ARP and neighbour discovery when it has not heard from there for a while.
#[derive(Debug)]
pub struct Trio {
    client: Host,
    old: Host,
    new: Host,
    _switch: Switch,
    /// Whether the new host has the address.
    moved: Mutex<bool>,
}

/// How a [`Trio`] is to be.
pub type TrioBuilder = Builder<Trio>;

impl Trio {
    /// A trio with the usual settings; the old host has the address.
    ///
    /// The first packet already passes when this returns.
    ///
    /// # Errors
    /// Those of [`TrioBuilder::build`].
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A trio with settings of its own.
    pub fn builder() -> TrioBuilder {
        Builder::default()
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Host {
        &self.client
    }

    /// The host that has the address first.
    #[must_use]
    pub fn old_host(&self) -> &Host {
        &self.old
    }

    /// The host that the address moves to.
    #[must_use]
    pub fn new_host(&self) -> &Host {
        &self.new
    }

    /// All hosts: client, old host, new host.
    #[must_use]
    pub fn hosts(&self) -> [&Host; 3] {
        [&self.client, &self.old, &self.new]
    }

    /// The address that moves, in `family`, as it stands on the wire.
    #[must_use]
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 | Family::V4Mapped => V4.into(),
            Family::V6 => V6.into(),
        }
    }

    /// The link-local address that moves; the link that it belongs to has another number on every host.
    #[must_use]
    pub fn link_local(&self) -> Ipv6Addr {
        LINK_LOCAL
    }

    /// The host that has the address at the moment.
    #[must_use]
    pub fn holder(&self) -> &Host {
        let moved = *self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if moved { &self.new } else { &self.old }
    }

    /// Moves the address, in both families, to the host that does not have it: from old to new, and back again.
    ///
    /// It is taken from the one host and given to the other, which announces it to everybody by a gratuitous ARP
    /// (RFC 5227, section 3) and an unsolicited neighbour advertisement (RFC 4861, section 7.2.6). On return the
    /// client has heard: its next packet for the address goes to the other host. Sockets stay where they are.
    ///
    /// # Errors
    /// [`Error::Os`] with what the kernel refused, [`Error::Timeout`] when the client does not take notice.
    pub fn move_address(&self) -> Result<(), Error> {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, to) = if *moved {
            (&self.new, &self.old)
        } else {
            (&self.old, &self.new)
        };
        for (address, prefix) in MOVING.into_iter().filter(|(ip, _)| to.has(*ip)) {
            link::remove_address(&from.netlink, from.index, address, prefix)?;
            give(to, address, prefix)?;
            let announcement = announce::frame(address, to.mac());
            to.inject(&vlan::put_in(&announcement, to.vlan.map(vlan::tag)))?;
            self.client_finds(address, to)?;
        }
        *moved = !*moved;
        Ok(())
    }

    /// Waits until the client sends packets for `address` to `host`.
    fn client_finds(&self, address: IpAddr, host: &Host) -> Result<(), Error> {
        let mut result = Ok(());
        wait::until(
            format!("the client to learn that {address} is at {}", host.mac()),
            TIMEOUT,
            || match link::neighbour(&self.client.netlink, address) {
                // One that it has forgotten it asks for.
                Ok(mac) => mac.is_none_or(|mac| mac == host.mac()),
                Err(error) => {
                    result = Err(error);
                    true
                }
            },
        )?;
        result
    }
}

/// Gives `host` an address, and waits until it takes packets for it.
fn give(host: &Host, address: IpAddr, prefix: u8) -> Result<(), Error> {
    link::add_address(&host.netlink, host.index, address, prefix)?;
    host.settle_address(address)
}

impl Builder<Trio> {
    /// Builds the trio.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] before [`Sandbox::enter`](crate::Sandbox::enter); [`Error::Invalid`] for a value that
    /// no link can have; otherwise what the kernel refused: `EOPNOTSUPP` means that it has no `bridge`.
    pub fn build(self) -> Result<Trio, Error> {
        let seats = [("client", 1), ("old", 2), ("new", 3)]
            .map(|(name, number)| (name.to_owned(), Seat::new(number)));
        let (switch, hosts) = Switch::with_hosts(&seats, &self.settings)?;
        let Ok([client, old, new]) = <[Host; 3]>::try_from(hosts) else {
            // As many hosts as seats: it cannot be.
            return Err(io::Error::other("another number of hosts than three"))
                .doing(|| "seat the hosts of a trio".to_owned());
        };
        for (address, prefix) in MOVING.into_iter().filter(|(ip, _)| old.has(*ip)) {
            give(&old, address, prefix)?;
            link::learn_neighbour(&client.netlink, client.index, address, old.mac())?;
        }
        Ok(Trio {
            client,
            old,
            new,
            _switch: switch,
            moved: Mutex::new(false),
        })
    }
}
