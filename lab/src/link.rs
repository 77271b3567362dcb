//! Links and addresses: a veth pair born in both namespaces, set up, and settled.

use crate::error::{Doing, Error};
use crate::netlink::Netlink;
use crate::network::Node;
use crate::settings::Settings;
use crate::wait;
use futures_util::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use rtnetlink::packet_route::link::{
    InfoBridge, InfoData, InfoVeth, LinkAttribute, LinkFlags, LinkMessage,
};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, LinkVlan};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// The loopback link is the first in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;
/// On kernels that notice a carrier by a timer it takes up to a second.
const SETTLE: Duration = Duration::from_secs(30);
/// Duplicate address detection takes a second for each of its transmissions, and up to one before the first.
const DETECTION: Duration = Duration::from_secs(30);

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// One end of a veth pair that is to be made.
pub(crate) struct End<'a> {
    pub(crate) node: &'a Node,
    /// Its name.
    pub(crate) link: &'a str,
    pub(crate) mac: Mac,
    /// Its number; without one the kernel chooses the next that is free.
    pub(crate) number: Option<u32>,
}

/// Makes a veth pair with one end on each node; returns the index of each end.
pub(crate) fn create_veth([a, b]: &[End<'_>; 2], settings: &Settings) -> Result<[u32; 2], Error> {
    let mtu = settings.mtu;
    let gso_max_size = LinkAttribute::GsoMaxSize(settings.gso_max_size);
    let fd = b
        .node
        .namespace
        .as_fd()
        .try_clone_to_owned()
        .doing(|| "hold the namespace of the far end".to_owned())?;
    // Neither end is set up here: the kernel refuses that with ENOTCONN while there is no peer yet.
    let far = LinkMessageBuilder::<LinkUnspec>::new()
        .name(b.link.to_owned())
        .mtu(mtu)
        .address(b.mac.0.to_vec())
        .setns_by_fd(fd.as_raw_fd())
        .append_extra_attribute(gso_max_size.clone())
        .build();
    let mut pair = LinkMessageBuilder::<LinkVeth>::new(a.link, b.link)
        .mtu(mtu)
        .address(a.mac.0.to_vec())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far)))
        .append_extra_attribute(gso_max_size)
        .build();
    pair.header.index = a.number.unwrap_or(0);
    a.node.netlink.run(
        || format!("make a veth pair with an MTU of {mtu} bytes"),
        |handle| handle.link().add(pair).execute(),
    )?;
    let index = |end: &End<'_>| match end.number {
        Some(number) => Ok(number),
        None => index_of(&end.node.netlink, end.link),
    };
    Ok([index(a)?, index(b)?])
}

fn index_of(netlink: &Netlink, name: &str) -> Result<u32, Error> {
    let link = get(netlink, name, |request| request.match_name(name.to_owned()))?;
    Ok(link.header.index)
}

fn get(
    netlink: &Netlink,
    name: &str,
    which: impl FnOnce(rtnetlink::LinkGetRequest) -> rtnetlink::LinkGetRequest,
) -> Result<LinkMessage, Error> {
    let doing = || format!("look at link {name}");
    netlink
        .run(doing, |handle| async move {
            which(handle.link().get()).execute().try_next().await
        })?
        .ok_or_else(|| std::io::Error::from_raw_os_error(libc::ENODEV))
        .doing(doing)
}

/// Sets the loopback link and link `index` up.
pub(crate) fn set_up(netlink: &Netlink, index: u32) -> Result<(), Error> {
    for index in [LOOPBACK, index] {
        let up = LinkUnspec::new_with_index(index).up().build();
        netlink.run(
            || format!("set link number {index} up"),
            |handle| handle.link().set(up).execute(),
        )?;
    }
    Ok(())
}

/// Lets a link take IP packets of up to this many bytes.
pub(crate) fn set_mtu(netlink: &Netlink, index: u32, bytes: u32) -> Result<(), Error> {
    let sized = LinkUnspec::new_with_index(index).mtu(bytes).build();
    netlink.run(
        || format!("let link number {index} take {bytes} bytes"),
        |handle| handle.link().set(sized).execute(),
    )
}

/// Waits until link `index`, which is up on both ends, passes packets.
///
/// After "up" the kernel notices the carrier from a work queue, up to a second later, and drops until then: about
/// one first connect in three would lose its first packet. A request for one link by its index makes recent kernels
/// look at once; on older ones the state has to be watched.
pub(crate) fn settle(netlink: &Netlink, index: u32, name: &str) -> Result<(), Error> {
    let mut failure = None;
    wait::until(format!("the carrier of link {name}"), SETTLE, || match get(
        netlink,
        name,
        |request| request.match_index(index),
    ) {
        Ok(link) => passes_packets(&link),
        Err(error) => {
            failure = Some(error);
            true
        }
    })?;
    failure.map_or(Ok(()), Err)
}

fn passes_packets(link: &LinkMessage) -> bool {
    use rtnetlink::packet_route::link::State;
    let running = LinkFlags::Running | LinkFlags::LowerUp;
    link.header.flags.contains(running)
        && link
            .attributes
            .iter()
            .any(|attribute| matches!(attribute, LinkAttribute::OperState(State::Up)))
}

/// Waits until the host that the calling thread is in takes packets for its own `address`.
///
/// The kernel adds the route that says so from a work queue (`addrconf_dad_work`), also where duplicate address
/// detection is off, and drops what arrives before.
pub(crate) fn settle_address(address: Ipv6Addr) -> Result<(), Error> {
    /// The flag, in include/uapi/linux/ipv6_route.h, of a route to the host itself.
    const RTF_LOCAL: u32 = 0x8000_0000;
    const ROUTES: &str = "/proc/thread-self/net/ipv6_route";
    let route: String = address
        .octets()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let route = format!("{route} 80 ");
    // The route to a prefix of 128 bits has the same destination, and is there at once.
    let is_local = |line: &str| {
        let flags = line.split_whitespace().nth(8);
        flags
            .and_then(|it| u32::from_str_radix(it, 16).ok())
            .is_some_and(|it| it & RTF_LOCAL != 0)
    };
    let mut failure = None;
    wait::until(
        format!("the host to take packets for {address}"),
        DETECTION,
        || match std::fs::read_to_string(ROUTES) {
            Ok(routes) => routes
                .lines()
                .any(|line| line.starts_with(&route) && is_local(line)),
            Err(error) => {
                failure = Some(error);
                true
            }
        },
    )?;
    failure
        .map_or(Ok(()), Err)
        .doing(|| format!("read {ROUTES}"))
}

/// Adds an address; an IPv6 address is usable at once, without duplicate address detection.
pub(crate) fn add_address(
    netlink: &Netlink,
    index: u32,
    address: IpAddr,
    prefix: u8,
) -> Result<(), Error> {
    add_address_with(netlink, index, address, prefix, Detection::Skipped)
}

/// Whether an IPv6 address is kept back until nobody has claimed it (RFC 4862, section 5.4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detection {
    Skipped,
    /// As the sysctls `accept_dad` and `dad_transmits` of the link say.
    AsConfigured,
}

/// Adds an address, with duplicate address detection or without.
pub(crate) fn add_address_with(
    netlink: &Netlink,
    index: u32,
    address: IpAddr,
    prefix: u8,
    detection: Detection,
) -> Result<(), Error> {
    netlink.run(
        || format!("add address {address}/{prefix}"),
        |handle| {
            let mut request = handle.address().add(index, address, prefix);
            if address.is_ipv6() && detection == Detection::Skipped {
                let message = request.message_mut();
                message.header.flags |= AddressHeaderFlags::Nodad;
                message
                    .attributes
                    .push(AddressAttribute::Flags(AddressFlags::Nodad));
            }
            request.execute()
        },
    )
}

/// Takes an address away.
pub(crate) fn remove_address(
    netlink: &Netlink,
    index: u32,
    address: IpAddr,
    prefix: u8,
) -> Result<(), Error> {
    let mut message = AddressMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(address));
    netlink.run(
        || format!("take address {address}/{prefix} away"),
        |handle| handle.address().del(message).execute(),
    )
}

/// Makes a link that is VLAN `id` of link `below`, with the Ethernet address of that; returns its index.
pub(crate) fn create_vlan(
    netlink: &Netlink,
    name: &str,
    below: u32,
    id: u16,
) -> Result<u32, Error> {
    let vlan = LinkVlan::new(name, below, id).build();
    let made = netlink.run(
        || format!("make link {name}, for VLAN {id}"),
        |handle| handle.link().add(vlan).execute(),
    );
    match made {
        // How a kernel says that it knows no such kind of link.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            return Err(Error::NotInKernel { what: "8021q" });
        }
        other => other?,
    }
    index_of(netlink, name)
}

/// Makes a bridge without an address, which forwards at once and to every port that a frame is for.
pub(crate) fn create_bridge(netlink: &Netlink, name: &str) -> Result<u32, Error> {
    let bridge = LinkMessageBuilder::<LinkBridge>::new(name)
        .append_info_data(InfoBridge::ForwardDelay(0))
        // Otherwise it would listen, and ask, who wants which multicast.
        .append_info_data(InfoBridge::MulticastSnooping(false))
        .build();
    netlink.run(
        || format!("make the bridge {name} (needs the kernel's bridge)"),
        |handle| handle.link().add(bridge).execute(),
    )?;
    index_of(netlink, name)
}

/// Makes link `index` a port of the bridge.
pub(crate) fn add_to_bridge(netlink: &Netlink, bridge: u32, index: u32) -> Result<(), Error> {
    let port = LinkUnspec::new_with_index(index).controller(bridge).build();
    netlink.run(
        || format!("make link number {index} a port of the bridge"),
        |handle| handle.link().set(port).execute(),
    )
}

/// Tells a bridge for good behind which of its ports `mac` is.
pub(crate) fn add_to_forwarding_table(netlink: &Netlink, port: u32, mac: Mac) -> Result<(), Error> {
    netlink.run(
        || format!("add {mac} to the forwarding table, behind link number {port}"),
        |handle| {
            handle
                .neighbours()
                .add_bridge(port, &mac.0)
                // What the bridge calls static; "permanent" would be an address of its own.
                .state(NeighbourState::Noarp)
                // It may have been learned already: a host that is up reports its multicast groups.
                .replace()
                .execute()
        },
    )
}

/// Says which Ethernet address a neighbour has, as if it had been learned: it can change.
pub(crate) fn learn_neighbour(
    netlink: &Netlink,
    index: u32,
    address: IpAddr,
    mac: Mac,
) -> Result<(), Error> {
    netlink.run(
        || format!("learn that {address} is at {mac}"),
        |handle| {
            handle
                .neighbours()
                .add(index, address)
                .link_layer_address(&mac.0)
                .state(NeighbourState::Reachable)
                .execute()
        },
    )
}

/// Which Ethernet address a host has in mind for `address`.
pub(crate) fn neighbour(netlink: &Netlink, address: IpAddr) -> Result<Option<Mac>, Error> {
    let wanted = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    let neighbours: Vec<_> = netlink.run(
        || format!("look for neighbour {address}"),
        |handle| async move { handle.neighbours().get().execute().try_collect().await },
    )?;
    let is_it = |attribute: &NeighbourAttribute| {
        *attribute == NeighbourAttribute::Destination(wanted.clone())
    };
    Ok(neighbours
        .iter()
        .filter(|it| it.attributes.iter().any(is_it))
        .flat_map(|it| &it.attributes)
        .find_map(|attribute| match attribute {
            NeighbourAttribute::LinkLayerAddress(mac) => {
                Some(Mac(mac.as_slice().try_into().ok()?))
            }
            _ => None,
        }))
}

/// Says for good which Ethernet address a neighbour has, so that no ARP and no neighbour discovery is needed.
pub(crate) fn add_neighbour(
    netlink: &Netlink,
    index: u32,
    address: IpAddr,
    mac: Mac,
) -> Result<(), Error> {
    netlink.run(
        || format!("add neighbour {address} at {mac}"),
        |handle| {
            handle
                .neighbours()
                .add(index, address)
                .link_layer_address(&mac.0)
                .execute()
        },
    )
}
