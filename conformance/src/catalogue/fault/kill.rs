//! A process is killed before each system call of a save, and of a restore, but those that only ask once more: before every
//! other one in each state, before the others with the other family, and in the next state.

use super::{BOUND, Before, asks, plans, prepared};
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Send};
use crate::journey::{Plan, Saved, Traveller};
use crate::oracle::table::expect_sockets;
use crate::oracle::wire::Probes;
use crate::verdict::{Stop, Verdict, expect_eq};
use crate::victim::{self, Ended};
use lab::Family;
use soccr::{FinMode, Rescue, faults};
use std::os::fd::AsFd;

/// How many plans of a state stand next to each other.
const FAMILIES: usize = 2;

pub(super) fn cases() -> Vec<Case> {
    let case = |(turn, plan, name): (usize, Plan, String)| {
        Case::new(
            format!("fault/killed/{name}"),
            "a process that is killed before any system call of a save or a restore that could have changed something: who still has the socket gets it back as it \
             was, what was half restored is gone without a packet, and the snapshot can be restored again",
            &["E13", "A12", "C19"],
            move |ctx| killed(ctx, plan, turn),
        )
        .bound(BOUND)
    };
    turns().map(case).collect()
}

/// The plans, and whose turn it is in each.
fn turns() -> impl Iterator<Item = (usize, Plan, String)> {
    let plans = plans().into_iter();
    let on_the_wire = plans.filter(|(plan, _)| plan.family != Family::V4Mapped);
    let numbered = on_the_wire.enumerate();
    numbered.map(|(number, (plan, name))| (turn(number), plan, name))
}

/// Whose turn it is: that of both ways of a state, then that of the next one, and the families apart from each other.
fn turn(plan: usize) -> usize {
    plan / (2 * FAMILIES) + plan % FAMILIES
}

fn killed(ctx: &Context, plan: Plan, turn: usize) -> Verdict {
    let mut traveller = prepared(ctx, plan)?;
    // A save is the same, however FINs are put back afterwards.
    let saves = match plan.settings.fin {
        FinMode::Emulate => 0,
        _ => saves(&traveller, turn)?,
    };
    let mut saved = traveller.save()?;
    traveller.show_attempts()?;
    let restores = restores(&traveller, &saved, turn)?;
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

fn saves(traveller: &Traveller, turn: usize) -> Result<usize, Stop> {
    let (host, subject) = (traveller.pair.a(), &traveller.subject);
    let (clean, calls) = faults::record(|| host.enter(|| soccr::save(subject)));
    clean??;
    let before = Before::read(subject)?;
    let used = host.socket_counts()?.used;
    let rescue = Rescue::prepare(subject)?;
    let chosen = moments(&calls, turn);
    for &number in &chosen {
        let call = calls[number];
        let status = victim::saves(host, subject.as_fd(), number)?;
        let told = format!("a kill before call {number}, {call}, of a save");
        expect_eq(told.clone(), status, Ended::Killed)?;
        rescue.put_back(subject)?;
        let after = Before::read(subject)?;
        expect_eq(format!("the socket after {told}"), after, before.clone())?;
        expect_sockets(&told, host, used)?;
    }
    Ok(chosen.len())
}

/// The calls before which a kill can leave another socket than before the one in front of it: a save asks for a hundred
/// options one after the other, and what is asked for stays as it is. Of these, every other.
fn moments(calls: &[&str], turn: usize) -> Vec<usize> {
    let chosen = |number: &usize| *number == 0 || !asks(calls[*number]) || !asks(calls[number - 1]);
    let all = (0..calls.len()).filter(chosen);
    all.skip(turn % 2).step_by(2).collect()
}

fn restores(traveller: &Traveller, saved: &Saved, turn: usize) -> Result<usize, Stop> {
    let (host, settings) = (traveller.pair.a(), traveller.settings);
    let restore = || host.enter(|| saved.snapshot.restore_with(settings));
    let used = host.socket_counts()?.used;
    let calls = saved.attempt(|| {
        let (clean, calls) = faults::record(restore);
        drop(clean??);
        Ok::<_, Stop>(calls)
    })?;
    let mut chosen = moments(&calls, turn);
    // One more than there are calls: before the resume.
    chosen.push(calls.len());
    for &number in &chosen {
        let status =
            saved.attempt(|| victim::restores(host, &saved.snapshot, settings.fin, number))?;
        let call = calls.get(number).unwrap_or(&"the resume");
        let told = format!("a kill before call {number}, {call}, of a restore");
        expect_eq(told.clone(), status, Ended::Killed)?;
        expect_sockets(&told, host, used)?;
    }
    Ok(chosen.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn of_calls_that_only_ask_the_first_of_a_row_is_chosen_and_every_other_in_each_turn() {
        let calls = [
            "getsockopt(A)",
            "getsockopt(B)",
            "setsockopt(C)",
            "getsockopt(D)",
            "ioctl",
            "getsockopt(A)",
        ];
        assert_eq!(moments(&calls, 0), [0, 3, 5]);
        assert_eq!(moments(&calls, 1), [2, 4]);
        assert!(moments(&[], 0).is_empty());
    }

    #[test]
    fn each_family_has_both_turns_with_each_way_of_a_fin_and_each_state_too() {
        for family in [Family::V4, Family::V6] {
            for fin in [FinMode::Inject, FinMode::Emulate] {
                let is_one = |(_, plan, _): &(usize, Plan, String)| {
                    let has_fin = !matches!(plan.ending, Ending::None | Ending::FinWait1);
                    plan.family == family && plan.settings.fin == fin && has_fin
                };
                let parities: BTreeSet<_> = turns().filter(is_one).map(|it| it.0 % 2).collect();
                assert_eq!(parities.len(), 2, "{family} {fin}");
            }
        }
        let all: Vec<_> = turns().map(|(turn, ..)| turn % 2).collect();
        assert!(
            all.chunks(FAMILIES)
                .all(|families| families[0] != families[1])
        );
    }
}
