//! Reading the queues in repair mode, and how long they are.

use super::live::Live;
use super::subject::{fresh_in_repair, pattern, queue_seq, reaches, repair_on, select};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::{Blackhole, Family, Pair};
use soccr::TcpState;
use soccr::raw::{self, MSG_DONTWAIT, MSG_PEEK, Opt, TCP_RECV_QUEUE, TCP_SEND_QUEUE};
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};

/// What every look at a queue is taken with.
pub(super) const LOOK: i32 = MSG_PEEK | MSG_DONTWAIT;

/// Bytes that fill more than the first congestion window and less than a send buffer.
const WRITTEN: usize = 40_000;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/peek/only",
            "in repair mode a read that takes is refused with EPERM, and takes nothing",
            &["A23"],
            only,
        ),
        Case::new(
            "kernel/peek/no-queue",
            "a peek without a selected queue is refused with EINVAL",
            &["A23"],
            no_queue,
        ),
        Case::new(
            "kernel/peek/empty/established",
            "a peek at the empty receive queue of a connection would block: EAGAIN",
            &["A27"],
            empty,
        ),
        Case::new(
            "kernel/peek/empty/fin-wait",
            "a peek at the empty receive queue of a connection that this end has closed would block: EAGAIN",
            &["A27"],
            empty_after_own_fin,
        ),
        Case::new(
            "kernel/peek/empty/close-wait",
            "a peek at the empty receive queue of a connection that the peer has closed returns nothing",
            &["A27"],
            empty_after_fin,
        ),
        Case::new(
            "kernel/peek/empty/closed",
            "a peek at the receive queue of a socket that was never connected is ENOTCONN",
            &["A27"],
            never_connected,
        )
        .level(Level::Should),
        Case::new(
            "kernel/peek/empty/send",
            "a peek at an empty send queue returns nothing",
            &["A27"],
            empty_send,
        ),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/peek/receive/{family}"),
            "a peek at the receive queue shows all that is unread and leaves it to the reader",
            &["A23"],
            move |ctx| receive(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/peek/send/{family}"),
            "a peek at the send queue shows what is in flight and then what was never sent",
            &["A24", "A25"],
            move |ctx| send(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/peek/split/{family}"),
            "SIOCOUTQ less SIOCOUTQNSD is what was sent and is not acknowledged",
            &["A25", "A26"],
            move |ctx| split(ctx, family),
        ));
    }
    cases
}

fn only(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"unread")?;
    repair_on(&live.subject)?;
    let closed = fresh_in_repair(live.pair.a(), Family::V4)?;
    let take = |socket: &OwnedFd| raw::recv(socket, &mut [0; 8], MSG_DONTWAIT);
    let subject = live.subject.as_fd().try_clone_to_owned()?;
    for queue in [raw::TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_SEND_QUEUE] {
        for (state, socket) in [("established", &subject), ("closed", &closed)] {
            select(socket, queue)?;
            let what = format!("a read, {state}, with queue {queue}");
            expect_errno(what, take(socket), libc::EPERM)?;
        }
    }
    expect_eq("SIOCINQ", raw::siocinq(&live.subject)?, 6)
}

fn no_queue(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"unread")?;
    repair_on(&live.subject)?;
    let peek = raw::recv(&live.subject, &mut [0; 8], LOOK);
    expect_errno("a peek", peek, libc::EINVAL)
}

fn receive(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    let bytes = pattern(5_000);
    live.receive(&bytes)?;
    repair_on(&live.subject)?;
    select(&live.subject, TCP_RECV_QUEUE)?;
    let mut peeked = vec![0; 2 * bytes.len()];
    let count = raw::recv(&live.subject, &mut peeked, LOOK);
    let count = expect_ok("a peek", count)?;
    expect_eq("bytes peeked at", count, bytes.len())?;
    expect_eq(
        "what was peeked at is what was sent",
        peeked[..count] == bytes,
        true,
    )?;
    raw::set_int(&live.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
    let mut read = vec![0; 2 * bytes.len()];
    let count = raw::recv(&live.subject, &mut read, MSG_DONTWAIT)?;
    expect_eq(
        "what is read is what was sent",
        read[..count] == bytes,
        true,
    )
}

/// A connection whose subject has written more than the first congestion window lets out, and hears no
/// acknowledgement of it; nothing new is sent by a timer.
pub(super) fn stalled(
    ctx: &Context,
    family: Family,
    bytes: &[u8],
) -> Result<(Live, Blackhole), Stop> {
    let pair = ctx.build(Pair::builder().sysctl("net.ipv4.tcp_early_retrans", "0"))?;
    let live = Live::open_in(ctx, pair, family)?;
    let deaf = live.deafen()?;
    (&live.subject).write_all(bytes)?;
    Ok((live, deaf))
}

fn send(ctx: &Context, family: Family) -> Verdict {
    let bytes = pattern(WRITTEN);
    let (live, _deaf) = stalled(ctx, family, &bytes)?;
    repair_on(&live.subject)?;
    select(&live.subject, TCP_SEND_QUEUE)?;
    let mut peeked = vec![0; 2 * WRITTEN];
    let count = raw::recv(&live.subject, &mut peeked, LOOK);
    let count = expect_ok("a peek", count)?;
    expect_eq("bytes peeked at", count, WRITTEN)?;
    let same = peeked[..count] == bytes;
    expect_eq("what was peeked at is what was written", same, true)?;
    expect_eq(
        "SIOCOUTQ afterwards",
        raw::siocoutq(&live.subject)?,
        WRITTEN as i32,
    )
}

fn split(ctx: &Context, family: Family) -> Verdict {
    let (live, _deaf) = stalled(ctx, family, &pattern(WRITTEN))?;
    repair_on(&live.subject)?;
    let (all, unsent) = (
        raw::siocoutq(&live.subject)?,
        raw::siocoutqnsd(&live.subject)?,
    );
    expect_eq("SIOCOUTQ", all, WRITTEN as i32)?;
    let trace = live.capture.trace()?.along(&live.flow);
    let ends = trace.segments().map(lab::Segment::end_seq);
    // All of it is less than half of the number space.
    let end = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    let behind = ends.map(|seq| end.wrapping_sub(seq)).min();
    expect_eq(
        "bytes that were never on the wire",
        Some(unsent.unsigned_abs()),
        behind,
    )?;
    expect(
        "SIOCOUTQNSD",
        "neither nothing nor all",
        unsent,
        unsent > 0 && unsent < all,
    )
}

fn empty(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    select(&live.subject, TCP_RECV_QUEUE)?;
    let peek = raw::recv(&live.subject, &mut [0; 8], LOOK);
    expect_errno("a peek", peek, libc::EAGAIN)
}

fn empty_after_own_fin(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.subject.shutdown(Shutdown::Write)?;
    reaches(&live.subject, TcpState::FinWait2)?;
    repair_on(&live.subject)?;
    select(&live.subject, TCP_RECV_QUEUE)?;
    let peek = raw::recv(&live.subject, &mut [0; 8], LOOK);
    expect_errno("a peek", peek, libc::EAGAIN)
}

fn empty_after_fin(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.peer.shutdown(Shutdown::Write)?;
    reaches(&live.subject, TcpState::CloseWait)?;
    repair_on(&live.subject)?;
    select(&live.subject, TCP_RECV_QUEUE)?;
    let peek = raw::recv(&live.subject, &mut [0; 8], LOOK);
    expect_eq("bytes peeked at", expect_ok("a peek", peek)?, 0)
}

fn never_connected(ctx: &Context) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    select(&socket, TCP_RECV_QUEUE)?;
    let peek = raw::recv(&socket, &mut [0; 8], LOOK);
    expect_errno("a peek", peek, libc::ENOTCONN)
}

fn empty_send(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    select(&live.subject, TCP_SEND_QUEUE)?;
    let peek = raw::recv(&live.subject, &mut [0; 8], LOOK);
    expect_eq("bytes peeked at", expect_ok("a peek", peek)?, 0)
}
