//! `bind` in repair mode.

use super::SOCKETS;
use super::live::Live;
use super::subject::{Lone, endpoints, fresh, fresh_in_repair, state};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect_eq, expect_errno, expect_ok};
use lab::{Family, Pair};
use soccr::TcpState;
use soccr::raw::{self, Opt};
use socket2::{SockRef, Socket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/bind/afterwards",
            "a restored connection keeps listeners off its port until SO_REUSEADDR is set again",
            &["A35", "A6"],
            afterwards,
        )
        .level(Level::Info)
        .needs(&[Need::QuietOff]),
        Case::new(
            "kernel/bind/two-listeners",
            "in repair mode two sockets can listen on one port; a listener is restored outside of it, where the second fails",
            &["C24", "A35"],
            two_listeners,
        )
        .level(Level::Info),
    ];
    for family in [Family::V4, Family::V6] {
        cases.push(
            Case::new(
                format!("kernel/connect/foreign-address/{family}"),
                "in repair mode a connect from an address that is not local needs IP_TRANSPARENT over IPv4, and nothing over IPv6",
                &["A36"],
                move |ctx| connect_from_foreign_address(ctx, family),
            )
            .level(Level::Should),
        );
    }
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/bind/port-of-listener/{family}"),
            "in repair mode the port of a listener can be bound, and only then",
            &["A35"],
            move |ctx| port_of_listener(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/bind/port-of-connection/{family}"),
            "in repair mode the port of a connection can be bound, and only then",
            &["A35"],
            move |ctx| port_of_connection(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/bind/foreign-address/{family}"),
            "an address that is not local cannot be bound in repair mode either, but for freebind",
            &["A36"],
            move |ctx| foreign_address(ctx, family),
        ));
    }
    cases
}

fn listener(ctx: &Context, family: Family) -> Result<(Arc<Pair>, Socket), Stop> {
    let pair = ctx.pair()?;
    let socket = Socket::from(fresh(pair.a(), family)?);
    raw::bind(&socket, endpoints(&pair, family).local)?;
    socket.listen(1)?;
    Ok((pair, socket))
}

fn port_of_listener(ctx: &Context, family: Family) -> Verdict {
    let (pair, _listener) = listener(ctx, family)?;
    let local = endpoints(&pair, family).local;
    let plain = raw::bind(&fresh(pair.a(), family)?, local);
    expect_errno("bind outside of repair mode", plain, libc::EADDRINUSE)?;
    let bound = raw::bind(&fresh_in_repair(pair.a(), family)?, local);
    expect_ok("bind in repair mode", bound)
}

fn port_of_connection(ctx: &Context, family: Family) -> Verdict {
    let live = Live::open(ctx, family)?;
    let local = live.subject.local_addr()?;
    let plain = raw::bind(&fresh(live.pair.a(), family)?, local);
    expect_errno("bind outside of repair mode", plain, libc::EADDRINUSE)?;
    let bound = raw::bind(&fresh_in_repair(live.pair.a(), family)?, local);
    expect_ok("bind in repair mode", bound)
}

fn two_listeners(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let local = endpoints(&pair, Family::V4).local;
    let mut listeners = Vec::new();
    for number in ["first", "second"] {
        let socket = Socket::from(fresh_in_repair(pair.a(), Family::V4)?);
        let bound = raw::bind(&socket, local);
        expect_ok(format!("the {number} bind in repair mode"), bound)?;
        expect_ok(format!("the {number} listen"), socket.listen(1))?;
        listeners.push(socket);
    }
    drop(listeners);
    let first = Socket::from(fresh(pair.a(), Family::V4)?);
    expect_ok("the first bind outside", raw::bind(&first, local))?;
    first.listen(1)?;
    let second = raw::bind(&fresh(pair.a(), Family::V4)?, local);
    expect_errno("the second bind outside", second, libc::EADDRINUSE)
}

/// An address of no host here.
fn foreign(family: Family) -> SocketAddr {
    let ip: IpAddr = match family {
        Family::V4 => Ipv4Addr::new(192, 0, 2, 1).into(),
        Family::V6 | Family::V4Mapped => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    SocketAddr::new(ip, 4_000)
}

fn connect_from_foreign_address(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let socket = fresh_in_repair(pair.a(), family)?;
    // Of both families.
    raw::set_int(&socket, Opt::IP_FREEBIND, 1)?;
    expect_ok("bind with freebind", raw::bind(&socket, foreign(family)))?;
    let remote = endpoints(&pair, family).remote;
    if family == Family::V4 {
        let plain = raw::connect(&socket, remote);
        expect_errno("connect", plain, libc::ENETUNREACH)?;
        raw::set_int(&socket, Opt::IP_TRANSPARENT, 1)?;
    }
    expect_ok("connect", raw::connect(&socket, remote))?;
    expect_eq("the state", state(&socket)?, Some(TcpState::Established))
}

fn foreign_address(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let foreign = foreign(family);
    let socket = fresh_in_repair(pair.a(), family)?;
    expect_errno("bind", raw::bind(&socket, foreign), libc::EADDRNOTAVAIL)?;
    match family {
        Family::V4 => SockRef::from(&socket).set_freebind_v4(true)?,
        Family::V6 | Family::V4Mapped => SockRef::from(&socket).set_freebind_v6(true)?,
    }
    expect_ok("bind with freebind", raw::bind(&socket, foreign))
}

/// Before 8002d44fe84d (6.8) the port remembers that it was bound with `SO_REUSEADDR` (`fastreuse`), and lets the listener.
fn afterwards(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    raw::set_int(&lone.socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF_NO_WP)?;
    let listener = fresh(lone.pair.a(), Family::V4)?;
    raw::set_int(&listener, Opt::SO_REUSEADDR, 1)?;
    let bound = raw::bind(&listener, lone.endpoints.local);
    expect_errno("bind", bound, libc::EADDRINUSE)?;
    raw::set_int(&lone.socket, Opt::SO_REUSEADDR, 1)?;
    let bound = raw::bind(&listener, lone.endpoints.local);
    expect_ok("bind once SO_REUSEADDR is set again", bound)?;
    expect_eq(
        "the state of the connection",
        state(&lone.socket)?,
        Some(TcpState::Established),
    )
}
