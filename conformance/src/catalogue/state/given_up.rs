//! Connections that are given up: their application gets its socket back, what had come in, and an error.

use super::closed::{names, observe};
use super::over::{Over, UNREAD, bring, reaches};
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Plan, Receive, Send};
use crate::oracle::wire;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Family, Host, Pair};
use soccr::raw::{self, Opt};
use soccr::{Lost, PendingError, Snapshot, TcpState};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        for (place, elsewhere) in [("here", false), ("elsewhere", true)] {
            cases.push(Case::new(
                format!("state/given-up/{place}/{family}"),
                "a connection that is given up comes back as a socket whose connection was reset: what had come in, then the \
                 error; its address need not be there, and no packet leaves",
                &["C18", "D10", "E7"],
                move |ctx| given_up(ctx, family, elsewhere),
            ));
        }
        cases.push(Case::new(
            format!("state/given-up/any-state/{family}"),
            "a connection in any state can be given up, and what was not acknowledged is named",
            &["C18"],
            move |ctx| any_state(ctx, family),
        ));
        cases.push(Case::new(
            format!("state/closed/fast-open/{family}"),
            "a socket whose connection is over comes back though its next one is to wait for data (TCP_FASTOPEN_CONNECT)",
            &["A33", "D6"],
            move |ctx| fast_open(ctx, family),
        ));
    }
    cases.push(Case::new(
        "state/closed/disconnected",
        "a socket that its application has disconnected comes back without a connection, and the error that waits in it is \
         named as lost",
        &["D10"],
        disconnected,
    ));
    cases.push(Case::new(
        "state/closed/segment-size",
        "the segment size of a connection that is over is not taken for one that its application has set",
        &["D5"],
        segment_size,
    ));
    let way = "there is no way to give a connection up";
    cases.into_iter().map(|case| case.not_in_c(way)).collect()
}

fn given_up(ctx: &Context, family: Family, elsewhere: bool) -> Verdict {
    let pair = ctx.pair()?;
    let control = observe(&bring(&pair, Over::Reset, family)?)?;
    let connection = pair.connection(family).open()?;
    let (socket, peer) = (connection.client, connection.server);
    (&peer).write_all(&lab::Stream::numbered(0).bytes(0, UNREAD))?;
    lab::wait::until("everything has arrived", crate::journey::PATIENCE, || {
        raw::siocinq(&socket).is_ok_and(|unread| unread == UNREAD as i32)
    })?;
    let captures = [ctx.capture(pair.a())?, ctx.capture(pair.b())?];
    for capture in &captures {
        capture.mark(wire::PAUSED)?;
    }
    let local = socket.local_addr()?.ip();
    let reset = Some(PendingError::Errno(libc::ECONNRESET));
    let snapshot = save_and_close(&pair, socket)?.into_ended(reset);
    let host: &Host = if elsewhere { pair.b() } else { pair.a() };
    let restored = host.enter(|| snapshot.restore())??;
    expect_eq(
        "a loss of the address is named",
        names(&restored, Lost::Address),
        elsewhere,
    )?;
    expect_eq(
        "what was given up is named",
        names(&restored, Lost::State),
        true,
    )?;
    let socket = restored.resume()?;
    let own = if elsewhere { loopback(family) } else { local };
    expect_eq("the local address", socket.local_addr()?.ip(), own)?;
    let found = observe(&socket)?;
    expect_eq(
        "what the application sees",
        found.join(", "),
        control.join(", "),
    )?;
    for capture in &captures {
        let leaked = capture.trace()?.after(wire::PAUSED)?;
        let leaked = leaked.filter(|packet| packet.segment().is_some());
        expect("the wire", "no packet", &leaked, leaked.is_empty())?;
    }
    Ok(())
}

/// The address of a host itself, as a socket of this family names it.
fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::LOCALHOST.into(),
        Family::V4Mapped => Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
        Family::V6 => Ipv6Addr::LOCALHOST.into(),
    }
}

fn any_state(ctx: &Context, family: Family) -> Verdict {
    for (ending, send) in [
        (Ending::None, Send::Both),
        (Ending::FinWait1, Send::Unacked),
        (Ending::FinWait2, Send::Empty),
        (Ending::CloseWait, Send::Unsent),
        (Ending::LastAck, Send::Unacked),
        (Ending::Closing, Send::Empty),
    ] {
        let plan = Plan {
            family,
            receive: Receive::Small,
            send,
            ending,
            ..Plan::PLAIN
        };
        let mut traveller = plan.depart(ctx)?;
        traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
        let saved = traveller.save()?;
        let left = saved.snapshot.receive.bytes.len();
        let ended = saved
            .snapshot
            .into_ended(Some(PendingError::Errno(libc::ECONNRESET)));
        let restored = traveller.pair.a().enter(|| ended.restore())??;
        expect_eq(
            "what was given up is named",
            names(&restored, Lost::State),
            true,
        )?;
        let socket = restored.resume()?;
        let mut bytes = vec![0; left + 1];
        let read = raw::recv(&socket, &mut bytes, raw::MSG_DONTWAIT)?;
        expect_eq(
            format!("bytes read, given up in {}", ending.state()),
            read,
            left,
        )?;
        let end = raw::recv(&socket, &mut bytes, raw::MSG_DONTWAIT);
        let errno = end.err().and_then(|error| error.raw_os_error());
        expect_eq("the error behind them", errno, Some(libc::ECONNRESET))?;
    }
    Ok(())
}

fn fast_open(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let socket = bring(&pair, Over::Reset, family)?;
    for option in [Opt::TCP_FASTOPEN_CONNECT, Opt::TCP_FASTOPEN_NO_COOKIE] {
        raw::set_int(&socket, option, 1)?;
    }
    let snapshot = save_and_close(&pair, socket)?;
    let socket = pair.a().enter(|| snapshot.restore())??.resume()?;
    for option in [Opt::TCP_FASTOPEN_CONNECT, Opt::TCP_FASTOPEN_NO_COOKIE] {
        expect_eq(option.label(), raw::get_int(&socket, option)?, 1)?;
    }
    Ok(())
}

fn segment_size(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = bring(&pair, Over::Ended, Family::V4)?;
    let snapshot = pair.a().enter(|| soccr::save(&socket))??;
    let set = snapshot
        .socket_options
        .iter()
        .map(|found| found.option.label());
    expect_eq(
        "options that are set",
        set.collect::<Vec<_>>().join(", "),
        String::new(),
    )
}

fn disconnected(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let connection = pair.connection(Family::V4).open()?;
    rustix::net::connect_unspec(&connection.client).map_err(std::io::Error::from)?;
    reaches(&connection.client, TcpState::Close)?;
    let snapshot = save_and_close(&pair, connection.client)?;
    let reset = Some(PendingError::Errno(libc::ECONNRESET));
    expect_eq("the pending error", snapshot.pending_error, reset)?;
    let restored = pair.a().enter(|| snapshot.restore())??;
    expect_eq(
        "a loss of the error is named",
        names(&restored, Lost::PendingError),
        true,
    )?;
    let socket = restored.resume()?;
    let errno = socket
        .peer_addr()
        .err()
        .and_then(|error| error.raw_os_error());
    expect_eq("getpeername", errno, Some(libc::ENOTCONN))
}

fn save_and_close(pair: &Pair, socket: TcpStream) -> Result<Snapshot, Stop> {
    let saved = pair.a().enter(|| soccr::save_and_close(socket))?;
    Ok(saved.map_err(|not_saved| not_saved.error)?)
}
