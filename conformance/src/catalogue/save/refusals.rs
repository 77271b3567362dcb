//! What cannot be saved is refused by name, and left as it was.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{PATIENCE, Traveller};
use crate::verdict::{Failure, Verdict, expect_eq};
use lab::{Family, wait};
use nix::sys::socket::{MsgFlags, send};
use soccr::raw::{self, Opt};
use soccr::{ErrorKind, TcpState, Unsupported};
use std::io;
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("save/refused/udp", "a UDP socket is refused", &["C7"], udp),
        Case::new(
            "save/refused/listen",
            "a listening socket is refused",
            &["A2", "C7"],
            listen,
        ),
        Case::new(
            "save/refused/unconnected",
            "a socket that was never connected is refused",
            &["C7"],
            unconnected,
        ),
        Case::new(
            "save/refused/close-wait",
            "a connection that the peer has closed is refused by this version, and runs on",
            &["C7", "E4"],
            close_wait,
        ),
        Case::new(
            "save/refused/fin-wait",
            "a connection that was half closed is refused by this version, and runs on",
            &["C7", "E3"],
            fin_wait,
        ),
        Case::new(
            "save/refused/in-repair",
            "a socket that somebody else has paused is refused, and stays paused",
            &["A7"],
            in_repair,
        ),
    ];
    for (name, before, inline) in [
        ("ahead", 3, false),
        ("ahead-inline", 3, true),
        ("at-the-mark", 0, false),
        ("at-the-mark-inline", 0, true),
    ] {
        cases.push(Case::new(
            format!("save/refused/urgent-{name}"),
            "urgent data that waits is not lost silently: the save is refused and nothing is consumed",
            &["A29", "G6"],
            move |ctx| urgent(ctx, before, inline),
        ));
    }
    cases
}

fn udp(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = pair.a().enter(|| UdpSocket::bind("0.0.0.0:0"))??;
    refused(&socket, &Unsupported::Protocol(17))
}

fn listen(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = pair.a().enter(|| TcpListener::bind("0.0.0.0:0"))??;
    refused(&socket, &Unsupported::State(TcpState::Listen))
}

fn unconnected(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let new = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = pair.a().enter(new)??;
    refused(&socket, &Unsupported::State(TcpState::Close))
}

fn close_wait(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    traveller.peer.shutdown(Shutdown::Write)?;
    reaches(&traveller, TcpState::CloseWait)?;
    refused(&traveller.subject, &Unsupported::State(TcpState::CloseWait))?;
    traveller.talk.write(
        crate::oracle::stream::End::Subject,
        &traveller.subject,
        1_000,
    )?;
    traveller.talk.drain(&traveller.subject, &traveller.peer)
}

fn fin_wait(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    traveller.subject.shutdown(Shutdown::Write)?;
    reaches(&traveller, TcpState::FinWait2)?;
    refused(&traveller.subject, &Unsupported::State(TcpState::FinWait2))?;
    traveller
        .talk
        .write(crate::oracle::stream::End::Peer, &traveller.peer, 1_000)?;
    traveller.talk.drain(&traveller.subject, &traveller.peer)
}

fn reaches(traveller: &Traveller, state: TcpState) -> Verdict {
    let reached = || raw::tcp_info(&traveller.subject).is_ok_and(|info| info.state == state as u8);
    Ok(wait::until(
        format!("the state is {state}"),
        PATIENCE,
        reached,
    )?)
}

fn in_repair(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
    match soccr::save(&traveller.subject) {
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyInRepair) => {}
        other => return Err(Failure::new("the save", "a refusal", outcome(other)).into()),
    }
    expect_eq(
        "TCP_REPAIR after the save",
        raw::get_int(&traveller.subject, Opt::TCP_REPAIR)?,
        1,
    )
}

/// `before` ordinary bytes, the urgent one, and three more.
fn urgent(ctx: &Context, before: usize, inline: bool) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::SO_OOBINLINE, inline.into())?;
    let peer = traveller.peer.as_raw_fd();
    let message = b"abc";
    if before > 0 {
        send(peer, &message[..before], MsgFlags::empty()).map_err(io::Error::from)?;
    }
    send(peer, b"!", MsgFlags::MSG_OOB).map_err(io::Error::from)?;
    send(peer, b"def", MsgFlags::empty()).map_err(io::Error::from)?;
    let everything = before as i32 + 4;
    let all_acknowledged = || raw::siocoutq(&traveller.peer).is_ok_and(|left| left == 0);
    wait::until("everything has arrived", PATIENCE, all_acknowledged)?;
    ctx.note("bytes sent", everything);
    match soccr::save(&traveller.subject) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unsupported(Unsupported::UrgentData { .. })
            ) => {}
        other => {
            return Err(
                Failure::new("the save", "a refusal for urgent data", outcome(other)).into(),
            );
        }
    }
    untouched(&traveller.subject)?;
    let after = raw::get_int(&traveller.subject, Opt::SO_OOBINLINE)?;
    expect_eq("SO_OOBINLINE after the refusal", after, inline.into())?;
    let mut expected = [&message[..before], b"!def"].concat();
    if !inline {
        let mut byte = [0; 8];
        let count = raw::recv(&traveller.subject, &mut byte, raw::MSG_OOB)?;
        expect_eq("the urgent byte", &byte[..count], b"!")?;
        expected.retain(|byte| *byte != b'!');
    }
    expect_eq(
        "what is read after the refusal",
        read_all(&traveller.subject)?,
        expected,
    )
}

/// Everything that waits; a read ends at the urgent mark and goes on behind it.
fn read_all(socket: &impl AsFd) -> io::Result<Vec<u8>> {
    let (mut all, mut bytes) = (Vec::new(), [0; 64]);
    loop {
        match raw::recv(socket, &mut bytes, raw::MSG_DONTWAIT) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}

fn refused(socket: &impl AsFd, expected: &Unsupported) -> Verdict {
    match soccr::save(socket) {
        Err(error) => match error.kind() {
            ErrorKind::Unsupported(actual) => {
                expect_eq("the reason", actual, expected)?;
                untouched(socket)
            }
            _ => Err(Failure::new("the save", expected, error).into()),
        },
        Ok(_) => Err(Failure::new("the save", expected, "success").into()),
    }
}

/// A socket that was refused is not in repair mode; one that is not TCP has no such mode.
fn untouched(socket: &impl AsFd) -> Verdict {
    match raw::get_int(socket, Opt::TCP_REPAIR) {
        Ok(repair) => expect_eq("TCP_REPAIR after the refusal", repair, 0),
        Err(_) => Ok(()),
    }
}

fn outcome<T>(result: Result<T, soccr::Error>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "success".to_owned())
}
