//! The steps: their names, what they do, and the loop that runs them.

use std::time::{Duration, Instant};

use crate::context::Context;
use crate::error::Error;
use crate::{capi, checks, flakes, fuzz, leftovers, package, versions};

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should be.
    Passed,
    /// Not done, and why.
    Skipped(String),
    /// Not as it should be: what, and the last lines of the commands that say so.
    Failed(String, Vec<String>),
}

impl Outcome {
    /// Not as it should be, where no command has more to say.
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into(), Vec::new())
    }
}

/// One step.
pub(crate) struct Step {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    about: &'static str,
    /// Whether `cargo ci` alone runs it.
    default: bool,
    run: fn(&Context) -> Result<Outcome, Error>,
}

const fn step(
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Result<Outcome, Error>,
) -> Step {
    Step {
        name,
        about,
        default: true,
        run,
    }
}

const fn on_request(
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Result<Outcome, Error>,
) -> Step {
    Step {
        default: false,
        ..step(name, about, run)
    }
}

/// All of them, in the order in which they run.
#[rustfmt::skip]
pub(crate) static STEPS: [Step; 21] = [
    step("fmt", "every file is as rustfmt would write it", checks::fmt),
    step("clippy", "no warning of the compiler or of clippy, in any target (needs a C++ compiler for libFuzzer)", checks::clippy),
    step("docs", "the documentation builds without a warning", checks::docs),
    step("test", "`cargo test --workspace` and the features of soccr, as whoever runs this", checks::test),
    step("conformance", "`cargo run --release -p conformance`, as whoever runs this; also asked of both C interfaces", checks::conformance),
    step("user", "both again, as an ordinary user without sudo (needs root)", checks::user),
    on_request("self-test", "the conformance suite convicts every defect that is planted in the library", checks::self_test),
    on_request("matrix", "the suite inside the newest kernel of each series that Debian has (needs apt and QEMU)", checks::matrix),
    on_request("deny", "licences, sources and duplicates of the dependencies (needs cargo-deny)", checks::deny),
    on_request("advisories", "no dependency has a known fault, as far as is known today (needs cargo-deny)", versions::advisories),
    on_request("msrv", "soccr builds with the oldest compiler it promises (needs that toolchain)", checks::msrv),
    on_request("minimal-versions", "everything builds with the oldest dependencies it promises (needs nightly)", versions::minimal_versions),
    on_request("package", "what would be published is complete, without anything else, and builds from itself", package::package),
    on_request("semver", "the interfaces have changed as the version says, since the last release or --baseline REV (needs cargo-semver-checks)", versions::semver),
    on_request("fuzz", "every fuzz target for --seconds N (needs nightly and cargo-fuzz)", fuzz::fuzz),
    on_request("bench", "the benchmarks", checks::bench),
    on_request("soak", "cycles, moves and many connections under traffic for --minutes N: every byte checked, nothing grows", checks::soak),
    on_request("bench-report", "what is measured side by side, as a report in target/bench-report; worse than --against OLD.json fails", checks::bench_report),
    on_request("flakes", "the conformance suite --runs N times, also with --jobs 4, and as an ordinary user", flakes::flakes),
    on_request("install-capi", "libsoccr for C programs, installed below --prefix DIR (needs a C compiler and binutils)", capi::install),
    step("leftovers", "nothing of the earlier steps stays on the machine", leftovers::leftovers),
];

/// What `--list` prints.
pub(crate) fn list() -> String {
    let line = |step: &Step| {
        let when = if step.default {
            "default"
        } else {
            "on request"
        };
        format!("{:<16} {when:<11} {}\n", step.name, step.about)
    };
    STEPS.iter().map(line).collect()
}

/// The steps that `names` asks for, in their own order; without names, the default ones.
pub(crate) fn chosen(names: &[String]) -> Vec<&'static Step> {
    let asked = |step: &&Step| match names {
        [] => step.default,
        names => names.iter().any(|name| name == step.name),
    };
    STEPS.iter().filter(asked).collect()
}

/// A step that was run.
pub(crate) struct Done {
    name: &'static str,
    outcome: Outcome,
    time: Duration,
}

/// Runs `steps` one after the other.
pub(crate) fn run(context: &Context, steps: &[&Step]) -> Vec<Done> {
    let run = |step: &&Step| {
        println!("\n=== {}: {}", step.name, step.about);
        let start = Instant::now();
        let outcome = (step.run)(context);
        let done = Done {
            name: step.name,
            outcome: outcome.unwrap_or_else(|error| Outcome::failed(error.to_string())),
            time: start.elapsed(),
        };
        println!("=== {}", done.line());
        done
    };
    steps.iter().map(run).collect()
}

/// Whether any step failed.
pub(crate) fn failed(done: &[Done]) -> bool {
    done.iter()
        .any(|done| matches!(done.outcome, Outcome::Failed(..)))
}

/// What the end shows: the last lines of what failed, and the table.
pub(crate) fn summary(done: &[Done]) -> String {
    let told = done.iter().filter_map(Done::told).collect::<String>();
    let lines = done.iter().map(|done| format!("  {}\n", done.line()));
    let total: Duration = done.iter().map(|done| done.time).sum();
    let total = format!("  {:<25} {:>7.1} s\n", "total", total.as_secs_f64());
    format!("{told}\nSummary\n{}{total}", lines.collect::<String>())
}

impl Done {
    /// What a step's commands said last, where they failed: it stands far above by now.
    fn told(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Failed(_, lines) if !lines.is_empty() => Some(format!(
                "\n=== {}: its last lines\n{}\n",
                self.name,
                lines.join("\n")
            )),
            _ => None,
        }
    }

    fn line(&self) -> String {
        let (word, remark) = match &self.outcome {
            Outcome::Passed => ("passed", ""),
            Outcome::Skipped(why) => ("skipped", why.as_str()),
            Outcome::Failed(why, _) => ("FAILED", why.as_str()),
        };
        let seconds = self.time.as_secs_f64();
        let line = format!("{:<16} {word:<8} {seconds:>7.1} s  {remark}", self.name);
        line.trim_end().to_owned()
    }
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
    fn without_names_the_default_steps_and_with_names_those_in_their_own_order() {
        let names = |asked: &[&str]| {
            let asked: Vec<_> = asked.iter().map(|name| (*name).to_owned()).collect();
            let names: Vec<_> = chosen(&asked).iter().map(|step| step.name).collect();
            names.join(" ")
        };
        let default = "fmt clippy docs test conformance user leftovers";
        assert_eq!(names(&[]), default);
        assert_eq!(names(&["leftovers", "deny"]), "deny leftovers");
    }

    #[test]
    fn only_a_failure_fails_the_run() {
        let skipped = || done(Outcome::Skipped("why".to_owned()));
        assert!(!failed(&[done(Outcome::Passed), skipped()]));
        assert!(failed(&[skipped(), done(Outcome::failed("why"))]));
    }

    #[test]
    fn what_failed_is_told_again_at_the_end() {
        let lines = vec!["$ x".to_owned(), "panicked".to_owned()];
        let text = summary(&[
            done(Outcome::Passed),
            done(Outcome::Failed("why".to_owned(), lines)),
            done(Outcome::failed("why")),
        ]);
        let (told, table) = text.split_once("\nSummary\n").unwrap();
        assert_eq!(told, "\n=== x: its last lines\n$ x\npanicked\n");
        assert_eq!(table.lines().count(), 4);
    }

    #[test]
    fn the_summary_has_names_times_and_reasons() {
        let text = summary(&[
            done(Outcome::Passed),
            done(Outcome::Skipped("no tool".to_owned())),
        ]);
        let lines = [
            "",
            "Summary",
            "  x                passed       1.2 s",
            "  x                skipped      1.2 s  no tool",
            "  total                         2.5 s",
        ];
        assert_eq!(text, lines.join("\n") + "\n");
    }
}
