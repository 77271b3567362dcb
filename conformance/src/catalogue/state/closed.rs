//! Sockets without a connection: after its end, after a reset, after a refusal, and before any.
//!
//! Each is compared with a second one that came to the same end and was never saved: whatever the application can see of
//! the one, it must see of the other.

use super::over::{Over, UNREAD, bring};
use crate::case::Case;
use crate::context::Context;
use crate::helper;
use crate::journey::Privileges;
use crate::oracle::wire;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::Family;
use soccr::raw::{self, MSG_DONTWAIT};
use soccr::{ErrorKind, Lost, PendingError, Restored, SaveSettings, Settings, Snapshot, TcpState};
use std::io;
use std::net::{SocketAddr, TcpStream};

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

/// The port of a peer that is no more.
const REMEMBERED_PORT: u16 = 40_002;

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
                Over::Never | Over::NeverBound | Over::NeverBoundAnywhere | Over::NeverShut => {
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
    for (over, name) in [
        (Over::Reset, "reset"),
        (Over::TimedOut, "timed-out"),
        // Nothing is left to read before it.
        (Over::Refused, "refused"),
    ] {
        cases.push(Case::new(
            format!("state/closed/{name}/left-to-the-application"),
            "a save that lets the socket live does not take its pending error from the application",
            &["A60", "D10"],
            move |ctx| error_stays(ctx, over),
        ));
    }
    cases.push(Case::new(
        "state/closed/ended/left-to-the-application",
        "a save that lets a socket live whose connection has ended makes no error up",
        &["A60", "D10"],
        no_error,
    ));
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
    let shut = over == Over::NeverShut;
    expect_eq("shutdown_read", snapshot.shutdown_read, shut)?;
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
    if matches!(over, Over::Never | Over::NeverShut) {
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

fn no_error(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = bring(&pair, Over::Ended, Family::V4)?;
    let snapshot = soccr::save(&socket)?;
    expect_eq("the pending error", snapshot.pending_error, None)
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
