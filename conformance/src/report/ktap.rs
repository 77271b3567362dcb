//! A run as KTAP (Documentation/dev-tools/ktap.rst): a test for each area, and in it one for each case.
//!
//! The plan comes first, and behind all of it the line with which kselftest sums up. What KTAP has a word for is told in it:
//! `SKIP` with the reason, `XFAIL` for what is known to fail, `XPASS` for what was expected to.

use super::json::Entry;
use super::told::{CUT_OFF, Run};
use crate::summary::area;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What kselftest sums up.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    pass: usize,
    fail: usize,
    xfail: usize,
    xpass: usize,
    skip: usize,
    error: usize,
}

/// Writes runs; what is wrong beyond what cases say is told in front of the sums.
///
/// # Errors
/// What writing returns.
pub fn write(out: &mut impl Write, runs: &[Run]) -> io::Result<()> {
    let areas: Vec<_> = runs.iter().flat_map(by_area).collect();
    writeln!(out, "KTAP version 1\n1..{}", areas.len())?;
    let mut sums = Sums::default();
    for (number, (name, cases)) in areas.iter().enumerate() {
        let name = match runs.len() {
            1 => name.1.clone(),
            _ => format!("{}/{}", name.0, name.1),
        };
        let failed = sums.failed();
        writeln!(out, "  KTAP version 1\n  1..{}", cases.len())?;
        for (number, case) in cases.iter().enumerate() {
            sums.add(case.word());
            case.write(out, number + 1)?;
        }
        let word = match sums.failed() == failed {
            true => "ok",
            false => "not ok",
        };
        writeln!(out, "{word} {} {name}", number + 1)?;
    }
    for Run { name, trouble, .. } in runs {
        for line in trouble.iter().flat_map(|it| it.lines()) {
            writeln!(out, "# {name}: {line}")?;
        }
    }
    let Sums {
        pass,
        fail,
        xfail,
        xpass,
        skip,
        error,
    } = sums;
    writeln!(
        out,
        "# Totals: pass:{pass} fail:{fail} xfail:{xfail} xpass:{xpass} skip:{skip} error:{error}"
    )?;
    out.flush()
}

/// A case that has ended, or that ran when its run was cut off.
enum Line<'a> {
    Ended(&'a Entry),
    Running(&'a str),
}

type Area<'a> = ((String, String), Vec<Line<'a>>);

/// The cases of each area, by their ids.
fn by_area(run: &Run) -> Vec<Area<'_>> {
    let Run { name, told, .. } = run;
    let ended = told.entries.iter().map(|it| (&*it.id, Line::Ended(it)));
    let running = told.running.iter().map(|id| (&**id, Line::Running(id)));
    let cases: BTreeMap<&str, Line<'_>> = ended.chain(running).collect();
    let mut areas: BTreeMap<&str, Vec<Line<'_>>> = BTreeMap::new();
    for (id, line) in cases {
        areas.entry(area(id)).or_default().push(line);
    }
    let named = areas.into_iter();
    named
        .map(|(area, lines)| ((name.clone(), area.to_owned()), lines))
        .collect()
}

impl Line<'_> {
    fn word(&self) -> &str {
        match self {
            Self::Ended(entry) => &entry.outcome,
            Self::Running(_) => CUT_OFF,
        }
    }

    fn write(&self, out: &mut impl Write, number: usize) -> io::Result<()> {
        let entry = match self {
            Self::Ended(entry) => entry,
            Self::Running(id) => {
                writeln!(out, "  # it was running when the run was cut off")?;
                return writeln!(out, "  not ok {number} {}", plain(id));
            }
        };
        let (word, directive) = match &*entry.outcome {
            "pass" | "info" => ("ok", String::new()),
            "skip" => ("ok", told("SKIP", entry.reason.as_deref())),
            // What is known to fail fails no run.
            "known" => ("not ok", told("XFAIL", entry.expectation.as_deref())),
            "unexpected" => ("ok", told("XPASS", entry.expectation.as_deref())),
            _ => ("not ok", String::new()),
        };
        if word == "not ok" || entry.outcome == "info" {
            for (what, text) in [
                ("promise", Some(&entry.statement)),
                ("about", entry.reason.as_ref()),
                ("expected", entry.expected.as_ref()),
                ("actual", entry.actual.as_ref()),
            ] {
                for line in text.iter().flat_map(|it| it.lines()) {
                    writeln!(out, "  # {what}: {line}")?;
                }
            }
        }
        writeln!(out, "  {word} {number} {}{directive}", plain(&entry.id))
    }
}

/// A directive, on one line.
fn told(directive: &str, reason: Option<&str>) -> String {
    let reason = reason.unwrap_or_default().split_whitespace();
    let reason = reason.collect::<Vec<_>>().join(" ");
    format!(" # {directive} {reason}").trim_end().to_owned()
}

/// A name without what begins a directive.
fn plain(id: &str) -> String {
    id.replace('#', "_")
}

impl Sums {
    fn add(&mut self, word: &str) {
        *match word {
            "pass" | "info" => &mut self.pass,
            "fail" => &mut self.fail,
            "known" => &mut self.xfail,
            "unexpected" => &mut self.xpass,
            "skip" => &mut self.skip,
            _ => &mut self.error,
        } += 1;
    }

    fn failed(&self) -> usize {
        self.fail + self.error
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::sample_of;
    use super::*;

    #[test]
    fn a_run_is_nested_by_area_and_summed_up() {
        let mut out = Vec::new();
        write(&mut out, &[sample_of("rust")]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\
KTAP version 1
1..2
  KTAP version 1
  1..3
  ok 1 a/one
  ok 2 a/skipped # SKIP no netem here
  # promise: holds
  # about: a number
  # expected: 1
  # actual: 2
  # actual: or <3>
  not ok 3 a/two
not ok 1 a
  KTAP version 1
  1..2
  # promise: holds
  # about: a number
  # expected: 1
  # actual: 2
  # actual: or <3>
  not ok 1 b/known # XFAIL fixed in 6.19
  # it was running when the run was cut off
  not ok 2 b/running
not ok 2 b
# rust: it <hangs>
# Totals: pass:1 fail:1 xfail:1 xpass:0 skip:1 error:1
"
        );
    }

    #[test]
    fn several_runs_are_told_apart() {
        let mut out = Vec::new();
        let runs = ["6.1", "6.12"].map(sample_of);
        write(&mut out, &runs).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\nnot ok 1 6.1/a\n"), "{text}");
        assert!(text.contains("\nnot ok 4 6.12/b\n"), "{text}");
    }
}
