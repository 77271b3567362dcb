//! `conformance run`.

use super::report_file::{self, ReportFile, create};
use super::{complain, print};
use crate::case::{Case, Need};
use crate::catalogue;
use crate::expectations::{Book, Date, Expected, Here};
use crate::machine::Machine;
use crate::probe::Needs;
use crate::report::comparison::{self, Several};
use crate::report::events::Lines;
use crate::report::format::Format;
use crate::report::json::Document;
use crate::report::text::{Text, colours};
use crate::report::told::{Listener, Run};
use crate::report::{Listeners, Report};
use crate::runner::{CASE_BOUND, Options, ToldToEnd, default_jobs, networks_with_room, run_cases};
use crate::scenario;
use crate::select::Selection;
use crate::subject::{self, Subject};
use crate::summary::{Exit, Summary};
use crate::victim;
use lab::Sandbox;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fmt::Display;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, stdout};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What tells a program to end.
const ENDING: [i32; 2] = [SIGTERM, SIGINT];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// How many cases run at the same time [default: sixteen for each core]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Write a report for programs as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write what happens, as it happens: a line of JSON for each event (the format: conformance/src/report/events.rs)
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write a report as well, such as `junit=FILE` (repeatable)
    #[arg(long = "report", value_name = "FORMAT=FILE")]
    reports: Vec<ReportFile>,
    /// Tell the run as KTAP on standard output, at its end, and nothing else
    #[arg(long)]
    ktap: bool,
    /// Count a skipped case as a failure
    #[arg(long)]
    expect_all: bool,
    /// Count a pass that was not expected as a failure
    #[arg(long)]
    strict: bool,
    /// Failures that are expected, besides those that everybody expects (the format: conformance/src/expectations/known.toml)
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// Which library is judged: `rust`; `capi` or `staged`, our two C interfaces; or the path of a shared library with
    /// today's. Several are judged one after the other, and compared [default: rust]
    #[arg(long = "subject", value_name = "LIBRARY")]
    subjects: Vec<Subject>,
    /// Compare several libraries in all cases, not only in those in which they differ
    #[arg(long)]
    all_rows: bool,
    /// What generated cases are generated from [default: random, and printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many scenarios are generated and run besides the cases of the catalogue
    #[arg(long, value_name = "N", default_value_t = 1000)]
    scenarios: usize,
    /// Go on with scenarios until so many percent of the pairs of circumstances are reached, such as `100%`
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    until_pairs: Option<f64>,
    /// Run the cases of `timelapse/*`, too: hours and, where the kernel rests, weeks, but where time leaps (`conformance matrix --deterministic`)
    #[arg(long)]
    timelapse: bool,
    /// Keep the captures of every case, not only of those that fail
    #[arg(long)]
    keep_all: bool,
    /// The most that any case may take, seconds [default: 40, and more for those that are known to take long]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    case_timeout: Option<u64>,
    /// Where a folder for each failed case goes
    #[arg(long, value_name = "DIR", default_value = "conformance-failures")]
    artifacts: PathBuf,
}

pub(super) fn run(args: Args) -> Exit {
    let mut cases = catalogue::all();
    if args.timelapse {
        cases.extend(catalogue::timelapse::cases());
    }
    cases.extend(scenario::cases(args.scenarios));
    cases.extend(scenario::transparent(
        args.scenarios.div_ceil(scenario::COMPARED_OF),
    ));
    cases.extend(
        args.until_pairs
            .map(scenario::steered)
            .into_iter()
            .flatten(),
    );
    run_these(args, cases)
}

/// Runs those of the cases that are meant.
pub(super) fn run_these(args: Args, cases: Vec<Case>) -> Exit {
    let book = match book(args.expectations.as_deref()) {
        Ok(book) => book,
        Err(error) => return complain(Exit::Usage, error),
    };
    let cases = match args.selection.apply(cases) {
        Ok(cases) => cases,
        Err(error) => return complain(Exit::Usage, error),
    };
    // Both before the run: after minutes is too late to say that there is no such directory. And before the sandbox,
    // which may hide it.
    let files = [
        args.json.as_deref().map(|path| create(path, "--json")),
        args.events.as_deref().map(|path| create(path, "--events")),
    ];
    let [json, events] = match files.map(Option::transpose) {
        [Ok(json), Ok(events)] => [json, events],
        [Err(error), _] | [_, Err(error)] => return complain(Exit::Usage, error),
    };
    let reports = match report_file::create_all(&args.reports) {
        Ok(reports) => reports,
        Err(error) => return complain(Exit::Usage, error),
    };
    let subjects = match named(args.subjects) {
        Ok(subjects) => subjects,
        Err(error) => return complain(Exit::Usage, format!("--subject {error}")),
    };
    let told_to_end = match told_to_end() {
        Ok(told_to_end) => told_to_end,
        Err(error) => return deaf(&error),
    };
    let place = Place::of(&args.artifacts);
    if let Err(error) = Sandbox::enter() {
        return complain(
            Exit::Harness,
            format!("{error}\n  `conformance doctor` says what is possible here"),
        );
    }
    if let Err(error) = victim::start() {
        let what = format!("the spawner of victims cannot be started: {error}");
        return complain(Exit::Harness, what);
    }
    if let Some(error) = subjects.iter().find_map(|it| subject::check(it).err()) {
        return complain(Exit::Usage, format!("--subject {error}"));
    }
    if Place::of(&args.artifacts) != place {
        let hidden = args.artifacts.display();
        return complain(
            Exit::Usage,
            format!("the sandbox hides {hidden}: choose another directory with --artifacts"),
        );
    }
    // It takes a thread, which the sandbox does not.
    let told_to_end = match ToldToEnd::by(told_to_end, &ENDING) {
        Ok(told_to_end) => told_to_end,
        Err(error) => return deaf(&error),
    };
    let options = Options {
        jobs: args.jobs.map_or_else(default_jobs, NonZeroUsize::get),
        bound: CASE_BOUND,
        limit: args.case_timeout.map(Duration::from_secs),
        told_to_end,
        seed: args.seed.unwrap_or_else(random_seed),
        artifacts: Some(args.artifacts),
        keep_all: args.keep_all,
        expect_all: args.expect_all,
        strict: args.strict,
        networks: networks_with_room(),
        ..Options::default()
    };
    let mut text = Text::on_stdout();
    let mut events = events.map(|(path, file)| (path, Lines::new(file)));
    let mut told = Listener::default();
    let mut listeners: Vec<&mut dyn Report> = vec![&mut told];
    if !args.ktap {
        listeners.push(&mut text);
    }
    listeners.extend(events.iter_mut().map(|(_, lines)| lines as &mut dyn Report));
    let summaries = judge(&subjects, &cases, &options, &book, &mut listeners);
    let runs: Vec<_> = told.0.into_iter().map(Run::from).collect();
    if args.ktap {
        // Where the reader has gone, nobody is there to be told.
        let _ = Format::Ktap.write(&mut stdout().lock(), &runs);
    } else if summaries.len() > 1 {
        print(&comparison::text(&summaries, args.all_rows, &colours()));
    }
    let written = events.map(|(path, lines)| (path, lines.finish()));
    let document = json.map(|(path, file)| {
        let file = std::io::BufWriter::new(file);
        let written = match &summaries[..] {
            [one] => Document::new(one, &args.selection).write(file),
            several => Several::new(several, &args.selection).write(file),
        };
        (path, written)
    });
    let written = written.into_iter().chain(document);
    let written = written.chain(report_file::write(reports, &runs));
    report_file::exit(comparison::exit(&summaries), written)
}

/// What is said where no signal could be heard.
fn deaf(error: &io::Error) -> Exit {
    complain(Exit::Harness, format!("listening to signals: {error}"))
}

/// Set by SIGTERM, which `timeout` sends twice, and by SIGINT, which ends the process at once the second time.
pub(super) fn told_to_end() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    // Before the flag is set by the same signal.
    signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(&flag))?;
    for signal in ENDING {
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

/// The libraries that were asked for, found from any directory: the Rust one unless others are named, and none twice.
fn named(asked: Vec<Subject>) -> Result<Vec<Subject>, String> {
    let mut subjects = Vec::new();
    for asked in asked {
        let name = asked.to_string();
        let subject = asked
            .absolute()
            .map_err(|error| format!("{name}: {error}"))?;
        if subjects.contains(&subject) {
            return Err(format!("{name}: it is there twice"));
        }
        subjects.push(subject);
    }
    if subjects.is_empty() {
        subjects.push(Subject::default());
    }
    Ok(subjects)
}

/// Runs the cases for each library. Where there are several, each has a folder of its own for what is kept of its failures.
fn judge(
    subjects: &[Subject],
    cases: &[Case],
    options: &Options,
    book: &Book,
    listeners: &mut [&mut dyn Report],
) -> Vec<Summary> {
    let needs = Needs::probe(cases);
    let several = subjects.len() > 1;
    let run = |(at, subject): (usize, &Subject)| {
        let artifacts = options.artifacts.clone();
        let options = Options {
            artifacts: artifacts.map(|folder| match several {
                true => folder.join(format!("subject-{}", at + 1)),
                false => folder,
            }),
            expected: Arc::new(expected(book, subject)),
            subject: subject.clone(),
            ..options.clone()
        };
        let mut listeners = Listeners(listeners);
        run_cases(cases.to_vec(), needs.clone(), &options, &mut listeners)
    };
    subjects.iter().enumerate().map(run).collect()
}

/// Reads `95%` or `95`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    match number {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a share of the pairs is 0% to 100%".to_owned()),
    }
}

/// The expectations that everybody has, and those of a file.
fn book(file: Option<&Path>) -> Result<Book, String> {
    let cases = catalogue::all();
    let built_in = Book::built_in(&cases).map_err(|error| format!("known.toml: {error}"))?;
    let Some(path) = file else {
        return Ok(built_in);
    };
    let error = |error: &dyn Display| format!("--expectations {}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|it| error(&it))?;
    let own = Book::parse(&text, &cases).map_err(|it| error(&it))?;
    Ok(built_in.and(own))
}

/// What of it counts for this library, on this kernel, today. To be called in the sandbox, where repair mode is allowed.
fn expected(book: &Book, subject: &Subject) -> Expected {
    let machine = Machine::read();
    book.here(&Here {
        subject,
        release: &machine.release,
        today: Date::today(),
        probe: &Need::probe,
    })
}

/// Short enough to be typed. The standard library seeds its hashers from the system.
fn random_seed() -> u64 {
    RandomState::new().hash_one(0) >> 40
}

/// Where on which file system a path leads to, as far as it exists: device, inode, and the part that exists.
#[derive(PartialEq, Eq)]
struct Place(Option<(u64, u64, PathBuf)>);

impl Place {
    fn of(path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self(path.ancestors().find_map(|ancestor| {
            let metadata = fs::metadata(ancestor).ok()?;
            Some((metadata.dev(), metadata.ino(), ancestor.to_owned()))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_that_of_the_part_that_exists() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let new = here.path().join("new");
        let before = Place::of(&new.join("deep"));
        assert!(before == Place::of(here.path()));
        assert!(before != Place::of(there.path()));
        fs::create_dir(&new).unwrap();
        assert!(before != Place::of(&new.join("deep")));
    }

    #[test]
    fn the_rust_library_is_judged_unless_others_are_named_and_none_twice() {
        assert_eq!(named(vec![]), Ok(vec![Subject::Rust]));
        let both = vec![Subject::Capi, Subject::Rust];
        assert_eq!(named(both.clone()), Ok(both));
        let twice = named(vec![Subject::Capi, Subject::Rust, Subject::Capi]);
        assert_eq!(twice, Err("capi: it is there twice".to_owned()));
        let missing = named(vec![Subject::File("no/such.so".into())]).unwrap_err();
        assert!(missing.starts_with("no/such.so: No such file"), "{missing}");
    }

    #[test]
    fn seeds_differ_and_are_short() {
        let seeds: std::collections::HashSet<_> = (0..8).map(|_| random_seed()).collect();
        assert!(seeds.len() > 1);
        assert!(seeds.iter().all(|&seed| seed < 1 << 24));
    }
}
