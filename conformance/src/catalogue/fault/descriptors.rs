//! A process that may have no more descriptors (`EMFILE`), at each of those that a save and a restore need.

use super::{Before, plans, prepared};
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Plan, Saved, Traveller};
use crate::oracle::table::expect_sockets;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use crate::victim;
use soccr::FinMode;
use std::os::fd::AsFd;

/// The states of the connections: one without a FIN, and one whose FIN takes a socket more to put back.
const STATES: [&str; 2] = ["established-full", "close-wait"];

/// More than a save or a restore needs.
const ENOUGH: usize = 8;

pub(super) fn cases() -> Vec<Case> {
    let case = |(plan, name): (Plan, String)| {
        Case::new(
            format!("fault/descriptors/{name}"),
            "a save or a restore that gets no descriptor says so, and what to raise: the connection runs on as before, or can be \
             restored again, nothing is left behind, and no packet tells",
            &["E13", "E15"],
            move |ctx| descriptors(ctx, plan),
        )
    };
    let chosen = |(plan, name): &(Plan, String)| {
        let state = name.split('/').next().unwrap_or_default();
        let injects = plan.settings.fin == FinMode::Inject;
        injects && STATES.contains(&state) && plan.family != lab::Family::V4Mapped
    };
    plans().into_iter().filter(chosen).map(case).collect()
}

fn descriptors(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = prepared(ctx, plan)?;
    let in_a_save = saves(&traveller)?;
    let mut saved = traveller.save()?;
    traveller.show_attempts()?;
    let in_a_restore = restores(&traveller, &saved)?;
    saved.expect_attempts_only(&traveller)?;
    ctx.note("descriptors of a save", in_a_save);
    ctx.note("descriptors of a restore", in_a_restore);
    let fins = usize::from(saved.snapshot.state.has_peer_fin());
    expect_eq("descriptors of a restore", in_a_restore, 1 + fins)?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, plan.probes())
}

/// Saves with room for no descriptor, for one, and so on until it succeeds; returns with how many it did.
fn saves(traveller: &Traveller) -> Result<usize, Stop> {
    let (host, subject) = (traveller.pair.a(), &traveller.subject);
    let before = Before::read(subject)?;
    let used = host.socket_counts()?.used;
    until_there_is_room(|room| {
        let refused = victim::saves_with_room(host, subject.as_fd(), room)?;
        let told = format!("a save with room for {room} descriptors");
        let after = Before::read(subject)?;
        expect_eq(format!("the socket after {told}"), after, before.clone())?;
        expect_sockets(&told, host, used)?;
        Ok(refused)
    })
}

/// The same with a restore.
fn restores(traveller: &Traveller, saved: &Saved) -> Result<usize, Stop> {
    let (host, fin) = (traveller.pair.a(), traveller.settings.fin);
    let used = host.socket_counts()?.used;
    until_there_is_room(|room| {
        let restore = || victim::restores_with_room(host, &saved.snapshot, fin, room);
        let refused = saved.attempt(restore)?;
        let told = format!("a restore with room for {room} descriptors");
        expect_sockets(&told, host, used)?;
        Ok(refused)
    })
}

fn until_there_is_room(
    mut is_refused: impl FnMut(usize) -> Result<bool, Stop>,
) -> Result<usize, Stop> {
    for room in 0..ENOUGH {
        if is_refused(room)? {
            continue;
        }
        expect("refusals", "one at least", room, room > 0)?;
        return Ok(room);
    }
    let room = format!("a call with room for {} descriptors", ENOUGH - 1);
    Err(Failure::new(room, "success", "EMFILE").into())
}
