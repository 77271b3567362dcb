//! What the two ends, and the host of the witness, tell of themselves once a step has come to rest.

use super::account::{About, Facts, Section};
use crate::oracle::stream::End;
use crate::scenario::world::World;
use crate::verdict::Stop;
use lab::{Counters, Host};
use soccr::{TcpState, raw};

/// The options that were negotiated; others come and go (guide H5), and that of window scaling is told by its shifts
/// (guide A47).
const NEGOTIATED: u8 = raw::TCPI_OPT_TIMESTAMPS | raw::TCPI_OPT_SACK | raw::TCPI_OPT_USEC_TS;

/// Counters of which two runs without a checkpoint do not agree whether they move: they count packets, acknowledgements, what
/// is joined or cut on its way, what a timer meets, and what is measured of the path.
const OF_ONE_RUN: &[&str] = &[
    "Ip.",
    "IpExt.",
    "Tcp.InSegs",
    "Tcp.OutSegs",
    "TcpExt.TW",
    "TcpExt.DelayedACKs",
    "TcpExt.DelayedACKLocked",
    "TcpExt.TCPPureAcks",
    "TcpExt.TCPHPHits",
    "TcpExt.TCPHPAcks",
    "TcpExt.TCPRcvCoalesce",
    "TcpExt.TCPRcvCollapsed",
    "TcpExt.PruneCalled",
    "TcpExt.TCPBacklogCoalesce",
    "TcpExt.TCPDelivered",
    "TcpExt.TCPOrigDataSent",
    "TcpExt.TCPHystart",
    "TcpExt.TCPWantZeroWindowAdv",
    "TcpExt.TCPToZeroWindowAdv",
    "TcpExt.TCPFromZeroWindowAdv",
    "TcpExt.TCPAckCompressed",
];

/// A receiver with a buffer of the usual size has room for so many bytes, in segments of whatever size.
const NEVER_TOO_MUCH: u64 = 20_000;

/// What the kernel tells of both sockets, and what the applications have read and written. `before` is the section before, `roomy` whether
/// the receive buffers are as large as usual.
pub(super) fn read(
    world: &World,
    witness: Option<End>,
    before: Option<&Section>,
    roomy: bool,
) -> Result<Section, Stop> {
    let mut section = Section::default();
    for end in [End::Subject, End::Peer] {
        let socket = world.socket(end);
        let info = raw::tcp_info(socket)?;
        let over = info.state == TcpState::Close as u8;
        // One that is over has nothing to send, whatever its numbers say. What it has received can still be read.
        let queued = if over { 0 } else { raw::siocoutq(socket)? };
        let (written, read) = (world.talk.written(end), world.talk.was_read(end.other()));
        let held_up_before = before.is_some_and(|it| it.held_up[end as usize]);
        section.held_up[end as usize] = queued > 0 || (held_up_before && read < written);
        let (mine, theirs) = (About::Stream(end), About::Stream(end.other()));
        let mut tell = |about, name: &str, value: String| {
            section
                .facts
                .tell(about, format_args!("{end}: {name}"), value);
        };
        let crowded = !roomy || written - read > NEVER_TOO_MUCH;
        section.crowded[end.other() as usize] = crowded;
        if !crowded {
            let waits = if queued > 0 { "yes" } else { "no" };
            tell(About::Manner, "waits for a window", waits.to_owned());
        }
        tell(About::Connection, "bytes written", written.to_string());
        tell(theirs, "bytes read", world.talk.was_read(end).to_string());
        tell(mine, "SIOCOUTQ", queued.to_string());
        tell(theirs, "SIOCINQ", raw::siocinq(socket)?.to_string());
        tell(
            theirs,
            "poll",
            format!("{:#x}", raw::poll(socket)? & !libc::POLLOUT),
        );
        tell(
            About::Streams,
            "state",
            match TcpState::from_kernel(info.state) {
                Some(state) => format!("{state:?}"),
                None => info.state.to_string(),
            },
        );
        if over {
            continue;
        }
        let negotiated = info.options & NEGOTIATED;
        tell(About::Manner, "tcpi_options", format!("{negotiated:#04x}"));
        let shifts = format!("{} and {}", info.snd_wscale, info.rcv_wscale);
        tell(About::Manner, "window shifts", shifts);
        if roomy {
            tell(About::Manner, "tcpi_snd_mss", info.snd_mss.to_string());
        }
        if witness == Some(end) {
            // Both only grow: what is told is by how much, so that nothing of an earlier section is told again.
            let counted = [info.total_retrans, info.rcv_ooopack];
            let before = before.map_or([0; 2], |it| it.counted);
            let [again, disorder] = [0, 1].map(|it| counted[it].wrapping_sub(before[it]));
            tell(
                About::Course(end),
                "tcpi_total_retrans has grown by",
                again.to_string(),
            );
            tell(
                About::Course(end.other()),
                "tcpi_rcv_ooopack has grown by",
                disorder.to_string(),
            );
            section.counted = counted;
        }
    }
    Ok(section)
}

/// Which counters of a host have moved, of those that say something.
pub(super) fn counters(host: &Host, before: &mut Counters, facts: &mut Facts) -> Result<(), Stop> {
    let now = host.counters()?;
    let moved = now.since(before);
    let of_one_run = |name: &str| OF_ONE_RUN.iter().any(|start| name.starts_with(start));
    for line in moved.to_string().lines() {
        if let Some(name) = line.split_whitespace().next()
            && !of_one_run(name)
        {
            facts.tell(About::Counter, format_args!("counter {name}"), "moved");
        }
    }
    *before = now;
    Ok(())
}
