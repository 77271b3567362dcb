//! A run that is told to end before its time.

use super::Run;
use crate::outcome::{Outcome, Record};
use crate::report::Report;
use std::time::Duration;

/// How long cases may go on that run when the run is told to end.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Why a case was not run, where the run was told to end.
pub(crate) const INTERRUPTED: &str = "not run: the run was told to end";

impl Run {
    /// Ends the run as it was told to: what was not begun is skipped, and what still runs has not been judged.
    pub(super) fn end_early(&mut self, report: &mut dyn Report) {
        let running = std::mem::take(&mut self.running);
        for index in 0..self.records.len() {
            let outcome = match running.contains_key(&index) {
                true => Outcome::Broken("it was running when the run was told to end".to_owned()),
                false => Outcome::Skip(INTERRUPTED.to_owned()),
            };
            let case = self.shared.cases[index].clone();
            self.ended(index, Record::not_run(case, outcome), report);
        }
    }
}

/// Whether a case was not run because of that.
pub(super) fn is_interrupted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Skip(reason) if reason == INTERRUPTED)
}
