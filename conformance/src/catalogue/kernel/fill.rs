//! Writing into the queues in repair mode.

use super::live::Live;
use super::subject::{
    Lone, RCV_NXT, WRITE_SEQ, eventually, expect_soon, fresh_in_repair, pattern, queue_seq,
    repair_on, select,
};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::{Family, Pair};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use soccr::raw::{self, MSG_DONTWAIT, Opt, TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_SEND_QUEUE};
use socket2::SockRef;
use std::io::{self, Write};
use std::os::fd::AsFd;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/fill/no-queue",
            "a write without a selected queue is refused with EINVAL",
            &["A30"],
            no_queue,
        ),
        Case::new(
            "kernel/fill/closed",
            "a write to a socket that is not connected is EPIPE, whatever queue is selected",
            &["A30"],
            closed,
        ),
        Case::new(
            "kernel/fill/poll",
            "a socket whose receive queue was written is readable to whoever asks then",
            &["A34"],
            readable,
        ),
        Case::new(
            "kernel/fill/receive-large",
            "a write to the receive queue may be partial; going on where it ended loses nothing",
            &["A31", "B7"],
            receive_large,
        )
        .needs(&[Need::QuietOff]),
        Case::new(
            "kernel/fill/receive-grows",
            "the receive queue takes a mebibyte although nobody asked for a larger buffer",
            &["A32", "H3"],
            receive_grows,
        )
        .level(Level::Info),
        Case::new(
            "kernel/fill/receive-at-once",
            "one write to the receive queue takes no more than 17 pages",
            &["A31", "B7"],
            receive_at_once,
        )
        .level(Level::Info),
        Case::new(
            "kernel/fill/receive-full",
            "a receive queue that may not grow any more refuses with ENOBUFS",
            &["A32", "H3"],
            receive_full,
        ),
        Case::new(
            "kernel/fill/send-then-receive",
            "the receive queue can be written after the send queue",
            &["B5"],
            send_then_receive,
        ),
    ];
    for family in Family::ALL {
        cases.push(
            Case::new(
                format!("kernel/fill/receive/{family}"),
                "what is written to the receive queue is read as if it had arrived",
                &["A20", "A34"],
                move |ctx| receive(ctx, family),
            )
            .needs(&[Need::QuietOff]),
        );
        cases.push(Case::new(
            format!("kernel/fill/send/{family}"),
            "what is written to the send queue counts as sent and not acknowledged",
            &["A20", "A30", "B16"],
            move |ctx| send(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/fill/acknowledged/{family}"),
            "an acknowledgement empties a restored send queue and tells no round-trip time",
            &["A30", "B6", "B15", "C13"],
            move |ctx| acknowledged(ctx, family),
        ));
    }
    cases
}

fn no_queue(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let sent = raw::send(&live.subject, b"nowhere", MSG_DONTWAIT);
    expect_errno("send", sent, libc::EINVAL)?;
    expect_eq("SIOCOUTQ", raw::siocoutq(&live.subject)?, 0)?;
    expect_eq("SIOCINQ", raw::siocinq(&live.subject)?, 0)
}

fn closed(ctx: &Context) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    for queue in [TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_SEND_QUEUE] {
        select(&socket, queue)?;
        let sent = raw::send(&socket, b"nowhere", MSG_DONTWAIT);
        expect_errno(format!("send, queue {queue}"), sent, libc::EPIPE)?;
    }
    Ok(())
}

fn receive(ctx: &Context, family: Family) -> Verdict {
    let lone = Lone::connect(ctx, family)?;
    select(&lone.socket, TCP_RECV_QUEUE)?;
    let sent = raw::send(&lone.socket, b"restored", MSG_DONTWAIT);
    expect_eq("bytes written", expect_ok("send", sent)?, 8)?;
    expect_eq("SIOCINQ", raw::siocinq(&lone.socket)?, 8)?;
    let end = queue_seq(&lone.socket, TCP_RECV_QUEUE)?;
    expect_eq("the end of the receive queue", end, RCV_NXT + 8)?;
    let end = queue_seq(&lone.socket, TCP_SEND_QUEUE)?;
    expect_eq("the end of the send queue", end, WRITE_SEQ)?;
    expect_eq("what is read", read_all(&lone)?, b"restored".to_vec())
}

/// Leaves repair mode without a probe, which nobody would answer well, and reads what there is.
fn read_all(lone: &Lone) -> Result<Vec<u8>, Stop> {
    raw::set_int(&lone.socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF_NO_WP)?;
    let mut bytes = vec![0; raw::siocinq(&lone.socket)?.unsigned_abs() as usize + 1];
    let count = raw::recv(&lone.socket, &mut bytes, MSG_DONTWAIT)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn readable(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let readable = || -> io::Result<bool> {
        let mut fds = [PollFd::new(lone.socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO)?;
        let [events] = fds.map(|fd| fd.revents());
        Ok(events.is_some_and(|events| events.contains(PollFlags::POLLIN)))
    };
    expect_eq("readable while it is empty", readable()?, false)?;
    select(&lone.socket, TCP_RECV_QUEUE)?;
    raw::send(&lone.socket, b"restored", MSG_DONTWAIT)?;
    expect_eq("readable", readable()?, true)
}

/// Writes all of it to the receive queue, in as many pieces as it takes.
fn fill_receive(socket: &impl AsFd, bytes: &[u8]) -> Verdict {
    select(socket, TCP_RECV_QUEUE)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = raw::send(socket, rest, MSG_DONTWAIT);
        rest = &rest[expect_ok(format!("send of {} bytes", rest.len()), written)?..];
    }
    Ok(())
}

/// As much as two pieces hold, and as fits a buffer that everybody may ask for.
fn receive_large(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let bytes = pattern(139_265);
    SockRef::from(&lone.socket).set_recv_buffer_size(2 * bytes.len())?;
    fill_receive(&lone.socket, &bytes)?;
    let same = read_all(&lone)? == bytes;
    expect_eq("what is read is what was written", same, true)
}

fn receive_grows(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    fill_receive(&lone.socket, &pattern(1 << 20))?;
    expect_eq("SIOCINQ", raw::siocinq(&lone.socket)?, 1 << 20)
}

/// So much that one kernel allocation for it would be a danger.
fn receive_at_once(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    select(&lone.socket, TCP_RECV_QUEUE)?;
    let written = raw::send(&lone.socket, &vec![0; 64 << 20], MSG_DONTWAIT);
    let written = expect_ok("send", written)?;
    ctx.note("bytes written", written);
    expect(
        "bytes written",
        "1 to 69632",
        written,
        (1..=17 * 4096).contains(&written),
    )
}

fn receive_full(ctx: &Context) -> Verdict {
    let small = Pair::builder().sysctl("net.ipv4.tcp_rmem", "4096 8192 16384");
    let lone = Lone::connect_in(ctx, ctx.build(small)?, Family::V4)?;
    select(&lone.socket, TCP_RECV_QUEUE)?;
    let chunk = pattern(1_000);
    let mut written = 0;
    let refusal = loop {
        match raw::send(&lone.socket, &chunk, MSG_DONTWAIT) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
        if written > 16 << 20 {
            let what = "bytes that fit into 16 KiB";
            return Err(Failure::new(what, "fewer", written).into());
        }
    };
    expect_errno::<()>("send", Err(refusal), libc::ENOBUFS)?;
    expect_eq("SIOCINQ", raw::siocinq(&lone.socket)?, written as i32)
}

fn send(ctx: &Context, family: Family) -> Verdict {
    let lone = Lone::connect(ctx, family)?;
    select(&lone.socket, TCP_SEND_QUEUE)?;
    let written = raw::send(&lone.socket, &pattern(10_000), MSG_DONTWAIT);
    expect_eq("bytes written", expect_ok("send", written)?, 10_000)?;
    expect_eq("SIOCOUTQ", raw::siocoutq(&lone.socket)?, 10_000)?;
    expect_eq("SIOCOUTQNSD", raw::siocoutqnsd(&lone.socket)?, 0)?;
    let end = queue_seq(&lone.socket, TCP_SEND_QUEUE)?;
    expect_eq("the end of the send queue", end, WRITE_SEQ + 10_000)?;
    let end = queue_seq(&lone.socket, TCP_RECV_QUEUE)?;
    expect_eq("the end of the receive queue", end, RCV_NXT)?;
    let unacked = raw::tcp_info(&lone.socket)?.unacked;
    expect("tcpi_unacked", "at least 1 segment", unacked, unacked > 0)
}

fn send_then_receive(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    for queue in [TCP_SEND_QUEUE, TCP_RECV_QUEUE] {
        select(&lone.socket, queue)?;
        let written = raw::send(&lone.socket, &pattern(5_000), MSG_DONTWAIT);
        expect_eq("bytes written", expect_ok("send", written)?, 5_000)?;
    }
    expect_eq("SIOCOUTQ", raw::siocoutq(&lone.socket)?, 5_000)?;
    expect_eq("SIOCINQ", raw::siocinq(&lone.socket)?, 5_000)
}

/// The peer has the bytes, and its acknowledgement was lost: it comes again as the answer to the probe.
fn acknowledged(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    let deaf = live.deafen()?;
    (&live.subject).write_all(b"restored")?;
    let arrived = || Ok(raw::siocinq(&live.peer)? == 8);
    eventually("the bytes have arrived", arrived)?;
    repair_on(&live.subject)?;
    let options = live.negotiated()?;
    let live = live.replace_at(&options, |write_seq, rcv_nxt| {
        (write_seq.wrapping_sub(8), rcv_nxt)
    })?;
    select(&live.subject, TCP_SEND_QUEUE)?;
    (&live.subject).write_all(b"restored")?;
    drop(deaf);
    raw::set_int(&live.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
    let empty = || Ok(raw::siocoutq(&live.subject)? == 0);
    expect_soon("the send queue", "is acknowledged", empty)?;
    let rtt = raw::tcp_info(&live.subject)?.rtt;
    expect("tcpi_rtt", "less than a minute", rtt, rtt < 60_000_000)
}
