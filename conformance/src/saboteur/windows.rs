//! Defects of what was negotiated and of the windows: segment size, scale, SACK, timestamps, the five values.

use super::Saboteur;
use super::meddling::{Made, add, forget, given, late, number, told};
use soccr::faults::Call;
use soccr::raw::{
    self, Opt, TCPOPT_MSS, TCPOPT_SACK_PERM, TCPOPT_TIMESTAMP, TCPOPT_WINDOW, tcp_repair_opt,
};

const WINDOW: &str = "setsockopt(TCP_REPAIR_WINDOW)";
const TIMESTAMP: &str = "setsockopt(TCP_TIMESTAMP)";

/// The byte of a 32-bit number that has its lowest bit.
const TIMESTAMP_BIT: usize = if cfg!(target_endian = "little") { 0 } else { 3 };

/// An entry of `TCP_REPAIR_OPTIONS` gets another value, or is left out.
fn entry(call: &mut Call<'_>, code: u32, change: fn(u32) -> Option<u32>) -> Made {
    given(call, "setsockopt(TCP_REPAIR_OPTIONS)", |bytes| {
        let entries = bytes
            .chunks_exact(8)
            .map(|it| (number(it, 0), number(it, 1)));
        let changed = entries.filter_map(|(found, value)| match found == code {
            true => Some(tcp_repair_opt(found, change(value)?)),
            false => Some(tcp_repair_opt(found, value)),
        });
        *bytes = changed.flatten().collect();
    })
}

/// All of this group.
pub(super) static SABOTEURS: &[Saboteur] = &[
    Saboteur::call(
        "snd-wl1-off-by-one",
        "restores where the send window was updated (snd_wl1) off by one",
        &["restore/small-both/*"],
        |call| given(call, WINDOW, |bytes| add(bytes, 0, -1)),
    ),
    Saboteur::call(
        "snd-wnd-off-by-one",
        "restores the send window (snd_wnd) off by one",
        &["restore/small-both/*"],
        |call| given(call, WINDOW, |bytes| add(bytes, 1, -1)),
    ),
    Saboteur::call(
        "max-window-off-by-one",
        "restores the largest send window (max_window) off by one",
        &["restore/small-both/*"],
        |call| given(call, WINDOW, |bytes| add(bytes, 2, 1)),
    ),
    Saboteur::call(
        "rcv-wnd-off-by-one",
        "restores the receive window (rcv_wnd) off by one",
        &["restore/small-both/*"],
        |call| given(call, WINDOW, |bytes| add(bytes, 3, -1)),
    ),
    Saboteur::call(
        "rcv-wup-off-by-one",
        "restores up to where the receive window was announced (rcv_wup) off by one",
        &["restore/small-both/*"],
        |call| given(call, WINDOW, |bytes| add(bytes, 4, -1)),
    ),
    Saboteur::call(
        "windows-not-restored",
        "does not restore the windows",
        &["restore/small-both/*"],
        |call| forget(call, WINDOW),
    ),
    Saboteur::call(
        "send-window-open",
        "restores a send window of 0 as one of 64 KiB",
        &["restore/full-unsent/*"],
        |call| {
            given(call, WINDOW, |bytes| {
                if number(bytes, 1) == 0 {
                    add(bytes, 1, 0xffff);
                    add(bytes, 2, 0xffff);
                }
            })
        },
    ),
    Saboteur::call(
        "edge-taken-back",
        "restores the receive window without the edge that was announced before it shrank",
        &["restore/window/beyond-its-edge/*"],
        |call| {
            given(call, WINDOW, |bytes| {
                // Where the last update of the send window is at the edge, the window was raised to reach it.
                let edge = number(bytes, 4).wrapping_add(number(bytes, 3));
                if edge == number(bytes, 0) {
                    add(bytes, 3, -1000);
                    add(bytes, 0, -1000);
                }
            })
        },
    ),
    Saboteur::call(
        "no-window-unknown",
        "restores nothing of the windows where none was saved",
        &["restore/window/unknown-*"],
        |call| forget(call, WINDOW),
    ),
    Saboteur::call(
        "narrow-window-late",
        "tells of a peer whose window is narrow only after the segment size was computed",
        &["restore/narrow/*"],
        |call| {
            late(
                call,
                WINDOW,
                Opt::TCP_REPAIR_WINDOW,
                "setsockopt(SO_BUF_LOCK)",
            )
        },
    ),
    Saboteur::call(
        "mss-default",
        "restores a segment size of 536 bytes",
        &["restore/small-both/*"],
        |call| entry(call, TCPOPT_MSS, |_| Some(536)),
    ),
    Saboteur::call(
        "mss-off-by-one",
        "restores a segment size that is one byte too large",
        &["restore/small-both/*"],
        |call| entry(call, TCPOPT_MSS, |mss| Some(mss + 1)),
    ),
    Saboteur::call(
        "mss-of-a-segment",
        "saves what a segment holds now as what the peer has announced",
        &["restore/small-both/*"],
        |call| {
            let info = raw::tcp_info(&call.socket())?;
            told(call, "getsockopt(TCP_MAXSEG)", |bytes| {
                bytes.copy_from_slice(&info.snd_mss.to_ne_bytes());
            })
        },
    ),
    Saboteur::call(
        "mss-not-recomputed",
        "does not let the kernel compute the size of segments again",
        &["restore/segments/*", "restore/small-both/*"],
        |call| forget(call, "setsockopt(IP_OPTIONS)"),
    ),
    Saboteur::call(
        "sack-lost",
        "does not restore selective acknowledgements",
        &["restore/small-both/sack/*"],
        |call| entry(call, TCPOPT_SACK_PERM, |_| None),
    ),
    Saboteur::call(
        "timestamps-lost",
        "does not restore that timestamps are used",
        &[
            "restore/small-both/ts/*",
            "restore/small-both/ts-sack-wscale/*",
        ],
        |call| entry(call, TCPOPT_TIMESTAMP, |_| None),
    ),
    Saboteur::call(
        "scales-swapped",
        "takes each window scale for the other one",
        &["restore/options/scales-differ/*"],
        |call| entry(call, TCPOPT_WINDOW, |shifts| Some(shifts.rotate_left(16))),
    ),
    Saboteur::call(
        "send-scale-off-by-one",
        "restores a send window scale that is one too small",
        &["restore/small-both/*"],
        |call| entry(call, TCPOPT_WINDOW, |shifts| Some(shifts.saturating_sub(1))),
    ),
    Saboteur::call(
        "receive-scale-off-by-one",
        "restores a receive window scale that is one too small",
        &["restore/small-both/*"],
        |call| {
            entry(call, TCPOPT_WINDOW, |shifts| {
                Some(shifts.checked_sub(1 << 16).unwrap_or(shifts))
            })
        },
    ),
    Saboteur::call(
        "scale-left-out",
        "does not restore that no window scale was negotiated",
        &["restore/options/none-to-all/*"],
        |call| {
            entry(call, TCPOPT_WINDOW, |shifts| {
                (shifts != 0).then_some(shifts)
            })
        },
    ),
    Saboteur::call(
        "clock-not-restored",
        "does not restore the clock of the timestamps",
        &["restore/timestamps/goes-on/*"],
        |call| forget(call, TIMESTAMP),
    ),
    Saboteur::call(
        "clock-behind",
        "restores the clock of the timestamps ten seconds behind",
        &["restore/timestamps/goes-on/*"],
        |call| given(call, TIMESTAMP, |bytes| add(bytes, 0, -10_000)),
    ),
    Saboteur::call(
        "clock-ahead",
        "restores the clock of the timestamps ten seconds ahead",
        &["restore/timestamps/goes-on/*"],
        |call| given(call, TIMESTAMP, |bytes| add(bytes, 0, 10_000)),
    ),
    Saboteur::call(
        "microseconds-on",
        "restores a clock of milliseconds as one of microseconds",
        &["restore/small-both/ts/*"],
        |call| given(call, TIMESTAMP, |bytes| bytes[TIMESTAMP_BIT] |= 1),
    ),
    Saboteur::call(
        "odd-clock-passed-on",
        "passes an odd clock of an older kernel on, which turns microseconds on",
        &["restore/timestamps/odd-value/*"],
        |call| given(call, TIMESTAMP, |bytes| bytes[TIMESTAMP_BIT] |= 1),
    ),
    Saboteur::call(
        "microseconds-off",
        "restores a clock of microseconds as one of milliseconds",
        &["restore/timestamps/*"],
        |call| given(call, TIMESTAMP, |bytes| bytes[TIMESTAMP_BIT] &= !1),
    ),
];
