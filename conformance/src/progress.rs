//! The line that says how far a run is.

use crate::outcome::Outcome;
use crate::summary::Totals;
use std::collections::BTreeMap;

/// What has ended and what is running.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    cases: usize,
    totals: Totals,
    running: BTreeMap<usize, String>,
}

impl Progress {
    /// Nothing has been started yet.
    #[must_use]
    pub fn new(cases: usize) -> Self {
        Self {
            cases,
            ..Self::default()
        }
    }

    /// A case has been started.
    pub fn started(&mut self, index: usize, id: &str) {
        self.running.insert(index, id.to_owned());
    }

    /// A case has ended.
    pub fn ended(&mut self, index: usize, outcome: &Outcome) {
        self.running.remove(&index);
        self.totals.add(outcome);
    }

    /// At most `width` characters: the counts first, then what is running, the longest running first.
    #[must_use]
    pub fn line(&self, width: usize) -> String {
        let totals = &self.totals;
        let mut line = format!(
            "{}/{}: {} passed",
            totals.all(),
            self.cases,
            totals.passed + totals.info
        );
        for (count, what) in [
            (totals.failed, "failed"),
            (totals.skipped, "skipped"),
            (totals.broken, "broken"),
            (totals.known, "known"),
            (totals.unexpected, "unexpected"),
        ] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        for (n, id) in self.running.values().enumerate() {
            line.push_str(if n == 0 { "; running " } else { ", " });
            line.push_str(id);
        }
        match line.char_indices().nth(width) {
            Some(_) => line
                .chars()
                .take(width.saturating_sub(1))
                .chain(['…'])
                .collect(),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        let mut progress = Progress::new(112);
        for index in [0, 1, 2] {
            progress.started(index, &format!("area/case-{index}"));
        }
        progress.ended(1, &Outcome::Skip("x".into()));
        progress
    }

    #[test]
    fn the_line_counts_and_names() {
        assert_eq!(
            progress().line(80),
            "1/112: 0 passed, 1 skipped; running area/case-0, area/case-2"
        );
    }

    #[test]
    fn the_line_never_wraps() {
        let line = progress().line(80);
        assert_eq!(progress().line(line.len()), line);
        assert_eq!(progress().line(20), "1/112: 0 passed, 1 …");
    }
}
