//! What leaves between the last reading of a save and the close of its socket.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{PATIENCE, Traveller};
use crate::oracle::stream::End;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Family, wait};
use soccr::raw::{self, Opt};
use soccr::{Rescue, Snapshot};
use std::net::TcpStream;
use std::sync::Arc;

/// More than any window of the baseline lets through.
const MORE_THAN_FITS: usize = 16 << 20;
/// Bytes per second: a full segment every 70 ms.
const SLOW: u64 = 20_000;
/// What is written at this rate, bytes.
const PACED: usize = 60_000;
/// What both ends write once the connection is restored.
const AFTERWARDS: usize = 20_000;

const HELD: &str =
    "there, the socket stays as it is: its caller may resume it by a call of its own";

pub(super) fn cases() -> Vec<Case> {
    let families = [Family::V4, Family::V6, Family::V4Mapped].into_iter();
    let closed = families.clone().map(|family| {
        Case::new(
            format!("save/left-meanwhile/closed/{family}"),
            "what leaves between the reading and the release of a socket, as of a paced connection at any time, is not saved \
             as unsent, and nothing more leaves until it is closed",
            &["A9", "G10"],
            move |ctx| closed(ctx, family),
        )
        .not_in_c(HELD)
    });
    let rescued = families.map(|family| {
        Case::new(
            format!("save/left-meanwhile/rescued/{family}"),
            "a connection whose saver has died behind the release of its socket goes on sending once it is put back",
            &["A9", "E13"],
            move |ctx| rescued(ctx, family),
        )
        .not_in_c(HELD)
    });
    closed.chain(rescued).collect()
}

fn closed(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = stalled(ctx, family)?;
    let snapshot = released(ctx, &mut traveller)?;
    traveller.talk.check_sent(&snapshot.send.bytes)?;
    traveller.close_subject()?;
    let pair = Arc::clone(&traveller.pair);
    let restored = pair.a().enter(|| snapshot.restore())??;
    let restored = traveller.resume(restored)?;
    goes_on(&traveller, &restored)
}

/// Of a paced connection, between two segments: its timer goes off behind the release, and finds the window closed.
fn rescued(ctx: &Context, family: Family) -> Verdict {
    let traveller = Traveller::open(ctx, family)?;
    let Traveller {
        subject,
        peer,
        talk,
        ..
    } = &traveller;
    talk.exchange(subject, peer, AFTERWARDS)?;
    raw::set(subject, Opt::SO_MAX_PACING_RATE, &SLOW.to_ne_bytes())?;
    talk.write(End::Subject, subject, PACED)?;
    let rescue = Rescue::prepare(subject)?;
    let mut said = Ok(());
    wait::until("a moment between two segments", PATIENCE, || {
        // What it reads later it would answer, with a window.
        said = talk.read(End::Peer, peer).map(drop);
        let queues = (raw::siocoutq(subject), raw::siocoutqnsd(subject));
        said.is_err() || matches!(queues, (Ok(all), Ok(unsent)) if all == unsent && unsent > 0)
    })?;
    said?;
    let save = || Ok(soccr::pause(subject)?.read_data()?.queue_bytes()?.release());
    let saved: Result<_, soccr::Error> = traveller.pair.a().enter(save)?;
    ctx.note("bytes unsent at the release", saved?.send.unsent);
    rescue.put_back(subject)?;
    raw::set(subject, Opt::SO_MAX_PACING_RATE, &u64::MAX.to_ne_bytes())?;
    goes_on(&traveller, subject)
}

fn stalled(ctx: &Context, family: Family) -> Result<Traveller, Stop> {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.write_until_stalled(End::Subject, MORE_THAN_FITS)?;
    Ok(traveller)
}

fn goes_on(traveller: &Traveller, subject: &TcpStream) -> Verdict {
    let Traveller { talk, peer, .. } = traveller;
    talk.drain(subject, peer)?;
    talk.exchange(subject, peer, AFTERWARDS)?;
    talk.close(subject, peer)
}

/// Reads the subject, and releases it when something has left.
///
/// Here it is the peer that makes the kernel send, which can be told when to: the timer of a paced connection cannot.
fn released(ctx: &Context, traveller: &mut Traveller) -> Result<Snapshot, Stop> {
    let subject = traveller.subject.try_clone()?;
    let pair = Arc::clone(&traveller.pair);
    let read = || soccr::pause(&subject)?.read_data()?.queue_bytes();
    let saved = pair.a().enter(read)??;
    let before = saved.snapshot().send.unsent;
    expect("unsent bytes", "some", before, before > 0)?;
    let mut said = Ok(());
    wait::until("something to leave", PATIENCE, || {
        said = traveller.talk.read(End::Peer, &traveller.peer).map(drop);
        said.is_err() || unsent(&subject).is_ok_and(|now| now < before)
    })?;
    said?;
    traveller.lock.block_ingress(&pair, traveller.flow)?;
    let snapshot = pair.a().enter(|| saved.release())?;
    // It pushes what the kernel holds back.
    subject.set_nodelay(true)?;
    let after = unsent(&subject)?;
    // A timer that sends again makes the save believe that more has left.
    expect(
        "what is saved as unsent, of what is",
        format!("at most {after}, of {before} before"),
        snapshot.send.unsent,
        snapshot.send.unsent <= after,
    )?;
    let valid = snapshot.validate().map_err(|refusal| refusal.to_string());
    expect_eq("the saved snapshot is valid", valid, Ok(()))?;
    ctx.note(
        "bytes unsent at first, and at last",
        format!("{before}, {after}"),
    );
    // Where the peer takes all there is, nothing is left to be kept back.
    if after > 0 {
        let window = raw::tcp_info(&subject)?.snd_wnd;
        expect_eq("the window that the released socket knows", window, 0)?;
    }
    Ok(snapshot)
}

fn unsent(socket: &TcpStream) -> Result<u32, Stop> {
    Ok(raw::siocoutqnsd(socket)?.unsigned_abs())
}
