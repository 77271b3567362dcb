//! The trial of one saboteur, in a process of its own: the cases of its area, until one of them fails.

use super::Saboteur;
use crate::case::Case;
use crate::outcome::{Outcome, Record};
use crate::probe::Needs;
use crate::report::Report;
use crate::runner::{CASE_BOUND, Options, run_cases};
use crate::subject::Subject;
use crate::summary::Summary;
use crate::{catalogue, glob};
use serde::{Deserialize, Serialize};

/// How a trial ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Finding {
    /// A case has failed.
    Convicted {
        /// Its id.
        case: String,
        /// What was looked at.
        what: String,
        /// What should have been there.
        expected: String,
        /// What was there.
        actual: String,
    },
    /// No case has failed.
    Survived {
        /// How many have passed.
        passed: usize,
        /// Those that were skipped, by their reasons.
        skipped: Vec<Skipped>,
    },
    /// Nothing was learned.
    NotJudged {
        /// Why.
        reason: String,
    },
}

/// Cases that were skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Why.
    pub reason: String,
    /// Their ids.
    pub cases: Vec<String>,
}

/// The cases that match one of these patterns, in the order of the catalogue.
pub fn cases<'a>(area: impl Iterator<Item = &'a str> + Clone) -> Vec<Case> {
    let meant = |case: &Case| area.clone().any(|part| glob::matches(part, &case.id));
    catalogue::all().into_iter().filter(meant).collect()
}

/// Lets the cases of these areas judge a saboteur that is at work in this process already.
///
/// `convicted` is called once, where a case fails: it can end the process, so that the other cases are not waited for. A
/// case that breaks convicts nobody.
pub fn hold(
    saboteur: &'static Saboteur,
    cases: Vec<Case>,
    jobs: usize,
    seed: u64,
    convicted: &mut dyn FnMut(&Finding),
) -> Finding {
    let options = Options {
        jobs,
        bound: CASE_BOUND,
        seed,
        subject: Subject::Saboteur(saboteur),
        ..Options::default()
    };
    let needs = Needs::probe(&cases);
    let mut jury = Jury {
        convicted,
        finding: None,
    };
    let summary = run_cases(cases, needs, &options, &mut jury);
    jury.finding.unwrap_or_else(|| without_conviction(&summary))
}

impl<R: Into<String>> From<(R, Vec<&str>)> for Skipped {
    fn from((reason, cases): (R, Vec<&str>)) -> Self {
        Self {
            reason: reason.into(),
            cases: cases.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// Listens until a case has failed.
struct Jury<'a> {
    convicted: &'a mut dyn FnMut(&Finding),
    finding: Option<Finding>,
}

impl Report for Jury<'_> {
    fn ended(&mut self, _index: usize, record: &Record) {
        if let (Outcome::Fail(failure), None) = (&record.outcome, &self.finding) {
            let finding = Finding::Convicted {
                case: record.case.id.clone(),
                what: failure.what.clone(),
                expected: failure.expected.clone(),
                actual: failure.actual.clone(),
            };
            (self.convicted)(&finding);
            self.finding = Some(finding);
        }
    }
}

fn without_conviction(summary: &Summary) -> Finding {
    let totals = summary.totals();
    let reason = |word: &str| {
        let mut records = summary.records.iter();
        let found = records.find(|record| record.outcome.word() == word)?;
        let reason = found.outcome.reason().unwrap_or_default();
        Some(format!("{}: {word}: {reason}", found.case.id))
    };
    let unclear = reason("broken").or_else(|| match totals.passed {
        0 => Some(reason("skip").unwrap_or_else(|| "there is no such case".to_owned())),
        _ => None,
    });
    match unclear {
        Some(reason) => Finding::NotJudged { reason },
        None => Finding::Survived {
            passed: totals.passed,
            skipped: summary.skips().into_iter().map(Skipped::from).collect(),
        },
    }
}
