//! Options that push what waits when they are set: a restore sets them without pushing anything.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Saved, Traveller};
use crate::oracle::stream::End;
use crate::oracle::wire::Probes;
use crate::verdict::{Verdict, expect_eq};
use lab::{Direction, Family, Match};
use soccr::raw::{self, Opt};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::ALL {
        cases.push(Case::new(
            format!("restore/held/no-delay/{family}"),
            "a connection without Nagle's delay moves with an unsent tail: nothing of it leaves before the resume",
            &["D1", "E1"],
            move |ctx| no_delay(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/held/cork/{family}"),
            "a corked connection moves with an unsent tail: nothing of it leaves before the resume",
            &["D1", "E1"],
            move |ctx| cork(ctx, family),
        ));
    }
    cases
}

/// A flight that was lost is restored as if it had never been sent: it fits the window, and nothing else holds it.
fn no_delay(ctx: &Context, family: Family) -> Verdict {
    const TAIL: usize = 5_000;
    let mut traveller = Traveller::open(ctx, family)?;
    raw::set_int(&traveller.subject, Opt::TCP_NODELAY, 1)?;
    let flow = Match::tcp().flow(traveller.flow);
    let hole = traveller.pair.b().blackhole(Direction::Ingress, flow)?;
    traveller
        .talk
        .write(End::Subject, &traveller.subject, TAIL)?;
    let mut saved = traveller.save()?;
    saved.snapshot.send.unsent = TAIL as u32;
    drop(hole);
    moves(ctx, traveller, &saved, Opt::TCP_NODELAY)
}

/// Less than a segment, and nothing in flight: but for the cork it would have been sent.
fn cork(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    raw::set_int(&traveller.subject, Opt::TCP_CORK, 1)?;
    traveller
        .talk
        .write(End::Subject, &traveller.subject, 100)?;
    let saved = traveller.save()?;
    moves(ctx, traveller, &saved, Opt::TCP_CORK)
}

/// The wire is judged from the pause to the resume, and again from there on.
fn moves(ctx: &Context, mut traveller: Traveller, saved: &Saved, option: Opt) -> Verdict {
    let unsent = saved.snapshot.send.unsent;
    expect_eq("some of it was never sent", unsent > 0, true)?;
    let restored = traveller.pair.a().enter(|| saved.snapshot.restore())??;
    let set = raw::get_int(&restored, option)?;
    expect_eq(format!("{} before the resume", option.label()), set, 1)?;
    let waits = raw::siocoutqnsd(&restored)?;
    expect_eq("SIOCOUTQNSD before the resume", waits, unsent as i32)?;
    let restored = traveller.resume(restored)?;
    let set = raw::get_int(&restored, option)?;
    expect_eq(format!("{} after the resume", option.label()), set, 1)?;
    raw::set_int(&restored, Opt::TCP_CORK, 0)?;
    traveller.conclude(ctx, saved, &restored, Probes::One)
}
