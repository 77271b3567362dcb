//! What became of a case.

use crate::case::{Case, Level};
use crate::evidence::Kept;
use crate::expectations::Expectation;
use crate::verdict::{Failure, Stop, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// What became of a case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The promise is kept.
    Pass,
    /// The promise is not kept.
    Fail(Failure),
    /// The promise is not kept, and that was expected.
    Known(Failure, Arc<Expectation>),
    /// The promise is kept, though it was expected not to be.
    Unexpected(Arc<Expectation>),
    /// An observation is not as it usually is: a case of [`Level::Info`] that failed.
    Info(Failure),
    /// What the case needs is not here.
    Skip(String),
    /// The harness broke: nothing was learned.
    Broken(String),
}

/// A case and what became of it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The case.
    pub case: Case,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took, the writing of evidence not included.
    pub elapsed: Duration,
    /// Facts that it found worth telling: name and value.
    pub notes: Vec<(String, String)>,
    /// What was kept of a failure.
    pub kept: Kept,
}

impl Outcome {
    /// What a verdict means for a case of this level.
    #[must_use]
    pub fn of(verdict: Verdict, level: Level) -> Self {
        match verdict {
            Ok(()) => Self::Pass,
            Err(Stop::Fail(failure)) if level == Level::Info => Self::Info(failure),
            Err(Stop::Fail(failure)) => Self::Fail(failure),
            Err(Stop::Skip(reason)) => Self::Skip(reason),
            Err(Stop::Broken(error)) => Self::Broken(error),
        }
    }

    /// One word for it, the same in every report.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::Known(..) => "known",
            Self::Unexpected(_) => "unexpected",
            Self::Info(_) => "info",
            Self::Skip(_) => "skip",
            Self::Broken(_) => "broken",
        }
    }

    /// Why it was not judged, or what it was that did not hold.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Pass | Self::Unexpected(_) => None,
            Self::Fail(failure) | Self::Known(failure, _) | Self::Info(failure) => {
                Some(&failure.what)
            }
            Self::Skip(reason) | Self::Broken(reason) => Some(reason),
        }
    }

    /// What was expected and what was there.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Fail(failure) | Self::Known(failure, _) | Self::Info(failure) => Some(failure),
            Self::Pass | Self::Unexpected(_) | Self::Skip(_) | Self::Broken(_) => None,
        }
    }

    /// What was expected of the case, where that is told.
    #[must_use]
    pub fn expectation(&self) -> Option<&Expectation> {
        match self {
            Self::Known(_, expectation) | Self::Unexpected(expectation) => Some(expectation),
            _ => None,
        }
    }

    /// Whether somebody will have to look at it, and will want to know what was on the wire.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Fail(_) | Self::Broken(_))
    }
}

impl Record {
    /// A case that ended without having run.
    #[must_use]
    pub fn not_run(case: Case, outcome: Outcome) -> Self {
        Self {
            case,
            outcome,
            elapsed: Duration::ZERO,
            notes: Vec::new(),
            kept: Kept::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_fact_is_not_a_failure() {
        let failed = || Err(Failure::new("x", 1, 2).into());
        assert_eq!(Outcome::of(failed(), Level::Must).word(), "fail");
        assert_eq!(Outcome::of(failed(), Level::Should).word(), "fail");
        assert_eq!(Outcome::of(failed(), Level::Info).word(), "info");
        let broken = Err(Stop::Broken("x".into()));
        assert_eq!(Outcome::of(broken, Level::Info).word(), "broken");
    }
}
