//! Sockets without a connection: after its end, after a reset, after a refusal, and before any.
//!
//! Each is compared with a second one that came to the same end and was never saved: whatever the application can see of
//! the one, it must see of the other.

use crate::case::Case;
use crate::context::Context;
use crate::helper;
use crate::journey::{PATIENCE, Privileges};
use crate::oracle::wire;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Direction, Family, Match, Pair, wait};
use soccr::raw::{self, MSG_DONTWAIT};
use soccr::{ErrorKind, Lost, PendingError, Restored, SaveSettings, Settings, Snapshot, TcpState};
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

/// The port of a peer that is no more.
const REMEMBERED_PORT: u16 = 40_002;

/// Bytes that are left to read.
pub(super) const UNREAD: usize = 5_000;

/// How a socket came to have no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The peer closed, then we did.
    Ended,
    /// We closed, then the peer did: the connection is in TIME-WAIT.
    EndedFirst,
    /// The peer reset the connection.
    Reset,
    /// The peer closed its side, then reset the connection.
    BrokenPipe,
    /// The peer was not heard any more.
    TimedOut,
    /// There was nobody to connect to.
    Refused,
    /// It never had one.
    Never,
    /// It never had one, and has an address.
    NeverBound,
}

impl Over {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Ended, "ended"),
        (Self::EndedFirst, "ended-first"),
        (Self::Reset, "reset"),
        (Self::BrokenPipe, "broken-pipe"),
        (Self::TimedOut, "timed-out"),
        (Self::Refused, "refused"),
        (Self::Never, "never-connected"),
        (Self::NeverBound, "bound"),
    ];

    fn errno(self) -> Option<i32> {
        match self {
            Self::Reset => Some(libc::ECONNRESET),
            Self::BrokenPipe => Some(libc::EPIPE),
            Self::TimedOut => Some(libc::ETIMEDOUT),
            Self::Refused => Some(libc::ECONNREFUSED),
            _ => None,
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (over, name) in Over::ALL {
        for family in FAMILIES {
            let case = Case::new(
                format!("state/closed/{name}/{family}"),
                "a socket without a connection comes back as it was: what is left to read, then its error or its end; \
                 and no packet leaves the host",
                &["E7", "D10", "C5"],
                move |ctx| comes_back(ctx, over, family, &Privileges::default()),
            );
            cases.push(match over {
                Over::Ended | Over::EndedFirst => {
                    case.in_todays_c("CLOSE is refused by it, as its header says")
                }
                Over::Never | Over::NeverBound => {
                    case.not_in_c("a socket without a connection is its caller's to make")
                }
                _ => case.not_in_c("the numbers have no place for an error that waits"),
            });
        }
    }
    for (over, name) in [(Over::Ended, "ended"), (Over::Refused, "refused")] {
        for family in FAMILIES {
            cases.push(Case::new(
                format!("state/closed/{name}/by-helper/{family}"),
                "a thread without capabilities brings it back with a helper",
                &["E7", "C27"],
                move |ctx| {
                    let running = helper::serve()?;
                    comes_back(ctx, over, family, &Privileges::helped_by(&running.helper))?;
                    running.end().map(drop)
                },
            ));
        }
    }
    for (over, name) in [(Over::Reset, "reset"), (Over::TimedOut, "timed-out")] {
        cases.push(Case::new(
            format!("state/closed/{name}/left-to-the-application"),
            "a save that lets the socket live does not take its pending error from the application",
            &["A60", "D10"],
            move |ctx| error_stays(ctx, over),
        ));
    }
    cases.push(Case::new(
        "state/closed/ended-first/time-wait",
        "what a connection leaves in TIME-WAIT is named as left behind, and an image of that state is refused",
        &["E8"],
        time_wait,
    ));
    cases
}

fn comes_back(ctx: &Context, over: Over, family: Family, privileges: &Privileges) -> Verdict {
    let pair = ctx.pair()?;
    let control = bring(&pair, over, family)?;
    let socket = bring(&pair, over, family)?;
    let local = socket.local_addr()?;
    let mut expected = observe(&control)?;

    let capture = ctx.capture(pair.a())?;
    capture.mark(wire::PAUSED)?;
    let library = ctx.library();
    let paused = library.pause(pair.a(), &socket, SaveSettings::new(), privileges)?;
    let mut snapshot = paused.save(pair.a(), privileges)?.release()?;
    drop(socket);
    if !library.is_rust() {
        // The kernel has forgotten it; a caller that remembers it would not know better.
        snapshot.endpoints.remote = super::remote(&pair, family, REMEMBERED_PORT);
    }
    expect_eq("the state", snapshot.state, TcpState::Close)?;
    let error = over.errno().map(PendingError::Errno);
    expect_eq("the pending error", snapshot.pending_error, error)?;
    let restore = || library.restore(pair.a(), &snapshot, Settings::new(), privileges);
    let restored = restore()??;
    if over == Over::TimedOut {
        // No packet says so: the application gets another error, and never an end.
        for line in &mut expected {
            *line = line.replace(&errno(libc::ETIMEDOUT), &errno(libc::ECONNRESET));
        }
    }
    if let Some(losses) = restored.losses() {
        let named = losses.iter().any(|loss| loss.what == Lost::PendingError);
        expect_eq("another error is named", named, over == Over::TimedOut)?;
    }
    let socket = privileges.call(pair.a(), || restored.resume())??;
    expect_eq(
        "the local address",
        address(&socket, over)?,
        address_of(local, over),
    )?;
    let found = observe(&socket)?;
    expect_eq(
        "what the application sees",
        found.join(", "),
        expected.join(", "),
    )?;
    let leaked = capture.trace()?.after(wire::PAUSED)?;
    let leaked = leaked.filter(|packet| packet.segment().is_some());
    expect("the wire", "no packet", &leaked, leaked.is_empty())?;
    // A snapshot is never changed: it can be restored again.
    drop(socket);
    let again = restore()??;
    let again = privileges.call(pair.a(), || again.resume())??;
    let found = observe(&again)?;
    expect_eq("the second time", found.join(", "), expected.join(", "))
}

/// A port that the kernel has chosen for a socket without a connection means nothing.
fn address(socket: &TcpStream, over: Over) -> Result<SocketAddr, Stop> {
    Ok(address_of(socket.local_addr()?, over))
}

fn address_of(mut address: SocketAddr, over: Over) -> SocketAddr {
    if over == Over::Never {
        address.set_port(0);
    }
    address
}

/// Everything that an application can see of a socket, read as far as it goes.
pub(super) fn observe(socket: &TcpStream) -> Result<Vec<String>, Stop> {
    let mut seen = vec![format!("poll {:#x}", raw::poll(socket)?)];
    seen.push(format!(
        "getpeername {}",
        outcome(socket.peer_addr().map(|_| 0))
    ));
    let mut bytes = vec![0; UNREAD + 1];
    for _ in 0..4 {
        let count = raw::recv(socket, &mut bytes, MSG_DONTWAIT);
        if let Ok(count) = count {
            let stream = lab::Stream::numbered(0).check(0, &bytes[..count]);
            expect(
                "what is left to read",
                "as written",
                format!("{stream:?}"),
                stream.is_ok(),
            )?;
        }
        seen.push(format!("recv {}", outcome(count)));
    }
    for _ in 0..2 {
        let sent = raw::send(socket, b"x", MSG_DONTWAIT);
        seen.push(format!("send {}", outcome(sent)));
    }
    let option = |option| outcome(raw::get_int(socket, option).map(|value| value as usize));
    seen.push(format!("TCP_REPAIR {}", option(raw::Opt::TCP_REPAIR)));
    seen.push(format!("SO_REUSEADDR {}", option(raw::Opt::SO_REUSEADDR)));
    seen.push(format!("poll {:#x}", raw::poll(socket)?));
    Ok(seen)
}

fn outcome(result: io::Result<usize>) -> String {
    match result {
        Ok(count) => count.to_string(),
        Err(error) => errno(error.raw_os_error().unwrap_or(0)),
    }
}

fn errno(number: i32) -> String {
    nix::errno::Errno::from_raw(number).to_string()
}

/// Brings a socket to where it has no connection.
pub(super) fn bring(pair: &Pair, over: Over, family: Family) -> Result<TcpStream, Stop> {
    match over {
        Over::Never | Over::NeverBound => {
            let socket = unconnected(pair, family)?;
            if over == Over::NeverBound {
                let address = super::local(pair, family);
                let wildcard = SocketAddr::new(address.ip(), 0);
                socket.bind(&wildcard.into())?;
            }
            return Ok(socket.into());
        }
        Over::Refused => return refused(pair, family),
        _ => {}
    }
    let connection = pair.connection(family).open()?;
    let (socket, peer) = (connection.client, connection.server);
    (&peer).write_all(&lab::Stream::numbered(0).bytes(0, UNREAD))?;
    let arrived = || raw::siocinq(&socket).is_ok_and(|unread| unread == UNREAD as i32);
    wait::until("everything has arrived", PATIENCE, arrived)?;
    match over {
        Over::Ended => {
            peer.shutdown(Shutdown::Write)?;
            reaches(&socket, TcpState::CloseWait)?;
            socket.shutdown(Shutdown::Write)?;
        }
        Over::EndedFirst => {
            socket.shutdown(Shutdown::Write)?;
            reaches(&peer, TcpState::CloseWait)?;
            peer.shutdown(Shutdown::Write)?;
        }
        Over::Reset => reset(peer)?,
        Over::BrokenPipe => {
            peer.shutdown(Shutdown::Write)?;
            reaches(&socket, TcpState::CloseWait)?;
            reset(peer)?;
        }
        _ => {
            let flow = lab::Flow::new(
                super::canonical(socket.local_addr()?),
                super::canonical(socket.peer_addr()?),
            );
            let _hole = pair
                .a()
                .blackhole(Direction::Egress, Match::tcp().flow(flow))?;
            socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(Duration::from_millis(1)))?;
            (&socket).write_all(b"lost")?;
            reaches(&socket, TcpState::Close)?;
        }
    }
    reaches(&socket, TcpState::Close)?;
    Ok(socket)
}

fn unconnected(pair: &Pair, family: Family) -> Result<socket2::Socket, Stop> {
    let domain = match family {
        Family::V4 => socket2::Domain::IPV4,
        Family::V6 | Family::V4Mapped => socket2::Domain::IPV6,
    };
    let socket = pair
        .a()
        .enter(|| socket2::Socket::new(domain, socket2::Type::STREAM, None))??;
    Ok(socket)
}

fn refused(pair: &Pair, family: Family) -> Result<TcpStream, Stop> {
    let socket = unconnected(pair, family)?;
    socket.set_nonblocking(true)?;
    // Nobody listens there.
    let nobody = super::remote(pair, family, 1);
    match socket.connect(&nobody.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => other?,
    }
    reaches(&socket, TcpState::Close)?;
    Ok(socket.into())
}

/// Closes with a RST.
fn reset(socket: TcpStream) -> Verdict {
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    drop(socket);
    Ok(())
}

pub(super) fn reaches(socket: &impl AsFd, state: TcpState) -> Verdict {
    let reached = || raw::tcp_info(socket).is_ok_and(|info| info.state == state as u8);
    Ok(wait::until(
        format!("the state is {state}"),
        PATIENCE,
        reached,
    )?)
}

pub(super) fn names(restored: &Restored, what: Lost) -> bool {
    restored.losses().iter().any(|loss| loss.what == what)
}

fn error_stays(ctx: &Context, over: Over) -> Verdict {
    let pair = ctx.pair()?;
    let control = bring(&pair, over, Family::V4)?;
    let socket = bring(&pair, over, Family::V4)?;
    let snapshot = soccr::save(&socket)?;
    expect_eq(
        "the pending error",
        snapshot.pending_error,
        Some(PendingError::Untaken),
    )?;
    let (found, expected) = (observe(&socket)?, observe(&control)?);
    expect_eq(
        "what the application sees",
        found.join(", "),
        expected.join(", "),
    )?;
    // Which error it was is not known; that it was one is.
    let restored = pair.a().enter(|| snapshot.restore())??;
    expect_eq(
        "another error is named",
        names(&restored, Lost::PendingError),
        true,
    )?;
    let found = observe(&restored.resume()?)?;
    let reset = format!("recv {}", errno(libc::ECONNRESET));
    expect(
        "what is read",
        &reset,
        found.join(", "),
        found.contains(&reset),
    )
}

fn time_wait(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = bring(&pair, Over::EndedFirst, Family::V4)?;
    let mut snapshot: Snapshot = soccr::save(&socket)?;
    let losses = snapshot.losses();
    expect(
        "the losses",
        "TIME-WAIT is among them",
        format!("{losses:?}"),
        losses.iter().any(|loss| loss.what == Lost::TimeWait),
    )?;
    snapshot.state = TcpState::TimeWait;
    match snapshot.validate() {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => Ok(()),
        other => {
            Err(Failure::new("an image of TIME-WAIT", "a refusal", format!("{other:?}")).into())
        }
    }
}
