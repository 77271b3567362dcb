//! `TCP_REPAIR_WINDOW`: what it takes.

use super::repair_window::{LENGTH, RepairWindow};
use super::subject::{Live, Lone, RCV_NXT, WRITE_SEQ, connect, endpoints, fresh_in_repair};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Verdict, expect_eq, expect_errno, expect_ok};
use lab::Family;
use soccr::raw::{self, Opt};

/// A window that a [`Lone`] socket can have.
const GOOD: RepairWindow = RepairWindow {
    snd_wl1: RCV_NXT,
    snd_wnd: 1_000,
    max_window: 2_000,
    rcv_wnd: 5_000,
    rcv_wup: RCV_NXT,
};

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
    let mut cases = vec![
        Case::new(
            "kernel/window/outside-repair",
            "outside of repair mode the window can be neither read nor set: EPERM",
            &["A53"],
            outside_repair,
        ),
        Case::new(
            "kernel/window/length",
            "any length but 20 is refused with EINVAL, both ways",
            &["A53", "A57"],
            length,
        ),
        Case::new(
            "kernel/window/length-first",
            "reading with a wrong length outside of repair mode fails for the length",
            &["A53"],
            length_first,
        )
        .level(Level::Info),
        Case::new(
            "kernel/window/closed",
            "a socket that was never connected has a window that can be set",
            &["A55"],
            closed,
        )
        .level(Level::Info),
        Case::new(
            "kernel/window/connect",
            "a connect in repair mode overwrites the window that was set before",
            &["A55"],
            overwritten,
        )
        .level(Level::Info),
        Case::new(
            "kernel/window/wrap",
            "the limits of the window hold where sequence numbers wrap",
            &["A54"],
            wrap,
        ),
        Case::new(
            "kernel/window/own",
            "a connection takes the window that it has just given",
            &["A54", "A57", "H1"],
            own,
        )
        .level(Level::Should),
    ];
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

fn outside_repair(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let get = RepairWindow::get(&live.subject);
    expect_errno("reading TCP_REPAIR_WINDOW", get, libc::EPERM)?;
    let set = GOOD.set(&live.subject);
    expect_errno("setting TCP_REPAIR_WINDOW", set, libc::EPERM)
}

fn length(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let mut bytes = GOOD.bytes();
    bytes.extend([0; 12]);
    for length in [0, 4, 16, 19, 21, 24, 32] {
        let get = raw::get(&lone.socket, Opt::TCP_REPAIR_WINDOW, &mut [0; 32][..length]);
        expect_errno(format!("reading {length} bytes"), get, libc::EINVAL)?;
        let set = raw::set(&lone.socket, Opt::TCP_REPAIR_WINDOW, &bytes[..length]);
        expect_errno(format!("setting {length} bytes"), set, libc::EINVAL)?;
    }
    let get = raw::get(&lone.socket, Opt::TCP_REPAIR_WINDOW, &mut bytes[..LENGTH]);
    expect_eq(
        "bytes that are read",
        expect_ok("reading 20 bytes", get)?,
        LENGTH,
    )
}

fn length_first(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let get = raw::get(&live.subject, Opt::TCP_REPAIR_WINDOW, &mut [0; 19]);
    expect_errno("reading 19 bytes", get, libc::EINVAL)
}

/// The queues of such a socket end at 0.
fn closed(ctx: &Context) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    let window = RepairWindow {
        snd_wl1: 0,
        rcv_wup: 0,
        ..GOOD
    };
    expect_ok("setting TCP_REPAIR_WINDOW", window.set(&socket))?;
    expect_eq("TCP_REPAIR_WINDOW", RepairWindow::get(&socket)?, window)
}

fn overwritten(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = fresh_in_repair(pair.a(), Family::V4)?;
    RepairWindow {
        snd_wl1: 0,
        rcv_wup: 0,
        ..GOOD
    }
    .set(&socket)?;
    connect(&socket, endpoints(&pair, Family::V4), WRITE_SEQ, RCV_NXT)?;
    let window = RepairWindow::get(&socket)?;
    expect_eq("snd_wnd", window.snd_wnd, 0)?;
    expect_eq("rcv_wup", window.rcv_wup, RCV_NXT)
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

fn own(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    live.receive(b"a window update")?;
    let window = RepairWindow::get(&live.subject)?;
    expect_ok("setting TCP_REPAIR_WINDOW", window.set(&live.subject))?;
    expect_eq(
        "TCP_REPAIR_WINDOW",
        RepairWindow::get(&live.subject)?,
        window,
    )
}
