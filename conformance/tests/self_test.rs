//! `conformance self-test`: a handful of saboteurs, one of each kind of defect, are convicted; one who does nothing survives,
//! and that is a failure.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;
use std::process::{Command, ExitCode, Output};

/// One of each kind of defect, with a small area.
const HANDFUL: [&str; 6] = [
    "sack-lost",
    "path-not-saved",
    "fin-at-the-close",
    "descriptor-kept-by-a-restore",
    "everything-accepted",
    "reuse-address-not-put-back",
];

/// No connection can be saved without a namespace: the exit code of a harness that could not start.
const NO_SANDBOX: i32 = 3;

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let trials = [
        Trial::ignorable_test("a handful is convicted", convicted),
        Trial::ignorable_test("a survivor is a failure", survivor),
        Trial::ignorable_test("one can be looked at with ordinary tools", looked_at),
        Trial::ignorable_test("what does not exist is a mistake in writing", unknown),
    ];
    libtest_mimic::run(&args, trials.into()).exit_code()
}

fn convicted() -> Result<Completion, Failed> {
    let filter = HANDFUL.map(|name| format!("--filter={name}"));
    let Some((output, report)) = self_test(&filter)? else {
        return Ok(ignored());
    };
    expect("the exit code", output.status.code(), Some(0))?;
    expect(
        "the control",
        &report["control"]["verdict"],
        &"survived".into(),
    )?;
    let trials = report["trials"].as_array().ok_or("no trials")?;
    expect("trials", trials.len(), HANDFUL.len())?;
    for trial in trials {
        expect(
            &format!("the verdict of {trial}"),
            &trial["verdict"],
            &"convicted".into(),
        )?;
    }
    Ok(Completion::Completed)
}

fn survivor() -> Result<Completion, Failed> {
    let Some((output, report)) = self_test(&["--filter=nobody".to_owned()])? else {
        return Ok(ignored());
    };
    expect("the exit code", output.status.code(), Some(1))?;
    expect(
        "the verdict",
        &report["trials"][0]["verdict"],
        &"survived".into(),
    )?;
    let said = String::from_utf8_lossy(&output.stdout).contains("SURVIVED");
    expect("the survivor is named", said, true)?;
    Ok(Completion::Completed)
}

fn looked_at() -> Result<Completion, Failed> {
    let kept = tempfile::tempdir()?;
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(["run", "--subject", "saboteur:sack-lost"])
        .args(["--filter", "restore/small-both/sack/v4", "--artifacts"])
        .arg(kept.path())
        .output()?;
    if is_ignored(&output) {
        return Ok(ignored());
    }
    expect("the exit code", output.status.code(), Some(1))?;
    let said = String::from_utf8_lossy(&output.stdout).contains("tcpi_options");
    expect("what is wrong is told", said, true)?;
    Ok(Completion::Completed)
}

fn unknown() -> Result<Completion, Failed> {
    for words in [
        ["self-test", "--filter", "somebody"],
        ["run", "--subject", "saboteur:somebody"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
            .args(words)
            .output()?;
        expect(&words.join(" "), output.status.code(), Some(2))?;
    }
    Ok(Completion::Completed)
}

/// What the command did and reported; `None` where there is no namespace.
fn self_test(words: &[String]) -> Result<Option<(Output, Value)>, Failed> {
    let kept = tempfile::tempdir()?;
    let report = kept.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .arg("self-test")
        .args(words)
        .arg("--json")
        .arg(&report)
        .output()?;
    if is_ignored(&output) {
        return Ok(None);
    }
    let text = std::fs::read(&report).unwrap_or_default();
    match serde_json::from_slice(&text) {
        Ok(report) => Ok(Some((output, report))),
        Err(error) => Err(format!("no report: {error}: {output:?}").into()),
    }
}

/// Whether nothing could be tried; says why.
fn is_ignored(output: &Output) -> bool {
    let ignored = output.status.code() == Some(NO_SANDBOX);
    if ignored {
        for said in [&output.stdout, &output.stderr] {
            eprintln!("ignored: {}", String::from_utf8_lossy(said));
        }
    }
    ignored
}

fn ignored() -> Completion {
    Completion::ignored_with("no sandbox: see above")
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, actual: T, wanted: T) -> Result<(), Failed> {
    match actual == wanted {
        true => Ok(()),
        false => Err(format!("{what}: {actual:?} instead of {wanted:?}").into()),
    }
}
