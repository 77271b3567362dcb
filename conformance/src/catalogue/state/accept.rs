//! Connections that the application has not accepted yet, and those whose handshake is not over.

use crate::case::{Case, Level};
use crate::context::Context;
use crate::journey::{Lock, PATIENCE, Privileges, Traveller};
use crate::oracle::stream::{End, Talk};
use crate::oracle::wire::Probes;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Blackhole, Capture, Direction, Family, Flags, Flow, Match, Pair, wait};
use soccr::{ErrorKind, Settings, TcpState, Unsupported, raw};
use socket2::Socket;
use std::net::TcpStream;
use std::sync::Arc;

/// Mark: the listener is a new one.
const MOVED: &str = "the listener has moved";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "state/syn-received/answered",
            "a handshake that was left behind with its listener ends with a RST for a client that had seen the answer",
            &["E10", "C16"],
            answered,
        )
        .level(Level::Info)
        .not_in_c("no library is asked"),
        Case::new(
            "state/syn-received/unheard",
            "a client whose SYN was never heard comes to its connection at the listener that came after",
            &["E10", "C16"],
            unheard,
        )
        .level(Level::Info)
        .not_in_c("no library is asked"),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("state/accept-queue/drained/{family}"),
            "a connection that waits to be accepted is not reached through its listener, and moves once it is accepted, \
             with what had arrived before",
            &["E11", "C16"],
            move |ctx| drained(ctx, family),
        ).in_c());
    }
    cases
}

/// A listener on the subject's host.
fn listen(pair: &Pair, family: Family) -> Result<Socket, Stop> {
    let socket = pair
        .a()
        .enter(|| raw::tcp_socket(super::family(family)))??;
    let listener = Socket::from(socket);
    listener.set_reuse_address(true)?;
    listener.bind(&super::local(pair, family).into())?;
    listener.listen(8)?;
    Ok(listener)
}

fn drained(ctx: &Context, family: Family) -> Verdict {
    const EARLY: usize = 5_000;
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let listener = listen(&pair, family)?;
    let address = super::canonical(super::local(&pair, family));
    let peer = pair.b().enter(|| TcpStream::connect(address))??;
    let talk = Talk::default();
    talk.write(End::Peer, &peer, EARLY)?;
    let arrived = || raw::siocoutq(&peer).is_ok_and(|left| left == 0);
    wait::until("what the peer has written has arrived", PATIENCE, arrived)?;
    if ctx.library().is_rust() {
        listener_refused(&listener)?;
    }
    let (subject, _) = listener.accept()?;
    drop(listener);
    let traveller = Traveller {
        flow: Flow::new(address, peer.local_addr()?),
        pair,
        capture,
        subject: subject.into(),
        peer,
        talk,
        lock: Lock::default(),
        settings: Settings::new(),
        privileges: Privileges::default(),
        library: ctx.library(),
    };
    let unread = raw::siocinq(&traveller.subject)?;
    expect_eq("bytes that wait to be read", unread, EARLY as i32)?;
    traveller.travel(ctx, Probes::One)
}

fn listener_refused(listener: &Socket) -> Verdict {
    match soccr::save(listener) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unsupported(Unsupported::State(TcpState::Listen))
            ) =>
        {
            Ok(())
        }
        other => {
            let found = format!("{:?}", other.map(|_| "success"));
            Err(Failure::new("a save of the listener", "a refusal", found).into())
        }
    }
}

/// A client whose handshake does not come to its end, as what is `lost` does not reach the listener's host.
struct Caught {
    pair: Arc<Pair>,
    capture: Arc<Capture>,
    listener: Socket,
    client: Socket,
    _lost: Blackhole,
}

fn catch(ctx: &Context, lost: Match) -> Result<Caught, Stop> {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let listener = listen(&pair, Family::V4)?;
    let _lost = pair.a().blackhole(Direction::Ingress, lost)?;
    let socket = pair.b().enter(|| raw::tcp_socket(soccr::Family::V4))??;
    let client = Socket::from(socket);
    client.set_nonblocking(true)?;
    match client.connect(&super::local(&pair, Family::V4).into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => other?,
    }
    Ok(Caught {
        pair,
        capture,
        listener,
        client,
        _lost,
    })
}

impl Caught {
    fn reaches(&self, state: TcpState) -> Verdict {
        let reached = || raw::tcp_info(&self.client).is_ok_and(|info| info.state == state as u8);
        let what = format!("the client is in the state {state}");
        Ok(wait::until(what, PATIENCE, reached)?)
    }

    /// Gives the listener up with all that belongs to it, and begins another; nothing is lost any more.
    fn move_listener(self) -> Result<(Arc<Pair>, Arc<Capture>, Socket, Socket), Stop> {
        let Self {
            pair,
            capture,
            listener,
            client,
            _lost,
        } = self;
        drop(listener);
        let listener = listen(&pair, Family::V4)?;
        capture.mark(MOVED)?;
        Ok((pair, capture, listener, client))
    }
}

fn answered(ctx: &Context) -> Verdict {
    let caught = catch(ctx, Match::tcp().flags(Flags::ACK))?;
    caught.reaches(TcpState::Established)?;
    let (_pair, capture, _listener, client) = caught.move_listener()?;
    raw::send(&client, b"hello", raw::MSG_DONTWAIT)?;
    let over = || raw::tcp_info(&client).is_ok_and(|info| info.state == TcpState::Close as u8);
    let ended = wait::until("the client's connection is over", PATIENCE, over);
    expect(
        "the client",
        "is reset",
        format!("{ended:?}"),
        ended.is_ok(),
    )?;
    let error = client.take_error()?.and_then(|error| error.raw_os_error());
    expect_eq("SO_ERROR", error, Some(libc::ECONNRESET))?;
    let sent = capture.trace()?.after(MOVED)?.outgoing();
    let resets = sent.count(|segment| segment.flags.rst());
    expect("the wire", "a RST", &sent, resets > 0)
}

fn unheard(ctx: &Context) -> Verdict {
    let caught = catch(ctx, Match::tcp())?;
    caught.reaches(TcpState::SynSent)?;
    let (_pair, capture, listener, client) = caught.move_listener()?;
    wait::readable("a connection to accept", PATIENCE, &listener)?;
    let (_accepted, from): (Socket, _) = listener.accept()?;
    let expected = client.local_addr()?.as_socket();
    expect_eq("whose connection it is", from.as_socket(), expected)?;
    let sent = capture.trace()?.after(MOVED)?;
    let resets = sent.count(|segment| segment.flags.rst());
    expect("the wire", "no RST", &sent, resets == 0)
}
