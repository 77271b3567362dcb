//! `TCP_REPAIR_WINDOW`: which windows a connection can have.

use super::repair_window::RepairWindow;
use super::subject::{Lone, RCV_NXT, WRITE_SEQ, connect, endpoints, fresh_in_repair};
use super::window::GOOD;
use crate::case::{Case, Need};
use crate::context::Context;
use crate::verdict::{Verdict, expect_eq, expect_errno, expect_ok};
use lab::Family;

/// The right edge of that window.
const EDGE: u32 = RCV_NXT + GOOD.rcv_wnd;

/// The farthest that one sequence number can be after another.
const FAR: u32 = 0x7fff_ffff;

const REFUSED: [(&str, RepairWindow); 6] = [
    (
        "maximum-below-window",
        RepairWindow {
            max_window: 999,
            ..GOOD
        },
    ),
    (
        "update-beyond-edge",
        RepairWindow {
            snd_wl1: EDGE + 1,
            ..GOOD
        },
    ),
    (
        "update-far-beyond-edge",
        RepairWindow {
            snd_wl1: EDGE + FAR,
            ..GOOD
        },
    ),
    (
        "update-beyond-closed-window",
        RepairWindow {
            snd_wl1: RCV_NXT + 1,
            rcv_wnd: 0,
            ..GOOD
        },
    ),
    (
        "received-after-end",
        RepairWindow {
            rcv_wup: RCV_NXT + 1,
            ..GOOD
        },
    ),
    (
        "received-far-after-end",
        RepairWindow {
            rcv_wup: RCV_NXT + FAR,
            ..GOOD
        },
    ),
];

const TAKEN: [(&str, RepairWindow); 8] = [
    ("plain", GOOD),
    (
        "maximum-is-window",
        RepairWindow {
            max_window: 1_000,
            ..GOOD
        },
    ),
    (
        "send-closed",
        RepairWindow {
            snd_wnd: 0,
            max_window: 0,
            ..GOOD
        },
    ),
    (
        "send-largest",
        RepairWindow {
            snd_wnd: u32::MAX,
            max_window: u32::MAX,
            ..GOOD
        },
    ),
    (
        "update-at-edge",
        RepairWindow {
            snd_wl1: EDGE,
            ..GOOD
        },
    ),
    (
        "update-long-ago",
        RepairWindow {
            snd_wl1: RCV_NXT - 1_000_000,
            ..GOOD
        },
    ),
    ("receive-closed", RepairWindow { rcv_wnd: 0, ..GOOD }),
    (
        "received-before-end",
        RepairWindow {
            rcv_wup: RCV_NXT - 5_000,
            ..GOOD
        },
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new(
        "kernel/window/wrap",
        "the limits of the window hold where sequence numbers wrap",
        &["A54"],
        wrap,
    )];
    for (name, window) in REFUSED {
        cases.push(Case::new(
            format!("kernel/window/refused/{name}"),
            "a window that contradicts itself is refused with EINVAL, and the old one stays",
            &["A54"],
            move |ctx| refused(ctx, window),
        ));
    }
    for (name, window) in TAKEN {
        cases.push(Case::new(
            format!("kernel/window/taken/{name}"),
            "a window that was set is read back as it was set",
            &["A54", "A57"],
            move |ctx| taken(ctx, window),
        ));
    }
    let needs = |case: Case| case.needs(&[Need::RepairWindow]);
    cases.into_iter().map(needs).collect()
}

fn refused(ctx: &Context, window: RepairWindow) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    GOOD.set(&lone.socket)?;
    let set = window.set(&lone.socket);
    expect_errno(format!("setting {window:?}"), set, libc::EINVAL)?;
    expect_eq("TCP_REPAIR_WINDOW", RepairWindow::get(&lone.socket)?, GOOD)
}

fn taken(ctx: &Context, window: RepairWindow) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    expect_ok(format!("setting {window:?}"), window.set(&lone.socket))?;
    expect_eq(
        "TCP_REPAIR_WINDOW",
        RepairWindow::get(&lone.socket)?,
        window,
    )
}

/// The receive queue ends ten bytes before the wrap, its window some way behind it.
fn wrap(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let rcv_nxt = u32::MAX - 9;
    let socket = fresh_in_repair(pair.a(), Family::V4)?;
    connect(&socket, endpoints(&pair, Family::V4), WRITE_SEQ, rcv_nxt)?;
    let good = RepairWindow {
        snd_wl1: 40,
        rcv_wnd: 50,
        rcv_wup: rcv_nxt,
        ..GOOD
    };
    expect_ok("an update at the edge", good.set(&socket))?;
    let beyond = RepairWindow {
        snd_wl1: 41,
        ..good
    };
    expect_errno(
        "an update beyond the edge",
        beyond.set(&socket),
        libc::EINVAL,
    )?;
    let after = RepairWindow { rcv_wup: 0, ..good };
    expect_errno("received after the end", after.set(&socket), libc::EINVAL)
}
