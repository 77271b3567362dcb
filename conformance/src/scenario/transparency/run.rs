//! Carrying out a scenario with its checkpoints, or without them, and telling what was seen.

use super::account::{Account, SECTION, Section, is_roomy};
use super::rest;
use super::sighting::Origin;
use crate::context::Context;
use crate::oracle::stream::End;
use crate::scenario::Scenario;
use crate::scenario::setup::{Opening, Setup};
use crate::scenario::step::Step;
use crate::scenario::world::{Conditions, World, at};
use crate::verdict::Stop;
use soccr::{Seq, raw};

/// Carries out a scenario, with its checkpoints or without, and tells what was seen; `taken` is told of each step before it
/// is taken.
///
/// Without its checkpoints a connection stays on the host that it was opened on.
pub(super) fn observe(
    ctx: &Context,
    scenario: &Scenario,
    checkpoints: bool,
    taken: &mut dyn FnMut(),
) -> Result<Account, Stop> {
    let setup = scenario.setup;
    let conditions = Conditions {
        watched: [true; 2],
        steady: true,
    };
    let mut world = World::open(ctx, setup, conditions)?;
    let wire = world.hosts.clone();
    let lateness = || {
        let late = wire.wire().map(|it| it.wire().take_lateness());
        late.transpose().map(Option::unwrap_or_default)
    };
    // An earlier scenario may have used the same.
    lateness()?;
    let saves = |end| scenario.steps.iter().any(|step| step.saves(end));
    let witness = match saves(End::Subject) {
        true => End::Peer,
        false => End::Subject,
    };
    // Where both are saved, neither of their hosts is a witness of more than the wire.
    let untouched = (!saves(witness)).then_some(witness);
    let hosts = world.hosts.clone();
    let host = hosts.of(witness);
    let Some(capture) = world.captures[witness as usize].first().cloned() else {
        return Err(Stop::Broken(format!(
            "nothing is captured at the {witness}"
        )));
    };
    let (flow, origins) = (world.flow, origins(&world, &setup)?);
    let mut counters = host.counters()?;
    let (mut sections, roomy) = (Vec::new(), is_roomy(scenario));
    let mut rest = |world: &World| {
        let mut section = rest::read(world, untouched, sections.last(), roomy)?;
        if untouched.is_some() {
            rest::counters(host, &mut counters, &mut section.facts)?;
        }
        sections.push(section);
        Ok::<_, Stop>(())
    };
    rest(&world)?;
    for (index, step) in scenario.steps.iter().enumerate() {
        taken();
        capture.mark(SECTION)?;
        if checkpoints || !is_checkpoint(step) {
            world
                .take(&definite(&world, step)?)
                .map_err(|stop| at(stop, &format!("step {} (`{step}`)", index + 1)))?;
        }
        rest(&world)?;
    }
    capture.mark(SECTION)?;
    world.conclude().map_err(|stop| at(stop, "the end"))?;
    let mut end = Section::default();
    if untouched.is_some() {
        rest::counters(host, &mut counters, &mut end.facts)?;
    }
    sections.push(end);
    let trace = capture.trace()?;
    let account = Account::of(&trace, flow, origins, scenario, sections);
    let late = lateness()?;
    Ok(Account { late, ..account })
}

/// Whether a step saves anything.
pub(super) fn is_checkpoint(step: &Step) -> bool {
    step.saves(End::Subject) || step.saves(End::Peer)
}

/// The same step. Where all is to be read, that is what is there by now: how much comes in while it is read differs from run
/// to run.
fn definite(world: &World, step: &Step) -> Result<Step, Stop> {
    Ok(match *step {
        Step::Read(end, None) => {
            let socket = world.socket(end);
            let there = match raw::tcp_info(socket)?.state == soccr::TcpState::Close as u8 {
                true => 0,
                false => raw::siocinq(socket)?.unsigned_abs(),
            };
            Step::Read(end, (there > 0).then_some(there))
        }
        step => step,
    })
}

/// Where the numbers of both ends begin. Those of a handshake are the kernel's choice: the SYNs tell them.
fn origins(world: &World, setup: &Setup) -> Result<[Origin; 2], Stop> {
    let [subject, peer] = match setup.opening {
        Opening::Handshake | Opening::Lost { .. } => [None, None],
        Opening::Forged { subject, peer, .. } => [Some(Seq(subject)), Some(Seq(peer))],
    };
    let origin = |end, first| {
        let shift = raw::tcp_info(world.socket(end))?.rcv_wscale;
        Ok::<_, Stop>(Origin { first, shift })
    };
    Ok([origin(End::Subject, subject)?, origin(End::Peer, peer)?])
}
