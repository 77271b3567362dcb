//! A whole run: everything that is measured side by side, as much of it as is asked for.

use crate::bench_connection::Filled;
use crate::calls;
use crate::crowd::{Crowds, most};
use crate::error::Error;
use crate::fidelity::fidelity;
use crate::outage::{Watch, outages};
use crate::results::{FORMAT, Machine, Pattern, Results, Work, size};
use crate::standstill::Standstill;
use crate::subject::Baseline;
use crate::targets::verdicts;
use crate::undisturbed::undisturbed;
use std::fs;
use std::thread::available_parallelism;
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Scale {
    /// What results call it.
    pub name: &'static str,
    /// The lengths of queues, bytes.
    pub lengths: &'static [usize],
    /// How many blocks of rounds.
    pub blocks: usize,
    /// Rounds of short queues in a block; long ones have fewer.
    pub rounds: usize,
    /// The most sockets at a time.
    pub sockets: usize,
    /// How often they are saved.
    pub crowd_rounds: usize,
    /// The outages.
    pub watch: Watch,
    /// How often a connection that is not busy is frozen.
    pub freezes: usize,
    /// How long a restored connection and its twin send.
    pub fidelity: Duration,
}

/// From here on a queue is long, bytes: copying it is all that takes time.
pub const LONG: usize = 1 << 20;

impl Scale {
    /// All that the targets ask for: some minutes.
    #[must_use]
    pub fn full() -> Self {
        Self {
            name: "full",
            lengths: &[0, 1 << 10, 64 << 10, 1 << 20, 4 << 20],
            blocks: 5,
            rounds: 240,
            sockets: 10_000,
            crowd_rounds: 10,
            watch: Watch {
                times: 5,
                half: Duration::from_millis(200),
            },
            freezes: 20,
            fidelity: Duration::from_secs(10),
        }
    }

    /// Some of it: some seconds, and intervals that are wide.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            name: "quick",
            lengths: &[0, 64 << 10, 4 << 20],
            blocks: 2,
            rounds: 60,
            sockets: 1000,
            crowd_rounds: 3,
            watch: Watch {
                times: 2,
                half: Duration::from_millis(100),
            },
            freezes: 5,
            fidelity: Duration::from_millis(500),
        }
    }

    /// As little as shows that it works; its figures mean nothing.
    #[must_use]
    pub fn test() -> Self {
        Self {
            name: "test",
            lengths: &[0, 64 << 10],
            blocks: 2,
            rounds: 2,
            sockets: 10,
            crowd_rounds: 1,
            watch: Watch {
                times: 1,
                half: Duration::from_millis(60),
            },
            freezes: 2,
            fidelity: Duration::from_millis(1),
        }
    }

    /// How many rounds a block has: those of long queues differ little.
    fn rounds_of(&self, bytes: usize) -> usize {
        let fewer = if bytes >= LONG { 6 } else { 1 };
        (self.rounds / fewer).max(2)
    }
}

/// Measures everything, in the sandbox, and judges it; `tell` hears what is about to be measured.
///
/// # Errors
/// The first of anything: figures over failures are worth nothing.
pub fn run(scale: &Scale, root: bool, mut tell: impl FnMut(&str)) -> Result<Results, Error> {
    let mut last = String::new();
    let mut note = |what: &str| {
        what.clone_into(&mut last);
        tell(what);
    };
    let results = measure(scale, root, &mut note);
    results.map_err(|error| error.during(last))
}

fn measure(scale: &Scale, root: bool, tell: &mut impl FnMut(&str)) -> Result<Results, Error> {
    let baseline = Baseline::named()?;
    let (baseline, path) = baseline.unzip();
    let baseline = baseline.as_ref();
    let mut results = Results {
        format: FORMAT,
        machine: machine(root)?,
        scale: scale.name.to_owned(),
        baseline: path.map(|path| path.display().to_string()),
        latencies: Vec::new(),
        calls: Vec::new(),
        crowds: Vec::new(),
        outages: Vec::new(),
        undisturbed: Vec::new(),
        fidelity: None,
        verdicts: Vec::new(),
        skipped: Vec::new(),
    };
    let mut standstills = Standstills::of(scale, baseline);
    standstills.pass(tell)?;
    for queue in Filled::ALL {
        for bytes in [0, 64 << 10] {
            tell(&format!("system calls, {queue} queue {}", size(bytes)));
            results.calls.extend(calls::count(queue, bytes)?);
        }
    }
    standstills.pass(tell)?;
    tell("how many sockets there can be");
    let (sockets, why) = most(scale.sockets)?;
    results.skipped.extend(why);
    tell(&format!("up to {sockets} sockets at a time"));
    results.crowds = Crowds::open(sockets)?.measure(scale.crowd_rounds)?;
    standstills.pass(tell)?;
    for moved in [false, true] {
        tell(if moved { "moves" } else { "freezes and thaws" });
        let (seen, failures) = outages(moved, scale.watch, baseline)?;
        results.outages.extend(seen);
        results.skipped.extend(failures);
    }
    standstills.pass(tell)?;
    for pattern in [Pattern::Idle, Pattern::AppLimited] {
        tell(&format!("freezes and thaws, {pattern}"));
        results
            .undisturbed
            .push(undisturbed(pattern, scale.freezes)?);
    }
    tell("a restored connection beside its twin");
    results.fidelity = Some(fidelity(scale.fidelity)?);
    standstills.finish(tell, &mut results)?;
    results.verdicts = verdicts(&results);
    Ok(results)
}

/// Everything about standstills, whose blocks are spread over a run: what else the machine does in a minute is then in the
/// intervals of all of them, and not in the figures of some.
struct Standstills<'a> {
    each: Vec<Standstill>,
    baseline: Option<&'a Baseline>,
    /// How many blocks of each are still to be measured.
    left: usize,
    /// What the baseline has failed at.
    skipped: Vec<String>,
}

impl<'a> Standstills<'a> {
    fn of(scale: &Scale, baseline: Option<&'a Baseline>) -> Self {
        let of = |work, queue| {
            let each = scale.lengths.iter();
            each.map(move |&bytes| Standstill::new(work, queue, bytes, scale.rounds_of(bytes)))
        };
        let works = Work::BOTH.into_iter();
        let all = works.flat_map(|work| Filled::ALL.map(|queue| (work, queue)));
        Self {
            each: all.flat_map(|(work, queue)| of(work, queue)).collect(),
            baseline,
            left: scale.blocks,
            skipped: Vec::new(),
        }
    }

    /// Measures another block of each, if there is one left.
    fn pass(&mut self, tell: &mut impl FnMut(&str)) -> Result<(), Error> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(());
        };
        self.left = left;
        for standstill in &mut self.each {
            let title = standstill.title();
            tell(&title);
            if let Some(failed) = standstill.measure(self.baseline)? {
                // What another library cannot do is told, and is no reason to measure nothing.
                self.skipped
                    .push(format!("{title}, beside the baseline: {failed}"));
            }
        }
        Ok(())
    }

    /// Measures what is left, and says what all of it says.
    fn finish(mut self, tell: &mut impl FnMut(&str), results: &mut Results) -> Result<(), Error> {
        while self.left > 0 {
            self.pass(tell)?;
        }
        results.latencies = self.each.iter().flat_map(Standstill::latencies).collect();
        results.skipped.append(&mut self.skipped);
        Ok(())
    }
}

fn machine(root: bool) -> Result<Machine, Error> {
    Ok(Machine {
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
            .trim()
            .to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        processors: available_parallelism()?.get(),
        root,
    })
}
