//! Connections in TIME_WAIT, and new ones with their addresses.

use super::SOCKETS;
use super::live::Live;
use super::subject::{RCV_NXT, WRITE_SEQ, connect, fresh_in_repair, queue_seq, reaches, state};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect_eq, expect_errno, expect_ok};
use lab::{Family, Pair};
use soccr::raw::{TCP_RECV_QUEUE, TCP_SEND_QUEUE};
use soccr::{Endpoints, TcpState};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/time-wait/descriptor",
            "a descriptor whose connection is in TIME_WAIT tells of a closed socket",
            &["A59"],
            descriptor,
        )
        .level(Level::Info),
    ];
    for family in SOCKETS {
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
fn part(live: &Live) -> Verdict {
    live.subject.shutdown(Shutdown::Write)?;
    reaches(&live.subject, TcpState::FinWait2)?;
    live.peer.shutdown(Shutdown::Write)?;
    reaches(&live.peer, TcpState::Close)
}

fn leave(ctx: &Context, timestamps: &str, family: Family) -> Result<Left, Stop> {
    let pair = ctx.build(Pair::builder().sysctl("net.ipv4.tcp_timestamps", timestamps))?;
    let live = Live::open_in(ctx, Arc::clone(&pair), family)?;
    let endpoints = Endpoints {
        local: live.subject.local_addr()?,
        remote: live.subject.peer_addr()?,
    };
    part(&live)?;
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
    part(&live)?;
    expect_eq("the state", state(&live.subject)?, Some(TcpState::Close))
}
