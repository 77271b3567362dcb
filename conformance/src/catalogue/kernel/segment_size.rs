//! `TCP_MAXSEG` and the size of segments.

use super::SOCKETS;
use super::live::Live;
use super::subject::{
    Lone, RCV_NXT, WRITE_SEQ, connect, endpoints, fresh, fresh_in_repair, repair_on, set_options,
};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect_eq, expect_errno, expect_ok};
use lab::Family;
use soccr::raw::{self, Opt, TCPOPT_MSS, TCPOPT_TIMESTAMP};

/// What the timestamp option takes from every segment, bytes.
const TIMESTAMPS: i32 = 12;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/mss/truncated",
            "of the value of the MSS option the low 16 bits count",
            &["A46"],
            truncated,
        )
        .level(Level::Info),
        Case::new(
            "kernel/mss/own-limit",
            "the segment size that the application has set can be read before there is a connection, and not of one",
            &["D5"],
            own_limit,
        )
        .level(Level::Info),
    ];
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/mss/limits/{family}"),
            "TCP_MAXSEG takes 88 to 32767 bytes, and 0 for no limit; anything else is EINVAL and changes nothing",
            &["H6"],
            move |ctx| limits(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/mss/clamp/{family}"),
            "TCP_MAXSEG is the negotiated size in repair mode, and what fits a segment outside",
            &["A58"],
            move |ctx| clamp(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/mss/option/{family}"),
            "the MSS option sets the negotiated size",
            &["A46", "A58"],
            move |ctx| option(ctx, family),
        ));
        let case = Case::new(
            format!("kernel/mss/after-connect/{family}"),
            "a connect in repair mode begins with the smallest size that every host takes",
            &["A40"],
            move |ctx| after_connect(ctx, family),
        );
        cases.push(case.level(Level::Info));
        let case = Case::new(
            format!("kernel/mss/stale/{family}"),
            "segments stay as small as after the connect although the MSS option allows more",
            &["A46", "G2"],
            move |ctx| stale(ctx, family),
        );
        cases.push(case.level(Level::Info));
        cases.push(Case::new(
            format!("kernel/mss/refreshed/{family}"),
            "setting IP_OPTIONS to nothing makes segments as large as the MSS option allows",
            &["A46", "G2", "H6"],
            move |ctx| refreshed(ctx, family),
        ));
        let case = Case::new(
            format!("kernel/mss/announced/{family}"),
            "TCP_MAXSEG set before a connect in repair mode allows segments of that size",
            &["A46", "G2"],
            move |ctx| announced(ctx, family),
        );
        cases.push(case.level(Level::Should));
    }
    cases
}

/// What is left of an Ethernet frame behind the headers of IP and TCP.
fn ethernet(family: Family) -> i32 {
    match family {
        Family::V4 | Family::V4Mapped => 1_460,
        Family::V6 => 1_440,
    }
}

/// What a host takes that says nothing (RFC 9293 section 3.7.1, RFC 8200 section 5).
fn smallest(family: Family) -> i32 {
    match family {
        Family::V4 | Family::V4Mapped => 536,
        Family::V6 => 1_220,
    }
}

fn clamp(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    let outside = raw::get_int(&live.subject, Opt::TCP_MAXSEG)?;
    expect_eq("TCP_MAXSEG outside", outside, ethernet(family) - TIMESTAMPS)?;
    repair_on(&live.subject)?;
    let inside = raw::get_int(&live.subject, Opt::TCP_MAXSEG)?;
    expect_eq("TCP_MAXSEG in repair mode", inside, ethernet(family))
}

fn option(ctx: &Context, family: Family) -> Verdict {
    let lone = Lone::connect(ctx, family)?;
    for mss in [1_000, ethernet(family), 8_960] {
        let set = set_options(&lone.socket, &[(TCPOPT_MSS, mss.unsigned_abs())]);
        expect_ok(format!("the MSS option, {mss}"), set)?;
        expect_eq(
            "TCP_MAXSEG",
            raw::get_int(&lone.socket, Opt::TCP_MAXSEG)?,
            mss,
        )?;
    }
    Ok(())
}

fn truncated(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    set_options(&lone.socket, &[(TCPOPT_MSS, (1 << 16) + 1_000)])?;
    expect_eq(
        "TCP_MAXSEG",
        raw::get_int(&lone.socket, Opt::TCP_MAXSEG)?,
        1_000,
    )
}

/// A limit that is above what the link takes, so that what is read can only be either of the two.
fn own_limit(ctx: &Context) -> Verdict {
    const LIMIT: i32 = 2_000;
    let pair = ctx.pair()?;
    let closed = fresh(pair.a(), Family::V4)?;
    raw::set_int(&closed, Opt::TCP_MAXSEG, LIMIT)?;
    let read = raw::get_int(&closed, Opt::TCP_MAXSEG)?;
    expect_eq("TCP_MAXSEG of a closed socket", read, LIMIT)?;
    let opening = pair.connection(Family::V4);
    let limited = opening.on_client(|socket| raw::set_int(&**socket, Opt::TCP_MAXSEG, LIMIT));
    let subject = limited.open()?.client;
    let read = raw::get_int(&subject, Opt::TCP_MAXSEG)?;
    let fits = ethernet(Family::V4) - TIMESTAMPS;
    expect_eq("TCP_MAXSEG of a connection", read, fits)?;
    repair_on(&subject)?;
    let read = raw::get_int(&subject, Opt::TCP_MAXSEG)?;
    expect_eq("TCP_MAXSEG in repair mode", read, ethernet(Family::V4))
}

/// A loopback connection has a segment size beyond these.
fn limits(ctx: &Context, family: Family) -> Verdict {
    let closed = fresh(ctx.pair()?.a(), family)?;
    let set = |mss| raw::set_int(&closed, Opt::TCP_MAXSEG, mss);
    for mss in [88, 32_767] {
        expect_ok(format!("TCP_MAXSEG = {mss}"), set(mss))?;
        for other in [87, 32_768, 65_495, -1] {
            expect_errno(format!("TCP_MAXSEG = {other}"), set(other), libc::EINVAL)?;
            let read = raw::get_int(&closed, Opt::TCP_MAXSEG)?;
            expect_eq("TCP_MAXSEG", read, mss)?;
        }
    }
    expect_ok("TCP_MAXSEG = 0", set(0))
}

fn after_connect(ctx: &Context, family: Family) -> Verdict {
    let lone = Lone::connect(ctx, family)?;
    let mss = raw::get_int(&lone.socket, Opt::TCP_MAXSEG)?;
    expect_eq("TCP_MAXSEG", mss, smallest(family))
}

/// A socket that was given the size of an Ethernet frame, and timestamps.
fn with_options(ctx: &Context, family: Family) -> Result<Lone, Stop> {
    let lone = Lone::connect(ctx, family)?;
    let mss = ethernet(family).unsigned_abs();
    set_options(&lone.socket, &[(TCPOPT_MSS, mss), (TCPOPT_TIMESTAMP, 0)])?;
    Ok(lone)
}

fn segment_size(lone: &Lone) -> Result<i32, Stop> {
    Ok(raw::tcp_info(&lone.socket)?.snd_mss as i32)
}

fn stale(ctx: &Context, family: Family) -> Verdict {
    let lone = with_options(ctx, family)?;
    let expected = smallest(family) - TIMESTAMPS;
    expect_eq("tcpi_snd_mss", segment_size(&lone)?, expected)
}

fn refreshed(ctx: &Context, family: Family) -> Verdict {
    let lone = with_options(ctx, family)?;
    expect_ok(
        "clearing IP_OPTIONS",
        raw::clear(&lone.socket, Opt::IP_OPTIONS),
    )?;
    let expected = ethernet(family) - TIMESTAMPS;
    expect_eq("tcpi_snd_mss", segment_size(&lone)?, expected)
}

fn announced(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let socket = fresh_in_repair(pair.a(), family)?;
    let mss = ethernet(family);
    expect_ok("TCP_MAXSEG", raw::set_int(&socket, Opt::TCP_MAXSEG, mss))?;
    connect(&socket, endpoints(&pair, family), WRITE_SEQ, RCV_NXT)?;
    expect_eq("TCP_MAXSEG", raw::get_int(&socket, Opt::TCP_MAXSEG)?, mss)?;
    let snd_mss = raw::tcp_info(&socket)?.snd_mss as i32;
    expect_eq("tcpi_snd_mss", snd_mss, mss - TIMESTAMPS)
}
