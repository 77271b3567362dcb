//! A host of a lab: a network namespace, its link and its addresses.

use crate::address::Family;
use crate::blackhole::{Blackhole, Match};
use crate::capture::{Capture, CaptureOptions, Resting};
use crate::connection::ConnectionBuilder;
use crate::error::Error;
use crate::link::{self, Detection, Mac};
use crate::netlink::Netlink;
use crate::ns::Namespace;
use crate::packet::Direction;
use crate::sender::Sender;
use crate::settings::Families;
use crate::sockets::Diag;
use crate::sysctl;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A host: a network namespace with one link, to another host or to the switch between hosts.
///
/// Sockets belong to the host they were created in: create them inside [`Host::enter`], use them anywhere.
#[derive(Debug)]
pub struct Host {
    // First, so that they go first: a socket would keep the namespace alive.
    pub(crate) netlink: Arc<Netlink>,
    pub(crate) diag: Diag,
    pub(crate) captures: Arc<Resting>,
    pub(crate) namespace: Arc<Namespace>,
    /// Sends out of its own link.
    pub(crate) sender: Arc<Sender>,
    /// Sends out of the other end of its link.
    pub(crate) far: Arc<Sender>,
    /// How many links a frame takes from another host to this one.
    pub(crate) links_between: usize,
    pub(crate) families: Families,
    pub(crate) name: String,
    /// The link that frames go through, and its number.
    pub(crate) port: String,
    pub(crate) port_index: u32,
    /// The link that has its addresses: the same, unless the host is in a VLAN.
    pub(crate) link: String,
    pub(crate) index: u32,
    pub(crate) vlan: Option<u16>,
    pub(crate) mac: Mac,
    pub(crate) mtu: Arc<AtomicU32>,
    /// How many filters its link has had: each needs a priority of its own.
    pub(crate) filters: AtomicU16,
    /// How many of them there are.
    pub(crate) blackholes: Arc<AtomicUsize>,
    /// Whether it is another than it was built, or somebody may have made it so.
    pub(crate) touched: AtomicBool,
    /// What sysctls had been before they were set.
    pub(crate) before: Mutex<Vec<(String, String)>>,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
}

impl Host {
    /// Its name in the lab, such as `a`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its IPv4 address; it is nobody's where the network has no IPv4.
    #[must_use]
    pub fn v4(&self) -> Ipv4Addr {
        self.v4
    }

    /// Its IPv6 address; it is nobody's where the network has no IPv6.
    #[must_use]
    pub fn v6(&self) -> Ipv6Addr {
        self.v6
    }

    /// Its address in `family`, as it stands on the wire: that of [`Family::V4Mapped`] is the IPv4 address.
    #[must_use]
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 | Family::V4Mapped => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }

    /// Whether the network has addresses like this one.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.families.include(address)
    }

    /// The Ethernet address of its link.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The number inside its namespace of the link that has its addresses.
    #[must_use]
    pub fn ifindex(&self) -> u32 {
        self.index
    }

    /// The name inside its namespace of the link that has its addresses: `veth0`, or that of its VLAN, such as `vlan7`.
    #[must_use]
    pub fn link(&self) -> &str {
        &self.link
    }

    /// The largest IP packet that its link takes, in bytes.
    #[must_use]
    pub fn mtu(&self) -> u32 {
        self.mtu.load(Ordering::Relaxed)
    }

    /// Lets its link take IP packets of up to another size, in bytes; other hosts, and captures that run already, go by
    /// the size that they know.
    ///
    /// A packet that is larger than the link of its receiver takes is dropped there.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses: `EINVAL` for a size that no such link can have. Below 1280 bytes it would
    /// have no IPv6 any more.
    pub fn set_mtu(&self, bytes: u32) -> Result<(), Error> {
        self.touch();
        link::set_mtu(&self.netlink, self.port_index, bytes)?;
        self.mtu.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Runs `f` on this host: the calling thread is in its network namespace meanwhile.
    ///
    /// The thread is back where it was afterwards, also when `f` panics; the panic then goes on. A thread that `f`
    /// starts stays on this host.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses to enter or to leave; `f` was not run if it refused to enter.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> Result<R, Error> {
        self.namespace.enter(f)
    }

    /// Gives it a further address. An IPv6 address goes through duplicate address detection first where the sysctl
    /// `net.ipv6.conf.veth0.accept_dad` is 1, and is tentative until [`Host::settle_address`] returns.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses: `EEXIST` for an address that it has already.
    pub fn add_address(&self, address: IpAddr, prefix: u8) -> Result<(), Error> {
        self.touch();
        let detection = Detection::AsConfigured;
        link::add_address_with(&self.netlink, self.index, address, prefix, detection)
    }

    /// Waits until it takes packets for an address of its own.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it does not come to that.
    pub fn settle_address(&self, address: IpAddr) -> Result<(), Error> {
        match address {
            IpAddr::V6(address) => self.enter(|| link::settle_address(address))?,
            IpAddr::V4(_) => Ok(()),
        }
    }

    /// Takes one of its addresses away; sockets stay where they are.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses: `EADDRNOTAVAIL` for an address that it does not have.
    pub fn remove_address(&self, address: IpAddr, prefix: u8) -> Result<(), Error> {
        self.touch();
        link::remove_address(&self.netlink, self.index, address, prefix)
    }

    /// Sets a sysctl of this host, such as `net.ipv4.tcp_timestamps`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is not below `net`, [`Error::Os`] when the kernel refuses.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<(), Error> {
        self.enter(|| {
            self.remember(name)?;
            sysctl::write(name, value)
        })?
    }

    /// Reads a sysctl of this host, without the newline at its end.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is not below `net`, [`Error::Os`] when the kernel refuses.
    pub fn read_sysctl(&self, name: &str) -> Result<String, Error> {
        self.enter(|| sysctl::read(name))?
    }

    /// A TCP connection from this host to `server`, with settings of its own.
    pub fn connection_to<'a>(&'a self, server: &'a Self, family: Family) -> ConnectionBuilder<'a> {
        ConnectionBuilder::new(self, server, family)
    }

    /// Captures on its link, from now until the capture is dropped.
    ///
    /// Its ring, 8 MiB that the kernel has filled with zeros, is then kept for the next one, until the host is dropped; 24 at most
    /// in a process.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses.
    pub fn capture(&self) -> Result<Capture, Error> {
        self.capture_with(CaptureOptions::default())
    }

    /// Captures on its link, with a ring of another size.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses; for a large ring that may be for want of memory.
    pub fn capture_with(&self, options: CaptureOptions) -> Result<Capture, Error> {
        Capture::start(self, options)
    }

    /// Sends a frame out of its link, from the Ethernet header on, as it is: neither checksums nor a VLAN tag are filled
    /// in.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses: `EMSGSIZE` for a frame that is larger than the link takes.
    pub fn inject(&self, frame: &[u8]) -> Result<(), Error> {
        self.touch();
        self.sender.send(frame)
    }

    /// Swallows packets on its link, in one direction, until the [`Blackhole`] is dropped.
    ///
    /// It is in force when this returns.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses; `ENOENT` means that it was built without `sch_ingress` or `cls_bpf`.
    pub fn blackhole(&self, direction: Direction, matching: Match) -> Result<Blackhole, Error> {
        let priority = self.filters.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let there = (&self.netlink, &self.blackholes);
        Blackhole::attach(there, self.index, priority, direction, matching)
    }
}
