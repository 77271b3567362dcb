//! Sockets without a peer, and the plain system calls that the cases are made of; nothing of the library.

use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect};
use lab::{Capture, Family, Flow, Host, Pair, Trace, wait};
use soccr::raw::{self, Opt};
use soccr::{Endpoints, TcpState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// How long a condition may take: a bound against a hanging run, not an expectation.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The end of the send queue of a [`Lone`] socket.
pub(super) const WRITE_SEQ: u32 = 1_000_000;
/// The end of its receive queue.
pub(super) const RCV_NXT: u32 = 2_000_000;

const LOCAL_PORT: u16 = 40_001;
const REMOTE_PORT: u16 = 40_002;

/// A socket that a connect in repair mode made ESTABLISHED; it is in repair mode still, and has no peer.
pub(super) struct Lone {
    pub(super) pair: Arc<Pair>,
    pub(super) capture: Arc<Capture>,
    pub(super) socket: OwnedFd,
    pub(super) endpoints: Endpoints,
}

impl Lone {
    pub(super) fn connect(ctx: &Context, family: Family) -> Result<Self, Stop> {
        Self::connect_in(ctx, ctx.pair()?, family)
    }

    pub(super) fn connect_in(ctx: &Context, pair: Arc<Pair>, family: Family) -> Result<Self, Stop> {
        let capture = ctx.capture(pair.a())?;
        let endpoints = endpoints(&pair, family);
        let socket = fresh_in_repair(pair.a(), family)?;
        connect(&socket, endpoints, WRITE_SEQ, RCV_NXT)?;
        Ok(Self {
            pair,
            capture,
            socket,
            endpoints,
        })
    }

    /// What was on the wire of this connection so far, in either direction.
    pub(super) fn trace(&self) -> Result<Trace, Stop> {
        let flow = Flow::new(self.endpoints.local, self.endpoints.remote);
        Ok(self.capture.trace()?.of(&flow))
    }
}

/// A TCP socket that is neither bound nor connected.
pub(super) fn fresh(host: &Host, family: Family) -> Result<OwnedFd, Stop> {
    let family = match family {
        Family::V4 => soccr::Family::V4,
        Family::V6 | Family::V4Mapped => soccr::Family::V6,
    };
    Ok(host.enter(|| raw::tcp_socket(family))??)
}

pub(super) fn fresh_in_repair(host: &Host, family: Family) -> Result<OwnedFd, Stop> {
    let socket = fresh(host, family)?;
    repair_on(&socket)?;
    Ok(socket)
}

/// Addresses on both hosts, as a socket of host `a` names them.
pub(super) fn endpoints(pair: &Pair, family: Family) -> Endpoints {
    let address = |host: &Host, port| match (host.address(family), family) {
        (IpAddr::V4(v4), Family::V4Mapped) => SocketAddr::new(v4.to_ipv6_mapped().into(), port),
        (ip, _) => SocketAddr::new(ip, port),
    };
    Endpoints {
        local: address(pair.a(), LOCAL_PORT),
        remote: address(pair.b(), REMOTE_PORT),
    }
}

/// Connects a socket in repair mode, between queues that are empty.
pub(super) fn connect(
    socket: &impl AsFd,
    endpoints: Endpoints,
    write_seq: u32,
    rcv_nxt: u32,
) -> io::Result<()> {
    raw::bind(socket, endpoints.local)?;
    set_queue_seq(socket, raw::TCP_SEND_QUEUE, write_seq)?;
    set_queue_seq(socket, raw::TCP_RECV_QUEUE, rcv_nxt)?;
    raw::connect(socket, endpoints.remote)
}

pub(super) fn repair_on(socket: &impl AsFd) -> io::Result<()> {
    raw::set_int(socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)
}

pub(super) fn repair(socket: &impl AsFd) -> io::Result<i32> {
    raw::get_int(socket, Opt::TCP_REPAIR)
}

pub(super) fn select(socket: &impl AsFd, queue: i32) -> io::Result<()> {
    raw::set_int(socket, Opt::TCP_REPAIR_QUEUE, queue)
}

/// Selects a queue and reads the sequence number at its end.
pub(super) fn queue_seq(socket: &impl AsFd, queue: i32) -> io::Result<u32> {
    select(socket, queue)?;
    Ok(raw::get_int(socket, Opt::TCP_QUEUE_SEQ)? as u32)
}

/// Selects a queue and sets the sequence number at its end.
pub(super) fn set_queue_seq(socket: &impl AsFd, queue: i32, seq: u32) -> io::Result<()> {
    select(socket, queue)?;
    raw::set_int(socket, Opt::TCP_QUEUE_SEQ, seq as i32)
}

/// Sets `TCP_REPAIR_OPTIONS` from codes and values.
pub(super) fn set_options(socket: &impl AsFd, options: &[(u32, u32)]) -> io::Result<()> {
    let entries = options
        .iter()
        .flat_map(|&(code, value)| raw::tcp_repair_opt(code, value));
    let bytes: Vec<u8> = entries.collect();
    raw::set(socket, Opt::TCP_REPAIR_OPTIONS, &bytes)
}

/// The value of the window scale option.
pub(super) fn shifts(snd: u8, rcv: u8) -> u32 {
    u32::from(snd) | u32::from(rcv) << 16
}

pub(super) fn state(socket: &impl AsFd) -> io::Result<Option<TcpState>> {
    Ok(TcpState::from_kernel(raw::tcp_info(socket)?.state))
}

pub(super) fn reaches(socket: &impl AsFd, wanted: TcpState) -> Verdict {
    eventually(&format!("the state is {wanted}"), || {
        Ok(state(socket)? == Some(wanted))
    })
}

/// Waits for a condition; one that cannot be looked at does not hold.
pub(super) fn eventually(what: &str, condition: impl Fn() -> io::Result<bool>) -> Verdict {
    Ok(wait::until(what, PATIENCE, || {
        condition().unwrap_or(false)
    })?)
}

/// Fails unless a condition comes true.
pub(super) fn expect_soon(
    what: &str,
    expected: &str,
    condition: impl Fn() -> io::Result<bool>,
) -> Verdict {
    let held = wait::until(what, PATIENCE, || condition().unwrap_or(false)).is_ok();
    expect(what, expected, format!("not within {PATIENCE:?}"), held)
}

/// Fails if there is a packet.
pub(super) fn expect_silence(trace: &Trace) -> Verdict {
    expect("the wire", "no packet", trace, trace.is_empty())
}

/// Bytes of which each tells its place, as far as a byte can.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}
