//! A whole run: everything that is measured side by side, as much of it as is asked for.

use crate::bench_connection::Filled;
use crate::calls;
use crate::crowd::{Crowds, most};
use crate::error::Error;
use crate::fidelity::fidelity;
use crate::outage::{Watch, outages};
use crate::paired::Extent;
use crate::results::{FORMAT, Machine, Pattern, Results, Work, size};
use crate::standstill::latencies;
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

/// From here on a queue is long, bytes: copying it is all that takes time, and its rounds differ little.
const LONG: usize = 1 << 20;

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

    fn extent(&self, bytes: usize) -> Extent {
        let fewer = if bytes >= LONG { 6 } else { 1 };
        Extent {
            blocks: self.blocks,
            rounds: (self.rounds / fewer).max(2),
        }
    }
}

/// Measures everything, in the sandbox, and judges it; `tell` hears what is about to be measured.
///
/// # Errors
/// The first of anything: figures over failures are worth nothing.
pub fn run(scale: &Scale, root: bool, mut tell: impl FnMut(&str)) -> Result<Results, Error> {
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
    for work in Work::BOTH {
        for queue in Filled::BOTH {
            for &bytes in scale.lengths {
                tell(&format!("{work}, {queue} queue {}", size(bytes)));
                let extent = scale.extent(bytes);
                let measured = match latencies(work, queue, bytes, extent, baseline) {
                    // What another library cannot do is told, and is no reason to measure nothing.
                    Err(failed @ (Error::Baseline(_) | Error::BaselineLoses(_))) => {
                        let what = format!("{work}, {queue} queue {}", size(bytes));
                        let failed = format!("{what}, beside the baseline: {failed}");
                        results.skipped.push(failed);
                        latencies(work, queue, bytes, extent, None)
                    }
                    other => other,
                };
                results.latencies.extend(measured?);
            }
        }
    }
    for queue in Filled::BOTH {
        for bytes in [0, 64 << 10] {
            tell(&format!("system calls, {queue} queue {}", size(bytes)));
            results.calls.extend(calls::count(queue, bytes)?);
        }
    }
    let (sockets, why) = most(scale.sockets)?;
    results.skipped.extend(why);
    tell(&format!("up to {sockets} sockets at a time"));
    results.crowds = Crowds::open(sockets)?.measure(scale.crowd_rounds)?;
    for moved in [false, true] {
        tell(if moved { "moves" } else { "freezes and thaws" });
        let (seen, failures) = outages(moved, scale.watch, baseline)?;
        results.outages.extend(seen);
        results.skipped.extend(failures);
    }
    for pattern in [Pattern::Idle, Pattern::AppLimited] {
        tell(&format!("freezes and thaws, {pattern}"));
        results
            .undisturbed
            .push(undisturbed(pattern, scale.freezes)?);
    }
    tell("a restored connection beside its twin");
    results.fidelity = Some(fidelity(scale.fidelity)?);
    results.verdicts = verdicts(&results);
    Ok(results)
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
