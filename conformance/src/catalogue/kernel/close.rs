//! Closing a socket in repair mode: the connection is gone from this host, and nobody is told.

use super::live::Live;
use super::subject::{Lone, expect_silence, expect_soon, repair, repair_on, select, state};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Verdict, expect_eq, expect_ok};
use lab::{Direction, Family, Segment};
use soccr::TcpState;
use soccr::raw::{self, Opt};
use socket2::SockRef;
use std::io::Write;
use std::time::Duration;

/// Mark: the socket is about to be closed.
const CLOSING: &str = "closing";

/// What makes an ordinary close send a RST instead of a FIN.
type Spoil = fn(&Live) -> Verdict;

const VARIANTS: [(&str, Spoil); 2] = [
    ("unread", |live| live.receive(b"nobody reads this")),
    ("linger-zero", |live| {
        Ok(SockRef::from(&live.subject).set_linger(Some(Duration::ZERO))?)
    }),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/close/in-flight",
            "a close in repair mode is silent while sent data is not acknowledged",
            &["A10"],
            in_flight,
        ),
        Case::new(
            "kernel/close/shared",
            "closing one of two descriptors in repair mode leaves the connection to the other",
            &["A10", "A12"],
            shared,
        ),
        Case::new(
            "kernel/close/no-trace",
            "after a close in repair mode the host knows the connection no longer: RST",
            &["A12", "C10"],
            no_trace,
        )
        .level(Level::Info),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/close/idle/{family}"),
            "a close in repair mode sends neither FIN nor RST, and the peer stays connected",
            &["A10", "C23"],
            move |ctx| silent(Live::open(ctx, family)?, |_| Ok(())),
        ));
    }
    for (name, spoil) in VARIANTS {
        cases.push(Case::new(
            format!("kernel/close/{name}"),
            "a close in repair mode sends nothing where an ordinary one sends a RST",
            &["A10"],
            move |ctx| silent(Live::open(ctx, Family::V4)?, spoil),
        ));
    }
    cases
}

fn silent(live: Live, spoil: Spoil) -> Verdict {
    spoil(&live)?;
    repair_on(&live.subject)?;
    live.capture.mark(CLOSING)?;
    drop(live.subject);
    let trace = live.capture.trace()?.after(CLOSING)?;
    expect_silence(&trace.along(&live.flow))?;
    let established = Some(TcpState::Established);
    expect_eq("the state of the peer", state(&live.peer)?, established)
}

fn in_flight(ctx: &Context) -> Verdict {
    let Lone {
        capture, socket, ..
    } = Lone::connect(ctx, Family::V4)?;
    select(&socket, raw::TCP_SEND_QUEUE)?;
    raw::send(&socket, b"sent before", 0)?;
    expect_eq("bytes in flight", raw::siocoutq(&socket)?, 11)?;
    drop(socket);
    expect_silence(&capture.trace()?.filter(|packet| packet.segment().is_some()))
}

fn shared(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let other = live.subject.try_clone()?;
    drop(live.subject);
    expect_eq("TCP_REPAIR", repair(&other)?, 1)?;
    let off = raw::set_int(&other, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF);
    expect_ok("TCP_REPAIR_OFF", off)?;
    (&other).write_all(b"still here")?;
    let arrived = || Ok(raw::siocinq(&live.peer)? == 10);
    expect_soon("the peer", "receives what is written", arrived)
}

fn no_trace(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?.closed()?;
    (&live.peer).write_all(b"is anybody there?")?;
    let reset = |segment: &Segment| segment.flags.rst();
    live.expect_segment("a RST", Direction::Egress, reset)?;
    let closed = || Ok(state(&live.peer)? == Some(TcpState::Close));
    expect_soon("the peer", "is reset", closed)
}
