//! A full receiver that has taken its window back: what it has told is not there any more, and its peer has data in flight
//! for it.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{PATIENCE, Traveller};
use crate::oracle::stream::End;
use crate::oracle::wire::Probes;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Family, wait};
use soccr::raw::{self, Opt};

/// Bytes that fit the window, and are not read.
const UNREAD: usize = 20_000;

/// Bytes that fitted the window when they were sent, and the memory no more when they arrive.
const PAST: usize = 8_000;

/// Bytes that go the other way meanwhile.
const BACK: usize = 5_000;

/// The least buffer that there is.
const SQUEEZED: i32 = 1;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, back, statement) in [
        ("one-way", false, "a receiver that takes its window back"),
        (
            "both-ways",
            true,
            "a receiver that takes its window back while it has data in flight itself",
        ),
    ] {
        for family in [Family::V4, Family::V6] {
            cases.push(
                Case::new(
                    format!("restore/squeezed/live/{name}/{family}"),
                    format!("{statement} loses nothing, and goes on once it is read"),
                    &["B24"],
                    move |ctx| live(ctx, family, back),
                )
                .not_in_c("nothing is saved"),
            );
            cases.push(
                Case::new(
                    format!("restore/squeezed/moved/{name}/{family}"),
                    format!(
                        "{statement} moves as it is: it loses nothing, and goes on once it is read"
                    ),
                    &["B24", "H2"],
                    move |ctx| moved(ctx, family, back),
                )
                .in_c(),
            );
        }
    }
    cases
}

/// Enough of one.
const ROOM: i32 = 100_000;

/// What a host counts where a segment finds no memory, by kernel.
const NO_MEMORY: [&str; 3] = [
    "TcpExt.TCPZeroWindowDrop",
    "TcpExt.TCPRcvQDrop",
    "TcpExt.RcvPruned",
];

/// The buffer shrinks below what is in it; what the peer sends then, within the window that it knows, finds no memory.
fn squeezed(ctx: &Context, family: Family, back: bool) -> Result<Traveller, Stop> {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.receive_more(UNREAD)?;
    raw::set_int(&traveller.subject, Opt::SO_RCVBUF, SQUEEZED)?;
    let known = raw::tcp_info(&traveller.peer)?.snd_wnd;
    let open = known as usize > PAST;
    expect("the window that the peer knows", "is open", known, open)?;
    let before = traveller.pair.a().counters()?;
    traveller.talk.write(End::Peer, &traveller.peer, PAST)?;
    wait::until("a segment finds no memory", PATIENCE, || {
        traveller.pair.a().counters().is_ok_and(|now| {
            let moved = now.since(&before);
            NO_MEMORY.iter().any(|name| moved.by(name) > 0)
        })
    })?;
    let left = raw::tcp_info(&traveller.peer)?.snd_wnd;
    ctx.note(
        "window of the peer before and after",
        format!("{known} {left}"),
    );
    if back {
        // Nothing of it arrives before the next timer: a tail loss probe would come sooner.
        traveller
            .pair
            .a()
            .sysctl("net.ipv4.tcp_early_retrans", "0")?;
        traveller
            .lock
            .block_egress(&traveller.pair, traveller.flow)?;
        traveller
            .talk
            .write(End::Subject, &traveller.subject, BACK)?;
    }
    Ok(traveller)
}

fn live(ctx: &Context, family: Family, back: bool) -> Verdict {
    let mut traveller = squeezed(ctx, family, back)?;
    traveller.lock.unblock_egress();
    let (subject, peer) = (&traveller.subject, &traveller.peer);
    traveller.talk.drain(subject, peer)?;
    traveller.talk.exchange(subject, peer, BACK)?;
    traveller.talk.close(subject, peer)
}

fn moved(ctx: &Context, family: Family, back: bool) -> Verdict {
    let mut traveller = squeezed(ctx, family, back)?;
    let saved = traveller.save()?;
    let in_flight = saved.snapshot.send.sent().len();
    expect_eq("bytes in flight", in_flight, if back { BACK } else { 0 })?;
    let restored = traveller.arrive(&saved)?;
    traveller.talk.drain(&restored, &traveller.peer)?;
    // Through the least of buffers what is said afterwards would take a quarter of a minute.
    raw::set_int(&restored, Opt::SO_RCVBUF, ROOM)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}
