//! What becomes of a run whose cases hang.

use super::{HANGING_IN_A_ROW, Options, run_cases};
use crate::case::Case;
use crate::outcome::Outcome;
use crate::probe::Needs;
use crate::report::Silent;
use crate::verdict::Verdict;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Much longer than a case needs that does nothing.
const BOUND: Duration = Duration::from_millis(500);

fn case(id: &str, run: impl Fn() -> Verdict + Send + Sync + 'static) -> Case {
    Case::new(id, "x", &["A2"], move |_| run())
}

fn passing(id: &str) -> Case {
    case(id, || Ok(()))
}

fn hanging(id: &str) -> Case {
    case(id, || {
        loop {
            thread::park();
        }
    })
}

/// What became of each: its word, and what is said of those that broke.
fn run(cases: Vec<Case>, jobs: usize) -> Vec<(&'static str, String)> {
    let options = Options {
        jobs,
        bound: BOUND,
        ..Options::default()
    };
    let summary = run_cases(cases, Needs::default(), &options, &mut Silent);
    let told = |outcome: &Outcome| {
        (
            outcome.word(),
            outcome.reason().unwrap_or_default().to_owned(),
        )
    };
    summary.records.iter().map(|it| told(&it.outcome)).collect()
}

#[test]
fn cases_that_hang_are_named_and_the_rest_is_judged() {
    // More of them than threads, and than it would take in a row.
    let cases = (0..4 * HANGING_IN_A_ROW).map(|at| match at % 2 {
        0 => hanging("a/hanging"),
        _ => passing("a/passing"),
    });
    for (at, (word, reason)) in run(cases.collect(), 2).into_iter().enumerate() {
        match at % 2 {
            0 => assert_eq!((word, &*reason), ("broken", "no end after 0.5 s")),
            _ => assert_eq!(word, "pass"),
        }
    }
}

#[test]
fn a_run_in_which_nothing_ends_any_more_is_given_up() {
    let cases: Vec<_> = std::iter::once(passing("a/passing"))
        .chain((0..HANGING_IN_A_ROW + 4).map(|_| hanging("a/hanging")))
        .collect();
    let told = run(cases, 2);
    assert_eq!(told[0].0, "pass");
    let count = |said: &str| {
        let broken = told.iter().filter(|(word, _)| *word == "broken");
        broken
            .filter(|(_, reason)| reason.starts_with(said))
            .count()
    };
    assert_eq!(count("no end after"), HANGING_IN_A_ROW, "{told:?}");
    assert_eq!(count("not judged: 3 cases in a row"), 4, "{told:?}");
}

#[test]
fn many_at_a_time_have_to_hang_all_of_them() {
    let hanging = (0..HANGING_IN_A_ROW + 2).map(|_| hanging("a/hanging"));
    let cases: Vec<_> = hanging.chain([passing("a/passing")]).collect();
    let jobs = cases.len();
    let told = run(cases, jobs);
    assert!(
        told.iter()
            .all(|(_, reason)| !reason.starts_with("not judged")),
        "{told:?}"
    );
}

/// It ends when the third case is asked, which is asked when the second one has been left behind.
#[test]
fn a_case_with_a_bound_of_its_own_has_time_beyond_that_of_the_others() {
    let (tell, told) = mpsc::channel();
    let told = Arc::new(Mutex::new(told));
    let waiting = case("a/patient", move || {
        let _ = told.lock().map(|told| told.recv());
        Ok(())
    });
    let tell = Mutex::new(tell);
    let third = case("a/third", move || {
        let _ = tell.lock().map(|tell| tell.send(()));
        Ok(())
    });
    let cases = vec![
        waiting.bound(Duration::from_secs(600)),
        hanging("a/hanging"),
        third,
    ];
    let words: Vec<_> = run(cases, 2).into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, ["pass", "broken", "pass"]);
}
