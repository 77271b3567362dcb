//! What a socket tells of itself.

use super::live::Live;
use super::subject::{Lone, eventually, fresh, reaches, repair_on, set_options, shifts, state};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Family, Pair};
use soccr::TcpState;
use soccr::raw::{self, Opt, TCPI_OPT_WSCALE, TCPOPT_WINDOW, TcpInfo};
use socket2::SockRef;
use std::io::Write;
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "kernel/info/state",
            "repair mode does not show in the state of a socket",
            &["A59"],
            unchanged_state,
        ),
        Case::new(
            "kernel/info/shifts",
            "window shifts are told as 0 unless window scaling was negotiated",
            &["A59", "A47"],
            no_shifts,
        ),
        Case::new(
            "kernel/info/length",
            "TCP_INFO has at least the 104 bytes that a checkpoint looks at",
            &["H5", "C28"],
            length,
        ),
        Case::new(
            "kernel/info/byte-counters",
            "TCP_INFO counts the bytes that were acknowledged and received (kernel 4.1)",
            &["A59", "G10"],
            byte_counters,
        )
        .level(Level::Should),
        Case::new(
            "kernel/info/error-once",
            "the error of a connection can be read once, and TCP_INFO does not take it",
            &["A60", "D10"],
            error_once,
        )
        .level(Level::Info),
        Case::new(
            "kernel/info/saved-syn-once",
            "reading TCP_SAVED_SYN takes it; a save does not",
            &["A60", "D6"],
            saved_syn_once,
        ),
    ]
}

fn unchanged_state(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let closed = fresh(live.pair.a(), Family::V4)?;
    for _ in ["outside of repair mode", "in repair mode"] {
        expect_eq(
            "the connection",
            state(&live.subject)?,
            Some(TcpState::Established),
        )?;
        expect_eq("the new socket", state(&closed)?, Some(TcpState::Close))?;
        repair_on(&live.subject)?;
        repair_on(&closed)?;
    }
    Ok(())
}

fn byte_counters(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let before = raw::tcp_info(&live.subject)?;
    live.receive(&[0; 1_000])?;
    (&live.subject).write_all(&[0; 300])?;
    eventually("all is acknowledged", || {
        Ok(raw::siocoutq(&live.subject)? == 0)
    })?;
    let after = raw::tcp_info(&live.subject)?;
    let counted = |count: fn(&TcpInfo) -> u64| count(&after) - count(&before);
    expect_eq("bytes received", counted(|info| info.bytes_received), 1_000)?;
    expect_eq("bytes acknowledged", counted(|info| info.bytes_acked), 300)
}

fn no_shifts(ctx: &Context) -> Verdict {
    let pair = ctx.build(Pair::builder().sysctl("net.ipv4.tcp_window_scaling", "0"))?;
    let live = Live::open_in(ctx, pair, Family::V4)?;
    let info = raw::tcp_info(&live.subject)?;
    expect_eq("TCPI_OPT_WSCALE", info.options & TCPI_OPT_WSCALE, 0)?;
    expect_eq("the shifts", (info.snd_wscale, info.rcv_wscale), (0, 0))?;
    let lone = Lone::connect(ctx, Family::V4)?;
    let info = raw::tcp_info(&lone.socket)?;
    expect_eq(
        "the shifts after a connect",
        (info.snd_wscale, info.rcv_wscale),
        (0, 0),
    )?;
    set_options(&lone.socket, &[(TCPOPT_WINDOW, shifts(3, 4))])?;
    let info = raw::tcp_info(&lone.socket)?;
    expect_eq(
        "the shifts once they are set",
        (info.snd_wscale, info.rcv_wscale),
        (3, 4),
    )
}

fn length(ctx: &Context) -> Verdict {
    let length = raw::tcp_info(&Live::open(ctx, Family::V4)?.subject)?.length;
    ctx.note("bytes of TCP_INFO", length);
    expect("bytes of TCP_INFO", "104 or more", length, length >= 104)
}

fn error_once(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    SockRef::from(&live.peer).set_linger(Some(Duration::ZERO))?;
    drop(live.peer);
    reaches(&live.subject, TcpState::Close)?;
    let error = || {
        live.subject
            .take_error()
            .map(|error| error.and_then(|it| it.raw_os_error()))
    };
    expect_eq("SO_ERROR", error()?, Some(libc::ECONNRESET))?;
    expect_eq("SO_ERROR, read again", error()?, None)
}

/// The end that is saved is the one that was accepted.
fn saved_syn_once(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let opening = pair.connection(Family::V4);
    let kept = opening.on_server(|socket| raw::set_int(&**socket, Opt::TCP_SAVE_SYN, 1));
    let accepted = kept.open()?.server;
    let read = || -> Result<usize, Stop> {
        let mut syn = [0; 128];
        Ok(raw::get(&accepted, Opt::TCP_SAVED_SYN, &mut syn)?)
    };
    soccr::save(&accepted)?;
    let length = read()?;
    expect(
        "bytes of TCP_SAVED_SYN after a save",
        "a header of IP and one of TCP",
        length,
        length >= 40,
    )?;
    expect_eq("bytes, read again", read()?, 0)
}
