//! Each system call of a save and of a restore fails, in one way in each state: in the others, in another. One that only asks
//! for an option does in every other state: there are a hundred of them in a save.
//!
//! A save that failed has left its connection as it was, a restore that failed has left nothing, and no packet says that
//! anything happened. The connection of each case goes through all of it, one fault after the other, and is then moved
//! and judged like any other.

use super::{BOUND, Before, asks, expect_as_good, plans, prepared};
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Plan, Saved, Send, Traveller};
use crate::oracle::state::KernelView;
use crate::oracle::table::expect_sockets;
use crate::oracle::wire::Probes;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use soccr::faults::{self, Fault};
use soccr::{Error, ErrorKind};

const FAULTS: [Fault; 7] = [
    Fault::Errno(libc::EPERM),
    Fault::Errno(libc::ENOMEM),
    Fault::Errno(libc::EINTR),
    Fault::Errno(libc::EAGAIN),
    Fault::Errno(libc::ENOBUFS),
    Fault::Errno(libc::EIO),
    Fault::Short,
];

/// How many of them are errnos.
const ERRNOS: usize = FAULTS.len() - 1;
/// How many plans of a state stand next to each other.
const FAMILIES: usize = lab::Family::ALL.len();

pub(super) fn cases() -> Vec<Case> {
    let case = |(number, (plan, name)): (usize, (Plan, String))| {
        Case::new(
            format!("fault/every-call/{name}"),
            "whatever system call of a save or a restore fails, and however: the connection runs on as before, or can be \
             restored again, nothing is left behind, and no packet tells",
            &["E13", "G10"],
            move |ctx| every_call(ctx, plan, number),
        )
        .bound(BOUND)
    };
    plans().into_iter().enumerate().map(case).collect()
}

fn every_call(ctx: &Context, plan: Plan, number: usize) -> Verdict {
    let mut traveller = prepared(ctx, plan)?;
    let tried_saves = saves(&traveller, number)?;
    let mut saved = traveller.save()?;
    traveller.show_attempts()?;
    let tried_restores = restores(&traveller, &saved, number)?;
    saved.expect_attempts_only(&traveller)?;
    ctx.note("faults in a save", tried_saves);
    ctx.note("faults in a restore", tried_restores);
    let restored = traveller.arrive(&saved)?;
    let probes = match (plan.ending, plan.send) {
        (Ending::None, Send::Unsent) => Probes::AtLeastOne,
        (Ending::None, _) => Probes::One,
        _ => Probes::NoneDue,
    };
    traveller.conclude(ctx, &saved, &restored, probes)
}

/// Lets every call of a save fail; returns how many faults that were.
fn saves(traveller: &Traveller, plan: usize) -> Result<usize, Stop> {
    let host = traveller.pair.a();
    let subject = &traveller.subject;
    let save = || host.enter(|| soccr::save(subject));
    let (clean, calls) = faults::record(save);
    let clean = clean??;
    let before = Before::read(subject)?;
    let used = host.socket_counts()?.used;
    let mut tried = 0;
    for (number, call, fault) in chosen(&calls, plan) {
        let (result, _) = faults::strike_at(number, fault, save);
        let told = format!("{fault:?} at call {number}, {call}, of a save");
        match result? {
            Ok(snapshot) => expect_as_good(&told, &snapshot, &clean)?,
            Err(error) => expect_told(&told, call, fault, &error)?,
        }
        let after = Before::read(subject)?;
        expect_eq(format!("the socket after {told}"), after, before.clone())?;
        expect_sockets(&told, host, used)?;
        tried += 1;
    }
    Ok(tried)
}

/// Lets every call of a restore fail; returns how many faults that were.
fn restores(traveller: &Traveller, saved: &Saved, plan: usize) -> Result<usize, Stop> {
    let host = traveller.pair.a();
    let settings = traveller.settings;
    let restore = || host.enter(|| saved.snapshot.restore_with(settings));
    let used = host.socket_counts()?.used;
    let calls = saved.attempt(|| {
        let (clean, calls) = faults::record(restore);
        drop(clean??);
        Ok::<_, Stop>(calls)
    })?;
    let mut tried = 0;
    for (number, call, fault) in chosen(&calls, plan) {
        let told = format!("{fault:?} at call {number}, {call}, of a restore");
        saved.attempt(|| {
            let (result, _) = faults::strike_at(number, fault, restore);
            match result? {
                Ok(restored) => {
                    let view = KernelView::read(&restored)?;
                    traveller
                        .expect_view(saved, &view)
                        .map_err(|stop| told_with(&told, stop))
                }
                Err(error) => expect_told(&told, call, fault, &error),
            }
        })?;
        expect_sockets(&told, host, used)?;
        tried += 1;
    }
    Ok(tried)
}

/// What nobody expects is told as it is; a queue that finds no room, with how much of it did.
fn expect_told(told: &str, call: &str, fault: Fault, error: &Error) -> Verdict {
    let (expected, held) = match (call, fault) {
        (_, Fault::Errno(errno @ libc::EIO)) => ("this errno", error.raw_os_error() == Some(errno)),
        ("send", Fault::Errno(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)) => {
            let held = matches!(
                error.kind(),
                ErrorKind::Buffer { wanted, accepted, .. } | ErrorKind::Memory { wanted, accepted, .. }
                    if accepted < wanted
            );
            ("that there is no room for all of it", held)
        }
        _ => return Ok(()),
    };
    expect(format!("the error after {told}"), expected, error, held)
}

fn told_with(told: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Fail(failure) => Stop::Fail(Failure {
            what: format!("{} after {told}", failure.what),
            ..failure
        }),
        other => other,
    }
}

/// The faults that are tried: every call fails in one way, the next one in another, and every transfer is cut short. The
/// calls of all states are the same but for a few: in as many states as there are ways, each fails in all of them; one that
/// only asks fails in every other state, with one family or another in each, and needs twice as many.
fn chosen(calls: &[&'static str], plan: usize) -> Vec<(usize, &'static str, Fault)> {
    all(calls)
        .filter(|&(number, call, fault)| {
            fault == Fault::Short || way(number, call, plan) == Some(fault)
        })
        .collect()
}

/// In which way a call fails, if it does: the states take turns, and the families apart from each other.
fn way(number: usize, call: &str, plan: usize) -> Option<Fault> {
    let (state, family) = (plan / FAMILIES, plan % FAMILIES);
    let turn = number + state + 2 * family;
    let way = match asks(call) {
        true if (number + state + family).is_multiple_of(2) => turn / 2,
        true => return None,
        false => turn,
    };
    FAULTS.get(way % ERRNOS).copied()
}

/// Every fault that a call can have: only a transfer can be cut short.
pub(super) fn all(calls: &[&'static str]) -> impl Iterator<Item = (usize, &'static str, Fault)> {
    let calls: Vec<_> = calls.to_vec();
    calls.into_iter().enumerate().flat_map(|(number, call)| {
        let transfer = ["send", "recv"].contains(&call);
        let faults = FAULTS
            .into_iter()
            .filter(move |fault| *fault != Fault::Short || transfer);
        faults.map(move |fault| (number, call, fault))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::Family;

    #[test]
    fn every_call_fails_in_one_way_and_in_all_states_together_in_every_way() {
        let calls = ["getsockopt(A)", "recv", "bind"];
        let expected = [
            (0, calls[0], Fault::Errno(libc::EPERM)),
            (1, calls[1], Fault::Errno(libc::ENOMEM)),
            (1, calls[1], Fault::Short),
            (2, calls[2], Fault::Errno(libc::EINTR)),
        ];
        assert_eq!(chosen(&calls, 0), expected);
        // In the next state only the others do.
        let next = [
            (1, calls[1], Fault::Errno(libc::EINTR)),
            (1, calls[1], Fault::Short),
            (2, calls[2], Fault::Errno(libc::EAGAIN)),
        ];
        assert_eq!(chosen(&calls, FAMILIES), next);
        let plans = plans();
        for family in Family::ALL {
            let of_family = |(_, (plan, _)): &(usize, &(Plan, String))| plan.family == family;
            let numbers = plans.iter().enumerate().filter(of_family);
            let tried: Vec<_> = numbers
                .flat_map(|(number, _)| chosen(&calls, number))
                .collect();
            for fault in all(&calls) {
                assert!(tried.contains(&fault), "{family} {fault:?}");
            }
        }
        for state in (0..plans.len()).step_by(FAMILIES) {
            let all_fail = |number: usize| {
                let mut plans = state..state + FAMILIES;
                plans.any(|plan| way(number, calls[number], plan).is_some())
            };
            assert!((0..calls.len()).all(all_fail), "state of plan {state}");
        }
    }
}
