//! `TCP_REPAIR_WINDOW`: what it takes.

use super::live::Live;
use super::repair_window::{LENGTH, RepairWindow};
use super::subject::{Lone, RCV_NXT, WRITE_SEQ, connect, endpoints, fresh_in_repair, repair_on};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Verdict, expect_eq, expect_errno, expect_ok};
use lab::Family;
use soccr::raw::{self, Opt};

/// A window that a [`Lone`] socket can have.
pub(super) const GOOD: RepairWindow = RepairWindow {
    snd_wl1: RCV_NXT,
    snd_wnd: 1_000,
    max_window: 2_000,
    rcv_wnd: 5_000,
    rcv_wup: RCV_NXT,
};

pub(super) fn cases() -> Vec<Case> {
    let cases = vec![
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
            "kernel/window/after-connect",
            "after a connect in repair mode snd_wl1 is 0, which half of all connections cannot set",
            &["A54", "A55"],
            after_connect,
        )
        .level(Level::Info),
        Case::new(
            "kernel/window/own",
            "a connection takes the window that it has just given",
            &["A54", "A57", "H1"],
            own,
        )
        .level(Level::Should),
    ];
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

/// The receive queue ends where 0 comes after it, by far more than a window.
fn after_connect(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = fresh_in_repair(pair.a(), Family::V4)?;
    connect(&socket, endpoints(&pair, Family::V4), WRITE_SEQ, 3 << 30)?;
    let window = RepairWindow::get(&socket)?;
    expect_eq("snd_wl1", window.snd_wl1, 0)?;
    let set = window.set(&socket);
    expect_errno("setting the same window", set, libc::EINVAL)
}

fn own(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"a window update")?;
    repair_on(&live.subject)?;
    let window = RepairWindow::get(&live.subject)?;
    expect_ok("setting TCP_REPAIR_WINDOW", window.set(&live.subject))?;
    expect_eq(
        "TCP_REPAIR_WINDOW",
        RepairWindow::get(&live.subject)?,
        window,
    )
}
