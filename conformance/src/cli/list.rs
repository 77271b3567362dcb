//! `conformance list` and `conformance show`.

use crate::case::{Case, Level};
use crate::facts;
use crate::report::failure::command;
use crate::report::style::{hanging, number, wrapped};
use crate::select::{NoSuchCase, Selection, by_id};
use crate::subject::Subject;
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
            Self::Info => "an observation worth recording; it cannot fail a run",
        }
    }
}

#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Mark the cases that cannot be asked of this library, with the reason
    #[arg(long, value_name = "LIBRARY", default_value_t)]
    subject: Subject,
}

/// One line for each of the chosen cases, and their number.
pub(super) fn list(args: &Args, cases: Vec<Case>) -> Result<String, NoSuchCase> {
    let cases = args.selection.apply(cases)?;
    let guide = |case: &Case| case.guide.join(",");
    let widest = |text: &dyn Fn(&Case) -> usize| cases.iter().map(text).max().unwrap_or(0);
    let ids = widest(&|case| case.id.len());
    let guides = widest(&|case| guide(case).len());
    let mut out = String::new();
    let mut skipped = 0;
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
        if let Some(reason) = args.subject.cannot_express(case) {
            let _ = writeln!(out, "  skipped: {reason}");
            skipped += 1;
        }
    }
    let _ = match skipped {
        0 => writeln!(out, "{}", number(cases.len())),
        _ => writeln!(
            out,
            "{}, of which {} can be asked of the subject {}",
            number(cases.len()),
            cases.len() - skipped,
            args.subject
        ),
    };
    Ok(out)
}

/// Width of the words on the left of a case.
const LABEL: usize = 8;

/// Everything about one case, in lines of about `width` characters.
pub(super) fn show(id: &str, cases: Vec<Case>, width: usize) -> Result<String, NoSuchCase> {
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
    let level = format!("{}: {}", case.level.word(), case.level.meaning());
    let mut out = format!("{}\n", case.id);
    for (label, text) in [
        ("promise", &case.statement),
        ("level", &level),
        ("guide", &guide(case.guide, width.saturating_sub(LABEL + 3))),
        ("needs", &needs),
        ("run it", &command(&case, None)),
    ] {
        for line in hanging(label, text, LABEL) {
            let _ = writeln!(out, "  {line}");
        }
    }
    Ok(out)
}

/// Each number, and beside it what it stands for.
fn guide(numbers: &[&str], width: usize) -> String {
    const NUMBER: usize = 4;
    let entry = |number: &&str| {
        let text = facts::text(number).unwrap_or_default();
        hanging(
            number,
            &wrapped(text, width.saturating_sub(NUMBER + 1)),
            NUMBER,
        )
    };
    numbers
        .iter()
        .flat_map(entry)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Need;

    fn cases() -> Vec<Case> {
        vec![
            Case::new("kernel/a", "The first.", &["A2", "A22"], |_| Ok(())),
            Case::new("restore/second", "The second.", &["A3"], |_| Ok(()))
                .level(Level::Should)
                .needs(&[Need::ForceBuffers]),
        ]
    }

    #[test]
    fn the_list_is_aligned_and_counted() {
        assert_eq!(
            list(&Args::default(), cases()).unwrap(),
            "kernel/a        must    A2,A22  The first.\n\
             restore/second  should  A3      The second.\n\
             2 cases\n"
        );
    }

    #[test]
    fn the_list_honours_filters() {
        let args = Args {
            selection: Selection {
                exclude: vec!["kernel/*".into()],
                ..Selection::default()
            },
            ..Args::default()
        };
        assert!(list(&args, cases()).unwrap().ends_with("\n1 case\n"));
    }

    #[test]
    fn what_cannot_be_asked_of_a_library_is_marked_and_not_counted() {
        let args = Args {
            subject: Subject::Capi,
            ..Args::default()
        };
        let text = list(&args, vec![cases().remove(0), cases().remove(1).in_c()]).unwrap();
        let reasons = text.matches("  skipped: not expressible in C: the kernel is asked");
        assert_eq!(reasons.count(), 1, "{text}");
        let end = "2 cases, of which 1 can be asked of the subject capi\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn a_case_is_shown_with_the_command_that_runs_it() {
        let text = show("restore/second", cases(), 80).unwrap();
        for part in [
            "  promise  The second.\n",
            "  level    should: ",
            "  needs    SO_RCVBUFFORCE (real root only)",
            "run --filter restore/second\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn a_case_is_shown_with_what_its_numbers_stand_for() {
        let text = show("kernel/a", cases(), 60).unwrap();
        let [before, after] = text.split("  needs ").collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        assert!(after.starts_with("   nothing but a sandbox"), "{text}");
        let guide: Vec<_> = before.lines().skip(3).collect();
        assert!(
            guide[0].starts_with("  guide    A2   A listening "),
            "{text}"
        );
        assert!(guide[1].starts_with("                "), "{text}");
        let second = guide
            .iter()
            .any(|line| line.starts_with("           A22  "));
        assert!(second, "{text}");
        assert!(
            text.lines()
                .take(3 + guide.len())
                .all(|line| line.len() <= 60),
            "{text}"
        );
    }
}
