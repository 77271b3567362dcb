//! A connection of which only the SYN was sent, in repair mode.

use super::repair_window::RepairWindow;
use super::subject::{endpoints, expect_silence, fresh, queue_seq, repair_on, set_options, state};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::oracle::table;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::{Blackhole, Capture, Direction, Family, Flow, Match, Pair, Segment, Trace};
use soccr::TcpState;
use soccr::raw::{self, Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_SEND_QUEUE};
use socket2::SockRef;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Mark: from here on nothing but the SYN again may leave.
const LEAVING: &str = "leaving";

/// How long the SYN may take to be sent again: a bound against a hanging run.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/attempt/options",
            "a connection that is only attempted has no options to repair: EPERM",
            &["A42", "E9"],
            options,
        ),
        Case::new(
            "kernel/attempt/next-syn",
            "the SYN that is sent again tells the clock and the window that were set meanwhile",
            &["A49", "A55"],
            next_syn,
        )
        .level(Level::Info)
        .needs(&[Need::RepairWindow, Need::QuietOff]),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/attempt/off/{family}"),
            "an attempted connection enters repair mode, tells its number plus one, and leaves it without a probe",
            &["A2", "A13", "A20", "E9"],
            move |ctx| off(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/attempt/close/{family}"),
            "an attempted connection that is closed in repair mode is gone without a packet",
            &["A10", "E9"],
            move |ctx| close(ctx, family),
        ));
    }
    cases
}

/// A socket whose SYN has left and does not arrive.
struct Attempt {
    pair: Arc<Pair>,
    capture: Arc<Capture>,
    socket: OwnedFd,
    flow: Flow,
    _nowhere: Blackhole,
}

impl Attempt {
    fn begin(ctx: &Context, family: Family) -> Result<Self, Stop> {
        let pair = ctx.pair()?;
        let capture = ctx.capture(pair.a())?;
        let endpoints = endpoints(&pair, family);
        let flow = Flow::new(endpoints.local, endpoints.remote);
        let nowhere = pair
            .b()
            .blackhole(Direction::Ingress, Match::tcp().flow(flow))?;
        let socket = fresh(pair.a(), family)?;
        SockRef::from(&socket).set_nonblocking(true)?;
        raw::bind(&socket, endpoints.local)?;
        let connected = raw::connect(&socket, endpoints.remote);
        expect_errno("connect", connected, libc::EINPROGRESS)?;
        expect_eq("the state", state(&socket)?, Some(TcpState::SynSent))?;
        expect_ok("TCP_REPAIR_ON", repair_on(&socket))?;
        Ok(Self {
            pair,
            capture,
            socket,
            flow,
            _nowhere: nowhere,
        })
    }

    /// What has left since the mark, but for the SYN, which a timer sends again.
    fn said(&self) -> Result<Trace, Stop> {
        let trace = self.capture.trace()?.after(LEAVING)?.along(&self.flow);
        Ok(trace.filter(|packet| packet.segment().is_none_or(|segment| !segment.flags.syn())))
    }
}

fn off(ctx: &Context, family: Family) -> Verdict {
    let attempt = Attempt::begin(ctx, family)?;
    let trace = attempt.capture.trace()?;
    let syn = trace.first_syn(&attempt.flow).map(Segment::end_seq);
    let number = queue_seq(&attempt.socket, TCP_SEND_QUEUE)?;
    expect_eq("the number behind the SYN", syn, Some(number))?;
    attempt.capture.mark(LEAVING)?;
    let off = raw::set_int(&attempt.socket, Opt::TCP_REPAIR, TCP_REPAIR_OFF);
    expect_ok("TCP_REPAIR_OFF", off)?;
    expect_silence(&attempt.said()?)?;
    expect_eq(
        "the state afterwards",
        state(&attempt.socket)?,
        Some(TcpState::SynSent),
    )
}

fn close(ctx: &Context, family: Family) -> Verdict {
    let attempt = Attempt::begin(ctx, family)?;
    attempt.capture.mark(LEAVING)?;
    let Attempt {
        pair,
        capture,
        socket,
        flow,
        ..
    } = attempt;
    drop(socket);
    table::expect_absent(pair.a(), &flow)?;
    let trace = capture.trace()?.after(LEAVING)?.along(&flow);
    let said = trace.filter(|packet| packet.segment().is_none_or(|it| !it.flags.syn()));
    expect_silence(&said)
}

fn options(ctx: &Context) -> Verdict {
    let attempt = Attempt::begin(ctx, Family::V4)?;
    let set = set_options(&attempt.socket, &[(raw::TCPOPT_SACK_PERM, 0)]);
    expect_errno("TCP_REPAIR_OPTIONS", set, libc::EPERM)
}

/// An hour ahead, and a window that is closed: neither is there by chance.
fn next_syn(ctx: &Context) -> Verdict {
    let attempt = Attempt::begin(ctx, Family::V4)?;
    let clock = raw::get_int(&attempt.socket, Opt::TCP_TIMESTAMP)? as u32;
    let clock = clock.wrapping_add(3_600_000) & !1;
    let set = raw::set_int(&attempt.socket, Opt::TCP_TIMESTAMP, clock as i32);
    expect_ok("setting TCP_TIMESTAMP", set)?;
    let window = RepairWindow {
        rcv_wnd: 0,
        ..RepairWindow::get(&attempt.socket)?
    };
    expect_ok("setting TCP_REPAIR_WINDOW", window.set(&attempt.socket))?;
    attempt.capture.mark(LEAVING)?;
    raw::set_int(&attempt.socket, Opt::TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)?;
    let ahead = |segment: &Segment| {
        let clock = |(now, _): (u32, u32)| now.wrapping_sub(clock) < u32::MAX / 2;
        segment.flags.syn() && segment.timestamps().is_some_and(clock)
    };
    let seen = attempt
        .capture
        .until("a SYN with the clock", PATIENCE, |packet| {
            packet.segment().is_some_and(ahead)
        });
    seen.map_err(|error| Failure::new("the wire", "a SYN with the clock that was set", error))?;
    let trace = attempt.capture.trace()?.along(&attempt.flow);
    let window = trace.last(ahead).map(|segment| segment.window);
    expect(
        "the window of the SYN",
        "0",
        format!("{window:?}"),
        window == Some(0),
    )
}
