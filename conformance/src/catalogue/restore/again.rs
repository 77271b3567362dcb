//! Restores that end early, come twice, or find the place taken.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Lock, PATIENCE, Plan, Privileges, Receive, Saved, Send, Traveller};
use crate::oracle::stream::End;
use crate::oracle::table;
use crate::oracle::wire::{self, Probes};
use crate::subject::{Refusal, Restored};
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Family, Host, wait};
use soccr::raw::{self, Opt};
use soccr::restore::create;
use soccr::{Error, FinMode, Settings, Snapshot, Step};
use std::os::fd::AsFd;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Restores up to some step and drops what is there.
type Abandon = fn(&Saved) -> Result<(), Error>;

/// The steps after which a restore may be abandoned.
const STEPS: [(&str, Abandon); 6] = [
    ("pause", |saved| create(&saved.snapshot)?.pause().map(drop)),
    ("unbound-data", |saved| {
        create(&saved.snapshot)?.pause()?.unbound_data().map(drop)
    }),
    ("bind", |saved| {
        create(&saved.snapshot)?
            .pause()?
            .unbound_data()?
            .bind()
            .map(drop)
    }),
    ("connect", |saved| {
        create(&saved.snapshot)?
            .pause()?
            .unbound_data()?
            .bind()?
            .connect()
            .map(drop)
    }),
    ("no-queue-data", |saved| {
        create(&saved.snapshot)?
            .pause()?
            .unbound_data()?
            .bind()?
            .connect()?
            .no_queue_data()
            .map(drop)
    }),
    ("queue-bytes", |saved| {
        let connected = create(&saved.snapshot)?
            .pause()?
            .unbound_data()?
            .bind()?
            .connect()?;
        connected.no_queue_data()?.queue_bytes().map(drop)
    }),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        for (step, abandon) in STEPS {
            cases.push(Case::new(
                format!("restore/abandoned/{step}/{family}"),
                format!("a restore that is abandoned after {step} leaves no packet and no trace of its socket"),
                &["A10", "E13", "G16"],
                move |ctx| abandoned(ctx, family, Some(abandon)),
            ));
        }
        cases.extend(whole(family).map(Case::in_c));
    }
    cases
}

/// Those about whole restores.
fn whole(family: Family) -> impl Iterator<Item = Case> {
    let mut cases = vec![Case::new(
        format!("restore/abandoned/remaining-data/{family}"),
        "a restore that is abandoned after remaining-data leaves no packet and no trace of its socket",
        &["A10", "E13", "G16"],
        move |ctx| abandoned(ctx, family, None),
    )];
    {
        cases.push(Case::new(
            format!("restore/early/peer-speaks-first/{family}"),
            "a peer that speaks between the end of the lock and the resume is heard",
            &["A9", "A14"],
            move |ctx| peer_speaks_first(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/twice/one-snapshot/{family}"),
            "restoring does not change a snapshot: it can be restored again",
            &["G12", "C8"],
            move |ctx| twice(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/twice/after-it-spoke/{family}"),
            "a restore that put the peer's FIN back and was abandoned has acknowledged it; the next restore is not behind \
             the clock of that acknowledgement",
            &["E4", "A51", "G12"],
            move |ctx| after_it_spoke(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/late/clock/{family}"),
            "a restore that put the peer's FIN back and takes its time may have spoken meanwhile: its clock does not go back \
             at the resume",
            &["E4", "A9", "A51"],
            move |ctx| late(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/refused/still-there/{family}"),
            "a connection that still lives here is not restored a second time, and runs on",
            &["A38", "C5"],
            move |ctx| still_there(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/refused/address-elsewhere/{family}"),
            "a connection is not restored where its address is missing, and the error says so",
            &["A36", "C18"],
            move |ctx| address_elsewhere(ctx, family),
        ));
    }
    cases.into_iter()
}

fn abandoned(ctx: &Context, family: Family, abandon: Option<Abandon>) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Small, Send::Both)?;
    let saved = traveller.save()?;
    match abandon {
        Some(abandon) => traveller.pair.a().enter(|| abandon(&saved))??,
        None => drop(traveller.restore(&saved.snapshot)?),
    }
    table::expect_absent(traveller.pair.a(), &traveller.flow)?;
    // The silence between the marks covers the abandoned restore as well as the one that follows it.
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// What it says also acknowledges what was in flight, so that the probe comes from another place.
fn peer_speaks_first(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    let saved = traveller.save()?;
    let restored = traveller.restore(&saved.snapshot)?;
    traveller.capture.mark(wire::RESTORED)?;
    traveller.lock = Lock::default();
    traveller.talk.write(End::Peer, &traveller.peer, 5_000)?;
    wait::until("the peer is heard", PATIENCE, || {
        raw::siocoutq(&traveller.peer).is_ok_and(|left| left == 0)
    })?;
    expect_eq("bytes in flight", raw::siocoutq(&restored)?, 0)?;
    let restored = restored.resume()?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

fn twice(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Small, Send::Both)?;
    let saved = traveller.save()?;
    let untouched = saved.snapshot.clone();
    drop(traveller.restore(&saved.snapshot)?);
    table::expect_absent(traveller.pair.a(), &traveller.flow)?;
    let restored = traveller.arrive(&saved)?;
    expect_eq(
        "the snapshot after two restores is the same",
        saved.snapshot == untouched,
        true,
    )?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// Milliseconds that the clock of an abandoned restore has to be ahead, if possible: the next one takes less.
const CLEARLY_AHEAD: u32 = 4;
/// How often that is tried: the kernel acknowledges at its next tick.
const ATTEMPTS: usize = 50;

/// A connection in CLOSE-WAIT that has gone, and whose FIN is put back.
fn gone_in_close_wait(ctx: &Context, family: Family) -> Result<(Traveller, Saved), Stop> {
    let plan = Plan {
        family,
        receive: Receive::Small,
        ending: Ending::CloseWait,
        settings: Settings::new().fin(FinMode::Inject),
        ..Plan::PLAIN
    };
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    let saved = traveller.save()?;
    traveller.lock.unblock_egress();
    Ok((traveller, saved))
}

fn after_it_spoke(ctx: &Context, family: Family) -> Verdict {
    let (mut traveller, saved) = gone_in_close_wait(ctx, family)?;
    let start = saved.snapshot.options.timestamps.map(|clock| clock.value);
    let ahead = |spoke: u32| spoke.wrapping_sub(start.unwrap_or_default());
    let mut furthest = 0;
    for attempt in 1..=ATTEMPTS {
        let restored = traveller.restore(&saved.snapshot)?;
        let clocks = spoken(&traveller, attempt)?;
        drop(restored);
        furthest = clocks.into_iter().map(ahead).max().unwrap_or_default();
        if furthest >= CLEARLY_AHEAD {
            break;
        }
    }
    ctx.note("ahead of the snapshot, ms", furthest);
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::NoneDue)
}

/// Waits until the subject has spoken `times` times since its socket was closed; its clocks.
fn spoken(traveller: &Traveller, times: usize) -> Result<Vec<u32>, Stop> {
    let since = || -> Result<Vec<u32>, lab::Error> {
        let trace = traveller.capture.trace()?.along(&traveller.flow);
        let clocks = trace.after(wire::CLOSED)?;
        let clocks = clocks.segments().filter_map(lab::Segment::timestamps);
        Ok(clocks.map(|(value, _)| value).collect())
    };
    wait::until("the FIN is acknowledged", PATIENCE, || {
        since().is_ok_and(|clocks| clocks.len() >= times)
    })?;
    Ok(since()?)
}

/// Milliseconds that a restore takes here: more than any clock is put on for an earlier attempt.
const LONG: i32 = 500;

fn late(ctx: &Context, family: Family) -> Verdict {
    let (mut traveller, saved) = gone_in_close_wait(ctx, family)?;
    let clock = |socket: &dyn AsFd| raw::get_int(&socket.as_fd(), Opt::TCP_TIMESTAMP);
    let restored = traveller.restore(&saved.snapshot)?;
    let start = clock(&restored)?;
    wait::until("the clock of the restored socket runs", PATIENCE, || {
        clock(&restored).is_ok_and(|now| now.wrapping_sub(start) > LONG)
    })?;
    let before = clock(&restored)?;
    let socket = traveller.resume(restored)?;
    let went = clock(&socket)?.wrapping_sub(before);
    expect(
        "how far the clock went at the resume",
        "not back",
        went,
        went >= 0,
    )?;
    traveller.conclude(ctx, &saved, &socket, Probes::NoneDue)
}

fn still_there(ctx: &Context, family: Family) -> Verdict {
    let traveller = Traveller::open(ctx, family)?;
    let host = traveller.pair.a();
    let snapshot = traveller.library.save(host, &traveller.subject)?;
    let second = restore(&traveller, host, &snapshot)?;
    refused_at(second, Step::Connect, libc::EADDRNOTAVAIL)?;
    traveller
        .talk
        .exchange(&traveller.subject, &traveller.peer, 10_000)?;
    traveller.capture.mark(wire::CLOSING)?;
    traveller.talk.close(&traveller.subject, &traveller.peer)
}

fn address_elsewhere(ctx: &Context, family: Family) -> Verdict {
    let traveller = Traveller::open(ctx, family)?;
    let (here, there) = (traveller.pair.a(), traveller.pair.b());
    let snapshot = traveller.library.save(here, &traveller.subject)?;
    let elsewhere = restore(&traveller, there, &snapshot)?;
    refused_at(elsewhere, Step::Bind, libc::EADDRNOTAVAIL)
}

fn restore(
    traveller: &Traveller,
    host: &Host,
    snapshot: &Snapshot,
) -> Result<Result<Restored, Refusal>, Stop> {
    let privileges = Privileges::default();
    traveller
        .library
        .restore(host, snapshot, Settings::new(), &privileges)
}

fn refused_at(result: Result<Restored, Refusal>, step: Step, errno: i32) -> Verdict {
    let error = match result {
        Ok(_) => {
            return Err(Stop::from(Failure::new(
                "the restore",
                format!("an error at {step}"),
                "success",
            )));
        }
        Err(Refusal::ByC { errno: found, .. }) => return expect_eq("errno", found, errno),
        Err(Refusal::ByRust(error)) => error,
    };
    expect_eq("the step of the error", error.step(), step)?;
    expect_eq("the errno of the error", error.raw_os_error(), Some(errno))?;
    expect("the error", "a hint", &error, error.hint().is_some())
}
