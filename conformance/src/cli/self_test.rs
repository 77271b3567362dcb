//! `conformance self-test`.

use super::{complain, print};
use crate::glob;
use crate::machine::Machine;
use crate::report::style::{number, paint};
use crate::report::text::colours;
use crate::runner::default_jobs;
use crate::saboteur::court::{Court, Trial};
use crate::saboteur::trial::{self, Finding, Skipped};
use crate::saboteur::{self, NOBODY, Saboteur};
use crate::subject::Subject;
use crate::summary::Exit;
use crate::{subject, victim};
use lab::Sandbox;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only saboteurs whose name matches; `*` stands for anything (repeatable). `nobody`, who does nothing and survives,
    /// is tried only if it is named
    #[arg(long, value_name = "GLOB")]
    filter: Vec<String>,
    /// List the saboteurs: name, what each does, the cases that have to convict it
    #[arg(long)]
    list: bool,
    /// How many trials are held at the same time [default: one for each core]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Write a report for programs as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What generated cases are generated from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Hold this one trial in this process
    #[arg(long, hide = true, requires = "area")]
    trial: Option<String>,
    /// How many cases of a trial run at the same time
    #[arg(long, hide = true, default_value = "4")]
    cases: NonZeroUsize,
    /// The cases of the one trial
    #[arg(hide = true)]
    area: Vec<String>,
}

/// The report for programs.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    version: &'static str,
    #[serde(flatten)]
    machine: Machine,
    seed: u64,
    control: &'a Trial,
    trials: &'a [Trial],
    exit: u8,
    ms: u64,
}

pub(super) fn self_test(args: Args) -> Exit {
    if let Some(name) = &args.trial {
        return hold(name, &args);
    }
    let chosen = match chosen(&args.filter) {
        Ok(chosen) => chosen,
        Err(pattern) => {
            let said = format!(
                "`--filter {pattern}` matches no saboteur\n  `conformance self-test --list` has all of them"
            );
            return complain(Exit::Usage, said);
        }
    };
    if args.list {
        print(&list(&chosen));
        return Exit::Passed;
    }
    let json = match args.json.as_ref().map(File::create).transpose() {
        Ok(json) => json,
        Err(error) => return complain(Exit::Usage, format!("creating the report: {error}")),
    };
    let start = Instant::now();
    let jobs = (default_jobs() / args.cases).max(1);
    let court = Court {
        jobs: args.jobs.map_or(jobs, NonZeroUsize::get),
        cases: args.cases.get(),
        seed: args.seed,
    };
    let widest = chosen.iter().map(|it| it.name.len()).max().unwrap_or(0);
    let control = court.control(&chosen);
    print(&line(&control, "control", widest));
    // A suite that convicts the innocent convicts anybody.
    let trials = match control.finding {
        Finding::Survived { .. } => court.try_all(&chosen, &mut |trial| {
            print(&line(trial, &trial.saboteur, widest));
        }),
        _ => Vec::new(),
    };
    let exit = exit(&control, &trials);
    let elapsed = start.elapsed();
    print(&format!(
        "\n{}, {:.1} s\n",
        sum(&trials),
        elapsed.as_secs_f64()
    ));
    if let Some(file) = json {
        let document = Document {
            format: 1,
            version: env!("CARGO_PKG_VERSION"),
            machine: Machine::read(),
            seed: args.seed,
            control: &control,
            trials: &trials,
            exit: exit.code(),
            ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        };
        let mut out = BufWriter::new(file);
        let written = serde_json::to_writer_pretty(&mut out, &document).map_err(Into::into);
        if let Err(error) = written.and_then(|()| out.flush()) {
            return complain(Exit::Harness, format!("writing the report: {error}"));
        }
    }
    exit
}

/// Those whose name matches one of the patterns, or all but the one who does nothing.
fn chosen(patterns: &[String]) -> Result<Vec<&'static Saboteur>, &String> {
    let named = patterns.iter().any(|pattern| pattern == NOBODY.name);
    let everybody: Vec<_> = saboteur::all().chain(named.then_some(&NOBODY)).collect();
    let meant = |pattern: &str, it: &Saboteur| glob::matches(pattern, it.name);
    let unknown = |pattern: &&String| !everybody.iter().any(|it| meant(pattern, it));
    if let Some(pattern) = patterns.iter().find(unknown) {
        return Err(pattern);
    }
    let any = |it: &&Saboteur| patterns.iter().any(|pattern| meant(pattern, it));
    let chosen = everybody.iter().copied();
    Ok(chosen.filter(|it| patterns.is_empty() || any(it)).collect())
}

fn list(saboteurs: &[&'static Saboteur]) -> String {
    let mut out = String::new();
    for saboteur in saboteurs {
        out += &format!(
            "{}\n    {}\n    {}\n",
            saboteur.name,
            saboteur.does,
            saboteur.area.join(" ")
        );
    }
    out + &format!("{} saboteurs\n", saboteurs.len())
}

/// What is said of a trial: that of the control is good where nobody was convicted.
fn line(trial: &Trial, name: &str, widest: usize) -> String {
    let control = name != trial.saboteur;
    let (good, word, detail) = match &trial.finding {
        Finding::Convicted { case, what, .. } => (!control, "convicted", format!("{case}: {what}")),
        Finding::Survived { passed, .. } if control => {
            (true, "innocent", format!("{} passed", number(*passed)))
        }
        Finding::Survived { passed, .. } => {
            (false, "SURVIVED", format!("{} passed", number(*passed)))
        }
        Finding::NotJudged { reason } => (false, "not judged", reason.replace('\n', "\n    ")),
    };
    let styles = colours();
    let style = if good { styles.good } else { styles.bad };
    let word = paint(style, format!("{word:10}"));
    let mut out = format!("{word}  {name:widest$}  {detail} ({} ms)\n", trial.ms);
    if let Finding::Survived { skipped, .. } = &trial.finding {
        for Skipped { reason, cases } in skipped {
            out += &format!("    skipped: {}: {reason}\n", cases.join(" "));
        }
    }
    out
}

fn count(trials: &[Trial], is: fn(&Finding) -> bool) -> usize {
    trials.iter().filter(|trial| is(&trial.finding)).count()
}

fn sum(trials: &[Trial]) -> String {
    let convicted = count(trials, |it| matches!(it, Finding::Convicted { .. }));
    let survived = count(trials, |it| matches!(it, Finding::Survived { .. }));
    let unclear = trials.len() - convicted - survived;
    format!(
        "{} saboteurs: {convicted} convicted, {survived} survived, {unclear} not judged",
        trials.len()
    )
}

/// A survivor, or somebody innocent who is convicted, is a fault of the suite; what was not judged says nothing of it.
fn exit(control: &Trial, trials: &[Trial]) -> Exit {
    let survived = count(trials, |it| matches!(it, Finding::Survived { .. }));
    let unclear = count(trials, |it| matches!(it, Finding::NotJudged { .. }));
    match &control.finding {
        Finding::Convicted { .. } => Exit::Failures,
        _ if survived > 0 => Exit::Failures,
        Finding::NotJudged { .. } => Exit::Harness,
        Finding::Survived { .. } if unclear > 0 => Exit::Harness,
        Finding::Survived { .. } if trials.is_empty() => Exit::Nothing,
        Finding::Survived { .. } => Exit::Passed,
    }
}

/// Holds one trial, and ends as soon as a case has failed.
fn hold(name: &str, args: &Args) -> Exit {
    let Some(saboteur) = saboteur::by_name(name) else {
        return complain(Exit::Usage, format!("no saboteur has the name `{name}`"));
    };
    if let Err(error) = Sandbox::enter() {
        return complain(Exit::Harness, error);
    }
    // Whoever holds all the trials may be ended in the middle of them. The kernel forgets this with other privileges.
    if let Err(error) = prctl::set_pdeathsig(Signal::SIGKILL) {
        return complain(Exit::Harness, format!("prctl(PR_SET_PDEATHSIG): {error}"));
    }
    if let Err(error) = victim::start() {
        return complain(
            Exit::Harness,
            format!("the spawner of victims cannot be started: {error}"),
        );
    }
    if let Err(error) = subject::check(&Subject::Saboteur(saboteur)) {
        return complain(Exit::Harness, error);
    }
    let cases = trial::cases(args.area.iter().map(String::as_str));
    let mut end = |finding: &Finding| {
        say(finding);
        // The other cases would only take their time to end.
        std::process::exit(Exit::Passed.code().into());
    };
    say(&trial::hold(
        saboteur,
        cases,
        args.cases.get(),
        args.seed,
        &mut end,
    ));
    Exit::Passed
}

fn say(finding: &Finding) {
    let mut out = stdout().lock();
    // Nobody is there to be told where the reader has gone.
    let _ = serde_json::to_writer(&mut out, finding);
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(finding: Finding) -> Trial {
        Trial {
            saboteur: "x".to_owned(),
            does: "y".to_owned(),
            area: Vec::new(),
            finding,
            ms: 7,
        }
    }

    fn survived() -> Trial {
        let skipped = vec![Skipped {
            reason: "no such thing".to_owned(),
            cases: vec!["save/a/b".to_owned()],
        }];
        trial(Finding::Survived { passed: 3, skipped })
    }

    fn convicted() -> Trial {
        let text = String::new;
        trial(Finding::Convicted {
            case: "restore/a/b".to_owned(),
            what: "the wire".to_owned(),
            expected: text(),
            actual: text(),
        })
    }

    fn not_judged() -> Trial {
        trial(Finding::NotJudged {
            reason: "why".to_owned(),
        })
    }

    #[test]
    fn only_convictions_and_an_innocent_control_are_a_success() {
        for (control, trials, code) in [
            (survived(), vec![convicted(), convicted()], 0),
            (survived(), vec![convicted(), survived(), not_judged()], 1),
            (convicted(), vec![], 1),
            (survived(), vec![convicted(), not_judged()], 3),
            (not_judged(), vec![], 3),
            (survived(), vec![], 4),
        ] {
            assert_eq!(
                exit(&control, &trials).code(),
                code,
                "{control:?} {trials:?}"
            );
        }
    }

    #[test]
    fn what_is_good_of_the_control_is_bad_of_the_others() {
        assert!(line(&survived(), "control", 7).contains("innocent"));
        let said = line(&survived(), "x", 7);
        assert!(said.contains("SURVIVED"), "{said}");
        assert!(said.contains("save/a/b: no such thing"), "{said}");
        let said = line(&convicted(), "x", 7);
        assert!(said.contains("restore/a/b: the wire"), "{said}");
    }

    #[test]
    fn nobody_is_tried_only_if_named() {
        let names = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
            chosen(&patterns)
                .unwrap()
                .iter()
                .map(|it| it.name)
                .collect::<Vec<_>>()
        };
        assert!(!names(&[]).contains(&NOBODY.name));
        assert!(!names(&["*"]).contains(&NOBODY.name));
        assert_eq!(names(&["nobody", "sack-l*"]), ["sack-lost", "nobody"]);
        assert_eq!(chosen(&["somebody".to_owned()]).unwrap_err(), "somebody");
    }
}
