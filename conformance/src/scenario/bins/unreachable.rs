//! Pairs of circumstances that no connection can be in.

use super::Pair;

/// Circumstances that no connection can be in together with others, or with any of a dimension, each with the reason.
pub(super) const UNREACHABLE: &[(&str, &[&str], &str)] = &[
    (
        "state fin-wait-2",
        &["sent in-flight", "sent unsent", "sent both"],
        "in FIN-WAIT-2 all that was written is acknowledged",
    ),
    (
        "state close",
        &["sent in-flight", "sent unsent", "sent both"],
        "in CLOSE all that was written is acknowledged",
    ),
    (
        "state close",
        &["scaling", "window", "received window-full", "numbers"],
        "a connection that is over has no windows and no numbers",
    ),
    (
        "state syn-sent",
        &["scaling", "window"],
        "the SYN alone negotiates nothing and opens no window",
    ),
    (
        "state syn-sent",
        &[
            "received below-a-segment",
            "received segments",
            "received window-full",
            "sent in-flight",
            "sent unsent",
            "sent both",
        ],
        "there is nobody yet to talk to",
    ),
    (
        "state syn-sent",
        &["how restore-both"],
        "there is no other end yet",
    ),
    (
        "state syn-sent",
        &["network clear"],
        "where nothing is lost the SYN is answered",
    ),
    (
        "state syn-sent",
        &["timestamps us"],
        "timestamps of microseconds are those of a forged connection",
    ),
    (
        "timestamps us",
        &["scaling off"],
        "timestamps of microseconds are those of a forged connection, which has shifts, if only of 0 (guide A47)",
    ),
    (
        "how move",
        &["network disordered"],
        "the switch that an address moves on holds and reorders nothing",
    ),
];

/// Why no connection can be in both, if so.
#[must_use]
pub fn unreachable((one, other): Pair) -> Option<&'static str> {
    let meets = |circumstance: &str, others: &[&str]| {
        [(one, other), (other, one)].iter().any(|(this, that)| {
            this.to_string() == circumstance
                && (others.contains(&that.dimension()) || others.contains(&&*that.to_string()))
        })
    };
    let found = UNREACHABLE.iter().find(|(a, b, _)| meets(a, b));
    found.map(|(_, _, why)| *why)
}
