//! `TCP_REPAIR_QUEUE`: the queue that the other calls of repair mode mean.

use super::live::Live;
use super::subject::{eventually, fresh, fresh_in_repair, pattern, repair_on, select};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::Family;
use soccr::raw::{self, Opt, TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_SEND_QUEUE};
use std::io::Write;
use std::os::fd::AsFd;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "kernel/repair-queue/select-outside",
            "outside of repair mode no queue can be selected: EPERM",
            &["A16"],
            select_outside,
        ),
        Case::new(
            "kernel/repair-queue/read-outside",
            "outside of repair mode there is no selection to read: EINVAL",
            &["A16"],
            read_outside,
        )
        .level(Level::Should),
        Case::new(
            "kernel/repair-queue/bad-value",
            "a queue that does not exist is refused with EINVAL, negative numbers included, \
             and the selection stays",
            &["A16", "B10"],
            bad_value,
        ),
        Case::new(
            "kernel/repair-queue/at-first",
            "no queue is selected when repair mode begins",
            &["A7", "A16"],
            at_first,
        ),
        Case::new(
            "kernel/repair-queue/select/closed",
            "each queue, and none, can be selected on a socket that was never connected",
            &["A16"],
            |ctx| each(&fresh_in_repair(ctx.pair()?.a(), Family::V4)?),
        ),
        Case::new(
            "kernel/repair-queue/select/established",
            "each queue, and none, can be selected on an established connection",
            &["A16"],
            |ctx| each(&Live::in_repair(ctx, Family::V4)?.subject),
        ),
        Case::new(
            "kernel/repair-queue/takes-unsent-as-sent",
            "with the send queue selected, an acknowledgement that comes in makes all that is unsent count as sent, while \
             nothing leaves",
            &["A65"],
            takes_unsent_as_sent,
        )
        .level(Level::Info),
    ]
}

fn select_outside(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let closed = fresh(live.pair.a(), Family::V4)?;
    for queue in [TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_SEND_QUEUE, 3] {
        let what = format!("selecting queue {queue}");
        expect_errno(&what, select(&live.subject, queue), libc::EPERM)?;
        expect_errno(&what, select(&closed, queue), libc::EPERM)?;
    }
    Ok(())
}

fn read_outside(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let queue = raw::get_int(&live.subject, Opt::TCP_REPAIR_QUEUE);
    expect_errno("reading TCP_REPAIR_QUEUE", queue, libc::EINVAL)
}

fn bad_value(ctx: &Context) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    select(&socket, TCP_SEND_QUEUE)?;
    for queue in [3, -1, i32::MAX, i32::MIN] {
        let what = format!("selecting queue {queue}");
        expect_errno(what, select(&socket, queue), libc::EINVAL)?;
        let selected = raw::get_int(&socket, Opt::TCP_REPAIR_QUEUE)?;
        expect_eq("the selected queue", selected, TCP_SEND_QUEUE)?;
    }
    Ok(())
}

fn at_first(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let selected = raw::get_int(&live.subject, Opt::TCP_REPAIR_QUEUE)?;
    expect_eq("the selected queue", selected, TCP_NO_QUEUE)
}

fn each(socket: &impl AsFd) -> Verdict {
    for queue in [TCP_RECV_QUEUE, TCP_SEND_QUEUE, TCP_NO_QUEUE] {
        expect_ok(format!("selecting queue {queue}"), select(socket, queue))?;
        let selected = raw::get_int(socket, Opt::TCP_REPAIR_QUEUE)?;
        expect_eq("the selected queue", selected, queue)?;
    }
    Ok(())
}

/// More than the first congestion window of ten segments.
const MORE_THAN_A_FLIGHT: usize = 64 << 10;

fn takes_unsent_as_sent(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let (subject, mut peer) = (&live.subject, &live.peer);
    // A tail loss probe would send some of it.
    live.pair.a().sysctl("net.ipv4.tcp_early_retrans", "0")?;
    let deaf = live.deafen()?;
    raw::send(subject, &pattern(MORE_THAN_A_FLIGHT), raw::MSG_DONTWAIT)?;
    eventually("the first flight has arrived", || {
        let in_flight = raw::siocoutq(subject)? - raw::siocoutqnsd(subject)?;
        Ok(in_flight > 0 && raw::siocinq(peer)? == in_flight)
    })?;
    let unsent = raw::siocoutqnsd(subject)?;
    expect("unsent bytes", "some", unsent, unsent > 0)?;
    repair_on(subject)?;
    select(subject, TCP_SEND_QUEUE)?;
    let first_sent = || raw::tcp_info(subject).map(|info| info.bytes_sent - info.bytes_retrans);
    let before = first_sent()?;
    drop(deaf);
    peer.write_all(b"an acknowledgement")?;
    eventually("the acknowledgement has come", || {
        Ok(raw::siocoutq(subject)? == unsent)
    })?;
    let after = (raw::siocoutqnsd(subject)?, first_sent()?);
    expect_eq("unsent bytes, and bytes that left once", after, (0, before))
}
