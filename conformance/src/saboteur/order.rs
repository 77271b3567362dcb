//! Steps of a restore out of their order, left out, or done twice; and packets that leave before it is complete.

use super::Saboteur;
use super::meddling::{
    Made, another_int, blink, forget, forget_int, is, late, number, set, state, twice,
};
use soccr::TcpState;
use soccr::faults::Call;
use soccr::raw::{self, Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON};

const REPAIR: &str = "setsockopt(TCP_REPAIR)";
const OPTIONS: &str = "setsockopt(TCP_REPAIR_OPTIONS)";
const WINDOW: &str = "setsockopt(TCP_REPAIR_WINDOW)";
const LOCKS: &str = "setsockopt(SO_BUF_LOCK)";

/// Something is done before the call of this name.
fn before(call: &mut Call<'_>, name: &str, act: impl FnOnce(&Call<'_>)) -> Made {
    if call.name() == name {
        act(call);
    }
    call.make()
}

/// The size of a buffer is not set: of a new socket, or of one that is connected.
fn resized(call: &mut Call<'_>, new: bool) -> Made {
    const SIZES: [&str; 4] = [
        "setsockopt(SO_SNDBUF)",
        "setsockopt(SO_RCVBUF)",
        "setsockopt(SO_SNDBUFFORCE)",
        "setsockopt(SO_RCVBUFFORCE)",
    ];
    match SIZES.contains(&call.name()) && (state(call) == Some(TcpState::Close)) == new {
        true => Ok(call.bytes().len()),
        false => call.make(),
    }
}

/// All of this group.
pub(super) static SABOTEURS: &[Saboteur] = &[
    Saboteur::call(
        "not-paused",
        "connects outside of repair mode",
        &["restore/empty-empty/*"],
        |call| {
            let new = state(call) == Some(TcpState::Close);
            match new && is(call, REPAIR, TCP_REPAIR_ON) {
                true => Ok(call.bytes().len()),
                false => call.make(),
            }
        },
    ),
    Saboteur::call(
        "sequences-after-connect",
        "sets the sequence numbers when the connection is there",
        &["restore/empty-empty/*"],
        |call| {
            late(
                call,
                "setsockopt(TCP_QUEUE_SEQ)",
                Opt::TCP_QUEUE_SEQ,
                OPTIONS,
            )
        },
    ),
    Saboteur::call(
        "not-bound",
        "leaves the local port to the kernel",
        &["restore/empty-empty/*"],
        |call| forget(call, "bind"),
    ),
    Saboteur::call(
        "not-connected",
        "does not connect",
        &["restore/empty-empty/*"],
        |call| forget(call, "connect"),
    ),
    Saboteur::call(
        "options-after-queues",
        "restores what was negotiated after the queues",
        &["restore/small-both/*"],
        |call| late(call, OPTIONS, Opt::TCP_REPAIR_OPTIONS, WINDOW),
    ),
    Saboteur::call(
        "options-not-restored",
        "does not restore what was negotiated",
        &["restore/small-both/*"],
        |call| forget(call, OPTIONS),
    ),
    Saboteur::call(
        "resumed-before-windows",
        "leaves repair mode before the windows are restored",
        &["restore/small-both/*"],
        |call| {
            before(call, WINDOW, |call| {
                set(call.socket(), Opt::TCP_REPAIR, TCP_REPAIR_OFF);
            })
        },
    ),
    Saboteur::call(
        "probe-before-the-resume",
        "lets a window probe out before the connection is restored",
        &["restore/small-unacked/*", "restore/held/*"],
        |call| before(call, OPTIONS, |call| blink(call.socket(), TCP_REPAIR_OFF)),
    ),
    Saboteur::call(
        "probe-when-the-tail-is-written",
        "writes what was never sent without hiding the socket, and lets a window probe out meanwhile",
        &["restore/held/*", "restore/empty-unsent/*"],
        |call| match call.name() {
            "setsockopt(SO_BINDTODEVICE)" => Ok(call.bytes().len()),
            _ if is(call, REPAIR, TCP_REPAIR_OFF_NO_WP) => {
                call.make_with(&mut TCP_REPAIR_OFF.to_ne_bytes())
            }
            _ => call.make(),
        },
    ),
    Saboteur::call(
        "tail-written-in-the-open",
        "writes what was never sent while the window of the peer is open",
        &["restore/held/*", "restore/empty-unsent/*"],
        |call| {
            let shut = call.name() == WINDOW && number(call.bytes(), 1) == 0;
            match shut {
                true => Ok(call.bytes().len()),
                false => call.make(),
            }
        },
    ),
    Saboteur::call(
        "tail-written-as-sent",
        "writes what was never sent in repair mode",
        &["restore/empty-unsent/*"],
        |call| match is(call, REPAIR, TCP_REPAIR_OFF_NO_WP) {
            true => {
                set(call.socket(), Opt::TCP_REPAIR_QUEUE, raw::TCP_SEND_QUEUE);
                Ok(call.bytes().len())
            }
            false => call.make(),
        },
    ),
    Saboteur::call(
        "tail-not-pushed",
        "waits until something else sends what was never sent",
        &["restore/tail/*"],
        |call| forget(call, "setsockopt(TCP_NODELAY)"),
    ),
    Saboteur::call(
        "buffers-not-grown",
        "does not grow the buffers for the queues",
        &["restore/full-unsent/*"],
        |call| resized(call, true),
    ),
    Saboteur::call(
        "buffers-left-grown",
        "leaves the buffers as large as the queues needed them",
        &["restore/buffers/*"],
        |call| resized(call, false),
    ),
    Saboteur::call(
        "buffers-shrunk-before-queues",
        "gives the buffers their sizes before the queues are written",
        &["restore/full-unsent/*"],
        |call| {
            before(call, OPTIONS, |call| {
                for option in [Opt::SO_SNDBUF, Opt::SO_RCVBUF] {
                    set(call.socket(), option, 2048);
                }
            })
        },
    ),
    Saboteur::call(
        "locks-not-restored",
        "does not restore which buffer sizes the application had fixed",
        &["restore/buffers/*"],
        |call| forget(call, LOCKS),
    ),
    Saboteur::call(
        "resumed-without-probe",
        "resumes without a window probe",
        &["restore/small-empty/*", "restore/empty-empty/*"],
        |call| another_int(call, REPAIR, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP),
    ),
    Saboteur::call(
        "resumed-with-needless-probe",
        "resumes with a window probe where that keeps the kernel from telling the peer of its room",
        &["restore/window/told-when-read/*"],
        |call| another_int(call, REPAIR, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_OFF),
    ),
    Saboteur::call(
        "resumed-with-two-probes",
        "resumes with two window probes",
        &["restore/small-empty/*", "restore/empty-empty/*"],
        |call| {
            let resumes = is(call, REPAIR, TCP_REPAIR_OFF);
            let made = call.make()?;
            if resumes {
                set(call.socket(), Opt::TCP_REPAIR, TCP_REPAIR_ON);
                return call.make();
            }
            Ok(made)
        },
    ),
    Saboteur::call(
        "not-resumed",
        "leaves a restored connection in repair mode",
        &["restore/small-empty/*", "restore/empty-empty/*"],
        |call| forget_int(call, REPAIR, TCP_REPAIR_OFF),
    ),
    Saboteur::call(
        "written-twice",
        "writes every queue twice",
        &["restore/small-both/*"],
        |call| twice(call, "send"),
    ),
];
