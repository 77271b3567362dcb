//! `TCP_REPAIR`: who enters and leaves repair mode, and what that does to a socket besides.

use super::SOCKETS;
use super::live::Live;
use super::subject::{
    PATIENCE, fresh, fresh_in_repair, queue_seq, reaches, repair, repair_on, select,
};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect_eq, expect_errno, expect_ok};
use lab::{Family, wait};
use soccr::TcpState;
use soccr::raw::{self, Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::AsFd;

/// Both ways out, by name.
const OFF: [(&str, i32); 2] = [("off", TCP_REPAIR_OFF), ("off-no-wp", TCP_REPAIR_OFF_NO_WP)];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/repair/again",
            "entering repair mode a second time succeeds, and no queue is selected afterwards",
            &["A7"],
            again,
        )
        .level(Level::Should),
        Case::new(
            "kernel/repair/bad-value",
            "a value that TCP_REPAIR does not have is refused with EINVAL and changes nothing",
            &["A3", "A4"],
            bad_value,
        ),
        Case::new(
            "kernel/repair/short-value",
            "a value of less than four bytes is refused with EINVAL",
            &["A3"],
            short_value,
        )
        .level(Level::Should),
        Case::new(
            "kernel/repair/close-wait",
            "a connection that the peer has closed can be repaired too",
            &["A2", "B9"],
            close_wait,
        ),
        Case::new(
            "kernel/repair/shared",
            "repair mode belongs to the socket: every descriptor of it is in repair mode",
            &["A5", "A12"],
            shared,
        )
        .level(Level::Should),
        Case::new(
            "kernel/repair/listener-stuck",
            "a socket that begins to listen in repair mode cannot leave it",
            &["A8"],
            listener_stuck,
        )
        .level(Level::Info),
        Case::new(
            "kernel/repair/mptcp",
            "an MPTCP socket has no repair mode and says so",
            &["A62"],
            mptcp,
        )
        .level(Level::Should),
    ];
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/repair/listen/{family}"),
            "a listening socket neither enters nor leaves repair mode: EPERM",
            &["A2"],
            move |ctx| listen(ctx, family),
        ));
        cases.push(Case::new(
            format!("kernel/repair/closed/{family}"),
            "a socket that was never connected enters repair mode and leaves it again",
            &["A2", "A4", "A5"],
            move |ctx| on_and_off(&fresh(ctx.pair()?.a(), family)?),
        ));
    }
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/repair/established/{family}"),
            "an established connection enters repair mode and leaves it again",
            &["A2", "A4", "A5"],
            move |ctx| on_and_off(&Live::open(ctx, family)?.subject),
        ));
    }
    for (name, value) in OFF {
        let needs: &[Need] = match value {
            TCP_REPAIR_OFF => &[],
            _ => &[Need::QuietOff],
        };
        let case = Case::new(
            format!("kernel/repair/reuse-address/{name}"),
            "SO_REUSEADDR reads 2 in repair mode and 0 afterwards, whatever it was before",
            &["A6"],
            move |ctx| reuse_address(ctx, value),
        );
        cases.push(case.level(Level::Info).needs(needs));
        let case = Case::new(
            format!("kernel/repair/keeps-queue/{name}"),
            "leaving repair mode leaves the queue selected",
            &["A7", "A18"],
            move |ctx| keeps_queue(ctx, value),
        );
        cases.push(case.level(Level::Info).needs(needs));
    }
    cases
}

fn on_and_off(socket: &impl AsFd) -> Verdict {
    expect_eq("TCP_REPAIR at first", repair(socket)?, 0)?;
    expect_ok("TCP_REPAIR_ON", repair_on(socket))?;
    expect_eq("TCP_REPAIR once it is on", repair(socket)?, 1)?;
    let off = raw::set_int(socket, Opt::TCP_REPAIR, TCP_REPAIR_OFF);
    expect_ok("TCP_REPAIR_OFF", off)?;
    expect_eq("TCP_REPAIR once it is off", repair(socket)?, 0)
}

fn again(ctx: &Context) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    select(&socket, raw::TCP_SEND_QUEUE)?;
    expect_ok("the second TCP_REPAIR_ON", repair_on(&socket))?;
    let queue = raw::get_int(&socket, Opt::TCP_REPAIR_QUEUE)?;
    expect_eq("TCP_REPAIR_QUEUE", queue, raw::TCP_NO_QUEUE)
}

fn bad_value(ctx: &Context) -> Verdict {
    let socket = fresh(ctx.pair()?.a(), Family::V4)?;
    for before in [TCP_REPAIR_OFF, TCP_REPAIR_ON] {
        raw::set_int(&socket, Opt::TCP_REPAIR, before)?;
        for value in [2, -2, i32::MAX, i32::MIN] {
            let set = raw::set_int(&socket, Opt::TCP_REPAIR, value);
            expect_errno(format!("TCP_REPAIR = {value}"), set, libc::EINVAL)?;
            expect_eq("TCP_REPAIR afterwards", repair(&socket)?, before)?;
        }
    }
    Ok(())
}

fn short_value(ctx: &Context) -> Verdict {
    let socket = fresh(ctx.pair()?.a(), Family::V4)?;
    for length in 0..4 {
        let set = raw::set(&socket, Opt::TCP_REPAIR, &[0; 3][..length]);
        expect_errno(format!("{length} bytes"), set, libc::EINVAL)?;
    }
    Ok(())
}

fn listen(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let address = SocketAddr::new(pair.a().address(family), 0);
    let listener = pair.a().enter(|| TcpListener::bind(address))??;
    for value in [TCP_REPAIR_ON, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP] {
        let set = raw::set_int(&listener, Opt::TCP_REPAIR, value);
        expect_errno(format!("TCP_REPAIR = {value}"), set, libc::EPERM)?;
        let get = expect_ok("reading TCP_REPAIR", repair(&listener))?;
        expect_eq("TCP_REPAIR", get, 0)?;
    }
    Ok(())
}

fn close_wait(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    live.peer.shutdown(Shutdown::Write)?;
    reaches(&live.subject, TcpState::CloseWait)?;
    on_and_off(&live.subject)
}

fn shared(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let other = live.subject.try_clone()?;
    repair_on(&live.subject)?;
    expect_eq("TCP_REPAIR of the other", repair(&other)?, 1)?;
    raw::set_int(&other, Opt::TCP_REPAIR, TCP_REPAIR_OFF)?;
    expect_eq("TCP_REPAIR of the first", repair(&live.subject)?, 0)
}

fn reuse_address(ctx: &Context, off: i32) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    for before in [0, 1] {
        raw::set_int(&live.subject, Opt::SO_REUSEADDR, before)?;
        repair_on(&live.subject)?;
        let reuse = raw::get_int(&live.subject, Opt::SO_REUSEADDR)?;
        expect_eq("SO_REUSEADDR in repair mode", reuse, 2)?;
        raw::set_int(&live.subject, Opt::TCP_REPAIR, off)?;
        let reuse = raw::get_int(&live.subject, Opt::SO_REUSEADDR)?;
        expect_eq("SO_REUSEADDR afterwards", reuse, 0)?;
    }
    Ok(())
}

/// Outside of repair mode TCP_REPAIR_QUEUE cannot be read, but TCP_QUEUE_SEQ can, if a queue is selected.
fn keeps_queue(ctx: &Context, off: i32) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    queue_seq(&socket, raw::TCP_SEND_QUEUE)?;
    raw::set_int(&socket, Opt::TCP_REPAIR, off)?;
    expect_ok(
        "reading TCP_QUEUE_SEQ afterwards",
        raw::get_int(&socket, Opt::TCP_QUEUE_SEQ),
    )?;
    Ok(())
}

fn listener_stuck(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let address = SocketAddr::new(pair.b().v4().into(), 4_000);
    let listener = Socket::from(fresh_in_repair(pair.b(), Family::V4)?);
    raw::bind(&listener, address)?;
    expect_ok("listen in repair mode", listener.listen(1))?;
    for value in [TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP] {
        let set = raw::set_int(&listener, Opt::TCP_REPAIR, value);
        expect_errno(format!("TCP_REPAIR = {value}"), set, libc::EPERM)?;
    }
    let client = fresh(pair.a(), Family::V4)?;
    raw::connect(&client, address)?;
    wait::readable("a connection to accept", PATIENCE, &listener)?;
    let (child, _) = listener.accept()?;
    ctx.note("TCP_REPAIR of an accepted socket", repair(&child)?);
    Ok(())
}

fn mptcp(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let new = || Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP));
    let socket = pair
        .a()
        .enter(new)?
        .map_err(|error| Stop::Skip(format!("needs MPTCP: {error}")))?;
    for option in [Opt::TCP_REPAIR, Opt::TCP_REPAIR_QUEUE, Opt::TCP_QUEUE_SEQ] {
        let set = raw::set_int(&socket, option, 1);
        expect_errno(format!("setting {option:?}"), set, libc::ENOPROTOOPT)?;
    }
    for option in [Opt::TCP_REPAIR_WINDOW, Opt::TCP_TIMESTAMP] {
        let get = raw::get(&socket, option, &mut [0; 20]);
        expect_errno(format!("reading {option:?}"), get, libc::EOPNOTSUPP)?;
    }
    Ok(())
}
