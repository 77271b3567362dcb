//! The kernel's table of TCP sockets: what is closed is not in it any more.

use crate::verdict::{Stop, Verdict, expect_eq};
use lab::{Flow, Host};
use std::io;

/// Both tables of the network namespace that the calling thread is in.
const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];

/// Fails if the host has a socket of this connection, in whatever state.
///
/// A descriptor that was kept by mistake shows here, and so does a connection that lingers after its close.
///
/// # Errors
/// [`Stop::Fail`] with the lines of the table; [`Stop::Broken`] where it cannot be read.
pub fn expect_absent(host: &Host, flow: &Flow) -> Verdict {
    let ports = (flow.source.port(), flow.destination.port());
    let lines = host.enter(|| -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        for table in TABLES {
            let text = std::fs::read_to_string(table)?;
            lines.extend(
                text.lines()
                    .filter(|line| ports_of(line) == Some(ports))
                    .map(str::to_owned),
            );
        }
        Ok(lines)
    })?;
    let lines = lines.map_err(|error| Stop::Broken(format!("the table of sockets: {error}")))?;
    expect_eq(
        format!("sockets of {flow} on host {}", host.name()),
        lines,
        Vec::new(),
    )
}

/// The local and the remote port of a line such as `0: 0100007F:1F90 00000000:0000 0A …`.
fn ports_of(line: &str) -> Option<(u16, u16)> {
    let mut ports = line.split_whitespace().skip(1).map(|address| {
        let (_, port) = address.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok()
    });
    Some((ports.next()??, ports.next()??))
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
