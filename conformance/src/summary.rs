//! What a run came to.

use crate::case::Level;
use crate::machine::Machine;
use crate::outcome::{Outcome, Record};
use crate::runner::Options;
use crate::scenario::bins::Reached;
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::time::Duration;

/// The area of a case: the first part of its id.
pub(crate) fn area(id: &str) -> &str {
    id.split_once('/').map_or(id, |(area, _)| area)
}

/// All that a run found out.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What the run was asked to do.
    pub options: Options,
    /// Where it took place.
    pub machine: Machine,
    /// The cases in the order in which they were given, whatever the order in which they ended.
    pub records: Vec<Record>,
    /// What its scenarios have reached.
    pub reached: Reached,
    /// Whether it was told to end before its time.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// How many cases ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Promises kept, and observations that are as they usually are.
    pub passed: usize,
    /// Promises not kept.
    pub failed: usize,
    /// Cases whose needs are not met here.
    pub skipped: usize,
    /// Cases about which the harness learned nothing.
    pub broken: usize,
    /// Observations that are not as they usually are.
    pub info: usize,
    /// Promises not kept, as expected.
    #[serde(default)]
    pub known: usize,
    /// Promises kept, though they were expected not to be.
    #[serde(default)]
    pub unexpected: usize,
}

/// How many promises were judged. Observations ([`Level::Info`]) are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promises {
    /// Those that are kept.
    pub kept: usize,
    /// Those that could be judged.
    pub judged: usize,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every promise that was looked at is kept.
    Passed,
    /// A promise is not kept, whatever else happened; or a case was skipped and none was to be.
    Failures,
    /// The command line makes no sense.
    Usage,
    /// The harness broke, or could not start.
    Harness,
    /// No case ran.
    Nothing,
}

impl Exit {
    /// How the process ends after several runs: as the worst of them would have ended it.
    #[must_use]
    pub fn worst(exits: impl IntoIterator<Item = Self>) -> Self {
        // A promise that is not kept is more certain than a harness that broke, and that more than a run of no cases.
        let badness = |exit: &Self| match exit {
            Self::Passed => 0,
            Self::Nothing => 1,
            Self::Harness => 2,
            Self::Usage => 3,
            Self::Failures => 4,
        };
        exits
            .into_iter()
            .max_by_key(badness)
            .unwrap_or(Self::Nothing)
    }
}

impl Summary {
    /// How many cases ended in which way.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.records.iter().collect()
    }

    /// The same for each area, which is the first part of an id, in order of appearance.
    #[must_use]
    pub fn areas(&self) -> Vec<(&str, Totals)> {
        let mut areas: Vec<(&str, Totals)> = Vec::new();
        for record in &self.records {
            let area = area(&record.case.id);
            match areas.iter_mut().find(|(name, _)| *name == area) {
                Some((_, totals)) => totals.add(&record.outcome),
                None => areas.push((area, std::iter::once(record).collect())),
            }
        }
        areas
    }

    /// How many promises were judged.
    #[must_use]
    pub fn promises(&self) -> Promises {
        let mut promises = Promises::default();
        for record in &self.records {
            let kept = match record.outcome {
                Outcome::Pass | Outcome::Unexpected(_) => 1,
                Outcome::Fail(_) | Outcome::Known(..) => 0,
                Outcome::Info(_) | Outcome::Skip(_) | Outcome::Broken(_) => continue,
            };
            if record.case.level != Level::Info {
                promises.kept += kept;
                promises.judged += 1;
            }
        }
        promises
    }

    /// The skipped cases by their reasons, in order of appearance.
    #[must_use]
    pub fn skips(&self) -> Vec<(String, Vec<&str>)> {
        self.by_reason(|outcome| match outcome {
            Outcome::Skip(reason) => Some(reason.clone()),
            _ => None,
        })
    }

    /// The cases that failed as expected, by the reasons of that.
    #[must_use]
    pub fn known(&self) -> Vec<(String, Vec<&str>)> {
        self.by_reason(|outcome| match outcome {
            Outcome::Known(_, expectation) => Some(expectation.because()),
            _ => None,
        })
    }

    /// The cases that passed though they were expected to fail, by the reasons of that.
    #[must_use]
    pub fn unexpected(&self) -> Vec<(String, Vec<&str>)> {
        self.by_reason(|outcome| match outcome {
            Outcome::Unexpected(expectation) => Some(expectation.because()),
            _ => None,
        })
    }

    fn by_reason(&self, reason: impl Fn(&Outcome) -> Option<String>) -> Vec<(String, Vec<&str>)> {
        let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
        for record in &self.records {
            let Some(reason) = reason(&record.outcome) else {
                continue;
            };
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, ids)) => ids.push(&record.case.id),
                None => reasons.push((reason, vec![&record.case.id])),
            }
        }
        reasons
    }

    /// How a process that did only this run ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let totals = self.totals();
        match totals.exit(self.options.expect_all) {
            // What was not asked may well fail.
            Exit::Passed | Exit::Nothing if self.interrupted => Exit::Harness,
            Exit::Passed if self.options.strict && totals.unexpected > 0 => Exit::Failures,
            exit => exit,
        }
    }
}

impl Totals {
    /// Adds one case.
    pub fn add(&mut self, outcome: &Outcome) {
        self.add_word(outcome.word());
    }

    /// Adds one case, by the [word](Outcome::word) for what became of it. A word that nobody knows says that nothing was
    /// learned.
    pub fn add_word(&mut self, word: &str) {
        *match word {
            "pass" => &mut self.passed,
            "fail" => &mut self.failed,
            "info" => &mut self.info,
            "skip" => &mut self.skipped,
            "known" => &mut self.known,
            "unexpected" => &mut self.unexpected,
            _ => &mut self.broken,
        } += 1;
    }

    /// Adds all of another.
    pub fn join(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.broken += other.broken;
        self.info += other.info;
        self.known += other.known;
        self.unexpected += other.unexpected;
    }

    /// All cases.
    #[must_use]
    pub fn all(&self) -> usize {
        self.judged() + self.failed + self.skipped + self.broken
    }

    /// Those of which something was learned that fails no run.
    fn judged(&self) -> usize {
        self.passed + self.info + self.known + self.unexpected
    }

    /// How a process ends that came to these totals.
    ///
    /// A promise that is not kept is the most certain thing that can be said, so it goes before a broken harness.
    #[must_use]
    pub fn exit(&self, expect_all: bool) -> Exit {
        if self.failed > 0 || (expect_all && self.skipped > 0) {
            Exit::Failures
        } else if self.broken > 0 {
            Exit::Harness
        } else if self.judged() == 0 {
            Exit::Nothing
        } else {
            Exit::Passed
        }
    }
}

impl<'a> FromIterator<&'a Record> for Totals {
    fn from_iter<I: IntoIterator<Item = &'a Record>>(records: I) -> Self {
        let mut totals = Self::default();
        for record in records {
            totals.add(&record.outcome);
        }
        totals
    }
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failures => 1,
            Self::Usage => 2,
            Self::Harness => 3,
            Self::Nothing => 4,
        }
    }
}

impl Exit {
    /// What a [code](Self::code) says; one that is none of ours, that the harness broke.
    #[must_use]
    pub fn of_code(code: u8) -> Self {
        let all = [Self::Passed, Self::Failures, Self::Usage, Self::Nothing];
        let found = all.into_iter().find(|exit| exit.code() == code);
        found.unwrap_or(Self::Harness)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_follows_from_the_totals() {
        let totals = |passed, failed, skipped, broken, info| Totals {
            passed,
            failed,
            skipped,
            broken,
            info,
            ..Totals::default()
        };
        for (totals, expect_all, code) in [
            (totals(3, 0, 0, 0, 0), false, 0),
            (totals(3, 0, 0, 0, 0), true, 0),
            (totals(3, 0, 1, 0, 0), false, 0),
            (totals(3, 0, 1, 0, 0), true, 1),
            (totals(3, 0, 0, 0, 1), true, 0),
            (totals(0, 0, 0, 0, 1), false, 0),
            (totals(3, 1, 0, 0, 0), false, 1),
            (totals(3, 1, 0, 1, 0), false, 1),
            (totals(3, 0, 0, 1, 0), false, 3),
            (totals(3, 0, 1, 1, 0), false, 3),
            (totals(0, 0, 0, 0, 0), false, 4),
            (totals(0, 0, 0, 0, 0), true, 4),
            (totals(0, 0, 2, 0, 0), false, 4),
            (totals(0, 0, 2, 0, 0), true, 1),
        ] {
            assert_eq!(
                totals.exit(expect_all).code(),
                code,
                "{totals:?} {expect_all}"
            );
        }
    }
}
