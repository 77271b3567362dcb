//! Switching off what a link does on behalf of TCP: checksums, and cutting into segments.

use crate::error::{Doing, Error};
use crate::sys;
use std::net::UdpSocket;

// The classic ethtool commands: numbers from include/uapi/linux/ethtool.h.
const ETHTOOL_STXCSUM: u32 = 0x17;
const ETHTOOL_SSG: u32 = 0x19;
const ETHTOOL_STSO: u32 = 0x1f;
const ETHTOOL_SGSO: u32 = 0x24;
const ETHTOOL_SGRO: u32 = 0x2c;

/// In this order: the kernel switches TSO off by itself when there is no scatter-gather.
const FEATURES: [(u32, &str); 5] = [
    (ETHTOOL_SGRO, "generic receive offload"),
    (ETHTOOL_SGSO, "generic segmentation offload"),
    (ETHTOOL_STSO, "TCP segmentation offload"),
    (ETHTOOL_SSG, "scatter-gather"),
    (ETHTOOL_STXCSUM, "transmit checksums"),
];

/// Switches every offload of `link` off, in the network namespace of the calling thread.
pub(crate) fn disable(link: &str) -> Result<(), Error> {
    // The request goes through any socket of the namespace.
    let socket = UdpSocket::bind("127.0.0.1:0")
        .or_else(|_| UdpSocket::bind("0.0.0.0:0"))
        .doing(|| "make a socket for ethtool requests".to_owned())?;
    for (command, name) in FEATURES {
        sys::ethtool_set(&socket, link, command, 0)
            .doing(|| format!("switch off {name} of link {link}"))?;
    }
    Ok(())
}
