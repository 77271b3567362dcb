//! Saves while a timer goes off that sends, in repair mode too, of what the kernel takes as sent.

use super::interrupted::interrupted;
use crate::case::Case;
use crate::context::Context;
use crate::journey::{PATIENCE, Traveller};
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Blackhole, Direction, Family, Flow, Match, Pair, wait};
use soccr::{Snapshot, raw};
use std::net::TcpStream;
use std::sync::Arc;

/// What the subject writes: more than the first congestion window.
const MORE_THAN_A_FLIGHT: usize = 100_000;
/// What both ends write once the connection is restored.
const AFTERWARDS: usize = 20_000;

/// What becomes of the segments that the timer sends.
#[derive(Clone, Copy)]
enum Fate {
    /// The peer acknowledges the first, which lets out all that follow.
    Acknowledged,
    /// The first has come to the peer, and no acknowledgement comes back.
    Arrived,
}

pub(super) fn cases() -> Vec<Case> {
    let fates = [
        ("acknowledged", Fate::Acknowledged),
        ("arrived", Fate::Arrived),
    ];
    let mut cases = Vec::new();
    for family in [Family::V4, Family::V6, Family::V4Mapped] {
        for (name, fate) in fates {
            cases.push(
                Case::new(
                    format!("save/sent-by-timer/{name}/{family}"),
                    "what a timer sends while the send queue is read is not saved as unsent, and a restored connection goes \
                     on from there",
                    &["A65", "A9", "G10"],
                    move |ctx| sent_by_timer(ctx, family, fate),
                )
                .not_in_c("the moment is found by counting the calls of the Rust library"),
            );
        }
    }
    cases
}

fn sent_by_timer(ctx: &Context, family: Family, fate: Fate) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.send_unacknowledged(MORE_THAN_A_FLIGHT)?;
    let unsent = raw::siocoutqnsd(&traveller.subject)?;
    expect("unsent bytes", "some", unsent, unsent > 0)?;
    let first_flight = raw::siocinq(&traveller.peer)?;
    let snapshot = saved(&mut traveller, fate)?;
    let by_timer = raw::siocinq(&traveller.peer)? - first_flight;
    ctx.note("bytes that the timer has sent", by_timer);
    expect(
        "bytes that the timer has sent",
        "some",
        by_timer,
        by_timer > 0,
    )?;
    let most = (unsent - by_timer).unsigned_abs();
    expect(
        "what is saved as unsent",
        format!("at most the {most} bytes that the peer does not have"),
        snapshot.send.unsent,
        snapshot.send.unsent <= most,
    )?;
    let valid = snapshot.validate().map_err(|refusal| refusal.to_string());
    expect_eq("the saved snapshot is valid", valid, Ok(()))?;
    traveller.talk.check_sent(&snapshot.send.bytes)?;
    traveller.close_subject()?;
    let pair = Arc::clone(&traveller.pair);
    let restored = pair.a().enter(|| snapshot.restore())??;
    let restored = traveller.resume(restored)?;
    let Traveller { talk, peer, .. } = &traveller;
    talk.drain(&restored, peer)?;
    talk.exchange(&restored, peer, AFTERWARDS)?;
    talk.close(&restored, peer)
}

/// Saves the subject, and leaves it in repair mode; the kernel takes all that is unsent as sent meanwhile ([`interrupted`]), and
/// then its timer goes off.
fn saved(traveller: &mut Traveller, fate: Fate) -> Result<Snapshot, Stop> {
    let sockets = (traveller.subject.try_clone()?, traveller.peer.try_clone()?);
    let (pair, flow) = (Arc::clone(&traveller.pair), traveller.flow);
    let (snapshot, held) = interrupted(
        traveller,
        |subject| read(subject).map(drop),
        |subject| read(subject).map(soccr::Saved::release),
        move || timer_goes_off(&sockets, (&pair, flow), fate),
    )?;
    traveller.lock.block_ingress(&traveller.pair, flow)?;
    drop(held);
    Ok(snapshot)
}

fn read(subject: &TcpStream) -> Result<soccr::Saved<'_>, soccr::Error> {
    soccr::pause(subject)?.read_data()?.queue_bytes()
}

/// Waits until the subject has sent again what it takes as sent; returns what keeps packets away since.
fn timer_goes_off(
    (subject, peer): &(TcpStream, TcpStream),
    (pair, flow): (&Pair, Flow),
    fate: Fate,
) -> Result<Vec<Blackhole>, lab::Error> {
    let first_flight = raw::siocinq(peer);
    let taken = || raw::siocoutqnsd(subject).is_ok_and(|unsent| unsent == 0);
    wait::until("the kernel takes all as sent", PATIENCE, taken)?;
    let mut held = Vec::new();
    match fate {
        Fate::Acknowledged => {
            let all = || raw::siocoutq(subject).is_ok_and(|left| left == 0);
            wait::until("all is acknowledged", PATIENCE, all)?;
        }
        Fate::Arrived => {
            let inbound = Match::tcp().flow(flow.reversed());
            held.push(pair.a().blackhole(Direction::Ingress, inbound)?);
            let more = || match (raw::siocinq(peer), &first_flight) {
                (Ok(now), Ok(before)) => now > *before,
                _ => false,
            };
            wait::until("a segment of the timer has arrived", PATIENCE, more)?;
            let outbound = Match::tcp().flow(flow);
            held.push(pair.a().blackhole(Direction::Egress, outbound)?);
        }
    }
    Ok(held)
}
