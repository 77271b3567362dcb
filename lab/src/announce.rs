//! The frames by which a host tells everybody that an address is its own now.

use crate::link::Mac;
use pnet::packet::icmpv6::{self, Icmpv6Packet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `ff02::1`: every node on the link (RFC 4291, section 2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const BROADCAST: [u8; 6] = [0xff; 6];

/// The frame that says that `address` is at `mac`.
pub(crate) fn frame(address: IpAddr, mac: Mac) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => gratuitous_arp(address, mac),
        IpAddr::V6(address) => neighbour_advertisement(address, mac),
    }
}

/// An ARP announcement (RFC 5227, section 3): a request by the address for itself.
fn gratuitous_arp(address: Ipv4Addr, mac: Mac) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, libc::ETH_P_ARP);
    // Ethernet, IPv4, the lengths of their addresses, a request.
    frame.extend([0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame.extend(mac.0);
    frame.extend(address.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// An unsolicited neighbour advertisement that overrides what was known (RFC 4861, sections 4.4 and 7.2.6).
fn neighbour_advertisement(address: Ipv6Addr, mac: Mac) -> Vec<u8> {
    const TYPE: u8 = 136;
    const OVERRIDE: u8 = 0x20;
    const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
    let mut message = vec![TYPE, 0, 0, 0, OVERRIDE, 0, 0, 0];
    message.extend(address.octets());
    message.extend([TARGET_LINK_LAYER_ADDRESS, 1]);
    message.extend(mac.0);
    let checksum =
        Icmpv6Packet::new(&message).map_or(0, |it| icmpv6::checksum(&it, &address, &ALL_NODES));
    if let Some(to) = message.get_mut(2..4) {
        to.copy_from_slice(&checksum.to_be_bytes());
    }
    let mut frame = ethernet(ALL_NODES_MAC, mac, libc::ETH_P_IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    // With any other hop limit it would not count: it might have been routed here.
    frame.extend([libc::IPPROTO_ICMPV6 as u8, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

fn ethernet(to: [u8; 6], from: Mac, protocol: i32) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(from.0);
    frame.extend((protocol as u16).to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 3, 4, 5, 6, 7]);

    #[test]
    fn a_gratuitous_arp_names_the_address_twice() {
        let frame = frame(Ipv4Addr::new(10, 77, 0, 100).into(), MAC);
        let expected = "ffffffffffff 020304050607 0806 0001 0800 06 04 0001 020304050607 0a4d0064 000000000000 0a4d0064";
        assert_eq!(hex(&frame), expected.replace(' ', ""));
    }

    #[test]
    fn an_advertisement_overrides_and_its_checksum_is_right() {
        let address = "fd77::100".parse().unwrap();
        let frame = frame(IpAddr::V6(address), MAC);
        assert_eq!(frame.len(), 14 + 40 + 32);
        assert_eq!(frame[20..22], [58, 255]);
        // The one's complement sum over the pseudo header and the message, its checksum included, is all ones.
        let mut sum = 58 + 32;
        for bytes in frame[22..].chunks(2) {
            sum += u32::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        assert_eq!(sum, 0xffff);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
