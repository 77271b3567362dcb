//! Many scenarios: generated from a seed, run, and shrunk where one fails; and those that have failed once.

use super::aim::Aim;
use super::bins::{self, Pair};
use super::strategy::{Generated, strategy};
use super::{Scenario, regressions, world};
use crate::case::Case;
use crate::context::Context;
use crate::guarded::guarded;
use crate::verdict::{Failure, Stop, Verdict, expect};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Scenarios of one case: few enough that one that fails can be shrunk within the bound of a case.
pub const BATCH: usize = 10;

/// Cases that are steered, and run at the same time.
const STEERED: usize = 16;
/// Scenarios of each of them, at most.
const STEERED_SCENARIOS: usize = 500;
/// From this number on scenarios are aimed, each at another pair of circumstances.
const AIMED: usize = 1 << 32;

/// A bound against hanging, for a batch of which each scenario may lose its last segment several times.
pub const BOUND: Duration = Duration::from_secs(600);
/// The same, where there is no number of scenarios to go by.
const STEERED_BOUND: Duration = Duration::from_secs(4 * 3600);

/// More attempts to make a scenario smaller are not made.
const SHRINKS: usize = 300;
/// Nor is one begun after this time: it is the smallest one so far that is told.
const SHRINKING: Duration = Duration::from_secs(20);

/// Cases that run so many generated scenarios, ten each.
#[must_use]
pub fn cases(scenarios: usize) -> Vec<Case> {
    (0..scenarios.div_ceil(BATCH))
        .map(|batch| {
            let first = batch * BATCH;
            let last = (first + BATCH).min(scenarios);
            Case::new(
                format!("scenario/generated/{:06}", first + 1),
                format!(
                    "generated scenarios {} to {last} of the seed: no end notices a checkpoint",
                    first + 1
                ),
                &["E1"],
                move |ctx| (first..last).try_for_each(|number| generated(ctx, number, &plainly)),
            )
            .bound(BOUND)
            .in_c()
        })
        .collect()
}

/// Cases that run scenarios until so many percent of the pairs of circumstances are reached, each aimed at one that is missing.
#[must_use]
pub fn steered(percent: f64) -> Vec<Case> {
    (1..=STEERED)
        .map(|number| {
            Case::new(
                format!("scenario/steered/{number}"),
                format!("scenarios are generated until {percent} % of the pairs of circumstances are reached: no end notices a checkpoint"),
                &["E1"],
                move |ctx| steer(ctx, number, percent),
            )
            .bound(STEERED_BOUND)
            .in_c()
        })
        .collect()
}

fn steer(ctx: &Context, number: usize, percent: f64) -> Verdict {
    for attempt in 0..STEERED_SCENARIOS {
        let reached = ctx.coverage().reached();
        if reached.percent() >= percent {
            return Ok(());
        }
        let turn = attempt * STEERED + number - 1;
        let Some(aimed) = aimed(turn, &reached.missing()) else {
            break;
        };
        generated(ctx, aimed, &plainly)?;
    }
    let reached = ctx.coverage().reached();
    let missing = reached.missing();
    let named = missing
        .iter()
        .take(5)
        .map(|(one, other)| format!("{one} + {other}"));
    expect(
        format!(
            "the pairs of circumstances reached after {} scenarios",
            reached.scenarios
        ),
        format!("{percent} %"),
        format!(
            "{:.1} %, and not {}",
            reached.percent(),
            named.collect::<Vec<_>>().join(", ")
        ),
        reached.percent() >= percent,
    )
}

/// The number of a scenario that is aimed at one of the pairs that are missing; no other turn has the same.
fn aimed(turn: usize, missing: &[Pair]) -> Option<usize> {
    // Cases that run at the same time take others, and those that come next are not alike.
    let wanted = missing.get((turn * 7919).checked_rem(missing.len())?)?;
    let index = bins::pairs().position(|pair| pair == *wanted)?;
    Some(AIMED + turn * bins::pairs().count() + index)
}

/// What the scenario with this number is aimed at.
fn aim(number: usize) -> Option<Aim> {
    let pairs = bins::pairs().count();
    let index = number.checked_sub(AIMED)? % pairs;
    bins::pairs().nth(index).map(Aim)
}

/// Cases for the scenarios that have failed once.
#[must_use]
pub fn known() -> Vec<Case> {
    regressions::ALL
        .iter()
        .map(|(name, text)| {
            Case::new(
                format!("scenario/regression/{name}"),
                regressions::remarks(text),
                &["E1"],
                move |ctx| {
                    let scenario: Scenario = text
                        .parse()
                        .map_err(|error| Stop::Broken(format!("{name}: {error}")))?;
                    world::run(ctx, &scenario, || {})
                },
            )
            .bound(BOUND)
            .in_c()
        })
        .collect()
}

/// The scenario with this number of the run's seed.
#[must_use]
pub fn scenario(seed: u64, number: usize) -> Option<Scenario> {
    Some(told(&tree(seed, number)?.current()))
}

fn tree(seed: u64, number: usize) -> Option<impl ValueTree<Value = Generated>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&(number as u64).to_le_bytes());
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    strategy(aim(number))
        .new_tree(&mut TestRunner::new_with_rng(config, rng))
        .ok()
}

fn told((model, steps, _): &Generated) -> Scenario {
    Scenario {
        setup: model.setup,
        steps: steps.clone(),
    }
}

/// How a scenario is run: in which context, which it is, and what is told of each step before it is taken.
pub(super) type Run<'a> = &'a dyn Fn(&Context, &Scenario, &mut dyn FnMut()) -> Verdict;

fn plainly(ctx: &Context, scenario: &Scenario, taken: &mut dyn FnMut()) -> Verdict {
    world::run(ctx, scenario, taken)
}

/// Runs one generated scenario. Of one that fails, the smallest that still does is told and kept.
pub(super) fn generated(ctx: &Context, number: usize, run: Run<'_>) -> Verdict {
    let Some(mut tree) = tree(ctx.seed(), number) else {
        return Err(Stop::Broken(format!(
            "no scenario {number} can be generated"
        )));
    };
    // How many steps were taken is counted in it: it can be had only once.
    let whole = tree.current();
    let Some(first) = attempt(ctx.beside(), &whole, run) else {
        return Ok(());
    };
    let mut smallest = (told(&whole), first);
    let start = Instant::now();
    let mut simpler = tree.simplify();
    for _ in 0..SHRINKS {
        if !simpler || start.elapsed() > SHRINKING {
            break;
        }
        let candidate = tree.current();
        // In a network of its own: what the scenarios before have left in theirs must not be the reason.
        simpler = match attempt(ctx.aside(), &candidate, run) {
            Some(again) => {
                smallest = (told(&candidate), again);
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    let (scenario, Failed { stop, left }) = smallest;
    ctx.adopt(left);
    let name = format!("scenario {} of seed {}", number + 1, ctx.seed());
    ctx.keep_scenario(format!("{scenario}# Shrunk from {name}.\n"));
    ctx.note("scenario", &scenario);
    Err(match stop {
        Stop::Fail(failure) => Failure {
            what: format!("{} ({name}, shrunk)", failure.what),
            ..failure
        }
        .into(),
        other => other,
    })
}

/// A scenario that failed: why, and what is left of its network.
struct Failed {
    stop: Stop,
    left: Context,
}

/// Runs a scenario in a part of the case.
fn attempt(left: Context, (model, steps, seen): &Generated, run: Run<'_>) -> Option<Failed> {
    let scenario = told(&(model.clone(), steps.clone(), None));
    let mut count = || {
        if let Some(seen) = seen {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    };
    let stop = match guarded(|| run(&left, &scenario, &mut count)) {
        Ok(Ok(())) => return None,
        Ok(Err(stop)) => stop,
        Err(said) => Stop::Broken(format!("the scenario {said}")),
    };
    Some(Failed { stop, left })
}
