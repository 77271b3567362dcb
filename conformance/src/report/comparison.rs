//! Several libraries side by side: what became of each case by each of them.

use super::json::{Document, FORMAT};
use super::style::{Styles, number};
use super::table::{self, Row};
use crate::select::Selection;
use crate::subject::Subject;
use crate::summary::{Exit, Summary, Totals};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::{self, Write};

/// The report for programs about several libraries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Several {
    /// [`FORMAT`].
    pub format: u32,
    /// The libraries, in the order in which they were named.
    pub subjects: Vec<String>,
    /// The cases of which they differ.
    pub differing: Vec<Row>,
    /// The code with which the process ends: that of the worst.
    pub exit: u8,
    /// The report of each.
    pub runs: Vec<Document>,
}

impl Several {
    /// The report of runs over the cases of `selection`.
    #[must_use]
    pub fn new(summaries: &[Summary], selection: &Selection) -> Self {
        let document = |summary: &Summary| Document::new(summary, selection);
        Self {
            format: FORMAT,
            subjects: subjects(summaries).map(ToString::to_string).collect(),
            differing: rows(summaries, false),
            exit: exit(summaries).code(),
            runs: summaries.iter().map(document).collect(),
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

/// How the process ends after several runs: as the worst of them would have ended it.
#[must_use]
pub fn exit(summaries: &[Summary]) -> Exit {
    Exit::worst(summaries.iter().map(Summary::exit))
}

fn subjects(summaries: &[Summary]) -> impl Iterator<Item = &Subject> {
    summaries.iter().map(|summary| &summary.options.subject)
}

/// The cases of runs over the same ones; without `all` those only of which two libraries differ that were both asked.
fn rows(summaries: &[Summary], all: bool) -> Vec<Row> {
    let Some((first, others)) = summaries.split_first() else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for (at, record) in first.records.iter().enumerate() {
        let others = others.iter().filter_map(|summary| summary.records.get(at));
        let outcomes = std::iter::once(record)
            .chain(others)
            .map(|it| it.outcome.word().to_owned());
        let row = Row {
            id: record.case.id.clone(),
            outcomes: outcomes.collect(),
        };
        if all || row.differs() {
            rows.push(row);
        }
    }
    rows
}

/// The table, with its trailing newline: the cases that differ, or all of them, and how each area came out.
#[must_use]
pub fn text(summaries: &[Summary], all: bool, styles: &Styles) -> String {
    let mut out = String::from("\n");
    let names = names(summaries);
    let rows = rows(summaries, all);
    // Writing to a string cannot fail.
    if !rows.is_empty() {
        let _ = table::cases(&mut out, &names, &rows, styles);
        out.push('\n');
    }
    let areas: Vec<_> = summaries.iter().map(owned_areas).collect();
    let _ = table::areas(&mut out, &names, &areas);
    let differing = number(rows.iter().filter(|row| row.differs()).count());
    let _ = writeln!(
        out,
        "\n{} libraries, which differ in {differing}",
        summaries.len()
    );
    out
}

fn owned_areas(summary: &Summary) -> Vec<(String, Totals)> {
    let areas = summary.areas().into_iter();
    areas
        .map(|(area, totals)| (area.to_owned(), totals))
        .collect()
}

/// Short names for the heads of columns: that of a file, unless two are the same.
fn names(summaries: &[Summary]) -> Vec<String> {
    let short = |subject: &Subject| {
        let name = subject.file().and_then(|path| path.file_name());
        name.map_or_else(
            || subject.to_string(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    let names: Vec<_> = subjects(summaries).map(short).collect();
    let unique = |name: &String| names.iter().filter(|other| *other == name).count() == 1;
    let full = names.iter().zip(subjects(summaries));
    full.map(|(name, subject)| {
        if unique(name) {
            name.clone()
        } else {
            subject.to_string()
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;
    use crate::machine::Machine;
    use crate::outcome::{Outcome, Record};
    use crate::runner::Options;
    use crate::verdict::Failure;
    use std::time::Duration;

    const IDS: [&str; 4] = ["kernel/a/b", "restore/a/b", "restore/a/c", "restore/a/d"];

    fn run(subject: &str, outcomes: [Outcome; 4]) -> Summary {
        let record =
            |(id, outcome)| Record::not_run(Case::new(id, "x", &["A2"], |_| Ok(())), outcome);
        Summary {
            reached: Default::default(),
            interrupted: false,
            options: Options {
                subject: subject.parse().unwrap(),
                ..Options::default()
            },
            machine: Machine {
                release: "6.18".into(),
                machine: "x86_64".into(),
                euid: 0,
                outside_uid: Some(0),
            },
            records: IDS.into_iter().zip(outcomes).map(record).collect(),
            elapsed: Duration::ZERO,
        }
    }

    fn failed() -> Outcome {
        Outcome::Fail(Failure::new("x", 1, 2))
    }

    fn skipped() -> Outcome {
        Outcome::Skip("not expressible in C".into())
    }

    fn runs() -> [Summary; 3] {
        let pass = || Outcome::Pass;
        [
            run("rust", [pass(), pass(), pass(), pass()]),
            run("capi", [skipped(), pass(), pass(), skipped()]),
            run(
                "/usr/lib/libsoccr.so.2",
                [skipped(), failed(), pass(), failed()],
            ),
        ]
    }

    #[test]
    fn the_cases_that_differ_stand_side_by_side_and_all_areas_below() {
        assert_eq!(
            text(&runs(), false, &Styles::PLAIN),
            "
case         rust        capi        libsoccr.so.2
restore/a/b  pass        pass        fail
restore/a/d  pass        skip        fail

area       rust    capi  libsoccr.so.2
kernel   1 of 1       -              -
restore  3 of 3  2 of 2         1 of 3
total    4 of 4  2 of 2         1 of 3

3 libraries, which differ in 2 cases
"
        );
    }

    #[test]
    fn a_case_that_one_library_cannot_be_asked_is_no_difference_and_is_there_among_all() {
        let runs = &runs()[..2];
        assert!(rows(runs, false).is_empty());
        let told = text(runs, false, &Styles::PLAIN);
        assert!(told.starts_with("\narea "), "{told}");
        assert!(
            told.ends_with("2 libraries, which differ in 0 cases\n"),
            "{told}"
        );
        let told = text(runs, true, &Styles::PLAIN);
        assert!(told.contains("\nkernel/a/b   pass        skip\n"), "{told}");
        assert!(
            told.ends_with("2 libraries, which differ in 0 cases\n"),
            "{told}"
        );
    }

    #[test]
    fn files_of_one_name_are_told_apart() {
        let outcomes = || [Outcome::Pass, Outcome::Pass, Outcome::Pass, Outcome::Pass];
        let names = names(&[
            run("/a/x.so", outcomes()),
            run("/b/x.so", outcomes()),
            run("/b/y.so", outcomes()),
        ]);
        assert_eq!(names, ["/a/x.so", "/b/x.so", "y.so"]);
    }

    #[test]
    fn the_worst_decides_how_the_process_ends() {
        let [good, partly, bad] = runs();
        let broken = run(
            "capi",
            [
                skipped(),
                Outcome::Broken("x".into()),
                Outcome::Pass,
                Outcome::Pass,
            ],
        );
        let nothing = run("capi", [skipped(), skipped(), skipped(), skipped()]);
        assert_eq!(exit(&[good.clone(), partly]), Exit::Passed);
        assert_eq!(exit(&[good.clone(), nothing.clone()]), Exit::Nothing);
        assert_eq!(exit(&[broken.clone(), nothing]), Exit::Harness);
        assert_eq!(exit(&[good, bad, broken]), Exit::Failures);
    }

    #[test]
    fn the_report_for_programs_has_all_runs_and_what_differs() {
        let several = Several::new(&runs(), &Selection::default());
        assert_eq!(several.subjects, ["rust", "capi", "/usr/lib/libsoccr.so.2"]);
        assert_eq!(several.differing[0].outcomes, ["pass", "pass", "fail"]);
        assert_eq!((several.runs.len(), several.exit), (3, 1));
        let mut bytes = Vec::new();
        several.write(&mut bytes).unwrap();
        assert_eq!(serde_json::from_slice::<Several>(&bytes).unwrap(), several);
    }
}
