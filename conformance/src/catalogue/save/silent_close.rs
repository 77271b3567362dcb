//! A connection that is ended without a packet: gone from its host, while the peer believes in it.

use super::refusals::HalfOpen;
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Lock, PATIENCE, Plan, Receive, Send, Traveller};
use crate::oracle::table::{expect_absent, expect_sockets};
use crate::oracle::wire::{CLOSED, CLOSING};
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq, expect_errno};
use lab::{Capture, Family, Flow, Host, Pair, wait};
use soccr::TcpState;
use soccr::faults::{self, Fault};
use soccr::raw::{self, Opt};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

const STATES: [(&str, Plan); 3] = [
    (
        "established-full",
        Plan {
            receive: Receive::Full,
            send: Send::Both,
            ..Plan::PLAIN
        },
    ),
    (
        "close-wait",
        Plan {
            receive: Receive::Small,
            ending: Ending::CloseWait,
            ..Plan::PLAIN
        },
    ),
    (
        "fin-wait-2",
        Plan {
            receive: Receive::Small,
            ending: Ending::FinWait2,
            ..Plan::PLAIN
        },
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new(
        "save/silent-close/syn-received",
        "a connection that was accepted before its handshake was over is gone without a packet",
        &["E10", "C23"],
        half_open,
    )];
    for family in [Family::V4, Family::V6, Family::V4Mapped] {
        for (name, plan) in STATES {
            let plan = Plan { family, ..plan };
            cases.push(Case::new(
                format!("save/silent-close/{name}/{family}"),
                "a silent close leaves no packet, no TIME-WAIT and no socket, whatever is in the queues; the peer is \
                 in the state it was in",
                &["A10", "C23"],
                move |ctx| vanishes(ctx, plan),
            ));
        }
        cases.push(Case::new(
            format!("save/silent-close/syn-sent/{family}"),
            "a silent close ends an attempt to connect: no packet, no socket",
            &["A10", "C23"],
            move |ctx| attempt(ctx, family),
        ));
        cases.push(Case::new(
            format!("save/silent-close/shared/{family}"),
            "after a silent close another descriptor has a socket that is closed, aborted, and not in repair mode",
            &["A11", "A12"],
            move |ctx| shared(ctx, family),
        ));
        cases.push(
            Case::new(
            format!("save/silent-close/fails/{family}"),
            "whatever system call of a silent close fails, the connection runs on as before, or is gone without a \
             packet",
            &["A6", "E13"],
            move |ctx| fails(ctx, family),
        )
        // A network for each call that can fail.
        .bound(Duration::from_secs(180)));
    }
    cases
}

/// A connection of host `a`, and what leaves that host.
struct Scene {
    pair: Arc<Pair>,
    capture: Arc<Capture>,
    flow: Flow,
}

impl Scene {
    fn of(traveller: &Traveller) -> Self {
        Self {
            pair: Arc::clone(&traveller.pair),
            capture: Arc::clone(&traveller.capture),
            flow: traveller.flow,
        }
    }

    /// Closes a socket silently by its last descriptor.
    fn close<T: AsFd + Into<OwnedFd>>(&self, socket: T) -> Verdict {
        let host = self.pair.a();
        // The first mark opens a socket of the capture.
        self.capture.mark(CLOSING)?;
        let used = host.socket_counts()?.used;
        soccr::silent_close(socket)?;
        self.expect_gone()?;
        expect_sockets("a silent close", host, used - 1)
    }

    /// A timer may send again what is in flight until the close; nothing that ends anything is sent, and nothing later.
    fn expect_gone(&self) -> Verdict {
        self.capture.mark(CLOSED)?;
        expect_absent(self.pair.a(), &self.flow)?;
        let sent = self.capture.trace()?.along(&self.flow);
        let said = sent.after(CLOSING)?;
        let ends = said.any(|segment| segment.flags.fin() || segment.flags.rst());
        expect("what was sent", "neither FIN nor RST", &said, !ends)?;
        let late = sent.after(CLOSED)?;
        expect(
            "what was sent after the close",
            "nothing",
            &late,
            late.is_empty(),
        )
    }
}

fn vanishes(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    if plan.receive != Receive::Full {
        // What is not acknowledged, the peer sends again: that would draw a RST.
        let acknowledged = || raw::siocoutq(&traveller.peer).is_ok_and(|left| left == 0);
        wait::until("the peer waits for nothing", PATIENCE, acknowledged)?;
    }
    let scene = Scene::of(&traveller);
    let before = raw::tcp_info(&traveller.peer)?.state;
    scene.close(traveller.subject)?;
    let after = raw::tcp_info(&traveller.peer)?.state;
    expect_eq("the state of the peer", after, before)?;
    let error = traveller.peer.take_error()?.map(|error| error.to_string());
    expect_eq("SO_ERROR at the peer", error, None)
}

fn attempt(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let address = |host: &Host, port| match (host.address(family), family) {
        (IpAddr::V4(v4), Family::V4Mapped) => SocketAddr::from((v4.to_ipv6_mapped(), port)),
        (ip, _) => SocketAddr::new(ip, port),
    };
    let (local, remote) = (address(pair.a(), 40_001), address(pair.b(), 9));
    let flow = Flow::new(local, remote);
    // Nobody listens there, and the RST that says so does not arrive.
    let mut lock = Lock::default();
    lock.block_ingress(&pair, flow)?;
    let new = || Socket::new(Domain::for_address(local), Type::STREAM, None);
    let socket = pair.a().enter(new)??;
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    let connected = socket.connect(&remote.into());
    expect_errno("connect", connected, libc::EINPROGRESS)?;
    let state = raw::tcp_info(&socket)?.state;
    expect_eq("the state", state, TcpState::SynSent as u8)?;
    let scene = Scene {
        pair,
        capture,
        flow,
    };
    scene.close(socket)
}

fn half_open(ctx: &Context) -> Verdict {
    let HalfOpen {
        pair,
        accepted,
        client: _client,
        lost: _lost,
    } = HalfOpen::new(ctx)?;
    let capture = ctx.capture(pair.b())?;
    let flow = Flow::new(accepted.local_addr()?, accepted.peer_addr()?);
    soccr::silent_close(accepted)?;
    expect_absent(pair.b(), &flow)?;
    let said = capture.trace()?.along(&flow);
    let ends = said.any(|segment| segment.flags.fin() || segment.flags.rst());
    expect("what was sent", "neither FIN nor RST", &said, !ends)
}

fn shared(ctx: &Context, family: Family) -> Verdict {
    let traveller = Traveller::open(ctx, family)?;
    let kept = traveller.subject.try_clone()?;
    traveller.capture.mark(CLOSING)?;
    let scene = Scene::of(&traveller);
    soccr::silent_close(traveller.subject)?;
    scene.expect_gone()?;
    expect_aborted(&kept)
}

/// What another descriptor has after a silent close.
fn expect_aborted(kept: &TcpStream) -> Verdict {
    let state = raw::tcp_info(kept)?.state;
    expect_eq("the state", state, TcpState::Close as u8)?;
    let repair = raw::get_int(kept, Opt::TCP_REPAIR)?;
    expect_eq("TCP_REPAIR", repair, 0)?;
    let received = raw::recv(kept, &mut [0], raw::MSG_DONTWAIT);
    expect_errno("a read", received, libc::ECONNABORTED)
}

fn fails(ctx: &Context, family: Family) -> Verdict {
    let spare = Traveller::open(ctx, family)?.subject;
    let (closed, calls) = faults::record(|| soccr::silent_close(spare));
    closed?;
    let ends = calls.iter().position(|call| *call == "connect(AF_UNSPEC)");
    let ends = ends.ok_or_else(|| Stop::Broken(format!("the calls are {calls:?}")))?;
    for (number, call) in calls.iter().enumerate() {
        let traveller = Traveller::open(ctx, family)?;
        raw::set_int(&traveller.subject, Opt::SO_REUSEADDR, 1)?;
        let socket = traveller.subject.try_clone()?;
        traveller.capture.mark(CLOSING)?;
        let close = || soccr::silent_close(socket);
        let (closed, _) = faults::strike_at(number, Fault::Errno(libc::EPERM), close);
        match closed {
            Err(refused) if number <= ends => runs_on(&traveller, &refused.socket)?,
            Ok(()) if number > ends => {
                Scene::of(&traveller).expect_gone()?;
                expect_aborted(&traveller.subject)?;
            }
            other => {
                let what = format!("a silent close whose call {number}, {call}, fails");
                let wanted = "an error until the connection is gone, then none";
                return Err(Failure::new(what, wanted, format!("{other:?}")).into());
            }
        }
    }
    ctx.note("calls that failed", calls.len());
    Ok(())
}

/// The connection of a socket that was given back is as it was, and nothing was said.
fn runs_on(traveller: &Traveller, socket: &TcpStream) -> Verdict {
    for (option, wanted) in [(Opt::TCP_REPAIR, 0), (Opt::SO_REUSEADDR, 1)] {
        expect_eq(format!("{option:?}"), raw::get_int(socket, option)?, wanted)?;
    }
    let said = traveller.capture.trace()?.after(CLOSING)?;
    let said = said.along(&traveller.flow);
    expect("what was sent", "nothing", &said, said.is_empty())?;
    traveller.talk.exchange(socket, &traveller.peer, 10_000)?;
    traveller.talk.close(socket, &traveller.peer)
}
