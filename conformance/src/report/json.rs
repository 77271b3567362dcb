//! The report for programs.

use crate::case::Level;
use crate::evidence::Excerpt;
use crate::expectations::{Expectation, Expired};
use crate::machine::Machine;
use crate::outcome::Record;
use crate::scenario::bins::{self, Pair, Reached};
use crate::select::Selection;
use crate::subject::Subject;
use crate::summary::{Promises, Summary, Totals};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::PathBuf;

/// The version of the format; a reader refuses what it does not know. A new field does not change it.
pub const FORMAT: u32 = 1;

/// A whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the suite.
    pub version: String,
    /// Where the run took place.
    #[serde(flatten)]
    pub machine: Machine,
    /// What generated cases were generated from.
    pub seed: u64,
    /// Which library was judged: `rust`, `capi`, `staged`, or the path of one.
    #[serde(default = "rust")]
    pub subject: String,
    /// What the run was asked to do.
    pub options: Asked,
    /// The cases, in the order of the catalogue.
    pub cases: Vec<Entry>,
    /// What its scenarios have reached; of a run without any, nothing.
    #[serde(default)]
    pub scenarios: Scenarios,
    /// How many cases ended in which way.
    pub totals: Totals,
    /// How many promises were judged.
    pub promises: Promises,
    /// Expectations that would have counted if they had not expired.
    #[serde(default)]
    pub expired: Vec<Expired>,
    /// The code with which the process ends.
    pub exit: u8,
    /// How long the run took, milliseconds.
    pub ms: u64,
}

/// What a run was asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Patterns of which a case has to match one.
    pub filter: Vec<String>,
    /// Patterns of which a case must match none.
    pub exclude: Vec<String>,
    /// How many cases ran at the same time.
    pub jobs: usize,
    /// Whether a skipped case counts as a failure.
    pub expect_all: bool,
    /// Whether a pass that was not expected counts as a failure.
    #[serde(default)]
    pub strict: bool,
}

/// What the scenarios of a run have reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scenarios {
    /// How many have run to their end.
    pub run: usize,
    /// How often an end was saved.
    pub saves: usize,
    /// The share of the pairs of circumstances that was reached, of those that can be, in percent.
    pub percent: f64,
    /// Pairs that were reached.
    pub reached: Vec<[String; 2]>,
    /// Pairs that could be reached and were not.
    pub missing: Vec<[String; 2]>,
    /// Pairs that no connection can be in, and why.
    pub unreachable: Vec<[String; 3]>,
}

impl From<&Reached> for Scenarios {
    fn from(reached: &Reached) -> Self {
        if reached.scenarios == 0 {
            return Self::default();
        }
        let names = |(one, other): &Pair| [one.to_string(), other.to_string()];
        let unreachable = bins::pairs().filter_map(|pair| {
            let [one, other] = names(&pair);
            Some([one, other, bins::unreachable(pair)?.to_owned()])
        });
        Self {
            run: reached.scenarios,
            saves: reached.saves,
            percent: reached.percent(),
            reached: reached.pairs.iter().map(names).collect(),
            missing: reached.missing().iter().map(names).collect(),
            unreachable: unreachable.collect(),
        }
    }
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// How much its promise weighs.
    pub level: Level,
    /// The promise.
    pub statement: String,
    /// Where it is written down.
    pub guide: Vec<String>,
    /// `pass`, `fail`, `info`, `skip`, `broken`, `known` (it fails, as expected) or `unexpected` (it passes, and was
    /// expected to fail).
    pub outcome: String,
    /// Why it was not judged, or what it was that did not hold.
    pub reason: Option<String>,
    /// What should have been there.
    pub expected: Option<String>,
    /// What was there.
    pub actual: Option<String>,
    /// Why it was expected to fail, and where that is told; with the outcomes `known` and `unexpected` only.
    #[serde(default)]
    pub expectation: Option<String>,
    /// How long it took, milliseconds.
    pub ms: u64,
    /// Facts that it found worth telling.
    pub notes: Vec<Note>,
    /// Where its captures are, and what else was kept of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Of a failure, the part of each capture that most likely tells why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<Excerpt>,
}

/// A fact that a case found worth telling. A case may tell several of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Document {
    /// The report of a run over the cases of `selection`.
    #[must_use]
    pub fn new(summary: &Summary, selection: &Selection) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: summary.machine.clone(),
            seed: summary.options.seed,
            subject: summary.options.subject.to_string(),
            options: Asked {
                filter: selection.filter.clone(),
                exclude: selection.exclude.clone(),
                jobs: summary.options.jobs,
                expect_all: summary.options.expect_all,
                strict: summary.options.strict,
            },
            cases: summary.records.iter().map(Entry::from).collect(),
            scenarios: Scenarios::from(&summary.reached),
            totals: summary.totals(),
            promises: summary.promises(),
            expired: summary
                .options
                .expected
                .expired
                .iter()
                .map(Expired::from)
                .collect(),
            exit: summary.exit().code(),
            ms: milliseconds(summary.elapsed),
        }
    }

    /// Writes the report, to be read by people as well.
    ///
    /// # Errors
    /// What writing returns.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        let Record { case, outcome, .. } = record;
        let notes = record.notes.iter().map(|(name, value)| Note {
            name: name.clone(),
            value: value.clone(),
        });
        Self {
            id: case.id.clone(),
            level: case.level,
            statement: case.statement.clone(),
            guide: case.guide.iter().map(ToString::to_string).collect(),
            outcome: outcome.word().to_owned(),
            reason: outcome.reason().map(str::to_owned),
            expected: outcome.failure().map(|failure| failure.expected.clone()),
            actual: outcome.failure().map(|failure| failure.actual.clone()),
            expectation: outcome.expectation().map(Expectation::because),
            ms: milliseconds(record.elapsed),
            notes: notes.collect(),
            folder: record.kept.folder.clone(),
            traces: record.kept.excerpts.clone(),
        }
    }
}

/// What was judged by reports that do not say it.
fn rust() -> String {
    Subject::Rust.to_string()
}

pub(super) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
