//! What leaves the host while a socket is in repair mode, and what still goes on.

use super::SOCKETS;
use super::live::Live;
use super::subject::{
    Lone, RCV_NXT, WRITE_SEQ, connect, endpoints, expect_silence, expect_soon, fresh_in_repair,
    queue_seq, repair_on, select, state,
};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect_eq, expect_errno, expect_ok};
use lab::{Direction, Family, Flags, Segment};
use nix::sys::socket::{MsgFlags, SockaddrStorage, sendto};
use soccr::raw::{self, Opt, TCP_SEND_QUEUE};
use soccr::{Instruction, TcpState};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Lets nothing through: one instruction, which returns that no byte of the packet is kept.
const NOTHING: [Instruction; 1] = [Instruction {
    code: 6,
    jt: 0,
    jf: 0,
    k: 0,
}];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/traffic/data",
            "data that arrives in repair mode is queued and acknowledged",
            &["A9", "B29"],
            data,
        )
        .level(Level::Info),
        Case::new(
            "kernel/traffic/fin",
            "a FIN that arrives in repair mode is acknowledged and moves the socket to CLOSE_WAIT",
            &["A9"],
            fin,
        )
        .level(Level::Info),
        Case::new(
            "kernel/traffic/keepalive",
            "keepalive probes leave in repair mode as well",
            &["A9"],
            keepalive,
        )
        .level(Level::Info),
        Case::new(
            "kernel/traffic/filtered",
            "a socket filter that lets nothing in does not keep the kernel's own probes from leaving",
            &["F9", "A9"],
            filtered,
        )
        .level(Level::Info),
        Case::new(
            "kernel/traffic/retransmission",
            "a timer sends the restored send queue although repair mode is still on",
            &["A9", "H8", "B2"],
            retransmission,
        )
        .level(Level::Info),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/silence/write/{family}"),
            "data written to the send queue in repair mode is queued and not sent",
            &["A9", "A30"],
            move |ctx| write(ctx, family),
        ));
    }
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/silence/fast-open/{family}"),
            "MSG_FASTOPEN opens nothing in repair mode: EPIPE, and no SYN",
            &["A33", "B11"],
            move |ctx| fast_open(ctx, family),
        ));
        let case = Case::new(
            format!("kernel/silence/fast-open-connect/{family}"),
            "a connect that TCP_FASTOPEN_CONNECT defers is deferred in repair mode too: SYN_SENT, and neither SYN nor data",
            &["A33"],
            move |ctx| fast_open_connect(ctx, family),
        );
        cases.push(case.level(Level::Info));
    }
    cases
}

/// More than the initial congestion window, so that what does not count as sent would show.
const WRITTEN: usize = 40_000;

fn write(ctx: &Context, family: Family) -> Verdict {
    let lone = Lone::connect(ctx, family)?;
    select(&lone.socket, TCP_SEND_QUEUE)?;
    let written = raw::send(&lone.socket, &[7; WRITTEN], raw::MSG_DONTWAIT);
    expect_eq("bytes written", expect_ok("send", written)?, WRITTEN)?;
    expect_silence(&lone.trace()?)?;
    expect_eq("SIOCOUTQ", raw::siocoutq(&lone.socket)?, WRITTEN as i32)
}

fn fast_open(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    pair.a().sysctl("net.ipv4.tcp_fastopen", "5")?;
    let socket = fresh_in_repair(pair.a(), family)?;
    let address = SockaddrStorage::from(endpoints(&pair, family).remote);
    let flags = MsgFlags::from_bits_retain(raw::MSG_FASTOPEN) | MsgFlags::MSG_NOSIGNAL;
    let sent = sendto(socket.as_raw_fd(), b"early", &address, flags);
    expect_errno("sendto", sent.map_err(io::Error::from), libc::EPIPE)?;
    expect_eq("the state", state(&socket)?, Some(TcpState::Close))?;
    expect_silence(&capture.trace()?.filter(|packet| packet.segment().is_some()))
}

/// No cookie is needed, so that outside of repair mode the SYN would take the data along.
fn fast_open_connect(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    pair.a().sysctl("net.ipv4.tcp_fastopen", "5")?;
    let socket = fresh_in_repair(pair.a(), family)?;
    if let Err(error) = raw::set_int(&socket, Opt::TCP_FASTOPEN_CONNECT, 1) {
        let reason = format!("needs TCP_FASTOPEN_CONNECT: {error} (since kernel 4.11)");
        return Err(Stop::Skip(reason));
    }
    let endpoints = endpoints(&pair, family);
    connect(&socket, endpoints, WRITE_SEQ, RCV_NXT)?;
    expect_eq("the state", state(&socket)?, Some(TcpState::SynSent))?;
    select(&socket, TCP_SEND_QUEUE)?;
    let written = raw::send(&socket, b"early", raw::MSG_DONTWAIT);
    expect_errno("send", written, libc::EAGAIN)?;
    expect_silence(&capture.trace()?.filter(|packet| packet.segment().is_some()))
}

fn data(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    (&live.peer).write_all(b"hello")?;
    let arrived = || Ok(raw::siocinq(&live.subject)? == 5);
    expect_soon("the receive queue", "holds 5 bytes", arrived)?;
    let acknowledged = || Ok(raw::siocoutq(&live.peer)? == 0);
    expect_soon("the peer", "is acknowledged all of it", acknowledged)
}

fn fin(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    live.peer.shutdown(Shutdown::Write)?;
    for (what, socket, wanted) in [
        ("the subject", &live.subject, TcpState::CloseWait),
        ("the peer", &live.peer, TcpState::FinWait2),
    ] {
        let reached = || Ok(state(socket)? == Some(wanted));
        expect_soon(what, &format!("comes to {wanted}"), reached)?;
    }
    Ok(())
}

fn keepalive(ctx: &Context) -> Verdict {
    probes_leave(&Live::open(ctx, Family::V4)?)
}

/// What comes in is dropped before it is looked at; what a timer sends is not asked.
fn filtered(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    raw::set_filter(&live.subject, &NOTHING)?;
    probes_leave(&live)?;
    (&live.peer).write_all(b"unheard")?;
    let again = || Ok(raw::tcp_info(&live.peer)?.total_retrans > 0);
    expect_soon("the peer", "sends again what was not taken", again)?;
    expect_eq("SIOCINQ", raw::siocinq(&live.subject)?, 0)
}

fn probes_leave(live: &Live) -> Verdict {
    let second = Duration::from_secs(1);
    let often = TcpKeepalive::new().with_time(second).with_interval(second);
    SockRef::from(&live.subject).set_tcp_keepalive(&often)?;
    repair_on(&live.subject)?;
    let write_seq = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    live.expect_segment("a keepalive probe", Direction::Egress, |segment| {
        segment.flags == Flags::ACK && segment.seq == write_seq.wrapping_sub(1)
    })
}

fn retransmission(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let options = live.negotiated()?;
    let live = live.replace(&options)?;
    select(&live.subject, TCP_SEND_QUEUE)?;
    (&live.subject).write_all(b"sent before")?;
    let resent = |segment: &Segment| segment.payload_len > 0;
    live.expect_segment("the send queue", Direction::Egress, resent)
}
