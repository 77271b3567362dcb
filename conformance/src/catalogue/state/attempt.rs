//! A connection of which only the SYN was sent.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Lock, PATIENCE, Privileges, Traveller};
use crate::oracle::stream::Talk;
use crate::oracle::{table, wire};
use crate::subject::Library;
use crate::verdict::{Verdict, expect, expect_eq};
use lab::{Family, Flow, Segment, Trace, wait};
use soccr::{Lost, SaveSettings, Seq, Settings, TcpState, raw};
use std::net::{SocketAddr, TcpListener, TcpStream};

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

/// What becomes of the first SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// It is lost.
    Lost,
    /// It arrives, and its answer is lost.
    Unanswered,
    /// So does one without timestamps.
    UnansweredWithoutTimestamps,
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (first, name) in [
        (First::Lost, "lost"),
        (First::Unanswered, "unanswered"),
        (First::UnansweredWithoutTimestamps, "unanswered-plain"),
    ] {
        for family in FAMILIES {
            cases.push(Case::new(
                format!("state/syn-sent/{name}/{family}"),
                "an attempt to connect moves: the SYN is sent again with its number and its ports, not before the resume, \
                 and the connection comes about",
                &["E9", "A10"],
                move |ctx| moves(ctx, first, family),
            ).in_c());
        }
    }
    cases
}

fn moves(ctx: &Context, first: First, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    if first == First::UnansweredWithoutTimestamps {
        pair.a().sysctl("net.ipv4.tcp_timestamps", "0")?;
    }
    let capture = ctx.capture(pair.a())?;
    let (local, remote) = (super::local(&pair, family), super::remote(&pair, family, 0));
    let server = pair
        .b()
        .enter(|| TcpListener::bind(super::canonical(remote)))??;
    let remote = SocketAddr::new(remote.ip(), server.local_addr()?.port());
    let flow = Flow::new(super::canonical(local), super::canonical(remote));
    let mut lock = Lock::default();
    lock.block_ingress(&pair, flow)?;
    if first == First::Lost {
        lock.block_egress(&pair, flow)?;
    }
    let socket = pair
        .a()
        .enter(|| raw::tcp_socket(super::family(family)))??;
    let attempt = socket2::Socket::from(socket);
    attempt.set_nonblocking(true)?;
    attempt.bind(&local.into())?;
    match attempt.connect(&remote.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => other?,
    }
    if first != First::Lost {
        let sent = || {
            let syn = |trace: Trace| trace.segments().any(|segment| segment.flags.syn());
            capture.trace().is_ok_and(syn)
        };
        wait::until("the SYN has left", PATIENCE, sent)?;
    }
    lock.block_egress(&pair, flow)?;

    capture.mark(wire::PAUSED)?;
    let (library, privileges) = (ctx.library(), Privileges::default());
    let attempt = TcpStream::from(attempt);
    let paused = library.pause(pair.a(), &attempt, SaveSettings::new(), &privileges)?;
    let mut snapshot = paused.save(pair.a(), &privileges)?.release()?;
    if !library.is_rust() {
        // getpeername() does not tell it before the connection has come about: a caller has to remember it.
        snapshot.endpoints.remote = remote;
    }
    drop(attempt);
    table::expect_absent(pair.a(), &flow)?;
    expect_eq("the state", snapshot.state, TcpState::SynSent)?;
    expect_eq(
        "both addresses",
        (snapshot.endpoints.local, snapshot.endpoints.remote),
        (local, remote),
    )?;
    let restored = library.restore(pair.a(), &snapshot, Settings::new(), &privileges)??;
    if let Some(losses) = restored.losses() {
        let clock = losses.iter().any(|loss| loss.what == Lost::Clock);
        expect_eq("the loss of the clock is named", clock, true)?;
    }
    lock.unblock_egress();
    capture.mark(wire::RESTORED)?;
    let subject = restored.resume()?;
    // Not before: only connecting makes the socket one that an answer finds.
    lock.unblock_ingress();
    let connected =
        || raw::tcp_info(&subject).is_ok_and(|info| info.state == TcpState::Established as u8);
    wait::until("the connection has come about", PATIENCE, connected)?;
    expect_eq(
        "SO_ERROR",
        subject.take_error()?.map(|error| error.to_string()),
        None,
    )?;
    let (peer, _) = server.accept()?;
    judge(ctx, &capture.trace()?, flow, snapshot.write_seq(), &library)?;
    let traveller = Traveller {
        pair,
        capture,
        subject,
        peer,
        flow,
        talk: Talk::default(),
        lock,
        settings: Settings::new(),
        privileges,
        library,
    };
    talk_on(&traveller)
}

fn talk_on(traveller: &Traveller) -> Verdict {
    let (subject, peer): (&TcpStream, &TcpStream) = (&traveller.subject, &traveller.peer);
    traveller.talk.exchange(subject, peer, 20_000)?;
    traveller.talk.close(subject, peer)
}

/// Nothing until the resume; then a SYN, and every SYN the same.
///
/// A peer that has answered the first SYN echoes that one's timestamp, which the kernel does not take for an answer to
/// the second: it resets the answer, which no application has seen, and the peer answers a later SYN.
fn judge(ctx: &Context, trace: &Trace, flow: Flow, write_seq: Seq, library: &Library) -> Verdict {
    let trace = trace.of(&flow);
    let silent = trace.between(wire::PAUSED, wire::RESTORED)?.outgoing();
    expect(
        "the wire before the resume",
        "nothing leaves",
        &silent,
        silent.is_empty(),
    )?;
    for syn in trace
        .outgoing()
        .segments()
        .filter(|segment| segment.flags.syn())
    {
        expect_eq("the number after a SYN", Seq(syn.end_seq()), write_seq)?;
    }
    let (before, after) = (trace.before(wire::PAUSED)?, trace.after(wire::RESTORED)?);
    let again = after
        .outgoing()
        .segments()
        .filter(|segment| segment.flags.syn())
        .count();
    // Through C the SYN is sent by the restore, behind the lock; a peer that had heard the first one answers that.
    let due = library.is_rust();
    expect(
        "SYNs after the resume",
        "at least one",
        again,
        again > 0 || !due,
    )?;
    let old_clock = before.outgoing().segments().find_map(Segment::timestamps);
    let answers_to_the_first = after
        .segments()
        .filter(|segment| segment.flow != flow && segment.flags.syn())
        .filter_map(Segment::timestamps)
        .filter(|(_, echoed)| old_clock.is_some_and(|(sent, _)| sent == *echoed))
        .count();
    let resets = after
        .segments()
        .filter(|segment| segment.flags.rst())
        .count();
    ctx.note("answers to the first SYN", answers_to_the_first);
    expect(
        "RSTs",
        format!("none but to answers to the first SYN, {answers_to_the_first}"),
        resets,
        resets <= answers_to_the_first,
    )
}
