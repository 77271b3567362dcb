//! What a run tells beside its text: KTAP, JUnit, a summary in Markdown, and what is told of it later; and what is left of a run
//! that is told to end.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};

/// No connection can be saved without a namespace: the exit code of a harness that could not start.
const HARNESS: i32 = 3;
/// A few cases that are quick.
const FILTERS: [&str; 4] = ["--filter", "kernel/peek/*", "--filter", "kernel/repair/*"];

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let trials = vec![
        Trial::ignorable_test("formats", formats),
        Trial::ignorable_test("ktap-alone", ktap_alone),
        Trial::ignorable_test("told-to-end", told_to_end),
        Trial::test("no-report", no_report),
    ];
    libtest_mimic::run(&args, trials).exit_code()
}

fn conformance(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    command.args(words);
    command
}

fn text(output: &Output) -> String {
    let [out, error] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    format!("{out}{error}")
}

fn no_sandbox(output: &Output) -> Option<Completion> {
    let refused = output.status.code() == Some(HARNESS) && output.stdout.is_empty();
    refused.then(|| Completion::ignored_with(text(output)))
}

fn holds(what: &str, holds: bool, told: &str) -> Result<(), Failed> {
    match holds {
        true => Ok(()),
        false => Err(format!("{what} is not so in\n{told}").into()),
    }
}

/// All formats of one run say the same, and so does what is made of its events.
fn formats() -> Result<Completion, Failed> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let output = conformance(&["run", "--json", &path("json"), "--events", &path("events")])
        .args(FILTERS)
        .args(["--report", &format!("ktap={}", path("ktap"))])
        .args(["--report", &format!("junit={}", path("junit"))])
        .args(["--report", &format!("markdown={}", path("markdown"))])
        .output()?;
    if let Some(ignored) = no_sandbox(&output) {
        return Ok(ignored);
    }
    let read = |name: &str| fs::read_to_string(path(name));
    let (ktap, junit, events) = (read("ktap")?, read("junit")?, read("events")?);
    let cases = events.matches(r#""event":"ended""#).count();
    holds("some cases ran", cases > 20, &events)?;
    let results = |line: &&str| line.starts_with("  ok ") || line.starts_with("  not ok ");
    holds(
        "KTAP has every case",
        ktap.lines().filter(results).count() == cases,
        &ktap,
    )?;
    holds(
        "JUnit has every case",
        junit.matches("<testcase ").count() == cases,
        &junit,
    )?;
    let markdown = read("markdown")?;
    let row = format!("| {cases} | 0 | 0 | 0 | 0 |");
    holds(
        "the summary has the run",
        markdown.contains(&row),
        &markdown,
    )?;
    let later = conformance(&["report", &path("events"), "--format", "ktap"]).output()?;
    let later = String::from_utf8_lossy(&later.stdout).into_owned();
    holds("the same KTAP is made later", later == ktap, &later)?;
    let same = conformance(&["compare", &path("json"), &path("events")]).output()?;
    holds("nothing differs", same.status.success(), &text(&same))?;
    let worse = events.replacen(r#""outcome":"pass""#, r#""outcome":"fail""#, 1);
    fs::write(path("worse"), worse)?;
    let worse = conformance(&["compare", &path("events"), &path("worse")]).output()?;
    let told = text(&worse);
    holds("it got worse", worse.status.code() == Some(1), &told)?;
    holds(
        "what got worse is told",
        told.contains("pass -> fail"),
        &told,
    )?;
    Ok(Completion::Completed)
}

fn ktap_alone() -> Result<Completion, Failed> {
    let output = conformance(&["run", "--ktap"]).args(FILTERS).output()?;
    if let Some(ignored) = no_sandbox(&output) {
        return Ok(ignored);
    }
    let told = text(&output);
    holds(
        "KTAP comes first",
        told.starts_with("KTAP version 1\n1..1\n"),
        &told,
    )?;
    let last = told.lines().last().unwrap_or_default();
    holds(
        "the totals come last",
        last.starts_with("# Totals: pass:"),
        &told,
    )?;
    Ok(Completion::Completed)
}

/// A run that is told to end says what it knows by then, and that this is not all.
fn told_to_end() -> Result<Completion, Failed> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    let mut child = conformance(&["run", "--scenarios", "0", "--jobs", "4", "--events"])
        .arg("/proc/self/fd/1")
        .arg("--json")
        .arg(&report)
        .args(["--artifacts".as_ref(), folder.path().as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let ended = lines.by_ref().map_while(Result::ok);
    let mut ended = ended.filter(|line| line.contains(r#""event":"ended""#));
    if ended.next().is_none() {
        return Ok(match no_sandbox(&child.wait_with_output()?) {
            Some(ignored) => ignored,
            None => return Err("no case ended".into()),
        });
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?;
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    let status = child.wait()?;
    let rest = rest.join("\n");
    holds(
        "it ends as a run that is not whole",
        status.code() == Some(HARNESS),
        &rest,
    )?;
    holds(
        "it says why",
        rest.contains("the run was told to end before its time"),
        &rest,
    )?;
    let report = read_json(&report)?;
    let cases = report["cases"].as_array().ok_or("no cases")?;
    let with = |outcome: &str| cases.iter().filter(|it| it["outcome"] == outcome).count();
    holds("some were judged", with("pass") > 0, &rest)?;
    holds("most were not run", with("skip") > cases.len() / 2, &rest)?;
    Ok(Completion::Completed)
}

fn read_json(path: &Path) -> Result<serde_json::Value, Failed> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// What is no report is refused, with what to give instead.
fn no_report() -> Result<(), Failed> {
    for (words, told) in [
        (&["compare", "Cargo.toml", "Cargo.toml"][..], "run --json"),
        (
            &["report", "Cargo.toml", "--format", "junit"],
            "no event in",
        ),
        (
            &["report", "no-such-file", "--format", "junit"],
            "no-such-file: No such file",
        ),
        (&["run", "--report", "xml=x"], "choose among text"),
        (&["run", "--shard", "3/2"], "a part is K/N"),
        (
            &["bisect", "no/such/case", "--kernel", "x"],
            "no case has the id",
        ),
    ] {
        let output = conformance(words).output()?;
        let said = text(&output);
        let usage = matches!(output.status.code(), Some(2 | 128));
        holds("it is an error of usage", usage, &said)?;
        holds(told, said.contains(told), &said)?;
    }
    Ok(())
}
