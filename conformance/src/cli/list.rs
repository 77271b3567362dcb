//! `conformance list` and `conformance show`.

use crate::case::{Case, Level};
use crate::report::failure::command;
use crate::select::{NoSuchCase, Selection, by_id};
use std::fmt::Write as _;

impl Level {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::Info => "info",
        }
    }

    /// What it means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Must => "without it connections are damaged or lost",
            Self::Should => "without it something is slower, or a tool has to work around it",
            Self::Info => "a fact worth recording; it cannot fail a run",
        }
    }
}

/// One line for each of the chosen cases, and their number.
pub(super) fn list(selection: &Selection, cases: Vec<Case>) -> Result<String, NoSuchCase> {
    let cases = selection.apply(cases)?;
    let guide = |case: &Case| case.guide.join(",");
    let widest = |text: &dyn Fn(&Case) -> usize| cases.iter().map(text).max().unwrap_or(0);
    let ids = widest(&|case| case.id.len());
    let guides = widest(&|case| guide(case).len());
    let mut out = String::new();
    for case in &cases {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:ids$}  {:6}  {:guides$}  {}",
            case.id,
            case.level.word(),
            guide(case),
            case.statement
        );
    }
    let plural = if cases.len() == 1 { "" } else { "s" };
    let _ = writeln!(out, "{} case{plural}", cases.len());
    Ok(out)
}

/// Everything about one case.
pub(super) fn show(id: &str, cases: Vec<Case>) -> Result<String, NoSuchCase> {
    let case = by_id(id, cases)?;
    let needs: Vec<_> = case
        .needs
        .iter()
        .map(|need| format!("{} ({})", need.name(), need.found_with()))
        .collect();
    let needs = if needs.is_empty() {
        "nothing but a sandbox and TCP_REPAIR".to_owned()
    } else {
        needs.join(", ")
    };
    let (id, statement, guide) = (&case.id, &case.statement, case.guide.join(", "));
    let (level, meaning) = (case.level.word(), case.level.meaning());
    let command = command(&case, None);
    Ok(format!(
        "{id}\n  \
         promise  {statement}\n  \
         level    {level}: {meaning}\n  \
         guide    {guide}\n  \
         needs    {needs}\n  \
         run it   {command}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Need;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("kernel/a", "The first.", &["A1", "A22"], |_| Ok(())),
            Case::new("restore/second", "The second.", &["A3"], |_| Ok(()))
                .level(Level::Should)
                .needs(&[Need::ForceBuffers]),
        ]
    }

    #[test]
    fn the_list_is_aligned_and_counted() {
        assert_eq!(
            list(&Selection::default(), cases()).unwrap(),
            "kernel/a        must    A1,A22  The first.\n\
             restore/second  should  A3      The second.\n\
             2 cases\n"
        );
    }

    #[test]
    fn the_list_honours_filters() {
        let selection = Selection {
            exclude: vec!["kernel/*".into()],
            ..Selection::default()
        };
        assert!(list(&selection, cases()).unwrap().ends_with("\n1 case\n"));
    }

    #[test]
    fn a_case_is_shown_with_the_command_that_runs_it() {
        let text = show("restore/second", cases()).unwrap();
        for part in [
            "The second.",
            "should: ",
            "A3",
            "SO_RCVBUFFORCE (real root only)",
            "run --filter restore/second\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }
}
