//! `conformance run --expectations`: what becomes of a library with a defect that is known, and of one that has none.

mod broken;

use broken::{compile, compiler, no_compiler, no_sandbox, text};
use conformance::report::json::Document;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::fs;
use std::process::{Command, ExitCode};

/// The cases that are asked, which one of the libraries fails.
const FILTER: &str = "restore/small-unacked/ts-sack-wscale/*";

/// A library, what is expected of it, and what has to come of that.
struct Trio {
    name: &'static str,
    library: &'static str,
    /// The lines of the expectation that make the difference.
    expectation: [&'static str; 2],
    options: &'static [&'static str],
    /// Of every case in the JSON report; `None` where there is none.
    outcome: Option<&'static str>,
    code: i32,
    /// A part of what is printed.
    said: &'static str,
}

const CASE: &str = "case = 'restore/small-unacked/ts-sack-wscale/*'";
const LATER: &str = "expires = '9999-12-31'";

const TRIOS: [Trio; 6] = [
    Trio {
        name: "a-known-failure-fails-no-run",
        library: "wrong_mss",
        expectation: [CASE, LATER],
        options: &["--strict"],
        outcome: Some("known"),
        code: 0,
        said: "\nknown: its segments are small (https://example.org/mss) (",
    },
    Trio {
        name: "an-unexpected-pass-is-told",
        library: "sound",
        expectation: [CASE, LATER],
        options: &[],
        outcome: Some("unexpected"),
        code: 0,
        said: "\nunexpected pass: its segments are small (https://example.org/mss) (",
    },
    Trio {
        name: "a-strict-run-fails-by-it",
        library: "sound",
        expectation: [CASE, LATER],
        options: &["--strict"],
        outcome: Some("unexpected"),
        code: 1,
        said: "exit code 1: a case was expected to fail and passes, and --strict was given",
    },
    Trio {
        name: "an-expired-one-counts-no-more",
        library: "wrong_mss",
        expectation: [CASE, "expires = '2020-02-29'"],
        options: &[],
        outcome: Some("fail"),
        code: 1,
        said: "\nexpired: restore/small-unacked/ts-sack-wscale/* was expected to fail until 2020-02-29",
    },
    Trio {
        name: "one-about-other-cases-changes-nothing",
        library: "wrong_mss",
        expectation: ["case = 'restore/small-both/*'", LATER],
        options: &[],
        outcome: Some("fail"),
        code: 1,
        said: "exit code 1: a promise is not kept",
    },
    Trio {
        name: "one-about-no-case-is-an-error",
        library: "sound",
        expectation: ["case = 'restore/smal-unacked/*'", LATER],
        options: &[],
        outcome: None,
        code: 2,
        said: "the expectation `restore/smal-unacked/*` matches no case",
    },
];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let trials = TRIOS
        .into_iter()
        .map(|trio| Trial::ignorable_test(trio.name, move || judge(&trio)));
    libtest_mimic::run(&args, trials.collect()).exit_code()
}

fn judge(trio: &Trio) -> Result<Completion, Failed> {
    let compiler = compiler();
    if let Some(ignored) = no_compiler(&compiler) {
        return Ok(ignored);
    }
    let kept = tempfile::tempdir()?;
    let folder = kept.path();
    let library = compile(&compiler, trio.library, folder)?;
    let (expectations, report) = (folder.join("expected.toml"), folder.join("report.json"));
    let [case, expires] = trio.expectation;
    let entry = format!(
        "[[expectation]]\n{case}\n{expires}\nsubject = '*/lib*.so'\nkernel = 'any'\n\
         reason = 'its segments are small'\nlink = 'https://example.org/mss'\n"
    );
    fs::write(&expectations, entry)?;
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(["run", "--filter", FILTER, "--subject"])
        .arg(&library)
        .arg("--expectations")
        .arg(&expectations)
        .arg("--json")
        .arg(&report)
        .arg("--artifacts")
        .arg(folder)
        .args(trio.options)
        .output()?;
    if let Some(ignored) = no_sandbox(&output) {
        return Ok(ignored);
    }
    let told = text(&output);
    if output.status.code() != Some(trio.code) {
        return Err(format!(
            "exit code {:?} instead of {}:\n{told}",
            output.status.code(),
            trio.code
        )
        .into());
    }
    if !told.contains(trio.said) {
        return Err(format!("{:?} is missing in\n{told}", trio.said).into());
    }
    let Some(outcome) = trio.outcome else {
        return Ok(Completion::Completed);
    };
    let report: Document = serde_json::from_slice(&fs::read(&report)?)?;
    let fits = |of: &str| of == outcome;
    if report.cases.is_empty() || !report.cases.iter().all(|case| fits(&case.outcome)) {
        return Err(format!("not every case is {outcome}: {:?}", report.cases).into());
    }
    let told = report.cases.iter().all(|case| {
        let expected = matches!(outcome, "known" | "unexpected");
        case.expectation.is_some() == expected
    });
    match told {
        true => Ok(Completion::Completed),
        false => Err(format!("the expectation is not told: {:?}", report.cases).into()),
    }
}
