//! Step `flakes`: the conformance suite again and again, to find cases that fail now and then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Command;
use std::time::Instant;

use nix::unistd::Uid;

use crate::checks::CONFORMANCE;
use crate::command::{self, judge};
use crate::context::Context;
use crate::error::{Error, While as _};
use crate::steps::Outcome;
use crate::user::OrdinaryUser;

/// What came of the runs so far.
#[derive(Debug, Default)]
struct Tally {
    runs: u32,
    failures: u32,
    cases: BTreeMap<String, u32>,
}

/// Step `flakes`.
pub(crate) fn flakes(context: &Context) -> Result<Outcome, Error> {
    let build = ["build", "--release", "-p", "conformance"];
    let built = judge(context.limit, [context.cargo(build)])?;
    if built != Outcome::Passed {
        return Ok(built);
    }
    let root = Uid::effective().is_root();
    let user = root.then(|| OrdinaryUser::prepare(context)).transpose()?;
    let mut tally = Tally::default();
    for jobs in [&[][..], &["--", "--jobs", "4"]] {
        let words = [&CONFORMANCE[..], jobs].concat();
        repeat(context, || context.cargo(&words), &mut tally)?;
        if let Some(user) = &user {
            repeat(context, || user.cargo(&words), &mut tally)?;
        }
    }
    for (case, times) in &tally.cases {
        println!("{times:>4} x {case}");
    }
    Ok(match tally.failures {
        0 => Outcome::Passed,
        some => Outcome::failed(format!("{some} of {} runs failed, see above", tally.runs)),
    })
}

fn repeat(
    context: &Context,
    command: impl Fn() -> Command,
    tally: &mut Tally,
) -> Result<(), Error> {
    let path = context.scratch.path().join("flakes.txt");
    let (start, before) = (Instant::now(), tally.failures);
    println!("$ {}", command::shown(&command()));
    for run in 1..=context.options.runs {
        let file = File::create(&path).doing(|| format!("creating {}", path.display()))?;
        let second = file
            .try_clone()
            .doing(|| format!("sharing {}", path.display()))?;
        let mut command = command();
        command.stdout(file).stderr(second);
        let ended = command::run(&mut command, context.limit)?;
        tally.runs += 1;
        let Err(why) = ended else { continue };
        tally.failures += 1;
        let output = fs::read(&path).doing(|| format!("reading {}", path.display()))?;
        let output = String::from_utf8_lossy(&output);
        println!(
            "{}\nrun {run} {why}; its output is above",
            output.trim_end()
        );
        for case in failed_cases(&output) {
            *tally.cases.entry(case.to_owned()).or_default() += 1;
        }
    }
    let failures = tally.failures - before;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} runs, {failures} failed, {seconds:.1} s",
        context.options.runs
    );
    Ok(())
}

/// The cases that the end of the suite's report lists: "fail   ID  in FOLDER".
fn failed_cases(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let bad = matches!(words.next(), Some("fail" | "broken"));
        words.next().filter(|_| bad)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_in_the_lines_of_failures_only() {
        let output = "skip: no jumbo frames (1)\n  save/jumbo\n\nfail   restore/fin/v6  in x/y\nbroken save/queue\n\n\
            kernel 6.18, seed 1, 3.0 s\nthis kernel keeps 2 of 3 promises\n";
        let cases: Vec<_> = failed_cases(output).collect();
        assert_eq!(cases, ["restore/fin/v6", "save/queue"]);
    }
}
