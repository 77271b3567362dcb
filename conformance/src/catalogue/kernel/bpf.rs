//! What an eBPF program sees of a connect in repair mode, and what it can do there.

use super::live::Live;
use super::subject::{RCV_NXT, WRITE_SEQ, connect, endpoints, fresh, fresh_in_repair};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect_eq};
use lab::Family;
use lab::ebpf::{AtConnect, WITH_PACKET};
use soccr::raw::{self, Opt};
use std::io::Write;
use std::os::fd::AsFd;

/// The mark of the sockets that the program looks at, by case: those of other cases that run meanwhile are none of its.
const MARKS: [u32; 3] = [0x50cc_1000, 0x50cc_2000, 0x50cc_3000];

/// Segments of the congestion window that the program sets; without, it would be ten.
const WINDOW: u32 = 23;

pub(super) fn cases() -> Vec<Case> {
    let [once, without_packet, window] = MARKS;
    vec![
        Case::new(
            "kernel/bpf/established-callback",
            "a connect in repair mode runs the BPF callback of established connections, once",
            &["A41"],
            move |ctx| callback(ctx, once),
        )
        .level(Level::Should),
        Case::new(
            "kernel/bpf/no-packet",
            "that callback has no packet: what it asks for of its header is refused, and the connection talks on",
            &["B19", "A41"],
            move |ctx| no_packet(ctx, without_packet),
        ),
        Case::new(
            "kernel/bpf/congestion-window",
            "the BPF callback of a connect in repair mode can set the first congestion window",
            &["D14"],
            move |ctx| congestion_window(ctx, window),
        )
        .level(Level::Should),
    ]
}

fn attach(mark: u32) -> Result<AtConnect, Stop> {
    let attached = AtConnect::attach(mark, WINDOW);
    attached.map_err(|error| Stop::Skip(format!("no eBPF program can be attached here: {error}")))
}

fn mark(socket: &impl AsFd) -> Result<u32, Stop> {
    Ok(raw::get_int(socket, Opt::SO_MARK)? as u32)
}

fn callback(ctx: &Context, marked: u32) -> Verdict {
    let _attached = attach(marked)?;
    let pair = ctx.pair()?;
    for (set, told) in [(marked, marked + 1), (marked - 1, marked - 1)] {
        let socket = fresh_in_repair(pair.a(), Family::V4)?;
        raw::set_int(&socket, Opt::SO_MARK, set as i32)?;
        connect(&socket, endpoints(&pair, Family::V4), WRITE_SEQ, RCV_NXT)?;
        expect_eq(
            "SO_MARK, which the callback counts up",
            mark(&socket)?,
            told,
        )?;
    }
    Ok(())
}

/// A connection with a handshake shows that the program would tell of a packet.
fn no_packet(ctx: &Context, marked: u32) -> Verdict {
    let _attached = attach(marked)?;
    let pair = ctx.pair()?;
    let opening = pair.connection(Family::V4);
    let opening = opening.on_client(|socket| raw::set_int(&**socket, Opt::SO_MARK, marked as i32));
    let connection = opening.open()?;
    let told = mark(&connection.client)?;
    expect_eq("SO_MARK after a handshake", told, marked + 1 + WITH_PACKET)?;
    let live = Live {
        capture: ctx.capture(pair.a())?,
        flow: connection.flow(),
        subject: connection.client,
        peer: connection.server,
        pair,
    };
    raw::set_int(&live.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
    let options = live.negotiated()?;
    let same = |write_seq, rcv_nxt| (write_seq, rcv_nxt);
    let live = live.replace_by(&options, same, |socket| {
        raw::set_int(socket, Opt::SO_MARK, marked as i32)
    })?;
    expect_eq(
        "SO_MARK after a connect in repair mode",
        mark(&live.subject)?,
        marked + 1,
    )?;
    raw::set_int(&live.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
    live.receive(b"and it goes on")?;
    (&live.subject).write_all(b"both ways")?;
    expect_eq("SO_MARK in the end", mark(&live.subject)?, marked + 1)
}

fn congestion_window(ctx: &Context, marked: u32) -> Verdict {
    let _attached = attach(marked)?;
    let pair = ctx.pair()?;
    let socket = fresh(pair.a(), Family::V4)?;
    raw::set_int(&socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
    raw::set_int(&socket, Opt::SO_MARK, marked as i32)?;
    connect(&socket, endpoints(&pair, Family::V4), WRITE_SEQ, RCV_NXT)?;
    expect_eq("tcpi_snd_cwnd", raw::tcp_info(&socket)?.snd_cwnd, WINDOW)
}
