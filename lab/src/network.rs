//! What every topology is made of: nodes, links between them, and what makes a node a host.
//!
//! A topology goes through the same steps in the same order, and decides only who is joined to whom:
//! [`Node::host`] or [`Node::middle`], [`join`], [`Node::configure`], [`raise`], [`Node::settle`],
//! [`Node::add_neighbour`], [`Node::into_host`].

use crate::capture::Resting;
use crate::error::Error;
use crate::host::Host;
use crate::link::{self, End, Mac};
use crate::netlink::Netlink;
use crate::ns::Namespace;
use crate::sender::Sender;
use crate::settings::{Families, Settings};
use crate::sockets::Diag;
use crate::{offload, qdisc, shaping, sysctl};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32};
use std::sync::{Arc, Mutex};

/// The name of the link on every host.
pub(crate) const LINK: &str = "veth0";
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

/// A network namespace on its way to be a host, or something between hosts.
#[derive(Debug)]
pub(crate) struct Node {
    // First, so that they go first: a socket would keep the namespace alive.
    pub(crate) netlink: Arc<Netlink>,
    diag: Diag,
    pub(crate) namespace: Arc<Namespace>,
    name: String,
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) index: u32,
    pub(crate) mac: Mac,
    /// The name of the link on its node.
    pub(crate) link: String,
    /// Sends out of this end.
    pub(crate) sender: Arc<Sender>,
    /// The link that belongs to a VLAN, above this one.
    vlan: Option<Vlan>,
}

/// A link that is a VLAN of another.
#[derive(Debug)]
pub(crate) struct Vlan {
    index: u32,
    link: String,
}

impl Port {
    /// Index and name of the link that has the addresses.
    fn addressed(&self) -> (u32, &str) {
        match &self.vlan {
            Some(vlan) => (vlan.index, &vlan.link),
            None => (self.index, &self.link),
        }
    }
}

/// Who a host is among the hosts of its network.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) mac: Mac,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
    /// Further addresses, with their prefix lengths.
    pub(crate) extra: Vec<(IpAddr, u8)>,
}

impl Seat {
    /// Host `number` of a network, from 1 on: 10.77.0.number, fd77::number.
    pub(crate) fn new(number: u8) -> Self {
        Self {
            // Locally administered, and "LAB" in ASCII.
            mac: Mac([0x02, b'L', b'A', b'B', 0, number]),
            v4: Ipv4Addr::new(10, 77, 0, number),
            v6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, number.into()),
            extra: Vec::new(),
        }
    }

    /// Its addresses of `families`, with their prefix lengths.
    fn addresses(&self, families: Families) -> impl Iterator<Item = (IpAddr, u8)> {
        [(self.v4.into(), PREFIX_V4), (self.v6.into(), PREFIX_V6)]
            .into_iter()
            .chain(self.extra.iter().copied())
            .filter(move |(address, _)| families.include(*address))
    }
}

/// The Ethernet address of end `number` of the links between hosts, where it is not a host's.
pub(crate) fn middle_mac(number: u8) -> Mac {
    Mac([0x02, b'L', b'A', b'B', 1, number])
}

impl Node {
    /// A node for a host: with the baseline, and those sysctls of the settings that need no link.
    pub(crate) fn host(name: &str, settings: &Settings) -> Result<Self, Error> {
        let node = Self::middle(name)?;
        node.namespace.enter(|| {
            sysctl::apply_baseline()?;
            if !settings.families.v6() {
                sysctl::write("net.ipv6.conf.all.disable_ipv6", "1")?;
                sysctl::write("net.ipv6.conf.default.disable_ipv6", "1")?;
            }
            settings.apply_sysctls(|name| !belongs_to_link(name, settings))
        })??;
        Ok(node)
    }

    /// A node that is nobody's host: as the kernel makes it.
    pub(crate) fn middle(name: &str) -> Result<Self, Error> {
        let namespace = Arc::new(Namespace::new(name)?);
        Ok(Self {
            netlink: Arc::new(Netlink::open(&namespace)?),
            diag: Diag::open(&namespace)?,
            namespace,
            name: name.to_owned(),
        })
    }

    /// Prepares a host's end of its link, which is still down: sysctls, offloads, addresses.
    pub(crate) fn configure(
        &self,
        port: &mut Port,
        seat: &Seat,
        settings: &Settings,
    ) -> Result<(), Error> {
        if let Some(id) = settings.vlan {
            let link = vlan_link(id);
            let index = link::create_vlan(&self.netlink, &link, port.index, id)?;
            port.vlan = Some(Vlan { index, link });
        }
        self.namespace.enter(|| {
            settings.apply_sysctls(|name| belongs_to_link(name, settings))?;
            if settings.offload {
                Ok(())
            } else {
                offload::disable(&port.link)
            }
        })??;
        qdisc::prepare_filters(&self.netlink, port.index, || {
            format!("prepare link {} for filters", port.link)
        })?;
        shaping::shape(
            &self.netlink,
            port.index,
            settings.mtu,
            settings.rate,
            settings.netem.as_ref(),
        )?;
        let (index, _) = port.addressed();
        seat.addresses(settings.families)
            .try_for_each(|(address, prefix)| {
                link::add_address(&self.netlink, index, address, prefix)
            })
    }

    /// Waits until the host takes packets for all of its addresses.
    pub(crate) fn settle(&self, seat: &Seat, settings: &Settings) -> Result<(), Error> {
        let v6 = seat
            .addresses(settings.families)
            .filter_map(|(address, _)| match address {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            });
        self.namespace.enter(|| {
            for address in v6 {
                link::settle_address(address)?;
            }
            Ok(())
        })?
    }

    /// Says for good where another host is to be found.
    pub(crate) fn add_neighbour(
        &self,
        port: &Port,
        other: &Seat,
        settings: &Settings,
    ) -> Result<(), Error> {
        let (index, _) = port.addressed();
        other
            .addresses(settings.families)
            .try_for_each(|(address, _)| {
                link::add_neighbour(&self.netlink, index, address, other.mac)
            })
    }

    /// Makes a host of it; `far` sends out of the other end of its link, and to the other hosts a
    /// frame takes so many links.
    pub(crate) fn into_host(
        self,
        port: Port,
        far: Arc<Sender>,
        links_between: usize,
        seat: &Seat,
        settings: &Settings,
    ) -> Host {
        let (index, link) = port.addressed();
        Host {
            link: link.to_owned(),
            index,
            vlan: settings.vlan,
            netlink: self.netlink,
            diag: self.diag,
            captures: Arc::new(Resting::new()),
            namespace: self.namespace,
            far,
            links_between,
            families: settings.families,
            name: self.name,
            port_index: port.index,
            mac: port.mac,
            port: port.link,
            sender: port.sender,
            mtu: Arc::new(AtomicU32::new(settings.mtu)),
            filters: AtomicU16::new(0),
            blackholes: Arc::default(),
            touched: AtomicBool::new(false),
            before: Mutex::default(),
            v4: seat.v4,
            v6: seat.v6,
        }
    }
}

/// The number of a link at its first end, where nobody chooses another: the first that the kernel would give is 2, and the other
/// end has that.
///
/// Of a link with the same number at both ends the kernel notices up to a second later that it has a carrier
/// (`linkwatch_urgent_event`), unless it is asked (since 6.7, `rtnl_getlink`).
const UNLIKE: u32 = 100;

/// Joins two nodes by a link, whose ends get these names and Ethernet addresses; it is down on both.
pub(crate) fn join(
    a: (&Node, &str, Mac),
    b: (&Node, &str, Mac),
    settings: &Settings,
) -> Result<[Port; 2], Error> {
    join_numbered(a, Some(UNLIKE), b, settings)
}

/// As [`join`], with a number for the first end.
pub(crate) fn join_numbered(
    (a, link_a, mac_a): (&Node, &str, Mac),
    number: Option<u32>,
    (b, link_b, mac_b): (&Node, &str, Mac),
    settings: &Settings,
) -> Result<[Port; 2], Error> {
    let end = |node, link, mac, number| End {
        node,
        link,
        mac,
        number,
    };
    let ends = [end(a, link_a, mac_a, number), end(b, link_b, mac_b, None)];
    let [index_a, index_b] = link::create_veth(&ends, settings)?;
    let port = |end: &End<'_>, index| Port {
        index,
        mac: end.mac,
        link: end.link.to_owned(),
        sender: Arc::new(Sender::new(&end.node.namespace, index, end.mac)),
        vlan: None,
    };
    let [a, b] = &ends;
    Ok([port(a, index_a), port(b, index_b)])
}

/// Sets links up, and waits until packets pass; both ends of each have to be among `ports`.
pub(crate) fn raise(ports: &[(&Node, &Port)]) -> Result<(), Error> {
    // A link has a carrier only when both of its ends are up.
    for (node, port) in ports {
        link::set_up(&node.netlink, port.index)?;
    }
    for (node, port) in ports {
        link::settle(&node.netlink, port.index, &port.link)?;
    }
    // The link of a VLAN has the carrier of the one below it.
    for (node, port) in ports {
        if let Some(vlan) = &port.vlan {
            link::set_up(&node.netlink, vlan.index)?;
            link::settle(&node.netlink, vlan.index, &vlan.link)?;
        }
    }
    Ok(())
}

/// Whether a sysctl exists only once the link does; all others come before, for the link to inherit from.
fn belongs_to_link(name: &str, settings: &Settings) -> bool {
    let vlan = settings.vlan.map(vlan_link);
    name.split('.')
        .any(|part| part == LINK || Some(part) == vlan.as_deref())
}

/// The name of the link that is VLAN `id`; without a dot, which would part the name of a sysctl.
fn vlan_link(id: u16) -> String {
    format!("vlan{id}")
}
