//! What a host noticed: the counters that move when a connection is disturbed.

use crate::verdict::{Failure, Verdict};
use lab::{Counters, Host, Moved};

/// Counters of `/proc/net/snmp` and `/proc/net/netstat` that an undisturbed connection leaves alone.
///
/// Timestamps that went backwards, acknowledgements of what was never sent, segments outside of the window,
/// challenges, resets and checksums: each is a sign of a connection that did not come back as it was.
pub const TELLTALES: &[&str] = &[
    "Tcp.OutRsts",
    "Tcp.AttemptFails",
    "Tcp.InErrs",
    OLDER_CLOCKS,
    "TcpExt.TCPChallengeACK",
    "TcpExt.TCPSYNChallenge",
    "TcpExt.TCPAbortOnData",
    "TcpExt.TCPAbortOnTimeout",
    "TcpExt.TCPMD5Failure",
];

/// Segments that were dropped because their clock was behind one that had been seen.
pub const OLDER_CLOCKS: &str = "TcpExt.PAWSEstab";

/// One more, which speaks at the peer only: a silent close counts as a reset too (`tcp_set_state`).
pub const PEER_TELLTALES: &[&str] = &["Tcp.EstabResets"];

/// Fails if one of the counters named has moved on `host` since `before`.
///
/// # Errors
/// [`Stop::Fail`](crate::verdict::Stop::Fail) with the counters that moved; [`Stop::Broken`](crate::verdict::Stop::Broken) where they cannot be read.
pub fn expect_unmoved(host: &Host, before: &Counters, telltales: &[&str]) -> Verdict {
    judge(&host.counters()?.since(before), telltales, host.name())
}

/// The same of the host of what is restored, which is not asked for older clocks.
///
/// Those would be its peer's, and nobody restores them. What the peer's timer sends on one processor may be overtaken by what its
/// application sends on another, and comes with an older clock then.
///
/// # Errors
/// As [`expect_unmoved`].
pub fn expect_unmoved_at_subject(host: &Host, before: &Counters) -> Verdict {
    let telltales = TELLTALES.iter().filter(|name| **name != OLDER_CLOCKS);
    expect_unmoved(host, before, &telltales.copied().collect::<Vec<_>>())
}

fn judge(moved: &Moved, telltales: &[&str], host: &str) -> Verdict {
    let moved = moved.only(|name| telltales.contains(&name));
    if moved.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        format!("the counters of host {host}"),
        "none has moved",
        moved.to_string().trim_end().replace('\n', ", "),
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Stop;

    const TEXT: &str = "Tcp: MaxConn OutRsts InSegs\nTcp: -1 3 7\nTcpExt: PAWSEstab\nTcpExt: 0\n";

    #[test]
    fn a_counter_that_moves_is_named() {
        let before = Counters::parse(TEXT);
        let after = Counters::parse(&TEXT.replace("-1 3 7", "-1 4 9"));
        let Err(Stop::Fail(failure)) = judge(&after.since(&before), TELLTALES, "b") else {
            panic!("a reset went unnoticed");
        };
        assert_eq!(failure.actual, "Tcp.OutRsts 3 -> 4");
        let innocent = Counters::parse(&TEXT.replace("-1 3 7", "-1 3 9"));
        assert!(judge(&innocent.since(&before), TELLTALES, "b").is_ok());
    }
}
