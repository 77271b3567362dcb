//! Transparency: the same scenario, once with its checkpoints and once without them, has to look the same to a host that takes
//! no part in them.
//!
//! What was seen becomes an [`Account`], what differs is looked for in the list of what may
//! ([`ALLOWED`](allowed::ALLOWED)), and anything else is a failure. There are no faults of the network in these scenarios:
//! when timers send again what is lost differs from run to run.

mod account;
mod allowed;
mod comparison;
mod ip;
mod rest;
mod run;
mod scripts;
mod sighting;
#[cfg(test)]
mod tests;
mod way;

use super::campaign::{self, BATCH, BOUND};
use super::setup::Opening;
use super::step::{Setting, Step, Who};
use super::{MAX_STEPS, Scenario};
use crate::case::Case;
use crate::context::Context;
use crate::oracle::stream::End;
use crate::verdict::{Failure, Stop, Verdict};
use account::Account;
use comparison::{Allowances, Comparison};
use lab::{Family, on_one_cpu};
use run::{is_checkpoint, observe};
use std::cell::RefCell;
use std::time::Duration;

/// What the identifiers of the cases begin with that compare scenarios with themselves.
pub const TRANSPARENT: &str = "scenario/transparent/";

/// Of so many scenarios that are generated one is run with and without its checkpoints, too.
pub const COMPARED_OF: usize = 10;

/// A write is no larger in a scenario that is compared: all of it has to fit into the send buffer, or how much is taken
/// differs from run to run.
const LARGEST_WRITE: u32 = 200_000;

/// How long the wire may keep a frame by itself: less than the shortest timer that sends again (`TCP_RTO_MIN`, 200 ms).
const PUNCTUAL: Duration = Duration::from_millis(150);

/// How often two runs are made until the machine has stood still in neither.
const TRIES: usize = 5;

/// Cases that compare the scenarios of a list, and the same ones without any checkpoint: these have to look the same, too, or
/// nothing follows from a difference.
#[must_use]
pub fn scripted() -> Vec<Case> {
    let each = scripts::ALL
        .iter()
        .flat_map(|script| Family::ALL.map(|family| (script, family)));
    let cases = each.flat_map(|(&(name, shows, text), family)| {
        let transparent = Case::new(
            format!("{TRANSPARENT}{name}/{family}"),
            format!("with its checkpoints a connection looks as it does without them: {shows}"),
            &["E1", "A4", "A15", "D14"],
            in_order(move |ctx| {
                let scenario = script(name, text, family)?;
                let compared = compare(ctx, &scenario, &mut || {})?;
                tell(ctx, &compared);
                Ok(())
            }),
        );
        let steady = Case::new(
            format!("scenario/steady/{name}/{family}"),
            format!("without a checkpoint a connection looks the same twice: {shows}"),
            &["E1"],
            in_order(move |ctx| compare_without(ctx, &script(name, text, family)?)),
        );
        [
            transparent.in_c(),
            steady.not_in_c("nothing is saved in it"),
        ]
    });
    cases.collect()
}

/// Cases that compare so many generated scenarios, ten each: the first ones of the run's seed, without faults.
#[must_use]
pub fn transparent(scenarios: usize) -> Vec<Case> {
    let batches = (0..scenarios).step_by(BATCH).map(|first| {
        let last = (first + BATCH).min(scenarios);
        Case::new(
            format!("{TRANSPARENT}generated/{:06}", first + 1),
            format!(
                "generated scenarios {} to {last} of the seed, without faults: with its checkpoints a connection looks as it \
                 does without them",
                first + 1
            ),
            &["E1", "A4", "A15", "D14"],
            in_order(move |ctx| {
                let all = RefCell::new(Allowances::default());
                let run = |aside: &Context, scenario: &Scenario, taken: &mut dyn FnMut()| {
                    let compared = compare(aside, &comparable(scenario.clone()), taken)?;
                    all.borrow_mut().add(&compared);
                    Ok(())
                };
                let verdict = (first..last).try_for_each(|it| campaign::generated(ctx, it, &run));
                tell(ctx, &all.borrow());
                verdict
            }),
        )
        .bound(BOUND)
        .in_c()
    });
    batches.collect()
}

/// Runs a scenario with its checkpoints and without them, both without faults, and compares what was seen.
///
/// # Errors
/// [`Stop::Fail`] with the first thing that differs and may not; or what [`run`](super::run) fails with.
pub fn compared(ctx: &Context, scenario: &Scenario) -> Verdict {
    in_order(|ctx| {
        let compared = compare(ctx, &comparable(scenario.clone()), &mut || {})?;
        tell(ctx, &compared);
        Ok(())
    })(ctx)
}

/// The same on one processor, from which all that is built is used: no packet overtakes another there.
fn in_order(run: impl Fn(&Context) -> Verdict) -> impl Fn(&Context) -> Verdict {
    move |ctx| on_one_cpu(|| run(ctx))
}

fn script(name: &str, text: &str, family: Family) -> Result<Scenario, Stop> {
    let mut scenario: Scenario = format!("soccr scenario 1\n{text}")
        .parse()
        .map_err(|error| Stop::Broken(format!("{name}: {error}")))?;
    scenario.setup.family = family;
    Ok(scenario)
}

/// The same scenario without what keeps two runs of it from being compared, and with a checkpoint if it has none.
fn comparable(mut scenario: Scenario) -> Scenario {
    if matches!(scenario.setup.opening, Opening::Lost { .. }) {
        // A timer sends it again.
        scenario.setup.opening = Opening::Handshake;
    }
    scenario.steps.retain(|step| match step {
        Step::Lose(..) | Step::Hold(_) | Step::Reorder(..) | Step::Duplicate(..) | Step::Clear => {
            false
        }
        // A connection with urgent data is not saved at all.
        Step::Urgent(_) => false,
        // How much of a write a small buffer takes differs from run to run.
        Step::Set(_, Setting::SendBuffer(_) | Setting::NotSentLowat(_)) => false,
        _ => true,
    });
    for step in &mut scenario.steps {
        if let Step::Write(_, bytes) = step {
            *bytes = LARGEST_WRITE.min(*bytes);
        }
    }
    if !scenario.steps.iter().any(is_checkpoint) && scenario.steps.len() < MAX_STEPS {
        let middle = scenario.steps.len() / 2;
        let save = Step::Restore(Who::One(End::Subject));
        scenario.steps.insert(middle, save);
    }
    scenario
}

/// Runs a scenario both ways, and tells what was allowed.
fn compare(
    ctx: &Context,
    scenario: &Scenario,
    taken: &mut dyn FnMut(),
) -> Result<Allowances, Stop> {
    judged(ctx, scenario, || {
        // What is kept of a failure is what was seen with the checkpoints.
        let without = observe(&ctx.beside(), scenario, false, &mut || {})
            .map_err(|stop| super::world::at(stop, "without the checkpoints"))?;
        Ok([without, observe(ctx, scenario, true, taken)?])
    })
}

/// Runs a scenario twice without its checkpoints.
fn compare_without(ctx: &Context, scenario: &Scenario) -> Verdict {
    let once = |ctx: &Context| observe(ctx, scenario, false, &mut || {});
    judged(ctx, scenario, || {
        // Its captures have ended when the second one begins.
        let first = once(&ctx.beside())?;
        Ok([first, once(ctx)?])
    })
    .map(drop)
}

/// Judges two runs, the second of which is asked whether it looks like the first; tells what was allowed.
///
/// Runs that differ while the machine stood still say nothing: its timers ended, and not by what was done. They are made again
/// then, which is told.
fn judged(
    ctx: &Context,
    scenario: &Scenario,
    mut run: impl FnMut() -> Result<[Account; 2], Stop>,
) -> Result<Allowances, Stop> {
    let mut late = Duration::ZERO;
    for _ in 0..TRIES {
        let [without, with] = run()?;
        let comparison = Comparison::of(&scenario.steps, &without, &with);
        late = without.late.max(with.late);
        if comparison.differences.is_empty() || late < PUNCTUAL {
            judge(ctx, &comparison)?;
            return Ok(comparison.allowed);
        }
        let said = format!("the wire kept a frame for {late:.1?}: the machine stood still");
        ctx.note("run again", said);
    }
    Err(Stop::Broken(format!(
        "the wire kept a frame for {late:.1?}, after {} other times: this machine is too busy to compare two runs",
        TRIES - 1
    )))
}

/// Fails with the first difference; the others are told beside it.
fn judge(ctx: &Context, comparison: &Comparison) -> Verdict {
    let Some(first) = comparison.differences.first() else {
        return Ok(());
    };
    let all: Vec<_> = comparison
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    ctx.note("what differs, and must not", all.join("\n"));
    let others = match comparison.differences.len() {
        1 => String::new(),
        count => format!(" (and {} more differences)", count - 1),
    };
    let what = format!("{}{others}", first.what);
    Err(Failure::new(what, format!("{}, as without", first.without), &first.with).into())
}

fn tell(ctx: &Context, allowed: &Allowances) {
    ctx.note("what differs, and may", allowed);
}
