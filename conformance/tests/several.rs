//! `conformance run` with several `--subject`: each is judged, and what one does otherwise is shown beside the others.

mod broken;

use broken::{compile, compiler, no_compiler, no_sandbox, text};
use conformance::report::comparison::Several;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::{Command, ExitCode};

/// Cases that the third of the libraries fails, and one that only the first can be asked.
const FILTERS: [&str; 4] = [
    "--filter",
    "restore/small-unacked/ts-sack-wscale/v?",
    "--filter",
    "kernel/repair/again",
];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let trials = vec![
        Trial::ignorable_test("side-by-side", || side_by_side(&[])),
        Trial::ignorable_test("side-by-side-in-all-cases", || {
            side_by_side(&["--all-rows"])
        }),
        Trial::test("none-twice", none_twice),
    ];
    libtest_mimic::run(&args, trials).exit_code()
}

fn conformance() -> Command {
    Command::new(env!("CARGO_BIN_EXE_conformance"))
}

fn side_by_side(options: &[&str]) -> Result<Completion, Failed> {
    let compiler = compiler();
    if let Some(ignored) = no_compiler(&compiler) {
        return Ok(ignored);
    }
    let kept = tempfile::tempdir()?;
    let folder = kept.path();
    let library = compile(&compiler, "wrong_mss", folder)?;
    let report = folder.join("report.json");
    let output = conformance()
        .arg("run")
        .args(FILTERS)
        .args(["--subject", "rust", "--subject", "capi", "--subject"])
        .arg(&library)
        .args(options)
        .arg("--json")
        .arg(&report)
        .arg("--artifacts")
        .arg(folder.join("kept"))
        .output()?;
    if let Some(ignored) = no_sandbox(&output) {
        return Ok(ignored);
    }
    let told = text(&output);
    let expect = |what: &str, holds: bool| match holds {
        true => Ok(()),
        false => Err(Failed::from(format!("{what} is not so in\n{told}"))),
    };
    expect("exit code 1", output.status.code() == Some(1))?;
    let (_, table) = told.split_once("\ncase ").unwrap_or_default();
    expect(
        "the head of the table",
        table.lines().next().is_some_and(|head| {
            head.split_whitespace()
                .eq(["rust", "capi", "libwrong_mss.so"])
        }),
    )?;
    let row = |id: &str| table.lines().find(|line| line.starts_with(id));
    let words = |id: &str| row(id).map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let differing = words("restore/small-unacked/ts-sack-wscale/v4");
    expect(
        "the row of a case that differs",
        differing == Some(vec!["pass", "pass", "fail"]),
    )?;
    let same = words("kernel/repair/again");
    let shown = (!options.is_empty()).then(|| vec!["pass", "skip", "skip"]);
    expect("the row of a case that does not", same == shown)?;
    let total = table.lines().find(|line| line.starts_with("total "));
    expect(
        "the last line of the areas",
        total.is_some_and(|line| line.ends_with(" 0 of 2")),
    )?;
    for (subject, there) in [(1, false), (2, false), (3, true)] {
        let path = folder.join("kept").join(format!("subject-{subject}"));
        expect("the folder of what was kept", path.exists() == there)?;
    }
    let report: Several = serde_json::from_slice(&std::fs::read(&report)?)?;
    let cases: Vec<_> = report.runs.iter().map(|run| run.cases.len()).collect();
    expect(
        "the runs in the report",
        cases == [3, 3, 3] && report.exit == 1,
    )?;
    let differing = report
        .differing
        .iter()
        .all(|row| row.outcomes == ["pass", "pass", "fail"]);
    expect(
        "what differs in the report",
        report.differing.len() == 2 && differing,
    )?;
    Ok(Completion::Completed)
}

fn none_twice() -> Result<(), Failed> {
    let output = conformance()
        .args(["run", "--subject", "capi", "--subject", "capi"])
        .output()?;
    let told = text(&output);
    match output.status.code() == Some(2) && told.contains("--subject capi: it is there twice") {
        true => Ok(()),
        false => Err(told.into()),
    }
}
