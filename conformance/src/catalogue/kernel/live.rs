//! Connections between two hosts, brought into their state by plain system calls, without the library.

use super::subject::{
    PATIENCE, connect, eventually, fresh, queue_seq, repair_on, set_options, shifts,
};
use crate::context::Context;
use crate::verdict::{Failure, Stop, Verdict};
use lab::{Blackhole, Capture, Direction, Family, Flow, Match, Packet, Pair, Segment, Trace};
use soccr::Endpoints;
use soccr::raw::{self, Opt};
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Mark: repair mode is about to end.
const LEAVING: &str = "leaving repair mode";

/// A connection that had a handshake, between a subject on host `a` and a peer on host `b`.
pub(super) struct Live {
    pub(super) pair: Arc<Pair>,
    pub(super) capture: Arc<Capture>,
    pub(super) subject: TcpStream,
    pub(super) peer: TcpStream,
    pub(super) flow: Flow,
}

impl Live {
    pub(super) fn open(ctx: &Context, family: Family) -> Result<Self, Stop> {
        Self::open_in(ctx, ctx.pair()?, family)
    }

    pub(super) fn open_in(ctx: &Context, pair: Arc<Pair>, family: Family) -> Result<Self, Stop> {
        let capture = ctx.capture(pair.a())?;
        let connection = pair.connection(family).open()?;
        let flow = connection.flow();
        ctx.connected(flow);
        Ok(Self {
            pair,
            capture,
            subject: connection.client,
            peer: connection.server,
            flow,
        })
    }

    /// Opens one whose subject is in repair mode.
    pub(super) fn in_repair(ctx: &Context, family: Family) -> Result<Self, Stop> {
        let live = Self::open(ctx, family)?;
        repair_on(&live.subject)?;
        Ok(live)
    }

    /// Lets bytes of the peer arrive and be acknowledged.
    pub(super) fn receive(&self, bytes: &[u8]) -> Verdict {
        let before = raw::siocinq(&self.subject)?;
        (&self.peer).write_all(bytes)?;
        let arrived = || {
            let unread = raw::siocinq(&self.subject)? - before;
            Ok(unread == bytes.len() as i32 && raw::siocoutq(&self.peer)? == 0)
        };
        eventually("the bytes have arrived", arrived)
    }

    /// Lets nothing of the peer through to the subject.
    pub(super) fn deafen(&self) -> Result<Blackhole, Stop> {
        let inbound = Match::tcp().flow(self.flow.reversed());
        Ok(self.pair.a().blackhole(Direction::Ingress, inbound)?)
    }

    /// Leaves repair mode; what the subject's host has sent since on this connection.
    pub(super) fn leave(&self, off: i32) -> Result<Trace, Stop> {
        self.capture.mark(LEAVING)?;
        raw::set_int(&self.subject, Opt::TCP_REPAIR, off)?;
        Ok(self.capture.trace()?.after(LEAVING)?.along(&self.flow))
    }

    /// Leaves repair mode with a probe.
    pub(super) fn probe(&self) -> Result<Segment, Stop> {
        let sent = self.leave(raw::TCP_REPAIR_OFF)?;
        let probe = sent.segments().next().cloned();
        probe.ok_or_else(|| Failure::new("the wire", "a probe", &sent).into())
    }

    /// Fails unless a segment leaves or arrives; it may have done so before.
    pub(super) fn expect_segment(
        &self,
        what: &str,
        direction: Direction,
        wanted: impl Fn(&Segment) -> bool,
    ) -> Verdict {
        let wanted = |packet: &Packet| {
            packet.direction == direction && packet.segment().is_some_and(&wanted)
        };
        let seen = self.capture.until(what, PATIENCE, wanted);
        seen.map_err(|error| Failure::new("the wire", what, error).into())
    }

    /// The options of the handshake, as `TCP_REPAIR_OPTIONS` has them. The subject has to be in repair mode.
    pub(super) fn negotiated(&self) -> io::Result<Vec<(u32, u32)>> {
        let info = raw::tcp_info(&self.subject)?;
        let mss = raw::get_int(&self.subject, Opt::TCP_MAXSEG)?.unsigned_abs();
        let shifts = shifts(info.snd_wscale, info.rcv_wscale);
        let mut options = vec![(raw::TCPOPT_MSS, mss), (raw::TCPOPT_WINDOW, shifts)];
        for (bit, code) in [
            (raw::TCPI_OPT_SACK, raw::TCPOPT_SACK_PERM),
            (raw::TCPI_OPT_TIMESTAMPS, raw::TCPOPT_TIMESTAMP),
        ] {
            if info.options & bit != 0 {
                options.push((code, 0));
            }
        }
        Ok(options)
    }

    /// Closes the subject; an unconnected socket takes its place.
    pub(super) fn closed(self) -> Result<Self, Stop> {
        let placeholder = fresh(self.pair.a(), Family::V4)?;
        Ok(Self {
            subject: placeholder.into(),
            ..self
        })
    }

    /// Closes the subject, which is in repair mode, and connects a new socket in its place, with the same addresses,
    /// numbers and clock, and with `options`. It stays in repair mode.
    pub(super) fn replace(self, options: &[(u32, u32)]) -> Result<Self, Stop> {
        self.replace_at(options, |write_seq, rcv_nxt| (write_seq, rcv_nxt))
    }

    /// Does so with other numbers: `numbers` makes them of the ends of the send and of the receive queue.
    pub(super) fn replace_at(
        self,
        options: &[(u32, u32)],
        numbers: impl FnOnce(u32, u32) -> (u32, u32),
    ) -> Result<Self, Stop> {
        self.replace_by(options, numbers, |_| Ok(()))
    }

    /// Does so with a socket that was `prepared` before it is connected.
    pub(super) fn replace_by(
        self,
        options: &[(u32, u32)],
        numbers: impl FnOnce(u32, u32) -> (u32, u32),
        prepared: impl FnOnce(&OwnedFd) -> io::Result<()>,
    ) -> Result<Self, Stop> {
        let endpoints = Endpoints {
            local: self.subject.local_addr()?,
            remote: self.subject.peer_addr()?,
        };
        let write_seq = queue_seq(&self.subject, raw::TCP_SEND_QUEUE)?;
        let rcv_nxt = queue_seq(&self.subject, raw::TCP_RECV_QUEUE)?;
        let timestamp = raw::get_int(&self.subject, Opt::TCP_TIMESTAMP)?;
        drop(self.subject);
        let socket = self
            .pair
            .a()
            .enter(|| raw::tcp_socket(endpoints.family()))??;
        repair_on(&socket)?;
        prepared(&socket)?;
        let (write_seq, rcv_nxt) = numbers(write_seq, rcv_nxt);
        connect(&socket, endpoints, write_seq, rcv_nxt)?;
        set_options(&socket, options)?;
        raw::set_int(&socket, Opt::TCP_TIMESTAMP, timestamp)?;
        Ok(Self {
            subject: socket.into(),
            ..self
        })
    }
}
