//! All trials: each in a process of its own, several at once, and that of nobody first.

use super::trial::Finding;
use super::{NOBODY, Saboteur};
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What became of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The name of the saboteur.
    pub saboteur: String,
    /// What it does.
    pub does: String,
    /// The cases that were asked.
    pub area: Vec<String>,
    /// How it ended.
    #[serde(flatten)]
    pub finding: Finding,
    /// How long it took, milliseconds.
    pub ms: u64,
}

/// How trials are held.
#[derive(Clone, Copy, Debug)]
pub struct Court {
    /// How many at the same time; at least one.
    pub jobs: usize,
    /// How many cases of one trial at the same time.
    pub cases: usize,
    /// What generated cases are generated from.
    pub seed: u64,
}

impl Court {
    /// Lets the cases of all these areas judge the library as it is. They all have to pass.
    #[must_use]
    pub fn control(&self, saboteurs: &[&'static Saboteur]) -> Trial {
        let mut area: Vec<&str> = Vec::new();
        for part in saboteurs.iter().flat_map(|it| it.area) {
            if !area.contains(part) {
                area.push(part);
            }
        }
        let whole = Self {
            cases: self.cases * self.jobs,
            ..*self
        };
        whole.hold(&NOBODY, &area)
    }

    /// Holds a trial of each, and tells of it as soon as it has ended; returns all of them, in the given order.
    pub fn try_all(
        &self,
        saboteurs: &[&'static Saboteur],
        tell: &mut dyn FnMut(&Trial),
    ) -> Vec<Trial> {
        let next = AtomicUsize::new(0);
        let (sender, ended) = mpsc::channel();
        let mut trials: Vec<(usize, Trial)> = thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(saboteur) = saboteurs.get(index) else {
                            return;
                        };
                        let trial = self.hold(saboteur, saboteur.area);
                        if sender.send((index, trial)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            ended.iter().inspect(|(_, trial)| tell(trial)).collect()
        });
        trials.sort_by_key(|&(index, _)| index);
        trials.into_iter().map(|(_, trial)| trial).collect()
    }

    /// Holds one, in a process of its own: what is wrong with one library must not spoil the next.
    fn hold(&self, saboteur: &'static Saboteur, area: &[&str]) -> Trial {
        let start = Instant::now();
        let finding = self
            .ask(saboteur, area)
            .unwrap_or_else(|reason| Finding::NotJudged { reason });
        Trial {
            saboteur: saboteur.name.to_owned(),
            does: saboteur.does.to_owned(),
            area: area.iter().map(ToString::to_string).collect(),
            finding,
            ms: milliseconds(start.elapsed()),
        }
    }

    fn ask(&self, saboteur: &Saboteur, area: &[&str]) -> Result<Finding, String> {
        let output = Command::new("/proc/self/exe")
            .args(["self-test", "--trial", saboteur.name])
            .args(["--cases", &self.cases.to_string()])
            .args(["--seed", &self.seed.to_string()])
            .args(area)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("its process cannot be started: {error}"))?;
        serde_json::from_slice(&output.stdout).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            format!("its process ends with {}: {said}", output.status)
        })
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
