//! `connect` in repair mode: established at once, and nobody hears of it.

use super::SOCKETS;
use super::live::Live;
use super::subject::{
    Lone, RCV_NXT, WRITE_SEQ, connect, endpoints, eventually, expect_silence, fresh_in_repair,
    pattern, reaches, repair_on, state,
};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::{Family, Flow};
use soccr::raw;
use soccr::{Endpoints, TcpState};
use socket2::SockRef;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/connect/again",
            "a second connect of an established socket is EISCONN in repair mode too",
            &["A37"],
            again,
        )
        .level(Level::Should),
        Case::new(
            "kernel/connect/non-blocking",
            "a non-blocking connect in repair mode is done when it returns",
            &["A37"],
            non_blocking,
        )
        .level(Level::Should),
        Case::new(
            "kernel/connect/fresh-state",
            "a connect in repair mode knows neither round-trip time nor congestion window",
            &["A40", "A64", "D14"],
            fresh_state,
        )
        .level(Level::Info),
        Case::new(
            "kernel/connect/cached-path",
            "a connect in repair mode takes what an earlier connection has learned of the path, where hosts remember that",
            &["D14"],
            cached_path,
        )
        .level(Level::Info),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/connect/silent/{family}"),
            "a connect in repair mode is established at once and sends nothing",
            &["A37"],
            move |ctx| silent(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/connect/names/{family}"),
            "a connect in repair mode has the addresses that were asked for",
            &["A37"],
            move |ctx| names(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/connect/tuple-alive/{family}"),
            "while a connection lives, a second one with its addresses is EADDRNOTAVAIL",
            &["A38", "C5"],
            move |ctx| tuple_alive(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/connect/tuple-closed/{family}"),
            "once a connection is closed in repair mode, its addresses are free at once",
            &["A38", "A10"],
            move |ctx| tuple_closed(ctx, family),
        ));
    }
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/connect/no-route/{family}"),
            "a connect in repair mode needs a route: ENETUNREACH, and the socket stays closed",
            &["A37", "B28"],
            move |ctx| no_route(ctx, family),
        ));
    }
    cases
}

fn silent(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let endpoints = endpoints(&pair, family);
    let socket = fresh_in_repair(pair.a(), family)?;
    let connected = connect(&socket, endpoints, WRITE_SEQ, RCV_NXT);
    expect_ok("connect", connected)?;
    expect_eq("the state", state(&socket)?, Some(TcpState::Established))?;
    let flow = Flow::new(endpoints.local, endpoints.remote);
    expect_silence(&capture.trace()?.of(&flow))
}

fn names(ctx: &Context, family: Family) -> Verdict {
    let lone = Lone::connect(ctx, family)?;
    let socket = TcpStream::from(lone.socket);
    let found = Endpoints {
        local: socket.local_addr()?,
        remote: socket.peer_addr()?,
    };
    expect_eq("the addresses", found, lone.endpoints)
}

fn again(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let second = raw::connect(&lone.socket, lone.endpoints.remote);
    expect_errno("the second connect", second, libc::EISCONN)
}

fn non_blocking(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = fresh_in_repair(pair.a(), Family::V4)?;
    SockRef::from(&socket).set_nonblocking(true)?;
    let connected = connect(&socket, endpoints(&pair, Family::V4), WRITE_SEQ, RCV_NXT);
    expect_ok("connect", connected)?;
    expect_eq("the state", state(&socket)?, Some(TcpState::Established))
}

fn no_route(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let nowhere: IpAddr = match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
        Family::V6 | Family::V4Mapped => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let endpoints = Endpoints {
        remote: SocketAddr::new(nowhere, 4_000),
        ..endpoints(&pair, family)
    };
    let socket = fresh_in_repair(pair.a(), family)?;
    let connected = connect(&socket, endpoints, WRITE_SEQ, RCV_NXT);
    expect_errno("connect", connected, libc::ENETUNREACH)?;
    expect_eq("the state", state(&socket)?, Some(TcpState::Close))
}

fn tuple_alive(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    let endpoints = Endpoints {
        local: live.subject.local_addr()?,
        remote: live.subject.peer_addr()?,
    };
    let socket = fresh_in_repair(live.pair.a(), family)?;
    let connected = connect(&socket, endpoints, WRITE_SEQ, RCV_NXT);
    expect_errno("connect", connected, libc::EADDRNOTAVAIL)?;
    // Nor does one that is itself in repair mode give way.
    repair_on(&live.subject)?;
    let connected = raw::connect(&socket, endpoints.remote);
    expect_errno("connect", connected, libc::EADDRNOTAVAIL)
}

fn tuple_closed(ctx: &Context, family: Family) -> Verdict {
    let Lone {
        pair,
        socket,
        endpoints,
        ..
    } = Lone::connect(ctx, family)?;
    drop(socket);
    let socket = fresh_in_repair(pair.a(), family)?;
    let connected = connect(&socket, endpoints, WRITE_SEQ, RCV_NXT);
    expect_ok("connect", connected)
}

fn fresh_state(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let info = raw::tcp_info(&lone.socket)?;
    expect_eq("tcpi_rtt", info.rtt, 0)?;
    expect_eq("tcpi_snd_cwnd", info.snd_cwnd, 10)?;
    expect_eq("tcpi_total_retrans", info.total_retrans, 0)?;
    let rto = info.rto;
    expect("tcpi_rto", "3 s, in microseconds", rto, rto == 3_000_000)
}

/// A path is remembered when a connection that has measured it is closed.
fn cached_path(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let remember = |value| live.pair.a().sysctl("net.ipv4.tcp_no_metrics_save", value);
    remember("0")?;
    (&live.subject).write_all(&pattern(10_000))?;
    eventually("all is acknowledged", || {
        Ok(raw::siocoutq(&live.subject)? == 0)
    })?;
    live.subject.shutdown(Shutdown::Write)?;
    reaches(&live.subject, TcpState::FinWait2)?;
    live.peer.shutdown(Shutdown::Write)?;
    reaches(&live.peer, TcpState::Close)?;
    let lone = Lone::connect_in(ctx, Arc::clone(&live.pair), Family::V4)?;
    let rto = raw::tcp_info(&lone.socket)?.rto;
    expect("tcpi_rto", "less than a second", rto, rto < 1_000_000)
}
