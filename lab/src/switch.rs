//! A switch: a bridge of the kernel in a namespace of its own, with a link to each host around it.
//!
//! It has no address, says nothing of its own, and knows where each host is from the start: a packet for one host
//! shows up on the links of the two that talk, and on no other. It needs the kernel's `bridge`.

use crate::error::Error;
use crate::host::Host;
use crate::link;
use crate::network::{self, LINK, Node, Seat, middle_mac};
use crate::settings::Settings;
use crate::sysctl;

/// The name of the bridge in the namespace of the switch.
const BRIDGE: &str = "switch";

/// Above the numbers that the kernel gives: as on real hosts, the same link has not the same number everywhere.
const FIRST_LINK: u32 = 100;

/// A frame takes two links from host to host.
pub(crate) const LINKS_BETWEEN_HOSTS: usize = 2;

/// A switch with hosts around it; it is there as long as this value.
#[derive(Debug)]
pub(crate) struct Switch {
    _node: Node,
}

impl Switch {
    /// Builds a switch and hosts around it, which know each other's Ethernet addresses.
    pub(crate) fn with_hosts(
        seats: &[(String, Seat)],
        settings: &Settings,
    ) -> Result<(Self, Vec<Host>), Error> {
        settings.check()?;
        let switch = Node::middle(BRIDGE)?;
        switch.namespace.enter(|| {
            // The bridge and its ports would have link-local addresses otherwise, and announce them.
            sysctl::write("net.ipv6.conf.default.disable_ipv6", "1")
        })??;
        let bridge = link::create_bridge(&switch.netlink, BRIDGE)?;
        link::set_up(&switch.netlink, bridge)?;

        let mut joined = Vec::with_capacity(seats.len());
        for (number, (name, seat)) in (1..).zip(seats) {
            let node = Node::host(name, settings)?;
            let [mut port, far] = network::join_numbered(
                (&node, LINK, seat.mac),
                Some(FIRST_LINK + u32::from(number)),
                (&switch, &format!("port{number}"), middle_mac(number)),
                settings,
            )?;
            node.configure(&mut port, seat, settings)?;
            network::raise(&[(&node, &port), (&switch, &far)])?;
            // A port that has a carrier when it joins the bridge forwards at once.
            link::add_to_bridge(&switch.netlink, bridge, far.index)?;
            link::add_to_forwarding_table(&switch.netlink, far.index, seat.mac)?;
            joined.push((node, port, far, seat));
        }
        for (at, (node, port, _, seat)) in joined.iter().enumerate() {
            node.settle(seat, settings)?;
            for (other, (_, seat)) in seats.iter().enumerate() {
                if other != at {
                    node.add_neighbour(port, seat, settings)?;
                }
            }
        }
        let hosts = joined
            .into_iter()
            .map(|(node, port, far, seat)| {
                node.into_host(port, far.sender, LINKS_BETWEEN_HOSTS, seat, settings)
            })
            .collect();
        Ok((Self { _node: switch }, hosts))
    }
}
