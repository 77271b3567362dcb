//! The steps: their names, what they do, and the loop that runs them.

use std::time::{Duration, Instant};

use crate::context::Context;
use crate::error::Error;
use crate::{builds, flakes, fuzz, leftovers};

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should be; with a remark, if there is one.
    Passed(Option<String>),
    /// Not done, and why.
    Skipped(String),
    /// Not as it should be, and what.
    Failed(String),
}

impl Outcome {
    /// Passed, nothing to remark.
    pub(crate) const GOOD: Self = Self::Passed(None);

    fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "FAILED",
        }
    }

    fn remark(&self) -> &str {
        match self {
            Self::Passed(remark) => remark.as_deref().unwrap_or(""),
            Self::Skipped(text) | Self::Failed(text) => text,
        }
    }
}

/// One step.
pub(crate) struct Step {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it does, in a line.
    pub(crate) about: &'static str,
    /// Whether `cargo ci` alone runs it.
    pub(crate) default: bool,
    run: fn(&Context) -> Result<Outcome, Error>,
}

/// All of them, in the order in which they run.
pub(crate) const STEPS: [Step; 12] = [
    Step {
        name: "fmt",
        about: "every file is as rustfmt would write it",
        default: true,
        run: builds::fmt,
    },
    Step {
        name: "clippy",
        about: "no warning of the compiler or of clippy, in any target",
        default: true,
        run: builds::clippy,
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        default: true,
        run: builds::docs,
    },
    Step {
        name: "test",
        about: "`cargo test --workspace`, as whoever runs this",
        default: true,
        run: builds::test,
    },
    Step {
        name: "conformance",
        about: "`cargo run --release -p conformance`, as whoever runs this",
        default: true,
        run: builds::conformance,
    },
    Step {
        name: "user",
        about: "both again, as an ordinary user without sudo (needs root)",
        default: true,
        run: builds::user,
    },
    Step {
        name: "deny",
        about: "licences, sources and duplicates of the dependencies (needs cargo-deny)",
        default: false,
        run: builds::deny,
    },
    Step {
        name: "fuzz",
        about: "every fuzz target for --seconds N (needs nightly and cargo-fuzz)",
        default: false,
        run: fuzz::fuzz,
    },
    Step {
        name: "bench",
        about: "the benchmarks",
        default: false,
        run: builds::bench,
    },
    Step {
        name: "flakes",
        about: "the built conformance suite --runs N times, also with --jobs 4",
        default: false,
        run: flakes::flakes,
    },
    Step {
        name: "msrv",
        about: "soccr builds with the oldest compiler it promises (needs that toolchain)",
        default: false,
        run: builds::msrv,
    },
    Step {
        name: "leftovers",
        about: "nothing of the earlier steps stays on the machine",
        default: true,
        run: leftovers::leftovers,
    },
];

/// A step that was run.
pub(crate) struct Done {
    /// Which one.
    name: &'static str,
    /// What became of it.
    outcome: Outcome,
    /// How long it took.
    time: Duration,
}

/// The steps that `names` asks for, in their own order; without names, the default ones.
pub(crate) fn chosen(names: &[String]) -> Vec<&'static Step> {
    const ALL: &[Step] = &STEPS;
    ALL.iter()
        .filter(|step| {
            if names.is_empty() {
                step.default
            } else {
                names.iter().any(|name| name == step.name)
            }
        })
        .collect()
}

/// Runs `steps` one after the other. What stays behind is judged even after a failure that ends the run.
pub(crate) fn run(context: &Context, steps: &[&'static Step], fail_fast: bool) -> Vec<Done> {
    let mut done: Vec<Done> = Vec::new();
    for step in steps {
        println!("\n=== {}: {}", step.name, step.about);
        let start = Instant::now();
        let stopped = fail_fast && failed(&done) && step.name != "leftovers";
        let outcome = if stopped {
            Outcome::Skipped("an earlier step failed (--fail-fast)".to_owned())
        } else {
            (step.run)(context).unwrap_or_else(|error| Outcome::Failed(error.to_string()))
        };
        let time = start.elapsed();
        println!("=== {}", line(step.name, &outcome, time));
        done.push(Done {
            name: step.name,
            outcome,
            time,
        });
    }
    done
}

/// Whether any step failed.
pub(crate) fn failed(done: &[Done]) -> bool {
    done.iter()
        .any(|done| matches!(done.outcome, Outcome::Failed(_)))
}

/// The table at the end.
pub(crate) fn summary(done: &[Done]) -> String {
    let mut text = String::from("\nSummary\n");
    for done in done {
        text.push_str("  ");
        text.push_str(&line(done.name, &done.outcome, done.time));
        text.push('\n');
    }
    text
}

fn line(name: &str, outcome: &Outcome, time: Duration) -> String {
    let line = format!(
        "{name:<12} {:<8} {:>7.1} s  {}",
        outcome.word(),
        time.as_secs_f64(),
        outcome.remark()
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(outcome: Outcome) -> Done {
        Done {
            name: "x",
            outcome,
            time: Duration::from_millis(1250),
        }
    }

    #[test]
    fn without_names_the_default_steps_in_order_and_with_names_those_in_order() {
        let names = |steps: Vec<&Step>| {
            steps
                .iter()
                .map(|step| step.name)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            names(chosen(&[])),
            "fmt clippy docs test conformance user leftovers"
        );
        assert_eq!(
            names(chosen(&["leftovers".to_owned(), "deny".to_owned()])),
            "deny leftovers"
        );
    }

    #[test]
    fn only_a_failure_fails_the_run() {
        assert!(!failed(&[
            done(Outcome::GOOD),
            done(Outcome::Skipped("why".to_owned()))
        ]));
        assert!(failed(&[
            done(Outcome::GOOD),
            done(Outcome::Failed("why".to_owned()))
        ]));
    }

    #[test]
    fn the_summary_has_names_times_and_reasons() {
        let text = summary(&[done(Outcome::Skipped("no tool".to_owned()))]);
        assert_eq!(
            text,
            "\nSummary\n  x            skipped      1.2 s  no tool\n"
        );
    }
}
