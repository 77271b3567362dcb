//! Step `flakes`: the conformance suite again and again, to find cases that fail now and then.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::command::{self, Ended};
use crate::context::Context;
use crate::error::{Error, While as _};
use crate::steps::Outcome;
use crate::user::OrdinaryUser;

/// One way of running the suite, and what was seen.
#[derive(Debug, Default)]
struct Tally {
    failures: u32,
    cases: BTreeMap<String, u32>,
}

/// Step `flakes`.
pub(crate) fn flakes(context: &Context) -> Result<Outcome, Error> {
    let binary = context.target.join("release/conformance");
    if !binary.is_file() {
        let why = format!(
            "{} is not built; run `cargo ci conformance flakes`",
            binary.display()
        );
        return Ok(Outcome::Failed(why));
    }
    let user = if Context::is_root() {
        Some(OrdinaryUser::prepare(context)?)
    } else {
        None
    };
    let mut total = Tally::default();
    for jobs in [None, Some("4")] {
        let mut words: Vec<OsString> = vec![binary.clone().into()];
        if let Some(jobs) = jobs {
            words.extend(["--jobs".into(), jobs.into()]);
        }
        let plain = || {
            let mut command = context.command(&binary.to_string_lossy());
            command.args(&words[1..]);
            command
        };
        let who = if user.is_some() { "root" } else { "you" };
        repeat(context, who, jobs, plain, &mut total)?;
        if let Some(user) = &user {
            repeat(
                context,
                "an ordinary user",
                jobs,
                || user.command(&words),
                &mut total,
            )?;
        }
    }
    for (case, times) in &total.cases {
        println!("{times:>4} x {case}");
    }
    let runs = context.options.runs * if user.is_some() { 4 } else { 2 };
    Ok(match total.failures {
        0 => Outcome::Passed(Some(format!("{runs} runs"))),
        failures => Outcome::Failed(format!(
            "{failures} of {runs} runs failed; the cases are listed above"
        )),
    })
}

fn repeat(
    context: &Context,
    who: &str,
    jobs: Option<&str>,
    command: impl Fn() -> Command,
    total: &mut Tally,
) -> Result<(), Error> {
    let output = context.scratch.path().join("flakes.txt");
    let start = Instant::now();
    let before = total.failures;
    for run in 1..=context.options.runs {
        remove(&output)?;
        let mut command = command();
        command.stdout(open(&output)?).stderr(open(&output)?);
        let ended = command::run(&mut command, context.options.limit())?;
        if matches!(&ended, Ended::Exited(status) if status.success()) {
            continue;
        }
        total.failures += 1;
        let text = fs::read(&output).doing(|| format!("reading {}", output.display()))?;
        let text = String::from_utf8_lossy(&text);
        let cases = failed_cases(&text);
        println!(
            "run {run} as {who} failed: {}",
            if cases.is_empty() {
                "no case named".to_owned()
            } else {
                cases.join(", ")
            }
        );
        if cases.is_empty() || total.failures == 1 {
            println!("{}", text.trim_end());
        }
        for case in cases {
            *total.cases.entry(case).or_default() += 1;
        }
    }
    let jobs = jobs.map_or(String::new(), |jobs| format!(" --jobs {jobs}"));
    let (runs, failures, time) = (
        context.options.runs,
        total.failures - before,
        start.elapsed().as_secs_f64(),
    );
    println!("conformance{jobs} as {who}: {runs} runs, {failures} failed, {time:.1} s");
    remove(&output)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
    .doing(|| format!("removing {}", path.display()))
}

/// Both streams into one file, in the order of writing.
fn open(path: &Path) -> Result<File, Error> {
    let mut options = fs::OpenOptions::new();
    options
        .create(true)
        .append(true)
        .open(path)
        .doing(|| format!("opening {}", path.display()))
}

/// The case ids on lines that speak of a failure. An id has slashes and nothing that a path or a sentence has.
fn failed_cases(output: &str) -> Vec<String> {
    let speaks = |line: &str| {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| {
            [
                "FAIL", "FAILED", "fail", "failed", "ERROR", "error", "BROKEN", "broken",
            ]
            .contains(&word)
        })
    };
    let is_id = |word: &&str| {
        let parts: Vec<&str> = word.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_+=".contains(&b))
        };
        parts.len() > 1
            && parts.iter().all(plain)
            && word.starts_with(|c: char| c.is_ascii_lowercase())
    };
    let mut cases: Vec<String> = output
        .lines()
        .filter(|line| speaks(line))
        .filter_map(|line| {
            line.split_ascii_whitespace()
                .map(|word| word.trim_end_matches([':', ',']))
                .find(is_id)
        })
        .map(str::to_owned)
        .collect();
    cases.sort();
    cases.dedup();
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_in_the_lines_of_failures_only() {
        let output = "test restore/window/v4 ... ok\ntest restore/fin/v6 ... FAILED\nFAIL save/queue: 3 of 4\n\
            error in /tmp/x/y and 3/4\nsee conformance/src/main.rs which failed\ntest restore/fin/v6 ... FAILED\n";
        assert_eq!(failed_cases(output), ["restore/fin/v6", "save/queue"]);
        assert!(failed_cases("test result: ok. 3 passed; 0 failed; 1/2 done").is_empty());
        assert!(failed_cases("all good: restore/window/v4").is_empty());
    }
}
