//! `TCP_QUEUE_SEQ`: the sequence number at the end of a queue.

use super::SOCKETS;
use super::live::Live;
use super::subject::{
    connect, endpoints, fresh, fresh_in_repair, queue_seq, reaches, repair_on, select,
    set_queue_seq,
};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Failure, Verdict, expect_eq, expect_errno, expect_ok};
use lab::Family;
use soccr::TcpState;
use soccr::raw::{self, Opt, TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_SEND_QUEUE};
use socket2::SockRef;
use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

const QUEUES: [(&str, i32); 2] = [("receive", TCP_RECV_QUEUE), ("send", TCP_SEND_QUEUE)];

/// Numbers on both sides of both wraps: of the number, and of its sign.
const NUMBERS: [u32; 6] = [0, 1, 12_345, 0x7fff_ffff, 0x8000_0000, u32::MAX];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/queue-seq/no-queue",
            "without a selected queue there is no number to read or to set: EINVAL",
            &["A17", "A18"],
            no_queue,
        ),
        Case::new(
            "kernel/queue-seq/outside-repair",
            "a queue that was selected in repair mode keeps its number within reach afterwards",
            &["A18"],
            outside_repair,
        )
        .level(Level::Info),
        Case::new(
            "kernel/queue-seq/unread",
            "the end of a receive queue that holds unread data cannot be moved: EPERM",
            &["A19", "B18"],
            unread,
        ),
        Case::new(
            "kernel/queue-seq/independent",
            "setting the number of one queue does not change that of the other",
            &["A17", "A22"],
            independent,
        ),
        Case::new(
            "kernel/queue-seq/fin",
            "the end of the receive queue counts a FIN that has arrived, and SIOCINQ does not",
            &["A20", "A26"],
            fin,
        ),
        Case::new(
            "kernel/queue-seq/never-set",
            "a connection whose send queue was given no number starts at 0",
            &["A21"],
            never_set,
        )
        .level(Level::Info),
    ];
    for (name, queue) in QUEUES {
        cases.push(Case::new(
            format!("kernel/queue-seq/established/{name}"),
            "a connection that is established keeps its numbers: setting one is EPERM",
            &["A17"],
            move |ctx| established(ctx, queue),
        ));
        cases.push(Case::new(
            format!("kernel/queue-seq/round-trip/{name}"),
            "a number that was set is read back, from one end of the number space to the other",
            &["A17", "A20"],
            move |ctx| round_trip(ctx, queue),
        ));
    }
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/queue-seq/connect/{family}"),
            "a connect in repair mode keeps the numbers and leaves both queues empty",
            &["A21", "A22"],
            move |ctx| kept(ctx, family),
        ));
    }
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/queue-seq/wire/{family}"),
            "the numbers of a connection are those that its segments carry",
            &["A20"],
            move |ctx| wire(ctx, family),
        ));
    }
    cases
}

fn no_queue(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let closed = fresh_in_repair(live.pair.a(), Family::V4)?;
    let untouched = fresh(live.pair.a(), Family::V4)?;
    let get = |what, result| expect_errno(format!("reading it: {what}"), result, libc::EINVAL);
    get(
        "established",
        raw::get_int(&live.subject, Opt::TCP_QUEUE_SEQ),
    )?;
    get("closed", raw::get_int(&closed, Opt::TCP_QUEUE_SEQ))?;
    get(
        "never in repair mode",
        raw::get_int(&untouched, Opt::TCP_QUEUE_SEQ),
    )?;
    let set = |what, result| expect_errno(format!("setting it: {what}"), result, libc::EINVAL);
    set("closed", raw::set_int(&closed, Opt::TCP_QUEUE_SEQ, 1))?;
    set(
        "never in repair mode",
        raw::set_int(&untouched, Opt::TCP_QUEUE_SEQ, 1),
    )
}

fn established(ctx: &Context, queue: i32) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let before = queue_seq(&live.subject, queue)?;
    let set = set_queue_seq(&live.subject, queue, before.wrapping_add(1));
    expect_errno("setting it", set, libc::EPERM)?;
    expect_eq(
        "the number afterwards",
        queue_seq(&live.subject, queue)?,
        before,
    )
}

fn round_trip(ctx: &Context, queue: i32) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    for number in NUMBERS {
        let set = set_queue_seq(&socket, queue, number);
        expect_ok(format!("setting {number}"), set)?;
        expect_eq("the number", queue_seq(&socket, queue)?, number)?;
    }
    Ok(())
}

fn outside_repair(ctx: &Context) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    select(&socket, TCP_SEND_QUEUE)?;
    raw::set_int(&socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
    let set = raw::set_int(&socket, Opt::TCP_QUEUE_SEQ, 12_345);
    expect_ok("setting it", set)?;
    let number = raw::get_int(&socket, Opt::TCP_QUEUE_SEQ);
    expect_eq("the number", expect_ok("reading it", number)?, 12_345)
}

/// A connection that was reset is CLOSE, and what it received before can still be read.
fn unread(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"unread")?;
    SockRef::from(&live.peer).set_linger(Some(Duration::ZERO))?;
    drop(live.peer);
    reaches(&live.subject, TcpState::Close)?;
    repair_on(&live.subject)?;
    let before = queue_seq(&live.subject, TCP_RECV_QUEUE)?;
    let set = raw::set_int(&live.subject, Opt::TCP_QUEUE_SEQ, 1);
    expect_errno("setting it", set, libc::EPERM)?;
    let after = queue_seq(&live.subject, TCP_RECV_QUEUE)?;
    expect_eq("the number afterwards", after, before)
}

fn independent(ctx: &Context) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    set_queue_seq(&socket, TCP_SEND_QUEUE, 1_000)?;
    set_queue_seq(&socket, TCP_RECV_QUEUE, 2_000)?;
    expect_eq("send", queue_seq(&socket, TCP_SEND_QUEUE)?, 1_000)?;
    set_queue_seq(&socket, TCP_SEND_QUEUE, 3_000)?;
    expect_eq("receive", queue_seq(&socket, TCP_RECV_QUEUE)?, 2_000)
}

fn kept(ctx: &Context, family: Family) -> Verdict {
    for number in NUMBERS {
        let pair = ctx.pair()?;
        let socket = fresh_in_repair(pair.a(), family)?;
        connect(&socket, endpoints(&pair, family), number, !number)?;
        expect_eq("send", queue_seq(&socket, TCP_SEND_QUEUE)?, number)?;
        expect_eq("receive", queue_seq(&socket, TCP_RECV_QUEUE)?, !number)?;
        expect_eq("SIOCINQ", raw::siocinq(&socket)?, 0)?;
        expect_eq("SIOCOUTQ", raw::siocoutq(&socket)?, 0)?;
        expect_eq("SIOCOUTQNSD", raw::siocoutqnsd(&socket)?, 0)?;
    }
    Ok(())
}

fn never_set(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let addresses = endpoints(&pair, Family::V4);
    let socket = fresh_in_repair(pair.a(), Family::V4)?;
    raw::bind(&socket, addresses.local)?;
    raw::connect(&socket, addresses.remote)?;
    expect_eq("send", queue_seq(&socket, TCP_SEND_QUEUE)?, 0)
}

fn fin(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"RR")?;
    repair_on(&live.subject)?;
    let before = queue_seq(&live.subject, TCP_RECV_QUEUE)?;
    live.peer.shutdown(Shutdown::Write)?;
    reaches(&live.subject, TcpState::CloseWait)?;
    let after = queue_seq(&live.subject, TCP_RECV_QUEUE)?;
    expect_eq("the number", after, before.wrapping_add(1))?;
    expect_eq("SIOCINQ", raw::siocinq(&live.subject)?, 2)
}

fn wire(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    live.receive(b"seven b")?;
    (&live.subject).write_all(b"three")?;
    repair_on(&live.subject)?;
    let trace = live.capture.trace()?;
    let isn = |flow: lab::Flow| trace.first(|segment| segment.flow == flow && segment.flags.syn());
    let (Some(syn), Some(answer)) = (isn(live.flow), isn(live.flow.reversed())) else {
        return Err(Failure::new("the wire", "a handshake", &trace).into());
    };
    for (name, queue, expected) in [
        ("send", TCP_SEND_QUEUE, syn.seq.wrapping_add(1 + 5)),
        ("receive", TCP_RECV_QUEUE, answer.seq.wrapping_add(1 + 7)),
    ] {
        expect_eq(name, queue_seq(&live.subject, queue)?, expected)?;
    }
    let selected = select(&live.subject, TCP_NO_QUEUE);
    expect_ok("selecting no queue again", selected)
}
