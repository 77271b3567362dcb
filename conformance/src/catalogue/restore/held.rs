//! Options that push what waits when they are set: a restore sets them without pushing anything.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Receive, Saved, Send, Traveller};
use crate::oracle::stream::End;
use crate::oracle::wire::Probes;
use crate::verdict::{Stop, Verdict, expect_eq};
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
        for (whose, place) in [("own", Lowat::OfTheSocket), ("host", Lowat::OfTheHost)] {
            cases.push(Case::new(
                format!("restore/held/notsent-lowat-{whose}/{family}"),
                "a connection moves with more that was never sent than TCP_NOTSENT_LOWAT, its own or that of the host, lets an \
                 application write",
                &["D4", "G8"],
                move |ctx| notsent_lowat(ctx, family, place),
            ));
        }
    }
    cases.into_iter().map(Case::in_c).collect()
}

/// Who says that an application is to write no more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lowat {
    OfTheSocket,
    OfTheHost,
}

/// More than Nagle's delay would let go at once, and less than the window and the congestion window do.
fn no_delay(ctx: &Context, family: Family) -> Verdict {
    moves(ctx, family, Opt::TCP_NODELAY, 5_000)
}

/// Less than a segment: but for the cork it would be sent.
fn cork(ctx: &Context, family: Family) -> Verdict {
    moves(ctx, family, Opt::TCP_CORK, 100)
}

/// The limit is set once all is written: it is the restore that writes it again.
fn notsent_lowat(ctx: &Context, family: Family, lowat: Lowat) -> Verdict {
    const BYTES: i32 = 1_000;
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Empty, Send::Unsent)?;
    if lowat == Lowat::OfTheSocket {
        raw::set_int(&traveller.subject, Opt::TCP_NOTSENT_LOWAT, BYTES)?;
    }
    let saved = traveller.save()?;
    if lowat == Lowat::OfTheHost {
        let host = traveller.pair.a();
        host.sysctl("net.ipv4.tcp_notsent_lowat", &BYTES.to_string())?;
    }
    let restored = traveller.arrive(&saved)?;
    if traveller.library.is_rust() {
        let now = raw::get_int(&restored, Opt::TCP_NOTSENT_LOWAT)?;
        // A socket that has none of its own reads 0.
        let set = if lowat == Lowat::OfTheSocket {
            BYTES
        } else {
            0
        };
        expect_eq("TCP_NOTSENT_LOWAT after the resume", now, set)?;
    }
    traveller.conclude(ctx, &saved, &restored, Probes::AtLeastOne)
}

/// What the subject writes is lost, and saved as if it had never been sent: a cork is pulled by a timer, so that whether
/// it still holds is not to be known.
pub(super) fn write_unsent(traveller: &mut Traveller, bytes: usize) -> Result<Saved, Stop> {
    let flow = Match::tcp().flow(traveller.flow);
    let _hole = traveller.pair.b().blackhole(Direction::Ingress, flow)?;
    traveller
        .talk
        .write(End::Subject, &traveller.subject, bytes)?;
    let mut saved = traveller.save()?;
    saved.snapshot.send.unsent = bytes as u32;
    Ok(saved)
}

/// The wire is judged from the pause to the resume, and again from there on.
fn moves(ctx: &Context, family: Family, option: Opt, unsent: usize) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    raw::set_int(&traveller.subject, option, 1)?;
    let saved = write_unsent(&mut traveller, unsent)?;
    let restored = traveller.restore(&saved.snapshot)?;
    let set = raw::get_int(&restored, option)?;
    expect_eq(format!("{} before the resume", option.label()), set, 1)?;
    let waits = raw::siocoutqnsd(&restored)?;
    expect_eq("SIOCOUTQNSD before the resume", waits, unsent as i32)?;
    let restored = traveller.resume(restored)?;
    let set = raw::get_int(&restored, option)?;
    expect_eq(format!("{} after the resume", option.label()), set, 1)?;
    raw::set_int(&restored, Opt::TCP_CORK, 0)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}
