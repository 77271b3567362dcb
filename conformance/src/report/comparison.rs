//! Several libraries side by side: what became of each case by each of them.

use super::json::{Document, FORMAT};
use super::style::{Styles, number, paint};
use crate::select::Selection;
use crate::subject::Subject;
use crate::summary::{Exit, Summary, Totals};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::io::{self, Write};

/// The word for a case that a library was not asked.
const SKIPPED: &str = "skip";

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

/// A case, and what became of it by each library, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// The words for it, as in the report of each.
    pub outcomes: Vec<String>,
}

impl Row {
    /// Whether two libraries differ that were both asked.
    fn differs(&self) -> bool {
        let mut asked = self.outcomes.iter().filter(|word| *word != SKIPPED);
        let first = asked.next();
        asked.any(|word| Some(word) != first)
    }
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
    // A promise that is not kept is more certain than a harness that broke, and that more than a run of no cases.
    let badness = |exit: &Exit| match exit {
        Exit::Passed => 0,
        Exit::Nothing => 1,
        Exit::Harness => 2,
        Exit::Usage => 3,
        Exit::Failures => 4,
    };
    let exits = summaries.iter().map(Summary::exit);
    exits.max_by_key(badness).unwrap_or(Exit::Nothing)
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
        let _ = cases(&mut out, &names, &rows, styles);
        out.push('\n');
    }
    let _ = areas(&mut out, &names, summaries);
    let differing = number(rows.iter().filter(|row| row.differs()).count());
    let _ = writeln!(
        out,
        "\n{} libraries, which differ in {differing}",
        summaries.len()
    );
    out
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

fn cases(out: &mut String, names: &[String], rows: &[Row], styles: &Styles) -> fmt::Result {
    let left = rows.iter().map(|row| row.id.len()).max().unwrap_or(0);
    let widths: Vec<_> = names
        .iter()
        .map(|name| name.chars().count().max("unexpected".len()))
        .collect();
    write!(out, "{:left$}", "case")?;
    for (name, width) in names.iter().zip(&widths) {
        write!(out, "  {name:width$}")?;
    }
    trimmed(out);
    for row in rows {
        write!(out, "{:left$}", row.id)?;
        for (word, width) in row.outcomes.iter().zip(&widths) {
            write!(
                out,
                "  {}",
                paint(styles.of_word(word), format!("{word:width$}"))
            )?;
        }
        trimmed(out);
    }
    Ok(())
}

/// How many promises of each area are kept, of those that were judged.
fn areas(out: &mut String, names: &[String], summaries: &[Summary]) -> fmt::Result {
    let all: Vec<_> = summaries.iter().map(Summary::areas).collect();
    let Some(first) = all.first() else {
        return Ok(());
    };
    let cell = |totals: &Totals| {
        let kept = totals.passed + totals.unexpected;
        let judged = kept + totals.failed + totals.known + totals.broken;
        match judged {
            0 => "-".to_owned(),
            judged => format!("{kept} of {judged}"),
        }
    };
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    for (at, (area, _)) in first.iter().enumerate() {
        let cells = all.iter().filter_map(|areas| areas.get(at));
        lines.push((area, cells.map(|(_, totals)| cell(totals)).collect()));
    }
    let totals = summaries.iter().map(|summary| cell(&summary.totals()));
    lines.push(("total", totals.collect()));
    let left = lines.iter().map(|(area, _)| area.len()).max().unwrap_or(0);
    let width = |column: usize, name: &String| {
        let cells = lines.iter().filter_map(|(_, cells)| cells.get(column));
        cells
            .map(String::len)
            .chain([name.chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(column, name)| width(column, name))
        .collect();
    write!(out, "{:left$}", "area")?;
    for (name, width) in names.iter().zip(&widths) {
        write!(out, "  {name:>width$}")?;
    }
    trimmed(out);
    for (area, cells) in &lines {
        write!(out, "{area:left$}")?;
        for (cell, width) in cells.iter().zip(&widths) {
            write!(out, "  {cell:>width$}")?;
        }
        trimmed(out);
    }
    Ok(())
}

/// Ends a line, without blanks in front of its end.
fn trimmed(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
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
