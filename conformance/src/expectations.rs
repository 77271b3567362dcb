//! Failures that are known: which case fails where, why, where that is told, and until when it may.
//!
//! A failure that is expected does not fail a run, and is told with its reason; a pass that was not expected is told as
//! prominently. An expectation that has expired counts no more, and says so.

mod date;
mod range;

pub use date::{BadDate, Date};
pub use range::{BadRange, Range, Release};

use crate::case::{Case, Need};
use crate::glob;
use crate::outcome::Outcome;
use crate::probe::Answer;
use crate::subject::Subject;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// The expectations that everybody has.
const BUILT_IN: &str = include_str!("expectations/known.toml");

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// A pattern of the cases that fail.
    pub case: String,
    /// A pattern of the subjects of which they do, as a report names them: `rust`, `capi`, `staged`, or a path.
    pub subject: String,
    /// The kernels on which they do.
    pub kernel: Range,
    /// Something that has to be here for them to fail, by its name in the kernel.
    pub with: Option<String>,
    /// Something that has to be missing.
    pub without: Option<String>,
    /// Why they fail.
    pub reason: String,
    /// Where that is told.
    pub link: String,
    /// The last day on which the failure is expected.
    pub expires: Date,
}

/// Expectations from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    /// In the order of the file; the first that fits a case counts.
    #[serde(default, rename = "expectation")]
    pub entries: Vec<Expectation>,
}

/// What is wrong with a file of expectations.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no such file.
    #[error("no list of expectations: {0}")]
    Format(#[from] toml::de::Error),
    /// A pattern matches no case: a mistake in writing, or a case that is no more.
    #[error(
        "the expectation `{0}` matches no case\n  `conformance list` prints the ids of all cases"
    )]
    NoCase(String),
    /// What has to be here, or missing, is nothing that can be probed.
    #[error("the expectation `{case}` names {name}, which nobody probes: choose among {known}")]
    NoNeed {
        /// The pattern of its cases.
        case: String,
        /// What it names.
        name: String,
        /// What can be named.
        known: String,
    },
    /// It does not say why, or where that is told.
    #[error("the expectation `{0}` has an empty {1}: say why it fails, and where that is told")]
    Empty(String, &'static str),
}

impl Book {
    /// The expectations that everybody has.
    ///
    /// # Errors
    /// [`Error`] where it and the cases do not fit each other.
    pub fn built_in(cases: &[Case]) -> Result<Self, Error> {
        Self::parse(BUILT_IN, cases)
    }

    /// Reads a file of expectations about these cases.
    ///
    /// # Errors
    /// [`Error`] with the first thing that is wrong.
    pub fn parse(text: &str, cases: &[Case]) -> Result<Self, Error> {
        let book: Self = toml::from_str(text)?;
        for entry in &book.entries {
            entry.check(cases)?;
        }
        Ok(book)
    }

    /// The expectations of both; those of `other` come first.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let entries = [other.entries, self.entries].concat();
        Self { entries }
    }

    /// What of it counts here.
    #[must_use]
    pub fn here(&self, here: &Here<'_>) -> Expected {
        let mut answers = HashMap::new();
        let mut has = |name: &str| {
            let found = Need::ALL.into_iter().find(|need| need.name() == name);
            let answer =
                found.map(|need| answers.entry(need).or_insert_with(|| (here.probe)(need)));
            // What nobody knows is neither here nor missing.
            answer.and_then(|answer| match answer {
                Answer::Here => Some(true),
                Answer::Missing(_) => Some(false),
                Answer::Unknown(_) => None,
            })
        };
        let mut expected = Expected::default();
        for entry in &self.entries {
            let applies = glob::matches(&entry.subject, &here.subject.to_string())
                && entry.kernel.contains(here.release)
                && entry
                    .with
                    .as_deref()
                    .is_none_or(|name| has(name) == Some(true))
                && entry
                    .without
                    .as_deref()
                    .is_none_or(|name| has(name) == Some(false));
            match (applies, here.today <= entry.expires) {
                (false, _) => {}
                (true, true) => expected.counting.push(Arc::new(entry.clone())),
                (true, false) => expected.expired.push(entry.clone()),
            }
        }
        expected
    }
}

impl Expectation {
    fn check(&self, cases: &[Case]) -> Result<(), Error> {
        if !cases.iter().any(|case| glob::matches(&self.case, &case.id)) {
            return Err(Error::NoCase(self.case.clone()));
        }
        for (text, name) in [
            (&self.reason, "reason"),
            (&self.link, "link"),
            (&self.subject, "subject"),
        ] {
            if text.trim().is_empty() {
                return Err(Error::Empty(self.case.clone(), name));
            }
        }
        let known = Need::ALL.map(Need::name);
        let strange = [&self.with, &self.without]
            .into_iter()
            .flatten()
            .find(|name| !known.contains(&&***name));
        match strange {
            None => Ok(()),
            Some(name) => Err(Error::NoNeed {
                case: self.case.clone(),
                name: name.clone(),
                known: known.join(", "),
            }),
        }
    }

    /// The reason, and where it is told.
    #[must_use]
    pub fn because(&self) -> String {
        format!("{} ({})", self.reason, self.link)
    }
}

/// Where and when expectations are to count.
pub struct Here<'a> {
    /// The library that is judged.
    pub subject: &'a Subject,
    /// The kernel's release, as `uname -r` prints it.
    pub release: &'a str,
    /// Today.
    pub today: Date,
    /// How to find out whether something is here.
    pub probe: &'a dyn Fn(Need) -> Answer,
}

/// The expectations that count in a run, and those that would if they had not expired.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    counting: Vec<Arc<Expectation>>,
    /// Those that have expired.
    pub expired: Vec<Expectation>,
}

/// An expectation that has expired, for a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// The pattern of its cases.
    pub case: String,
    /// Why they were expected to fail, and where that is told.
    pub reason: String,
    /// When it has expired.
    pub expires: String,
}

impl From<&Expectation> for Expired {
    fn from(expectation: &Expectation) -> Self {
        Self {
            case: expectation.case.clone(),
            reason: expectation.because(),
            expires: expectation.expires.to_string(),
        }
    }
}

impl Expected {
    /// The one that counts for a case, if any.
    fn of(&self, case: &Case) -> Option<&Arc<Expectation>> {
        self.counting
            .iter()
            .find(|it| glob::matches(&it.case, &case.id))
    }

    /// Whether a case is expected to fail.
    #[must_use]
    pub fn includes(&self, case: &Case) -> bool {
        self.of(case).is_some()
    }

    /// What an outcome is, in the light of what was expected of its case.
    #[must_use]
    pub fn judge(&self, case: &Case, outcome: Outcome) -> Outcome {
        let Some(expectation) = self.of(case) else {
            return outcome;
        };
        match outcome {
            Outcome::Fail(failure) => Outcome::Known(failure, Arc::clone(expectation)),
            Outcome::Pass => Outcome::Unexpected(Arc::clone(expectation)),
            // Observations fail nothing, and of what was not judged nothing was learned.
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
