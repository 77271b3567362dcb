//! What a peek at a queue leaves out, and what it returns too much.

use super::live::Live;
use super::peek::{LOOK, stalled};
use super::repair_window::RepairWindow;
use super::subject::{eventually, pattern, queue_seq, repair_on, select};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect, expect_eq, expect_ok};
use lab::{Family, Pair};
use soccr::raw::{
    self, MSG_DONTWAIT, MSG_OOB, Opt, TCP_RECV_QUEUE, TCP_REPAIR_OFF_NO_WP, TCP_SEND_QUEUE,
};
use std::io::Write;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "kernel/peek/short-buffer",
            "a peek at the send queue returns its length, however short the buffer is",
            &["A24", "H9"],
            short_buffer,
        )
        .level(Level::Info),
        Case::new(
            "kernel/peek/surplus",
            "what a peek at the send queue returns beyond SIOCOUTQ comes first and is acknowledged",
            &["A25", "C1"],
            surplus,
        )
        .needs(&[Need::RepairWindow, Need::QuietOff]),
        Case::new(
            "kernel/peek/offset",
            "a peek at the receive queue starts at SO_PEEK_OFF and moves it",
            &["A28", "B23"],
            offset,
        )
        .level(Level::Info)
        .needs(&[Need::PeekOffset]),
        Case::new(
            "kernel/peek/urgent",
            "an urgent mark ends what SIOCINQ counts and what a peek returns, not the queue",
            &["A29"],
            urgent,
        )
        .level(Level::Info),
        Case::new(
            "kernel/peek/urgent-inline",
            "with SO_OOBINLINE SIOCINQ counts all of the queue, and a peek ends at the urgent mark still",
            &["A29"],
            urgent_inline,
        )
        .level(Level::Info),
        Case::new(
            "kernel/peek/urgent-byte",
            "the urgent byte can be taken in repair mode as well",
            &["A23"],
            urgent_byte,
        )
        .level(Level::Info),
    ]
}

fn short_buffer(ctx: &Context) -> Verdict {
    let (live, _deaf) = stalled(ctx, Family::V4, &pattern(1_000))?;
    repair_on(&live.subject)?;
    select(&live.subject, TCP_SEND_QUEUE)?;
    let mut peeked = [0; 10];
    let count = raw::recv(&live.subject, &mut peeked, LOOK);
    expect_eq("the result", expect_ok("a peek", count)?, 1_000)?;
    expect_eq("the bytes", &peeked[..], &pattern(10)[..])
}

/// The subject is put back with a number in the middle of the segment that the peer sends next, which it never
/// gets: the segment that it sends itself acknowledges the first part.
fn surplus(ctx: &Context) -> Verdict {
    let (all, acknowledged) = (pattern(1_000), 300);
    let quiet = Pair::builder()
        .sysctl("net.ipv4.tcp_timestamps", "0")
        .sysctl("net.ipv4.tcp_early_retrans", "0");
    let live = Live::open_in(ctx, ctx.build(quiet)?, Family::V4)?;
    repair_on(&live.subject)?;
    let options = live.negotiated()?;
    let live = live.replace_at(&options, |write_seq, rcv_nxt| {
        (write_seq, rcv_nxt.wrapping_add(acknowledged))
    })?;
    let _deaf = live.deafen()?;
    // A connect leaves snd_wl1 at 0, which may well be after the window.
    let open = RepairWindow {
        snd_wl1: queue_seq(&live.subject, TCP_RECV_QUEUE)?,
        snd_wnd: 10_000,
        max_window: 10_000,
        ..RepairWindow::get(&live.subject)?
    };
    open.set(&live.subject)?;
    raw::set_int(&live.subject, Opt::TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)?;
    (&live.peer).write_all(&all)?;
    (&live.subject).write_all(b"!")?;
    let left = all.len() - acknowledged as usize;
    let partly = || Ok(raw::siocoutq(&live.peer)? == left as i32);
    eventually("a part is acknowledged", partly)?;
    repair_on(&live.peer)?;
    select(&live.peer, TCP_SEND_QUEUE)?;
    let mut peeked = vec![0; 2 * all.len()];
    let count = expect_ok("a peek", raw::recv(&live.peer, &mut peeked, LOOK))?;
    ctx.note("surplus", count as i64 - left as i64);
    expect(
        "bytes peeked at",
        format!("at least {left}"),
        count,
        count >= left,
    )?;
    let tail = peeked[count - left..count] == all[all.len() - left..];
    expect_eq("it ends with what is not acknowledged", tail, true)
}

fn offset(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"0123456789")?;
    raw::set_int(&live.subject, Opt::SO_PEEK_OFF, 4)?;
    repair_on(&live.subject)?;
    select(&live.subject, TCP_RECV_QUEUE)?;
    let mut peeked = [0; 16];
    let count = expect_ok("a peek", raw::recv(&live.subject, &mut peeked, LOOK))?;
    expect_eq("the bytes", &peeked[..count], b"456789")?;
    let offset = raw::get_int(&live.subject, Opt::SO_PEEK_OFF)?;
    expect_eq("SO_PEEK_OFF", offset, 10)
}

/// Three bytes, the urgent one, three more, in the receive queue of a subject in repair mode.
fn with_urgent_byte(ctx: &Context) -> Result<Live, Stop> {
    let live = Live::open(ctx, Family::V4)?;
    (&live.peer).write_all(b"abc")?;
    raw::send(&live.peer, b"!", MSG_OOB)?;
    (&live.peer).write_all(b"def")?;
    eventually("all of it has arrived", || {
        Ok(raw::siocoutq(&live.peer)? == 0)
    })?;
    repair_on(&live.subject)?;
    Ok(live)
}

fn urgent(ctx: &Context) -> Verdict {
    let live = with_urgent_byte(ctx)?;
    expect_eq("SIOCINQ", raw::siocinq(&live.subject)?, 3)?;
    select(&live.subject, TCP_RECV_QUEUE)?;
    let mut peeked = [0; 16];
    let count = expect_ok("a peek", raw::recv(&live.subject, &mut peeked, LOOK))?;
    expect_eq("the bytes", &peeked[..count], b"abc")
}

fn urgent_inline(ctx: &Context) -> Verdict {
    let live = with_urgent_byte(ctx)?;
    raw::set_int(&live.subject, Opt::SO_OOBINLINE, 1)?;
    expect_eq("SIOCINQ", raw::siocinq(&live.subject)?, 7)?;
    select(&live.subject, TCP_RECV_QUEUE)?;
    let mut peeked = [0; 16];
    let count = expect_ok("a peek", raw::recv(&live.subject, &mut peeked, LOOK))?;
    expect_eq("the bytes", &peeked[..count], b"abc")
}

fn urgent_byte(ctx: &Context) -> Verdict {
    let live = with_urgent_byte(ctx)?;
    let mut byte = [0; 4];
    let count = raw::recv(&live.subject, &mut byte, MSG_OOB | MSG_DONTWAIT);
    let count = expect_ok("recv with MSG_OOB", count)?;
    expect_eq("the byte", &byte[..count], b"!")
}
