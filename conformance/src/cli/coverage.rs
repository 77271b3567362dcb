//! `conformance coverage`.

use crate::case::Case;
use crate::coverage::{self, Asked, Statement, statements};
use crate::report::comparison::Several;
use crate::report::json::{Document, FORMAT};
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// The report of a run (`run --json FILE`): tell what became of the cases in it
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("statements.toml: {0}")]
    Statements(#[from] coverage::Error),
    #[error("reading the report {path}: {why}\n  `conformance run --json {path}` writes one")]
    Report { path: String, why: String },
}

/// What became of the cases of a run, by their ids, in the words of its report.
type Results = HashMap<String, String>;

/// The words for what became of a case, the one that says most first.
const WORDS: [&str; 8] = [
    "fail",
    "broken",
    "known",
    "unexpected",
    "info",
    "pass",
    "skip",
    NOT_RUN,
];

/// The word for a case that the report does not have.
const NOT_RUN: &str = "not run";

/// Every statement with its cases and what became of them, what nobody asks, and the sum.
pub(super) fn coverage(args: &Args, cases: &[Case]) -> Result<String, Error> {
    let statements = statements(cases)?;
    let report = args.json.as_deref().map(read).transpose()?;
    Ok(text(&statements, report.as_ref()))
}

fn read(path: &Path) -> Result<Document, Error> {
    let error = |why: String| Error::Report {
        path: path.display().to_string(),
        why,
    };
    let bytes = fs::read(path).map_err(|it| error(it.to_string()))?;
    if serde_json::from_slice::<Several>(&bytes).is_ok() {
        let why = "it is about several libraries: give that of a run for one".to_owned();
        return Err(error(why));
    }
    let document: Document = serde_json::from_slice(&bytes).map_err(|it| error(it.to_string()))?;
    match document.format {
        FORMAT => Ok(document),
        other => Err(error(format!("its format is {other}, not {FORMAT}"))),
    }
}

fn text(statements: &[Statement], report: Option<&Document>) -> String {
    let results = report.map(|report| {
        let entries = report.cases.iter();
        entries
            .map(|case| (case.id.clone(), case.outcome.clone()))
            .collect::<Results>()
    });
    let mut out = String::new();
    // Writing to a string cannot fail.
    for statement in statements {
        let _ = asked(&mut out, statement, results.as_ref());
    }
    let _ = not_asked(&mut out, "not asked yet", statements, |asked| match asked {
        Asked::NotYet(why) => Some(why),
        _ => None,
    });
    let _ = not_asked(
        &mut out,
        "not for a case",
        statements,
        |asked| match asked {
            Asked::Untestable(why) => Some(why),
            _ => None,
        },
    );
    let _ = sum(&mut out, statements, report, results.as_ref());
    out
}

/// A statement with its cases, unless it has none.
fn asked(out: &mut String, statement: &Statement, results: Option<&Results>) -> fmt::Result {
    let Asked::By { patterns, ids } = &statement.asked else {
        return Ok(());
    };
    let told = match results {
        Some(results) => tally(ids, results).1,
        None => format!("{} asked", ids.len()),
    };
    writeln!(out, "{:7}{}", statement.to_string(), statement.says)?;
    writeln!(out, "       {told}: {}", patterns.join(", "))
}

/// What a statement comes to: the word of those of its cases that say most, and how many ended in which way.
fn tally(ids: &[String], results: &Results) -> (&'static str, String) {
    let word = |id: &String| results.get(id).map_or(NOT_RUN, String::as_str);
    let count = |wanted: &str| ids.iter().filter(|id| word(id) == wanted).count();
    let counts: Vec<_> = WORDS
        .map(|it| (it, count(it)))
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    let told: Vec<_> = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    (
        counts.first().map_or(NOT_RUN, |(word, _)| word),
        told.join(", "),
    )
}

/// The statements that nobody asks, for the reasons that `why` finds.
fn not_asked<'a>(
    out: &mut String,
    title: &str,
    statements: &'a [Statement],
    why: impl Fn(&'a Asked) -> Option<&'a String>,
) -> fmt::Result {
    let found: Vec<_> = statements
        .iter()
        .filter_map(|statement| Some((statement, why(&statement.asked)?)))
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title} ({})", found.len())?;
    for (statement, why) in found {
        writeln!(out, "{:7}{}", statement.to_string(), statement.says)?;
        writeln!(out, "       {why}")?;
    }
    Ok(())
}

fn sum(
    out: &mut String,
    statements: &[Statement],
    report: Option<&Document>,
    results: Option<&Results>,
) -> fmt::Result {
    let testable = statements.iter().filter(|it| it.is_testable()).count();
    let covered: Vec<_> = statements
        .iter()
        .filter(|it| !it.ids().is_empty())
        .collect();
    writeln!(out)?;
    match (report, results) {
        (Some(report), Some(results)) => {
            let words: Vec<_> = covered
                .iter()
                .map(|it| tally(it.ids(), results).0)
                .collect();
            let count = |wanted| words.iter().filter(|word| **word == wanted).count();
            let counts = WORDS.map(|word| (word, count(word)));
            let told = counts.iter().filter(|(_, count)| *count > 0);
            let told: Vec<_> = told
                .map(|(word, count)| format!("{count} {word}"))
                .collect();
            writeln!(
                out,
                "kernel {} ({}), {}, subject {}: {}",
                report.machine.release,
                report.machine.machine,
                report.machine.user(),
                report.subject,
                told.join(", ")
            )?;
        }
        _ => writeln!(out, "no results: give the report of a run with --json")?,
    }
    // A book without statements is wholly covered.
    let share = 100.0 * covered.len() as f64 / testable.max(1) as f64;
    writeln!(
        out,
        "{} of {testable} testable statements covered ({share:.1} %)",
        covered.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::outcome::{Outcome, Record};
    use crate::runner::Options;
    use crate::select::Selection;
    use crate::summary::Summary;
    use crate::verdict::Failure;
    use std::time::Duration;

    fn book() -> Vec<Statement> {
        let statement = |number: &str, place, says: &str, asked| Statement {
            number: number.into(),
            place,
            says: says.into(),
            asked,
        };
        let by = |ids: &[&str]| Asked::By {
            patterns: vec!["kernel/*".into()],
            ids: ids.iter().map(ToString::to_string).collect(),
        };
        vec![
            statement(
                "A1",
                1,
                "one",
                by(&["kernel/a/b", "kernel/a/c", "kernel/a/d"]),
            ),
            statement("A1", 2, "two", by(&["kernel/a/c"])),
            statement("A10", 1, "three", Asked::NotYet("a whim".into())),
            statement("B1", 1, "four", Asked::Untestable("a dream".into())),
        ]
    }

    fn report() -> Document {
        let record = |id: &str, outcome| {
            let case = Case::new(id, "x", &["A1"], |_| Ok(()));
            Record::not_run(case, outcome)
        };
        let summary = Summary {
            reached: Default::default(),
            interrupted: false,
            options: Options::default(),
            machine: Machine {
                release: "6.18".into(),
                machine: "x86_64".into(),
                euid: 0,
                outside_uid: Some(0),
            },
            records: vec![
                record("kernel/a/b", Outcome::Fail(Failure::new("x", 1, 2))),
                record("kernel/a/c", Outcome::Pass),
            ],
            elapsed: Duration::ZERO,
        };
        Document::new(&summary, &Selection::default())
    }

    #[test]
    fn without_a_report_the_cases_are_counted_and_that_is_said() {
        assert_eq!(
            text(&book(), None),
            "\
A1.1   one
       3 asked: kernel/*
A1.2   two
       1 asked: kernel/*

not asked yet (1)
A10.1  three
       a whim

not for a case (1)
B1.1   four
       a dream

no results: give the report of a run with --json
2 of 3 testable statements covered (66.7 %)
"
        );
    }

    #[test]
    fn with_a_report_each_statement_says_what_became_of_its_cases() {
        let text = text(&book(), Some(&report()));
        for line in [
            "       1 fail, 1 pass, 1 not run: kernel/*\n",
            "       1 pass: kernel/*\n",
            "\nkernel 6.18 (x86_64), root, subject rust: 1 fail, 1 pass\n2 of 3 testable",
        ] {
            assert!(text.contains(line), "{line:?} is missing in\n{text}");
        }
    }

    #[test]
    fn a_report_is_read_back_and_one_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let said = || read(&path).unwrap_err().to_string();
        assert!(said().contains("No such file"), "{}", said());
        fs::write(&path, "{}").unwrap();
        assert!(said().contains("missing field"), "{}", said());
        let summaries: [crate::summary::Summary; 0] = [];
        let several = Several::new(&summaries, &Selection::default());
        several.write(fs::File::create(&path).unwrap()).unwrap();
        assert!(said().contains("several libraries"), "{}", said());
        let newer = Document {
            format: FORMAT + 1,
            ..report()
        };
        newer.write(fs::File::create(&path).unwrap()).unwrap();
        assert!(said().contains("its format is"), "{}", said());
        report().write(fs::File::create(&path).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), report());
    }
}
