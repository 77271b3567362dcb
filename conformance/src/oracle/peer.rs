//! What a host noticed: the counters that move when a connection is disturbed.

use crate::verdict::{Failure, Stop, Verdict};
use lab::Host;
use std::collections::BTreeMap;

/// Counters of `/proc/net/snmp` and `/proc/net/netstat` that an undisturbed connection leaves alone.
///
/// Timestamps that went backwards, acknowledgements of what was never sent, segments outside of the window,
/// challenges, resets and checksums: each is a sign of a connection that did not come back as it was.
pub const TELLTALES: &[&str] = &[
    "Tcp.OutRsts",
    "Tcp.AttemptFails",
    "Tcp.InErrs",
    "TcpExt.PAWSEstab",
    "TcpExt.TCPChallengeACK",
    "TcpExt.TCPSYNChallenge",
    "TcpExt.TCPAbortOnData",
    "TcpExt.TCPAbortOnTimeout",
    "TcpExt.TCPMD5Failure",
];

/// One more, which speaks at the peer only: a silent close counts as a reset too (`tcp_set_state`).
pub const PEER_TELLTALES: &[&str] = &["Tcp.EstabResets"];

/// The counters of one host at one time.
#[derive(Clone, Debug)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Reads the counters of a host.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the kernel's files cannot be read.
    pub fn read(host: &Host) -> Result<Self, Stop> {
        let text = host.enter(|| -> std::io::Result<String> {
            let snmp = std::fs::read_to_string("/proc/thread-self/net/snmp")?;
            let netstat = std::fs::read_to_string("/proc/thread-self/net/netstat")?;
            Ok(snmp + &netstat)
        })??;
        Ok(Self(parse(&text)))
    }

    /// Fails if one of the counters named has moved since `before`.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the counters that moved.
    pub fn expect_unmoved(&self, telltales: &[&str], before: &Self, host: &str) -> Verdict {
        let moved: Vec<_> = telltales
            .iter()
            .filter_map(|&name| {
                let (before, after) = (before.get(name)?, self.get(name)?);
                (before != after).then(|| format!("{name} {before} -> {after}"))
            })
            .collect();
        if moved.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            format!("the counters of host {host}"),
            "none has moved",
            moved.join(", "),
        )
        .into())
    }

    /// One counter, such as `TcpExt.PAWSEstab`; `None` where this kernel does not count it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }
}

/// Two lines a group: `Tcp: Name Name …` and `Tcp: 1 2 …`.
fn parse(text: &str) -> BTreeMap<String, u64> {
    let lines: Vec<_> = text.lines().collect();
    let mut counters = BTreeMap::new();
    for pair in lines.chunks_exact(2) {
        let (Some((group, names)), Some((_, values))) =
            (pair[0].split_once(':'), pair[1].split_once(':'))
        else {
            continue;
        };
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
            if let Ok(value) = value.parse() {
                counters.insert(format!("{group}.{name}"), value);
            }
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Tcp: MaxConn OutRsts\nTcp: -1 3\nTcpExt: PAWSEstab\nTcpExt: 0\n";

    #[test]
    fn counters_are_named_by_their_group() {
        let counters = parse(TEXT);
        assert_eq!(counters.get("Tcp.OutRsts"), Some(&3));
        assert_eq!(counters.get("TcpExt.PAWSEstab"), Some(&0));
    }

    #[test]
    fn a_counter_that_moves_is_named() {
        let before = Counters(parse(TEXT));
        let after = Counters(parse(&TEXT.replace("-1 3", "-1 4")));
        let Err(Stop::Fail(failure)) = after.expect_unmoved(TELLTALES, &before, "b") else {
            panic!("a reset went unnoticed");
        };
        assert_eq!(failure.actual, "Tcp.OutRsts 3 -> 4");
        assert!(before.expect_unmoved(TELLTALES, &before, "b").is_ok());
    }
}
