//! The kernel's table of TCP sockets: what is closed is not in it any more.

use crate::journey::PATIENCE;
use crate::verdict::{Stop, Verdict, expect_eq};
use lab::{Error, Flow, Host, TcpState, wait};

/// Fails if the host has a socket of this connection, in whatever state.
///
/// A descriptor that was kept by mistake shows here, and so does a connection that lingers after its close. One that goes within
/// [`PATIENCE`] is neither: who looks at `/proc/self/fd`, or starts a process, has every descriptor for a moment.
///
/// # Errors
/// [`Stop::Fail`] with the socket; [`Stop::Broken`] where the kernel does not tell.
pub fn expect_absent(host: &Host, flow: &Flow) -> Verdict {
    expect_none(host, flow, |_| true)
}

/// Fails if the host has a socket of this connection, but in TIME-WAIT.
///
/// # Errors
/// Those of [`expect_absent`].
pub fn expect_over(host: &Host, flow: &Flow) -> Verdict {
    expect_none(host, flow, |socket| !socket.waits)
}

fn expect_none(host: &Host, flow: &Flow, counts: impl Fn(&Found) -> bool) -> Verdict {
    let look = || Ok::<_, Stop>(found(host, flow)?.filter(&counts));
    // What cannot be asked is told below.
    let gone = || !matches!(look(), Ok(Some(_)));
    let _ = wait::until("the socket to be gone", PATIENCE, gone);
    expect_eq(socket_of(flow, host), look()?.map(|it| it.told), None)
}

fn socket_of(flow: &Flow, host: &Host) -> String {
    format!("the socket of {flow} on host {}", host.name())
}

struct Found {
    /// Whether it is in TIME-WAIT.
    waits: bool,
    told: String,
}

fn found(host: &Host, flow: &Flow) -> Result<Option<Found>, Stop> {
    match host.socket(flow) {
        Ok(socket) => Ok(socket.map(|socket| Found {
            waits: socket.state == TcpState::TimeWait,
            told: socket.to_string(),
        })),
        Err(Error::NotInKernel { .. }) => listed(host, flow),
        Err(error) => Err(error.into()),
    }
}

/// The same from the tables that every kernel shows, also one without `tcp_diag`.
fn listed(host: &Host, flow: &Flow) -> Result<Option<Found>, Stop> {
    let ports = (flow.source.port(), flow.destination.port());
    let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
    let texts = host.enter(|| tables.map(std::fs::read_to_string))?;
    for text in texts {
        let text = text.map_err(|error| Stop::Broken(format!("the table of sockets: {error}")))?;
        if let Some(line) = text.lines().find(|line| ports_of(line) == Some(ports)) {
            return Ok(Some(Found {
                waits: line.split_whitespace().nth(3) == Some("06"),
                told: line.to_owned(),
            }));
        }
    }
    Ok(None)
}

/// The local and the remote port of a line such as `0: 0100007F:1F90 00000000:0000 0A …`.
fn ports_of(line: &str) -> Option<(u16, u16)> {
    let mut ports = line.split_whitespace().skip(1).map(|address| {
        let (_, port) = address.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok()
    });
    Some((ports.next()??, ports.next()??))
}

/// Fails unless the host comes to have `used` sockets, no more. One that was closed is counted until the last packet
/// that it has sent, or the last timer that ran for it, is done with.
///
/// # Errors
/// [`Stop::Fail`] with how many it has; [`Stop::Broken`] where they cannot be counted.
pub fn expect_sockets(told: &str, host: &Host, used: u64) -> Verdict {
    let gone = || host.socket_counts().is_ok_and(|now| now.used == used);
    if wait::until("no socket is left over", PATIENCE, gone).is_ok() {
        return Ok(());
    }
    expect_eq(
        format!("sockets of the host after {told}"),
        host.socket_counts()?.used,
        used,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_both_tables() {
        let v4 = "   0: 01004D0A:A0B1 02004D0A:0050 01 00000000:00000000 00:00000000 00000000     0        0 1";
        let v6 = "   1: 000077FD000000000000000001000000:A0B1 000077FD000000000000000002000000:0050 01 0:0";
        assert_eq!(ports_of(v4), Some((0xa0b1, 0x50)));
        assert_eq!(ports_of(v6), Some((0xa0b1, 0x50)));
        assert_eq!(
            ports_of("  sl  local_address rem_address   st tx_queue"),
            None
        );
    }
}
