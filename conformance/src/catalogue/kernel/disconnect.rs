//! Giving a connection up in repair mode without closing its socket: `connect` with `AF_UNSPEC`.

use super::SOCKETS;
use super::live::Live;
use super::repair_window::RepairWindow;
use super::subject::{
    RCV_NXT, WRITE_SEQ, expect_silence, queue_seq, repair, repair_on, select, set_queue_seq, state,
};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Failure, Verdict, expect_eq, expect_errno, expect_ok};
use lab::Family;
use rustix::net::connect_unspec;
use soccr::TcpState;
use soccr::raw::{self, Opt, TCP_RECV_QUEUE, TCP_SEND_QUEUE};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

/// Mark: the connection is about to be given up.
const LEAVING: &str = "disconnecting";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/disconnect/number",
            "a connection that was given up leaves its send queue at a number beyond its largest window",
            &["A11"],
            number,
        )
        .level(Level::Info)
        .needs(&[Need::RepairWindow]),
        Case::new(
            "kernel/disconnect/in-flight",
            "the number of a send queue that holds data cannot be moved; giving the connection up empties the queue first",
            &["A19", "A11"],
            in_flight,
        ),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/disconnect/silent/{family}"),
            "a connection that is given up in repair mode sends nothing, and its socket is closed with ECONNABORTED",
            &["A11"],
            move |ctx| silent(ctx, family),
        ));
    }
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/disconnect/again/{family}"),
            "a socket that was connected before keeps the numbers that were set when it connects to another address",
            &["A63", "A21"],
            move |ctx| again(ctx, family),
        ));
    }
    cases
}

fn disconnect(live: &Live) -> Verdict {
    let gone = connect_unspec(&live.subject).map_err(io::Error::from);
    expect_ok("connect with AF_UNSPEC", gone)?;
    expect_eq("the state", state(&live.subject)?, Some(TcpState::Close))
}

fn silent(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    live.receive(b"nobody reads this")?;
    repair_on(&live.subject)?;
    live.capture.mark(LEAVING)?;
    disconnect(&live)?;
    expect_silence(&live.capture.trace()?.after(LEAVING)?.along(&live.flow))?;
    let error = live.subject.take_error()?.and_then(|it| it.raw_os_error());
    expect_eq("SO_ERROR", error, Some(libc::ECONNABORTED))?;
    let established = Some(TcpState::Established);
    expect_eq("the state of the peer", state(&live.peer)?, established)
}

fn number(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.receive(b"a scaled window")?;
    repair_on(&live.subject)?;
    let before = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    let window = RepairWindow::get(&live.subject)?.max_window;
    disconnect(&live)?;
    expect_eq(
        "the number",
        queue_seq(&live.subject, TCP_SEND_QUEUE)?,
        before.wrapping_add(window).wrapping_add(2),
    )
}

fn in_flight(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let _deaf = live.deafen()?;
    (&live.subject).write_all(b"in flight")?;
    repair_on(&live.subject)?;
    expect_eq("SIOCOUTQ", raw::siocoutq(&live.subject)?, 9)?;
    let before = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    let set = raw::set_int(&live.subject, Opt::TCP_QUEUE_SEQ, 1);
    expect_errno("setting it", set, libc::EPERM)?;
    let after = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    expect_eq("the number afterwards", after, before)?;
    disconnect(&live)?;
    select(&live.subject, TCP_SEND_QUEUE)?;
    let peek = raw::recv(
        &live.subject,
        &mut [0; 16],
        raw::MSG_PEEK | raw::MSG_DONTWAIT,
    );
    match peek {
        Ok(0) => {}
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {}
        other => {
            let found = format!("{other:?}");
            return Err(Failure::new("a peek at the send queue", "nothing", found).into());
        }
    }
    let set = set_queue_seq(&live.subject, TCP_SEND_QUEUE, WRITE_SEQ);
    expect_ok("setting it once the queue is empty", set)?;
    expect_eq(
        "the number",
        queue_seq(&live.subject, TCP_SEND_QUEUE)?,
        WRITE_SEQ,
    )
}

/// The peer's timestamp is known to the socket: that, and another address, is what made kernels choose a number.
fn again(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    live.receive(b"with a timestamp")?;
    repair_on(&live.subject)?;
    disconnect(&live)?;
    expect_eq("TCP_REPAIR", repair(&live.subject)?, 1)?;
    set_queue_seq(&live.subject, TCP_SEND_QUEUE, WRITE_SEQ)?;
    set_queue_seq(&live.subject, TCP_RECV_QUEUE, RCV_NXT)?;
    let connected = raw::connect(&live.subject, neighbour(live.flow.destination));
    expect_ok("connect to another address", connected)?;
    let established = Some(TcpState::Established);
    expect_eq("the state", state(&live.subject)?, established)?;
    expect_eq("send", queue_seq(&live.subject, TCP_SEND_QUEUE)?, WRITE_SEQ)?;
    expect_eq(
        "receive",
        queue_seq(&live.subject, TCP_RECV_QUEUE)?,
        RCV_NXT,
    )
}

/// Another address on the same link.
fn neighbour(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) + 7).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) + 7).into()),
    };
    SocketAddr::new(ip, address.port())
}
