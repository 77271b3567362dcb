//! Runs as plain text: what failed, why cases were skipped, a table of areas, and what each run came to.

use super::json::Entry;
use super::style::{hanging, number, side_by_side};
use super::table;
use super::told::{Run, Told};
use crate::summary::Exit;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Width of a line.
const WIDTH: usize = 100;
/// Width of the words on the left.
const LABEL: usize = 9;

/// Writes runs.
///
/// # Errors
/// What writing returns.
pub fn write(out: &mut impl Write, runs: &[Run]) -> io::Result<()> {
    let mut text = String::new();
    for run in runs {
        of_run(&mut text, run);
    }
    let names: Vec<_> = runs.iter().map(|run| run.name.clone()).collect();
    let areas: Vec<_> = runs.iter().map(|run| run.told.areas()).collect();
    // Writing to a string cannot fail.
    let _ = table::areas(&mut text, &names, &areas);
    text.push('\n');
    for Run { name, told, .. } in runs {
        let _ = writeln!(text, "{name}: {}", came_to(told));
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What is wrong with a run, and which of its cases were skipped.
fn of_run(text: &mut String, run: &Run) {
    let told = &run.told;
    for trouble in &run.trouble {
        let _ = writeln!(text, "{}: {trouble}\n", run.name);
    }
    let bad = |entry: &&Entry| matches!(&*entry.outcome, "fail" | "broken");
    for entry in told.entries.iter().filter(bad) {
        of_case(text, run, entry);
    }
    let words = told.words();
    for id in &told.running {
        let word = words.get(&**id).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "{word} {id}: it was running when the run was cut off\n"
        );
    }
    let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in told.entries.iter().filter(|it| it.outcome == "skip") {
        *skipped
            .entry(entry.reason.as_deref().unwrap_or_default())
            .or_default() += 1;
    }
    for (reason, count) in &skipped {
        let _ = writeln!(text, "skip {}: {reason}", number(*count));
    }
    if !skipped.is_empty() {
        text.push('\n');
    }
}

fn of_case(text: &mut String, run: &Run, entry: &Entry) {
    let _ = writeln!(text, "{} {} ({} ms)", entry.outcome, entry.id, entry.ms);
    let mut field = |name: &str, value: &str| {
        for line in hanging(name, value, LABEL) {
            let _ = writeln!(text, "  {line}");
        }
    };
    field("kernel", &run.name);
    field("promise", &entry.statement);
    if !entry.guide.is_empty() {
        field("guide", &entry.guide.join(", "));
    }
    if let Some(reason) = &entry.reason {
        field("about", reason);
    }
    if let (Some(expected), Some(actual)) = (&entry.expected, &entry.actual) {
        let sides = (("expected", &**expected), ("actual", &**actual));
        let lines = side_by_side(sides.0, sides.1, WIDTH - LABEL - 3);
        lines.iter().for_each(|line| field("", line));
    }
    if let Some(folder) = &entry.folder {
        field("folder", &folder.display().to_string());
    }
    let seed = run.told.begin.as_ref().map_or(0, |begin| begin.seed);
    field(
        "again",
        &format!("conformance run --filter {} --seed {seed}", entry.id),
    );
    text.push('\n');
}

/// What a run came to, in words.
fn came_to(told: &Told) -> String {
    let totals = told.totals();
    let judged = totals.passed + totals.unexpected + totals.failed + totals.known + totals.broken;
    let kept = totals.passed + totals.unexpected;
    let verdict = match told.exit() {
        Exit::Passed => "it keeps its promises",
        Exit::Failures => "it does not keep its promises",
        _ => "it could not be judged",
    };
    let whole = match told.end {
        Some(_) => "",
        None => ", and the run was cut off",
    };
    format!("{kept} of {judged} promises kept{whole}: {verdict}")
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::sample_of;
    use super::*;

    #[test]
    fn what_failed_is_told_with_all_that_is_known_of_it() {
        let mut out = Vec::new();
        write(&mut out, &[sample_of("6.12")]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "\
6.12: it <hangs>

fail a/two (1500 ms)
  kernel    6.12
  promise   holds
  guide     A2
  about     a number
            expected   actual
            1        | 2
                     | or <3>
  again     conformance run --filter a/two --seed 1

crash b/running: it was running when the run was cut off

skip 1 case: no netem here

area     6.12
a      1 of 2
b      0 of 2
total  1 of 4

6.12: 1 of 4 promises kept, and the run was cut off: it does not keep its promises
";
        assert_eq!(text, expected);
    }
}
