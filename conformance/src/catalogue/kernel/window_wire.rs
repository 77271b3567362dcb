//! The windows on the wire.

use super::live::Live;
use super::repair_window::RepairWindow;
use super::subject::{eventually, queue_seq, repair_on, shifts};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Family, Pair, Segment};
use soccr::raw::{
    self, TCP_RECV_QUEUE, TCP_REPAIR_OFF_NO_WP, TCP_SEND_QUEUE, TCPOPT_TIMESTAMP, TCPOPT_WINDOW,
};
use std::io::Write;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/window-wire/shift-forgotten",
            "without the window scale option windows are shifted as this host would have asked for",
            &["A47", "C30"],
            shift_forgotten,
        )
        .level(Level::Info)
        .needs(&[Need::RepairWindow]),
    ];
    for family in Family::ALL {
        cases.push(
            Case::new(
                format!("kernel/window-wire/told/{family}"),
                "the windows of a connection are those that its segments have told",
                &["A57"],
                move |ctx| told(ctx, family),
            )
            .needs(&[Need::RepairWindow]),
        );
        cases.push(
            Case::new(
                format!("kernel/window-wire/send/{family}"),
                "a connection sends what fits into the window that was set, and no more",
                &["A57", "B8"],
                move |ctx| send(ctx, family),
            )
            .needs(&[Need::RepairWindow, Need::QuietOff]),
        );
        cases.push(
            Case::new(
                format!("kernel/window-wire/receive/{family}"),
                "a connection tells a window no smaller than the one that was set",
                &["A57", "B1"],
                move |ctx| receive(ctx, family),
            )
            .needs(&[Need::RepairWindow]),
        );
        cases.push(
            Case::new(
                format!("kernel/window-wire/no-shift/{family}"),
                "with shifts of 0 the window is told as it is",
                &["A47", "C30"],
                move |ctx| no_shift(ctx, family),
            )
            .needs(&[Need::RepairWindow]),
        );
    }
    cases
}

fn told(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    live.receive(b"a scaled window of the peer")?;
    (&live.subject).write_all(b"and one of the subject")?;
    eventually("the peer has said its last", || {
        Ok(raw::siocoutq(&live.subject)? == 0)
    })?;
    repair_on(&live.subject)?;
    let trace = live.capture.trace()?;
    let last = |flow| trace.last(|segment| segment.flow == flow && !segment.flags.syn());
    let (Some(sent), Some(received)) = (last(live.flow), last(live.flow.reversed())) else {
        return Err(Failure::new("the wire", "segments both ways", &trace).into());
    };
    let info = raw::tcp_info(&live.subject)?;
    let window = RepairWindow::get(&live.subject)?;
    let scaled = |segment: &Segment, shift| u32::from(segment.window) << shift;
    expect_eq("snd_wnd", window.snd_wnd, scaled(received, info.snd_wscale))?;
    expect_eq("rcv_wnd", window.rcv_wnd, scaled(sent, info.rcv_wscale))?;
    expect_eq("rcv_wup", window.rcv_wup, sent.ack)
}

/// What fits is sent at once; what does not would wait for an acknowledgement, and hears none.
fn send(ctx: &Context, family: Family) -> Verdict {
    const WINDOW: u32 = 5_000;
    let live = Live::in_repair(ctx, family)?;
    let _deaf = live.deafen()?;
    let write_seq = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    let window = RepairWindow {
        snd_wnd: WINDOW,
        ..RepairWindow::get(&live.subject)?
    };
    window.set(&live.subject)?;
    live.leave(TCP_REPAIR_OFF_NO_WP)?;
    (&live.subject).write_all(&[0; 3 * WINDOW as usize])?;
    let sent = live.capture.trace()?.along(&live.flow);
    let ends = sent
        .segments()
        .map(|segment| segment.end_seq().wrapping_sub(write_seq) as i32);
    let end = ends.max().unwrap_or_default().unsigned_abs();
    ctx.note("bytes sent", end);
    // Segments are full, so that the window may not be filled to the last byte.
    let fits = WINDOW - 1_460..=WINDOW;
    expect("bytes sent", format!("{fits:?}"), end, fits.contains(&end))
}

/// The first segment of a connection whose receive window was set.
fn first_told(live: &Live, rcv_wnd: u32) -> Result<Segment, Stop> {
    let rcv_nxt = queue_seq(&live.subject, TCP_RECV_QUEUE)?;
    let window = RepairWindow {
        snd_wl1: rcv_nxt,
        rcv_wnd,
        rcv_wup: rcv_nxt,
        ..RepairWindow::get(&live.subject)?
    };
    window.set(&live.subject)?;
    live.probe()
}

/// With a shift that no host chooses by itself for buffers of the usual size.
fn receive(ctx: &Context, family: Family) -> Verdict {
    const SHIFT: u8 = 5;
    const RCV_WND: u32 = 60_000;
    let live = Live::in_repair(ctx, family)?;
    let live = live.replace(&[(TCPOPT_WINDOW, shifts(SHIFT, SHIFT))])?;
    let told = u32::from(first_told(&live, RCV_WND)?.window) << SHIFT;
    // Rounded down to what the field can say; a receiver with more room may say so.
    let expected = RCV_WND >> SHIFT << SHIFT;
    expect(
        "the window told",
        format!("{expected} to 65536"),
        told,
        (expected..=65_536).contains(&told),
    )
}

/// A connection without window scaling, on a host that asks for it by now.
fn unscaled(ctx: &Context, family: Family) -> Result<Live, Stop> {
    let pair = ctx.build(Pair::builder().sysctl("net.ipv4.tcp_window_scaling", "0"))?;
    let live = Live::open_in(ctx, pair, family)?;
    live.pair.a().sysctl("net.ipv4.tcp_window_scaling", "1")?;
    repair_on(&live.subject)?;
    Ok(live)
}

const UNSCALED: u32 = 40_000;

fn no_shift(ctx: &Context, family: Family) -> Verdict {
    let live = unscaled(ctx, family)?.replace(&[(TCPOPT_WINDOW, shifts(0, 0))])?;
    let told = u32::from(first_told(&live, UNSCALED)?.window);
    expect(
        "the window told",
        format!("at least {UNSCALED}"),
        told,
        told >= UNSCALED,
    )
}

fn shift_forgotten(ctx: &Context) -> Verdict {
    let live = unscaled(ctx, Family::V4)?.replace(&[(TCPOPT_TIMESTAMP, 0)])?;
    let told = u32::from(first_told(&live, UNSCALED)?.window);
    expect(
        "the window told",
        format!("less than {UNSCALED}"),
        told,
        told < UNSCALED,
    )
}
