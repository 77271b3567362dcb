//! Two reports compared: what got worse, what got better, what is new, what is gone.

use super::comparison::Several;
use super::json::Document;
use super::kernels::Kernels;
use super::style::{Styles, paint};
use super::told::{CUT_OFF, Told};
use crate::summary::Exit;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What became of each case of each run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes(BTreeMap<(String, String), String>);

/// Why a file cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error(
    "no report of this program: {0}\n  give what `run --json`, `run --events` or `matrix --json` has written"
)]
pub struct NoReport(String);

impl Outcomes {
    /// Reads a report: of a run, of several libraries, of a matrix, or the events of a run.
    ///
    /// # Errors
    /// [`NoReport`] where it is none of them.
    pub fn read(text: &str) -> Result<Self, NoReport> {
        if let Ok(one) = serde_json::from_str::<Document>(text) {
            return Ok(Self::of([(String::new(), entries(&one))]));
        }
        if let Ok(several) = serde_json::from_str::<Several>(text) {
            let runs = several.runs.iter();
            return Ok(Self::of(
                runs.map(|run| (run.subject.clone(), entries(run))),
            ));
        }
        if let Ok(matrix) = serde_json::from_str::<Kernels>(text) {
            let kernels = matrix.kernels.iter();
            return Ok(Self::of(
                kernels.map(|it| (series(&it.release).to_owned(), words(&it.told))),
            ));
        }
        match Told::read(text.as_bytes()) {
            Ok(told) => Ok(Self::of([(String::new(), words(&told))])),
            Err(error) => Err(NoReport(error.to_string())),
        }
    }

    fn of(runs: impl IntoIterator<Item = (String, Vec<(String, String)>)>) -> Self {
        let cases = runs.into_iter().flat_map(|(run, cases)| {
            let named = cases.into_iter();
            named.map(move |(id, word)| ((run.clone(), id), word))
        });
        Self(cases.collect())
    }
}

fn entries(document: &Document) -> Vec<(String, String)> {
    let cases = document.cases.iter();
    cases
        .map(|case| (case.id.clone(), case.outcome.clone()))
        .collect()
}

fn words(told: &Told) -> Vec<(String, String)> {
    let words = told.words().into_iter();
    words
        .map(|(id, word)| (id.to_owned(), word.to_owned()))
        .collect()
}

/// The first two numbers of a release: kernels of two days are compared by their series.
fn series(release: &str) -> &str {
    let end = release.match_indices(['.', '-', '+']).nth(1);
    end.map_or(release, |(at, _)| &release[..at])
}

/// How a case differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Regression,
    Fix,
    New,
    Gone,
    Other,
}

impl Change {
    const ALL: [Self; 5] = [
        Self::Regression,
        Self::Fix,
        Self::New,
        Self::Gone,
        Self::Other,
    ];

    fn of(old: Option<&str>, new: Option<&str>) -> Option<Self> {
        match (old, new) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) if is_bad(new) && !is_bad(old) => Some(Self::Regression),
            (Some(old), Some("pass" | "unexpected")) if is_bad(old) || old == "known" => {
                Some(Self::Fix)
            }
            (Some(_), Some(_)) => Some(Self::Other),
            (None, Some(_)) => Some(Self::New),
            (Some(_), None) => Some(Self::Gone),
            (None, None) => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Fix => "fix",
            Self::New => "new",
            Self::Gone => "gone",
            Self::Other => "changed",
        }
    }
}

fn is_bad(word: &str) -> bool {
    ["fail", "broken", CUT_OFF].contains(&word)
}

/// Says what differs, and how the process ends: with a failure where anything got worse.
#[must_use]
pub fn compare(old: &Outcomes, new: &Outcomes, styles: &Styles) -> (String, Exit) {
    let mut found: BTreeMap<Change, Vec<String>> = BTreeMap::new();
    let mut cases: Vec<_> = old.0.keys().chain(new.0.keys()).collect();
    cases.sort();
    cases.dedup();
    let count = cases.len();
    for case in cases {
        let word = |of: &Outcomes| of.0.get(case).cloned();
        let (old, new) = (word(old), word(new));
        if let Some(change) = Change::of(old.as_deref(), new.as_deref()) {
            let name = match &*case.0 {
                "" => case.1.clone(),
                run => format!("{run}: {}", case.1),
            };
            let show = |word: Option<String>| match word {
                Some(word) => paint(styles.of_word(&word), &word).to_string(),
                None => "-".to_owned(),
            };
            let line = format!("{name}: {} -> {}", show(old), show(new));
            found.entry(change).or_default().push(line);
        }
    }
    let mut text = String::new();
    let mut sums = Vec::new();
    for change in Change::ALL {
        let lines = found.get(&change).map_or(&[][..], Vec::as_slice);
        sums.push(format!("{} {}", lines.len(), change.name()));
        for line in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:10}  {line}", change.name());
        }
    }
    let _ = writeln!(text, "{count} cases: {}", sums.join(", "));
    let exit = match (found.contains_key(&Change::Regression), new.0.is_empty()) {
        (true, _) => Exit::Failures,
        (false, true) => Exit::Nothing,
        (false, false) => Exit::Passed,
    };
    (text, exit)
}

#[cfg(test)]
mod tests {
    use super::super::kernels::OfKernel;
    use super::super::told::tests::sample;
    use super::*;

    fn outcomes(run: &str, cases: &[(&str, &str)]) -> Outcomes {
        let cases = cases.iter();
        let cases = cases.map(|(id, word)| ((*id).to_owned(), (*word).to_owned()));
        Outcomes::of([(run.to_owned(), cases.collect())])
    }

    #[test]
    fn what_got_worse_comes_first_and_fails() {
        let old = outcomes(
            "6.12",
            &[
                ("a", "pass"),
                ("b", "fail"),
                ("c", "pass"),
                ("d", "pass"),
                ("e", "known"),
                ("g", "skip"),
            ],
        );
        let new = outcomes(
            "6.12",
            &[
                ("a", "crash"),
                ("b", "pass"),
                ("c", "skip"),
                ("e", "unexpected"),
                ("f", "fail"),
                ("g", "broken"),
            ],
        );
        let (text, exit) = compare(&old, &new, &Styles::PLAIN);
        assert_eq!(
            text,
            "\
regression  6.12: a: pass -> crash
regression  6.12: g: skip -> broken
fix         6.12: b: fail -> pass
fix         6.12: e: known -> unexpected
new         6.12: f: - -> fail
gone        6.12: d: pass -> -
changed     6.12: c: pass -> skip
7 cases: 2 regression, 2 fix, 1 new, 1 gone, 1 changed
"
        );
        assert_eq!(exit, Exit::Failures);
        let (text, exit) = compare(&new, &new, &Styles::PLAIN);
        assert_eq!(
            text,
            "6 cases: 0 regression, 0 fix, 0 new, 0 gone, 0 changed\n"
        );
        assert_eq!(exit, Exit::Passed);
    }

    #[test]
    fn reports_of_every_kind_are_read_and_nothing_else() {
        let matrix = Kernels {
            format: super::super::json::FORMAT,
            kernels: vec![OfKernel {
                release: "6.12.118+deb13-cloud-amd64".to_owned(),
                trouble: Vec::new(),
                told: sample(),
                exit: 1,
            }],
            exit: 1,
        };
        let read = Outcomes::read(&serde_json::to_string(&matrix).unwrap()).unwrap();
        let key = ("6.12".to_owned(), "b/running".to_owned());
        assert_eq!(read.0[&key], CUT_OFF);
        let error = Outcomes::read("{\"x\": 1}").unwrap_err().to_string();
        assert!(error.contains("run --json"), "{error}");
    }

    #[test]
    fn a_series_is_the_first_two_numbers() {
        for (release, expected) in [
            ("6.12.118+deb13", "6.12"),
            ("7.3-rc7", "7.3"),
            ("6.18", "6.18"),
        ] {
            assert_eq!(series(release), expected);
        }
    }
}
