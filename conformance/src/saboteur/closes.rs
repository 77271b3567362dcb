//! Defects of how a socket is left: paused, locked, open, or with a packet where there has to be none.

use super::meddling::{Made, blink, forget, forget_int, is, leak, set};
use super::{Defect, Saboteur};
use soccr::faults::Call;
use soccr::raw::{self, Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON};
use std::cell::Cell;

const REPAIR: &str = "setsockopt(TCP_REPAIR)";

thread_local! {
    /// Whether a call of this thread has failed since it has last entered repair mode.
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Repair mode is not left where something went wrong.
fn stays_paused_after_a_failure(call: &mut Call<'_>) -> Made {
    if is(call, REPAIR, TCP_REPAIR_ON) {
        FAILED.set(false);
    }
    if FAILED.get() && is(call, REPAIR, TCP_REPAIR_OFF_NO_WP) {
        return Ok(call.bytes().len());
    }
    let made = call.make();
    FAILED.set(FAILED.get() || made.is_err());
    made
}

/// All of this group.
pub(super) static SABOTEURS: &[Saboteur] = &[
    Saboteur::call(
        "paused-after-a-save",
        "leaves a socket paused that was saved and runs on",
        &["save/options/*", "save/guard/*", "save/again/*"],
        |call| forget_int(call, REPAIR, TCP_REPAIR_OFF_NO_WP),
    ),
    Saboteur::call(
        "paused-after-a-failed-save",
        "leaves a socket paused whose save has failed",
        &["fault/every-call/established/inject/*"],
        stays_paused_after_a_failure,
    ),
    Saboteur::call(
        "saved-without-pause",
        "does not pause a socket that is given up",
        &["save/silent-close/*"],
        |call| forget(call, REPAIR),
    ),
    Saboteur::call(
        "silent-close-speaks",
        "closes a connection silently without having taken it from the socket",
        &["save/silent-close/*"],
        |call| forget(call, "connect(AF_UNSPEC)"),
    ),
    Saboteur {
        name: "fin-at-the-close",
        does: "leaves repair mode before a saved socket is closed",
        area: &["save/guard/release-then-close/*"],
        defect: Defect::Released(|socket| set(socket, Opt::TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)),
    },
    Saboteur {
        name: "reset-at-the-close",
        does: "resets a connection that was saved",
        area: &["save/guard/release-then-close/*"],
        defect: Defect::Released(|socket| {
            let linger = [1_i32.to_ne_bytes(), 0_i32.to_ne_bytes()].concat();
            let _ = raw::set(&socket, Opt::SO_LINGER, &linger);
            set(socket, Opt::TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
        }),
    },
    Saboteur {
        name: "probe-at-the-close",
        does: "sends a window probe before a saved socket is closed",
        area: &["save/guard/release-then-close/*"],
        defect: Defect::Released(|socket| blink(socket, TCP_REPAIR_OFF)),
    },
    Saboteur {
        name: "descriptor-kept-by-a-save",
        does: "keeps a descriptor of a socket that it has saved",
        area: &["restore/empty-empty/*"],
        defect: Defect::Released(leak),
    },
    Saboteur {
        name: "descriptor-kept-by-a-restore",
        does: "keeps a descriptor of a socket that it has restored",
        area: &["restore/descriptors/*"],
        defect: Defect::Resumed(leak),
    },
    Saboteur::call(
        "raw-socket-kept",
        "keeps a descriptor of the raw socket that has put a FIN back",
        &["fault/every-call/fin-wait-2/inject/*"],
        |call| {
            if call.name() == "sendto" {
                leak(call.socket());
            }
            call.make()
        },
    ),
    Saboteur::call(
        "failed-socket-kept",
        "keeps a descriptor of a socket that could not be restored",
        &["fault/every-call/established/inject/*"],
        |call| {
            let made = call.make();
            if made.is_err()
                && raw::get_int(&call.socket(), Opt::TCP_REPAIR).is_ok_and(|on| on == 1)
            {
                leak(call.socket());
            }
            made
        },
    ),
    Saboteur::call(
        "lock-kept",
        "does not take the ingress lock away",
        &["save/ingress-lock/*"],
        |call| forget(call, "setsockopt(SO_DETACH_FILTER)"),
    ),
    Saboteur::call(
        "lock-forgotten",
        "does not lock what comes in",
        &["save/ingress-lock/*"],
        |call| forget(call, "setsockopt(SO_ATTACH_FILTER)"),
    ),
];
