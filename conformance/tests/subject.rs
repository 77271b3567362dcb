//! `conformance run --subject`: libraries with one defect each, in C, are convicted by it, and one without is not.

mod broken;

use broken::{compile, compiler, no_compiler, no_sandbox, text};
use conformance::report::json::{Document, Entry};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::{Command, ExitCode};

/// A library, the cases that it is asked, and what has to be said of every one of them: `None` if it passes.
struct Defendant {
    source: &'static str,
    filter: &'static str,
    said: Option<&'static str>,
}

const DEFENDANTS: [Defendant; 9] = [
    Defendant {
        source: "sound",
        filter: "restore/small-both/*",
        said: None,
    },
    Defendant {
        source: "wrong_mss",
        filter: "restore/small-unacked/ts-sack-wscale/*",
        said: Some("mss_clamp 536"),
    },
    Defendant {
        source: "early_packet",
        filter: "restore/held/no-delay/*",
        said: Some("the wire between \"closed\" and \"restored\""),
    },
    Defendant {
        source: "edited_data",
        filter: "restore/small-unacked/ts-sack-wscale/*",
        said: Some("inq_seq was "),
    },
    Defendant {
        source: "crashing",
        filter: "restore/small-unacked/ts-sack-wscale/*",
        said: Some("the library crashed: signal 11 in restore"),
    },
    Defendant {
        source: "hanging",
        filter: "restore/small-unacked/ts-sack-wscale/*",
        said: Some("the library did not return within 10 s from pause"),
    },
    Defendant {
        source: "freed_memory",
        filter: "restore/small-both/ts-sack-wscale/*",
        said: Some("the library crashed: signal "),
    },
    Defendant {
        source: "kept_memory",
        filter: "restore/small-both/ts-sack-wscale/*",
        said: Some("the library crashed: signal "),
    },
    Defendant {
        source: "sound",
        filter: "state/fin-wait-1/*",
        said: None,
    },
];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let compiler = compiler();
    let trials = DEFENDANTS.into_iter().map(|defendant| {
        let name = format!("{}/{}", defendant.source, defendant.filter);
        let compiler = compiler.clone();
        Trial::ignorable_test(name, move || judge(&defendant, &compiler))
    });
    libtest_mimic::run(&args, trials.collect()).exit_code()
}

fn judge(defendant: &Defendant, compiler: &str) -> Result<Completion, Failed> {
    if let Some(ignored) = no_compiler(compiler) {
        return Ok(ignored);
    }
    let kept = tempfile::tempdir()?;
    let folder = kept.path();
    let library = compile(compiler, defendant.source, folder)?;
    let report = folder.join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(["run", "--filter", defendant.filter, "--subject"])
        .arg(&library)
        .arg("--json")
        .arg(&report)
        .arg("--artifacts")
        .arg(folder)
        .output()?;
    if let Some(ignored) = no_sandbox(&output) {
        return Ok(ignored);
    }
    let report: Document = match std::fs::read(&report).map(|it| serde_json::from_slice(&it)) {
        Ok(Ok(report)) => report,
        other => return Err(format!("no report: {other:?}\n{}", text(&output)).into()),
    };
    expect(
        "the subject",
        &report.subject,
        &library.display().to_string(),
    )?;
    if report.cases.is_empty() {
        return Err("no case ran".into());
    }
    for case in &report.cases {
        judge_case(defendant, case)?;
    }
    let code = i32::from(defendant.said.is_some());
    expect("the exit code", &output.status.code(), &Some(code))?;
    Ok(Completion::Completed)
}

fn judge_case(defendant: &Defendant, case: &Entry) -> Result<(), Failed> {
    let Some(wanted) = defendant.said else {
        return expect(&case.id, &case.outcome, &"pass".to_owned())
            .map_err(|failed| format!("{failed:?}: {case:?}").into());
    };
    expect(&case.id, &case.outcome, &"fail".to_owned())?;
    let said = [&case.reason, &case.actual].map(|said| said.clone().unwrap_or_default());
    match said.iter().any(|said| said.contains(wanted)) {
        true => Ok(()),
        false => Err(format!("{} does not say {wanted:?}: {said:?}", case.id).into()),
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    actual: &T,
    wanted: &T,
) -> Result<(), Failed> {
    match actual == wanted {
        true => Ok(()),
        false => Err(format!("{what}: {actual:?} instead of {wanted:?}").into()),
    }
}
