//! Leaving repair mode: with one window probe, or without a packet.

use super::live::Live;
use super::repair_window::RepairWindow;
use super::subject::{expect_silence, expect_soon, queue_seq, reaches, repair_on};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Direction, Family, Flags, Segment};
use soccr::TcpState;
use soccr::raw::{self, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP};
use std::net::Shutdown;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/probe/close-wait",
            "a connection that is not ESTABLISHED leaves repair mode without a probe",
            &["A13"],
            close_wait,
        )
        .level(Level::Info),
        Case::new(
            "kernel/probe/counted",
            "the probe on leaving repair mode is counted as TCPWinProbe",
            &["A14"],
            counted,
        )
        .level(Level::Info),
        Case::new(
            "kernel/probe/update-allowed",
            "leaving repair mode sets snd_wl1 back by one, so that the answer is a window update",
            &["A14"],
            update_allowed,
        )
        .level(Level::Should)
        .needs(&[Need::RepairWindow]),
        Case::new(
            "kernel/probe/window-learnt",
            "the answer to the probe corrects a send window that is out of date",
            &["A4", "A14"],
            window_learnt,
        )
        .needs(&[Need::RepairWindow]),
        Case::new(
            "kernel/probe/outside-repair",
            "TCP_REPAIR_OFF sends a probe even where repair mode was never entered",
            &["A4", "A14"],
            outside_repair,
        )
        .level(Level::Info),
        Case::new(
            "kernel/probe/echo-reply",
            "a probe of a socket that has heard nothing yet echoes timestamp 0",
            &["A15"],
            echo_reply,
        )
        .level(Level::Info),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/probe/off/{family}"),
            "TCP_REPAIR_OFF sends exactly one empty segment, one byte below what is acknowledged",
            &["A4", "A14", "B13"],
            move |ctx| off(ctx, family),
        ));
        let case = Case::new(
            format!("kernel/probe/answered/{family}"),
            "the peer answers the probe",
            &["A4", "A14"],
            move |ctx| answered(ctx, family),
        );
        cases.push(case.level(Level::Should));
        let quiet = Case::new(
            format!("kernel/probe/off-no-wp/{family}"),
            "TCP_REPAIR_OFF_NO_WP sends nothing",
            &["A4", "B13"],
            move |ctx| off_no_wp(ctx, family),
        );
        cases.push(quiet.needs(&[Need::QuietOff]));
    }
    cases
}

fn off(ctx: &Context, family: Family) -> Verdict {
    let live = Live::in_repair(ctx, family)?;
    let write_seq = queue_seq(&live.subject, raw::TCP_SEND_QUEUE)?;
    let rcv_nxt = queue_seq(&live.subject, raw::TCP_RECV_QUEUE)?;
    let sent = live.leave(TCP_REPAIR_OFF)?;
    expect("what was sent", "one packet", &sent, sent.len() == 1)?;
    let probe = sent
        .segments()
        .map(|probe| (probe.seq, probe.ack, probe.payload_len, probe.flags));
    let expected = (write_seq.wrapping_sub(1), rcv_nxt, 0, Flags::ACK);
    expect_eq("seq, ack, length and flags", probe.last(), Some(expected))
}

fn answered(ctx: &Context, family: Family) -> Verdict {
    let live = Live::in_repair(ctx, family)?;
    let write_seq = queue_seq(&live.subject, raw::TCP_SEND_QUEUE)?;
    live.leave(TCP_REPAIR_OFF)?;
    // The handshake ends with a segment of the subject: whatever the peer acknowledges alone is an answer.
    let answer = |segment: &Segment| segment.flags == Flags::ACK && segment.ack == write_seq;
    live.expect_segment("the answer of the peer", Direction::Ingress, answer)
}

fn off_no_wp(ctx: &Context, family: Family) -> Verdict {
    let live = Live::in_repair(ctx, family)?;
    expect_silence(&live.leave(TCP_REPAIR_OFF_NO_WP)?)
}

fn close_wait(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.peer.shutdown(Shutdown::Write)?;
    reaches(&live.peer, TcpState::FinWait2)?;
    repair_on(&live.subject)?;
    expect_silence(&live.leave(TCP_REPAIR_OFF)?)
}

fn counted(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let probes = || -> Result<_, Stop> { Ok(live.pair.a().counters()?.get("TcpExt.TCPWinProbe")) };
    let before = probes()?;
    live.leave(TCP_REPAIR_OFF)?;
    expect_eq("TCPWinProbe", probes()?, before.map(|count| count + 1))
}

/// The answer is swallowed: what is read is what the probe itself left behind.
fn update_allowed(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"up to date")?;
    repair_on(&live.subject)?;
    let _deaf = live.deafen()?;
    let rcv_nxt = queue_seq(&live.subject, raw::TCP_RECV_QUEUE)?;
    live.leave(TCP_REPAIR_OFF)?;
    repair_on(&live.subject)?;
    let window = RepairWindow::get(&live.subject)?;
    expect_eq("snd_wl1", window.snd_wl1, rcv_nxt.wrapping_sub(1))
}

/// With a window that is too large: a smaller one is only believed from a segment that is newer than `snd_wl1`.
fn window_learnt(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"the first scaled window")?;
    repair_on(&live.subject)?;
    let right = RepairWindow::get(&live.subject)?;
    let wrong = RepairWindow {
        snd_wl1: queue_seq(&live.subject, raw::TCP_RECV_QUEUE)?,
        snd_wnd: 2 * right.snd_wnd,
        max_window: 2 * right.snd_wnd,
        ..right
    };
    wrong.set(&live.subject)?;
    live.leave(TCP_REPAIR_OFF)?;
    repair_on(&live.subject)?;
    let learnt = || RepairWindow::get(&live.subject).map(|window| window.snd_wnd != wrong.snd_wnd);
    expect_soon("the send window", "is updated", learnt)?;
    let window = RepairWindow::get(&live.subject)?;
    expect_eq("snd_wnd", window.snd_wnd, right.snd_wnd)
}

fn outside_repair(ctx: &Context) -> Verdict {
    let sent = Live::open(ctx, Family::V4)?.leave(TCP_REPAIR_OFF)?;
    expect("what was sent", "one packet", &sent, sent.len() == 1)
}

fn echo_reply(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let options = live.negotiated()?;
    let probe = live.replace(&options)?.probe()?;
    let echo = probe.timestamps().map(|(_, echo)| echo);
    expect_eq("TSecr of the probe", echo, Some(0))
}
