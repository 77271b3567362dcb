//! A process is killed before each system call of a save, and of a restore.

use super::{Before, plans, prepared};
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Send};
use crate::journey::{Plan, Saved, Traveller};
use crate::oracle::table::{expect_sockets, sockets_used};
use crate::oracle::wire::Probes;
use crate::verdict::{Stop, Verdict, expect_eq};
use crate::victim::{self, Ended};
use soccr::{Rescue, faults};
use std::os::fd::AsFd;

pub(super) fn cases() -> Vec<Case> {
    let case = |(plan, name): (Plan, String)| {
        Case::new(
            format!("fault/killed/{name}"),
            "a process that is killed at any system call of a save or a restore: who still has the socket gets it back as it \
             was, what was half restored is gone without a packet, and the snapshot can be restored again",
            &["E13", "A12", "C19"],
            move |ctx| killed(ctx, plan),
        )
    };
    plans()
        .into_iter()
        .filter(|(plan, _)| plan.family != lab::Family::V4Mapped)
        .map(case)
        .collect()
}

fn killed(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = prepared(ctx, plan)?;
    let saves = saves(&traveller)?;
    let mut saved = traveller.save()?;
    traveller.unblock_egress();
    let restores = restores(&traveller, &saved)?;
    ctx.note("kills in a save", saves);
    ctx.note("kills in a restore", restores);
    // What the wire has shown is judged; a reset that has never left its host is counted all the same.
    saved.count_from_now(&traveller)?;
    let restored = traveller.arrive(&saved)?;
    let probes = match (plan.ending, plan.send) {
        (Ending::None, Send::Unsent) => Probes::AtLeastOne,
        (Ending::None, _) => Probes::One,
        _ => Probes::NoneDue,
    };
    traveller.conclude(ctx, &saved, &restored, probes)
}

fn saves(traveller: &Traveller) -> Result<usize, Stop> {
    let (host, subject) = (traveller.pair.a(), &traveller.subject);
    let (clean, calls) = faults::record(|| host.enter(|| soccr::save(subject)));
    clean??;
    let before = Before::read(subject)?;
    let used = sockets_used(host)?;
    let rescue = Rescue::prepare(subject)?;
    for (number, call) in calls.iter().enumerate() {
        let status = victim::saves(host, subject.as_fd(), number)?;
        let told = format!("a kill before call {number}, {call}, of a save");
        expect_eq(told.clone(), status, Ended::Killed)?;
        rescue.put_back(subject)?;
        let after = Before::read(subject)?;
        expect_eq(format!("the socket after {told}"), after, before.clone())?;
        expect_sockets(&told, host, used)?;
    }
    Ok(calls.len())
}

fn restores(traveller: &Traveller, saved: &Saved) -> Result<usize, Stop> {
    let (host, settings) = (traveller.pair.a(), traveller.settings);
    let restore = || host.enter(|| saved.snapshot.restore_with(settings));
    let used = sockets_used(host)?;
    let (clean, calls) = faults::record(restore);
    drop(clean??);
    // One more than there are calls: before the resume.
    for number in 0..=calls.len() {
        let status = victim::restores(host, &saved.snapshot, settings.fin, number)?;
        let call = calls.get(number).unwrap_or(&"the resume");
        let told = format!("a kill before call {number}, {call}, of a restore");
        expect_eq(told.clone(), status, Ended::Killed)?;
        expect_sockets(&told, host, used)?;
    }
    Ok(calls.len() + 1)
}
