//! `TCP_TIMESTAMP`: the clock behind the timestamp option.

use super::live::Live;
use super::subject::{
    Lone, RCV_NXT, WRITE_SEQ, connect, endpoints, eventually, expect_soon, fresh_in_repair,
    repair_on,
};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Failure, Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::Family;
use soccr::raw::{self, Opt, TCPI_OPT_USEC_TS};
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Even, because bit 0 has a meaning of its own; one of them is about to wrap.
const VALUES: [u32; 5] = [0, 2, 123_456_788, 0x8000_0000, u32::MAX - 1];

/// How far a clock of milliseconds may get while a case runs.
const LATER: u32 = 60_000;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/timestamp/outside-repair",
            "outside of repair mode the clock can be read and not be set: EPERM",
            &["A49"],
            outside_repair,
        ),
        Case::new(
            "kernel/timestamp/closed",
            "the clock of a socket that was never connected runs on from what it is set to",
            &["A49", "A51", "B3"],
            |ctx| runs_on(&fresh_in_repair(ctx.pair()?.a(), Family::V4)?),
        ),
        Case::new(
            "kernel/timestamp/established",
            "the clock of a connection runs on from what it is set to",
            &["A49", "A51", "B3"],
            |ctx| runs_on(&Live::in_repair(ctx, Family::V4)?.subject),
        ),
        Case::new(
            "kernel/timestamp/connect",
            "a connect in repair mode leaves the clock as it was set before",
            &["A40"],
            kept_by_connect,
        )
        .level(Level::Info),
        Case::new(
            "kernel/timestamp/behind",
            "a peer drops the segments of a clock that is behind one that it has seen, and takes them once it is ahead",
            &["A51"],
            behind,
        )
        .level(Level::Should),
        Case::new(
            "kernel/timestamp/frozen",
            "a clock that is set goes on from its value: the time in between is lost to it",
            &["A52"],
            frozen,
        ),
        Case::new(
            "kernel/timestamp/microseconds/on",
            "an odd value makes the clock count microseconds, and is read back odd",
            &["A50", "B21"],
            microseconds_on,
        )
        .needs(&[Need::MicrosecondTimestamps]),
        Case::new(
            "kernel/timestamp/microseconds/off",
            "an even value makes the clock count milliseconds again, and is read back even",
            &["A50", "B21"],
            microseconds_off,
        )
        .needs(&[Need::MicrosecondTimestamps]),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/timestamp/wire/{family}"),
            "segments carry the clock that was set",
            &["A49", "A51"],
            move |ctx| wire(ctx, family),
        ));
    }
    cases
}

fn read(socket: &impl AsFd) -> std::io::Result<u32> {
    Ok(raw::get_int(socket, Opt::TCP_TIMESTAMP)? as u32)
}

fn set(socket: &impl AsFd, value: u32) -> Verdict {
    let set = raw::set_int(socket, Opt::TCP_TIMESTAMP, value as i32);
    expect_ok(format!("TCP_TIMESTAMP = {value}"), set)
}

/// Fails unless a clock has gone on from `value`, and not far.
fn expect_runs_on(what: &str, now: u32, value: u32) -> Verdict {
    let expected = format!("{value} or little later");
    expect(what, expected, now, now.wrapping_sub(value) < LATER)
}

fn outside_repair(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    expect_ok("reading TCP_TIMESTAMP", read(&live.subject))?;
    let set = raw::set_int(&live.subject, Opt::TCP_TIMESTAMP, 2);
    expect_errno("setting TCP_TIMESTAMP", set, libc::EPERM)
}

fn runs_on(socket: &impl AsFd) -> Verdict {
    for value in VALUES {
        set(socket, value)?;
        expect_runs_on("TCP_TIMESTAMP", read(socket)?, value)?;
    }
    Ok(())
}

fn kept_by_connect(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = fresh_in_repair(pair.a(), Family::V4)?;
    set(&socket, VALUES[2])?;
    connect(&socket, endpoints(&pair, Family::V4), WRITE_SEQ, RCV_NXT)?;
    expect_runs_on("TCP_TIMESTAMP", read(&socket)?, VALUES[2])
}

/// An hour behind: not for a duplicate, nor for a segment that was late, do peers make an exception.
fn behind(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let dropped = || -> io::Result<u64> {
        let counters = live.pair.b().counters().map_err(io::Error::other)?;
        Ok(counters.get("TcpExt.PAWSEstab").unwrap_or(0))
    };
    let before = dropped()?;
    repair_on(&live.subject)?;
    let right = read(&live.subject)?;
    set(&live.subject, right.wrapping_sub(3_600_000) & !1)?;
    raw::set_int(&live.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
    (&live.subject).write_all(b"too late")?;
    expect_soon("PAWSEstab of the peer", "counts them", || {
        Ok(dropped()? > before)
    })?;
    expect_eq(
        "bytes that the peer has taken",
        raw::siocinq(&live.peer)?,
        0,
    )?;
    repair_on(&live.subject)?;
    set(&live.subject, right.wrapping_add(LATER) & !1)?;
    raw::set_int(&live.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
    let taken = || Ok(raw::siocinq(&live.peer)? == 8);
    expect_soon("the peer", "takes what is sent again", taken)
}

/// Compared with a clock that nobody sets: how far the two are apart does not depend on when they are read, but for the
/// tick between the two reads.
fn frozen(ctx: &Context) -> Verdict {
    const PAUSE: u32 = 30;
    let lone = Lone::connect(ctx, Family::V4)?;
    let reference = fresh_in_repair(lone.pair.a(), Family::V4)?;
    let saved = read(&lone.socket)? & !1;
    let then = read(&reference)?;
    eventually("the pause is over", || {
        Ok(read(&reference)?.wrapping_sub(then) >= PAUSE)
    })?;
    set(&lone.socket, saved)?;
    let clock = read(&lone.socket)?.wrapping_sub(saved);
    let elapsed = read(&reference)?.wrapping_sub(then);
    ctx.note("ticks of a pause", elapsed.wrapping_sub(clock));
    // Bit 0 is a flag, and each clock may have ticked while the other was read.
    let lost = elapsed >= clock + PAUSE - 2;
    let expected = format!("at least {PAUSE} ticks less than {elapsed}");
    expect("ticks since the value was read", expected, clock, lost)
}

fn microseconds_on(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    set(&lone.socket, VALUES[2] | 1)?;
    let options = raw::tcp_info(&lone.socket)?.options;
    expect_eq(
        "TCPI_OPT_USEC_TS",
        options & TCPI_OPT_USEC_TS,
        TCPI_OPT_USEC_TS,
    )?;
    for _ in 0..100 {
        expect_eq("bit 0 of TCP_TIMESTAMP", read(&lone.socket)? & 1, 1)?;
    }
    Ok(())
}

fn microseconds_off(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    set(&lone.socket, VALUES[2] | 1)?;
    set(&lone.socket, VALUES[2])?;
    let options = raw::tcp_info(&lone.socket)?.options;
    expect_eq("TCPI_OPT_USEC_TS", options & TCPI_OPT_USEC_TS, 0)?;
    for _ in 0..100 {
        expect_eq("bit 0 of TCP_TIMESTAMP", read(&lone.socket)? & 1, 0)?;
    }
    expect_runs_on("TCP_TIMESTAMP", read(&lone.socket)?, VALUES[2])
}

fn wire(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    repair_on(&live.subject)?;
    // An hour ahead: no clock that was not set is there.
    let value = read(&live.subject)?.wrapping_add(3_600_000) & !1;
    set(&live.subject, value)?;
    match live.probe()?.timestamps() {
        Some((now, _)) => expect_runs_on("TSval", now, value),
        None => Err(Failure::new("the probe", "timestamps", "none").into()),
    }
}
