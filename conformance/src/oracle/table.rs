//! The kernel's table of TCP sockets: what is closed is not in it any more.

use crate::journey::PATIENCE;
use crate::verdict::{Stop, Verdict, expect_eq};
use lab::{Flow, Host, wait};

/// Fails if the host has a socket of this connection, in whatever state.
///
/// A descriptor that was kept by mistake shows here, and so does a connection that lingers after its close.
///
/// # Errors
/// [`Stop::Fail`] with the socket; [`Stop::Broken`] where the kernel does not tell.
pub fn expect_absent(host: &Host, flow: &Flow) -> Verdict {
    let found = host.socket(flow)?.map(|socket| socket.to_string());
    expect_eq(
        format!("the socket of {flow} on host {}", host.name()),
        found,
        None,
    )
}

/// Fails unless the host comes to have `used` sockets, no more. One that was closed is counted until the last packet
/// that it has sent, or the last timer that ran for it, is done with.
///
/// # Errors
/// [`Stop::Fail`] with how many it has; [`Stop::Broken`] where they cannot be counted.
pub fn expect_sockets(told: &str, host: &Host, used: u64) -> Verdict {
    let gone = || sockets_used(host).is_ok_and(|now| now == used);
    if wait::until("no socket is left over", PATIENCE, gone).is_ok() {
        return Ok(());
    }
    expect_eq(
        format!("sockets of the host after {told}"),
        sockets_used(host)?,
        used,
    )
}

/// How many sockets the host has, of whatever kind and state: one that was forgotten shows here.
///
/// # Errors
/// [`Stop::Broken`] where it cannot be read.
pub fn sockets_used(host: &Host) -> Result<u64, Stop> {
    let text = host.enter(|| std::fs::read_to_string("/proc/thread-self/net/sockstat"))??;
    let used = text
        .lines()
        .find_map(|line| line.strip_prefix("sockets: used "))
        .and_then(|count| count.trim().parse().ok());
    used.ok_or_else(|| Stop::Broken(format!("no count of sockets in {text:?}")))
}
