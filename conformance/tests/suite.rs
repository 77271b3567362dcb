//! Every case as a test, for `cargo test` and `cargo nextest`: the same cases and the same runner as the program's.
//!
//! nextest lists the tests first and then starts a process for each, with `--exact` and its name.

use conformance::case::{Case, Need};
use conformance::catalogue;
use conformance::expectations::{Book, Date, Here};
use conformance::machine::Machine;
use conformance::outcome::{Outcome, Record};
use conformance::probe::{Answer, Needs, Unmet};
use conformance::report::{Silent, failure, style::Styles};
use conformance::runner::{
    Options, ask_for_descriptors, default_jobs, networks_with_room, run_cases,
};
use conformance::scenario;
use conformance::subject::Subject;
use lab::harness::{self, Requirement};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The seed of generated cases, if it is to be another than 0: every run of the tests is the same.
const SEED: &str = "CONFORMANCE_SEED";

/// Generated scenarios: enough to see that they can be run; `conformance run` has more.
const SCENARIOS: usize = 50;

/// How many characters a line of a failure has.
const WIDTH: usize = 100;

fn main() -> ExitCode {
    if let Some(code) = conformance::victim::obey() {
        return code;
    }
    // First: the sandbox is entered by a process without threads, or not at all.
    let requirement = harness::sandbox();
    if let Requirement::Met(_) = requirement
        && let Err(error) = conformance::victim::start()
    {
        eprintln!("error: the spawner of victims cannot be started: {error}");
        return ExitCode::FAILURE;
    }
    ask_for_descriptors();
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert_with(default_jobs);
    let mut cases = catalogue::all();
    cases.extend(scenario::cases(SCENARIOS));
    let trials = match &requirement {
        Requirement::Met(_) => match options() {
            Ok(options) => with_needs(cases, &options),
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        },
        Requirement::Skip(reason) | Requirement::Fail(reason) => {
            eprintln!("no case can be run: {reason}");
            let unmet = |case: Case| requirement.judge(Trial::test(case.id, || Ok(())));
            cases.into_iter().map(unmet).collect()
        }
    };
    libtest_mimic::run(&args, trials).exit_code()
}

fn options() -> Result<Options, String> {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed
            .parse()
            .map_err(|_| format!("{SEED}={seed} is not a number"))?,
        Err(_) => 0,
    };
    let artifacts = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("conformance-failures");
    let book = Book::built_in(&catalogue::all()).map_err(|error| error.to_string())?;
    let expected = book.here(&Here {
        subject: &Subject::Rust,
        release: &Machine::read().release,
        today: Date::today(),
        probe: &Need::probe,
    });
    Ok(Options {
        seed,
        expected: Arc::new(expected),
        artifacts: Some(artifacts),
        networks: networks_with_room(),
        ..Options::default()
    })
}

/// What is missing here is found out beforehand, because a test can only be ignored before it runs.
fn with_needs(cases: Vec<Case>, options: &Options) -> Vec<Trial> {
    let answers: Vec<_> = Need::ALL.map(|need| (need, need.probe())).into();
    let needs = Needs::from_iter(answers.iter().cloned());
    let mut reasons = BTreeSet::new();
    let trials = cases
        .into_iter()
        .map(|case| match needs.unmet(&case) {
            Some(Unmet::Missing(reason)) => {
                let missing = |(need, answer): &&(Need, Answer)| {
                    case.needs.contains(need) && *answer != Answer::Here
                };
                let name = answers.iter().find(missing).map(|(need, _)| need.name());
                let trial = ignored(case, &reason, &format!("needs {}", name.unwrap_or("more")));
                reasons.insert(reason);
                trial
            }
            Some(Unmet::Unknown(_)) | None => trial(case, needs.clone(), options.clone()),
        })
        .collect();
    for reason in reasons {
        eprintln!("ignored: {reason}");
    }
    trials
}

/// A test that is not run unless it is asked for by `--ignored`, and then says why it should not have been.
fn ignored(case: Case, reason: &str, kind: &str) -> Trial {
    let reason = reason.to_owned();
    Trial::ignorable_test(case.id, move || Ok(Completion::ignored_with(reason)))
        .with_ignored_flag(true)
        .with_kind(kind)
}

fn trial(case: Case, needs: Needs, options: Options) -> Trial {
    Trial::ignorable_test(case.id.clone(), move || {
        let summary = run_cases(vec![case], needs, &options, &mut Silent);
        let record = summary.records.into_iter().next();
        record.map_or_else(
            || Err("the case has no record".into()),
            |it| conclude(&it, &options),
        )
    })
}

fn conclude(record: &Record, options: &Options) -> Result<Completion, Failed> {
    match &record.outcome {
        Outcome::Pass => Ok(Completion::Completed),
        Outcome::Known(failure, expectation) => {
            println!(
                "known {}: {failure}\n    {}",
                record.case.id,
                expectation.because()
            );
            Ok(Completion::Completed)
        }
        Outcome::Unexpected(expectation) => {
            let because = expectation.because();
            println!("unexpected pass {}: {because}", record.case.id);
            Ok(Completion::Completed)
        }
        // A fact cannot fail a run; whoever asks for the output of tests still reads it.
        Outcome::Info(failure) => {
            println!("info {}: {failure}", record.case.id);
            Ok(Completion::Completed)
        }
        Outcome::Skip(reason) => Ok(Completion::ignored_with(reason)),
        Outcome::Fail(_) | Outcome::Broken(_) => {
            Err(failure::block(record, options, WIDTH, &Styles::PLAIN).into())
        }
    }
}
