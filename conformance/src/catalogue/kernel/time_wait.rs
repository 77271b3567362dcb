//! Connections in TIME_WAIT, and new ones with their addresses.

use super::SOCKETS;
use super::live::Live;
use super::subject::{RCV_NXT, WRITE_SEQ, connect, fresh_in_repair, queue_seq, reaches, state};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::{Direction, Family, Match, Pair};
use soccr::raw::{TCP_RECV_QUEUE, TCP_SEND_QUEUE};
use soccr::{Endpoints, TcpState};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Mark: the connection of the subject is over.
const OVER: &str = "over";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/time-wait/descriptor",
            "a descriptor whose connection is in TIME_WAIT tells of a closed socket",
            &["A59"],
            descriptor,
        )
        .level(Level::Info),
        Case::new(
            "kernel/time-wait/answers",
            "a peer that has missed the last acknowledgement gets it from TIME_WAIT",
            &["E8"],
            |ctx| last_fin_again(ctx, true),
        )
        .level(Level::Info),
        Case::new(
            "kernel/time-wait/gone",
            "where no TIME_WAIT is, as on a host that the address has moved to, it gets a RST",
            &["E8"],
            |ctx| last_fin_again(ctx, false),
        )
        .level(Level::Info),
    ];
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/time-wait/thrice/{family}"),
            "however often a connection takes its addresses over from TIME_WAIT, its numbers stay",
            &["A39", "B14"],
            move |ctx| thrice(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/time-wait/timestamps/{family}"),
            "a connect in repair mode takes addresses over from TIME_WAIT and keeps its numbers",
            &["A39", "B14"],
            move |ctx| timestamps(ctx, family),
        ));
        let case = Case::new(
            format!("kernel/time-wait/no-timestamps/{family}"),
            "without timestamps a TIME_WAIT keeps its addresses from a connect in repair mode",
            &["A39"],
            move |ctx| no_timestamps(ctx, family),
        );
        cases.push(case.level(Level::Info));
    }
    cases
}

/// Two hosts and the addresses of a connection between them of which the first is in TIME_WAIT, and a socket in
/// repair mode that is to have them next.
struct Left {
    _pair: Arc<Pair>,
    endpoints: Endpoints,
    next: OwnedFd,
}

/// Closes from both sides, the subject first. Its descriptor stays, so that it can tell when it is over.
fn part(subject: &TcpStream, peer: &TcpStream) -> Verdict {
    subject.shutdown(Shutdown::Write)?;
    reaches(subject, TcpState::FinWait2)?;
    peer.shutdown(Shutdown::Write)?;
    reaches(peer, TcpState::Close)
}

fn leave(ctx: &Context, timestamps: &str, family: Family) -> Result<Left, Stop> {
    let pair = ctx.build(Pair::builder().sysctl("net.ipv4.tcp_timestamps", timestamps))?;
    let live = Live::open_in(ctx, Arc::clone(&pair), family)?;
    let endpoints = Endpoints {
        local: live.subject.local_addr()?,
        remote: live.subject.peer_addr()?,
    };
    part(&live.subject, &live.peer)?;
    let next = fresh_in_repair(pair.a(), family)?;
    Ok(Left {
        _pair: pair,
        endpoints,
        next,
    })
}

fn timestamps(ctx: &Context, family: Family) -> Verdict {
    let left = leave(ctx, "1", family)?;
    let connected = connect(&left.next, left.endpoints, WRITE_SEQ, RCV_NXT);
    expect_ok("connect", connected)?;
    expect_eq("the state", state(&left.next)?, Some(TcpState::Established))?;
    expect_eq("send", queue_seq(&left.next, TCP_SEND_QUEUE)?, WRITE_SEQ)?;
    expect_eq("receive", queue_seq(&left.next, TCP_RECV_QUEUE)?, RCV_NXT)
}

fn no_timestamps(ctx: &Context, family: Family) -> Verdict {
    let left = leave(ctx, "0", family)?;
    let connected = connect(&left.next, left.endpoints, WRITE_SEQ, RCV_NXT);
    expect_errno("connect", connected, libc::EADDRNOTAVAIL)
}

fn descriptor(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    part(&live.subject, &live.peer)?;
    expect_eq("the state", state(&live.subject)?, Some(TcpState::Close))
}

/// Each time with the number that was read the last time, so that what moves adds up.
fn thrice(ctx: &Context, family: Family) -> Verdict {
    const PORTS: (u16, u16) = (40_001, 40_002);
    let pair = ctx.pair()?;
    let (mut write_seq, mut rcv_nxt) = (WRITE_SEQ, RCV_NXT);
    for round in 1..=3 {
        let opening = pair.connection(family);
        let ends = opening.client_port(PORTS.0).server_port(PORTS.1).open()?;
        let endpoints = Endpoints {
            local: ends.client.local_addr()?,
            remote: ends.client.peer_addr()?,
        };
        part(&ends.client, &ends.server)?;
        let next = fresh_in_repair(pair.a(), family)?;
        let connected = connect(&next, endpoints, write_seq, rcv_nxt);
        expect_ok(format!("connect, round {round}"), connected)?;
        write_seq = queue_seq(&next, TCP_SEND_QUEUE)?;
        rcv_nxt = queue_seq(&next, TCP_RECV_QUEUE)?;
        let numbers = (write_seq, rcv_nxt);
        let what = format!("send and receive, round {round}");
        expect_eq(what, numbers, (WRITE_SEQ, RCV_NXT))?;
    }
    Ok(())
}

/// The answer to the peer's FIN is lost, and the peer sends it again.
fn last_fin_again(ctx: &Context, kept: bool) -> Verdict {
    let pair = ctx.pair()?;
    if !kept {
        pair.a().sysctl("net.ipv4.tcp_max_tw_buckets", "0")?;
    }
    let live = Live::open_in(ctx, pair, Family::V4)?;
    live.subject.shutdown(Shutdown::Write)?;
    reaches(&live.subject, TcpState::FinWait2)?;
    let outbound = Match::tcp().flow(live.flow);
    let mute = live.pair.a().blackhole(Direction::Egress, outbound)?;
    live.peer.shutdown(Shutdown::Write)?;
    reaches(&live.subject, TcpState::Close)?;
    expect_eq("the peer", state(&live.peer)?, Some(TcpState::LastAck))?;
    live.capture.mark(OVER)?;
    drop(mute);
    reaches(&live.peer, TcpState::Close)?;
    let trace = live.capture.trace()?.after(OVER)?.along(&live.flow);
    let resets = trace.count(|segment| segment.flags.rst());
    let expected = if kept { "no RST" } else { "a RST" };
    expect(
        "the answer to the FIN",
        expected,
        &trace,
        (resets == 0) == kept,
    )
}
