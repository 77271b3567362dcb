//! The runner: cases in, a summary out.

mod early;
mod order;
mod told_to_end;

use crate::case::Case;
use crate::context::Context;
use crate::execute::{execute, keep};
use crate::expectations::Expected;
use crate::machine::Machine;
use crate::networks::Networks;
use crate::outcome::{Outcome, Record};
use crate::probe::Needs;
use crate::report::Report;
use crate::scenario::bins::Coverage;
use crate::subject::Subject;
use crate::summary::Summary;
use crate::verdict::Failure;
pub(crate) use early::INTERRUPTED;
use early::{GRACE, is_interrupted};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};
pub use told_to_end::ToldToEnd;

/// How long a case may take before the run goes on without it: a bound against hanging, not an expectation.
///
/// It is less than what kselftest gives to a test unless told otherwise (45 s), so that a hang is told with its case.
pub const CASE_BOUND: Duration = Duration::from_secs(40);

/// How long the evidence of a hanging case may take: what hangs may hold a lock that its network needs.
const EVIDENCE_BOUND: Duration = Duration::from_secs(5);

/// How many cases at least have to hang one after the other, and none to end meanwhile, until a run is given up. As long
/// as others end, a case that hangs says nothing about them.
const HANGING_IN_A_ROW: usize = 3;

/// More than a case has, all of its networks included.
const DESCRIPTORS_OF_A_CASE: usize = 256;

/// So many are enough for networks that no case has at the moment, too: they have some 1,200, and cases fewer than they may.
const DESCRIPTORS_TO_SPARE: usize = 4096;

/// How many cases run at the same time unless the caller says otherwise: sixteen for each core.
///
/// A case mostly waits: for its peer, for a timer, for the kernel to take its network down. They are fewer where the process may
/// not have descriptors enough.
#[must_use]
pub fn default_jobs() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (16 * cores)
        .min(descriptors() / DESCRIPTORS_OF_A_CASE)
        .max(1)
}

/// Networks that cases leave to others, where there are descriptors enough for them besides those of the cases.
#[must_use]
pub fn networks_with_room() -> Networks {
    match descriptors() < DESCRIPTORS_TO_SPARE {
        true => Networks::not_kept(),
        false => Networks::default(),
    }
}

fn descriptors() -> usize {
    let now = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(now, _)| now);
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// Lets the process have as many descriptors as it may ask for: almost everywhere it begins with 1024, which is four cases at
/// a time.
pub fn ask_for_descriptors() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without, it is fewer cases.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many cases run at the same time; at least one.
    pub jobs: usize,
    /// How long a case may take that has no bound of its own; [`CASE_BOUND`] unless for a test of the runner.
    pub bound: Duration,
    /// The most that any case may take, whatever its own bound.
    pub limit: Option<Duration>,
    /// Once this is set, no case is begun any more; those that run may come to their end.
    pub told_to_end: ToldToEnd,
    /// What generated cases are generated from.
    pub seed: u64,
    /// Where the folders of failed cases go; `None` keeps nothing but the text.
    pub artifacts: Option<PathBuf>,
    /// Whether every case has such a folder, not only one that failed.
    pub keep_all: bool,
    /// Whether a skipped case counts as a failure.
    pub expect_all: bool,
    /// Whether a pass that was not expected counts as a failure.
    pub strict: bool,
    /// Which failures are expected.
    pub expected: Arc<Expected>,
    /// Which library is judged.
    pub subject: Subject,
    /// What cases have left of their networks, for others: a clone of the options shares it.
    pub networks: Networks,
}

impl Default for Options {
    /// One case at a time, nothing written, seed zero.
    fn default() -> Self {
        Self {
            jobs: 1,
            bound: CASE_BOUND,
            limit: None,
            told_to_end: ToldToEnd::default(),
            seed: 0,
            artifacts: None,
            keep_all: false,
            expect_all: false,
            strict: false,
            expected: Arc::default(),
            subject: Subject::Rust,
            networks: Networks::default(),
        }
    }
}

/// Runs cases, tells `report` what happens as it happens, and returns what became of each, in the given order.
///
/// A case that takes longer than its bound is reported as broken and left behind with its thread, and another thread goes on
/// with the rest; the run is given up only when nothing ends any more. The process should then end soon after the run,
/// because the thread cannot be ended alone.
pub fn run_cases(
    cases: Vec<Case>,
    needs: Needs,
    options: &Options,
    report: &mut dyn Report,
) -> Summary {
    let start = Instant::now();
    let machine = Machine::read();
    report.begin(&machine, options, &cases);
    let coverage = Arc::new(Coverage::default());
    let records = Run::new(cases, needs, options, Arc::clone(&coverage)).finish(report);
    let interrupted = records.iter().any(|record| is_interrupted(&record.outcome));
    let summary = Summary {
        options: options.clone(),
        machine,
        records,
        reached: coverage.reached(),
        interrupted,
        elapsed: start.elapsed(),
    };
    report.finished(&summary);
    summary
}

/// What the workers share.
struct Shared {
    cases: Vec<Case>,
    /// The order in which they are begun.
    order: Vec<usize>,
    /// The place in it of the first case that no worker has taken.
    next: AtomicUsize,
    /// Whether a case was left behind, and may still run.
    left_behind: AtomicBool,
    needs: Needs,
    options: Options,
    coverage: Arc<Coverage>,
}

/// What the collector is told.
enum Event {
    /// By a worker: the case of this index.
    Started(usize, Weak<Context>),
    Ended(usize, Box<Record>),
    /// The run is to end.
    ToldToEnd,
}

/// A case that has been started and has not ended.
struct Running {
    since: Instant,
    /// Its network, in case that it never ends. The worker takes it down otherwise, which may take a while.
    ctx: Weak<Context>,
}

/// The collector.
struct Run {
    shared: Arc<Shared>,
    records: Vec<Option<Record>>,
    running: BTreeMap<usize, Running>,
    /// How many have hung since a case has ended.
    hung_in_a_row: usize,
    sender: Sender<Event>,
    events: Receiver<Event>,
}

impl Run {
    fn new(cases: Vec<Case>, needs: Needs, options: &Options, coverage: Arc<Coverage>) -> Self {
        let (sender, events) = mpsc::channel::<Event>();
        let teller = sender.clone();
        options.told_to_end.heard(move || {
            // Where the run is over, nobody listens.
            let _ = teller.send(Event::ToldToEnd);
        });
        Self {
            records: cases.iter().map(|_| None).collect(),
            shared: Arc::new(Shared {
                order: order::order(&cases, &options.expected),
                cases,
                next: AtomicUsize::new(0),
                left_behind: AtomicBool::new(false),
                needs,
                options: options.clone(),
                coverage,
            }),
            running: BTreeMap::new(),
            hung_in_a_row: 0,
            sender,
            events,
        }
    }

    fn finish(mut self, report: &mut dyn Report) -> Vec<Record> {
        let jobs = self.shared.options.jobs.clamp(1, self.records.len().max(1));
        let workers = (0..jobs).map(|_| self.start_worker());
        // Fewer workers than asked for only take longer; without any, nothing would ever end.
        let (started, refused): (Vec<_>, Vec<_>) = workers.partition(Result::is_ok);
        if started.is_empty() {
            let error = refused.into_iter().find_map(Result::err);
            let error = error.map_or_else(String::new, |error| error.to_string());
            self.give_up(&format!("cannot start a thread: {error}"), report);
        }
        let mut ending: Option<Instant> = None;
        while self.records.iter().any(Option::is_none) {
            let mut left = self.time_left();
            if self.shared.options.told_to_end.is_set() {
                self.shared.stop();
                let since = *ending.get_or_insert_with(Instant::now);
                if self.running.is_empty() || since.elapsed() >= GRACE {
                    self.end_early(report);
                    break;
                }
                left = left.min(GRACE.saturating_sub(since.elapsed()));
            }
            match self.events.recv_timeout(left) {
                // Nothing is left to do but to look at it.
                Ok(Event::ToldToEnd) => {}
                Ok(Event::Started(index, ctx)) => {
                    // A run that has been given up has its records already.
                    if self.records[index].is_none() {
                        report.started(index, &self.shared.cases[index]);
                        let since = Instant::now();
                        self.running.insert(index, Running { since, ctx });
                    }
                }
                Ok(Event::Ended(index, record)) => {
                    self.running.remove(&index);
                    self.hung_in_a_row = 0;
                    self.ended(index, *record, report);
                }
                // The collector holds a sender of its own: the channel is never closed.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    self.leave_overdue_behind(report);
                }
            }
        }
        self.records.into_iter().flatten().collect()
    }

    fn start_worker(&self) -> io::Result<()> {
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        let work = move || shared.work(&sender);
        thread::Builder::new()
            .name("case".to_owned())
            .spawn(work)
            .map(drop)
    }

    /// Until the first of the running cases is overdue.
    fn time_left(&self) -> Duration {
        let left = self.running.iter().map(|(&index, case)| {
            let bound = self.shared.bound(index);
            bound.saturating_sub(case.since.elapsed())
        });
        left.min().unwrap_or(self.shared.options.bound)
    }

    /// Takes a record, unless its case was given up before it ended after all.
    fn ended(&mut self, index: usize, record: Record, report: &mut dyn Report) {
        if let slot @ None = &mut self.records[index] {
            report.ended(index, slot.insert(record));
        }
    }

    fn leave_overdue_behind(&mut self, report: &mut dyn Report) {
        let shared = Arc::clone(&self.shared);
        let overdue = |index: usize, case: &Running| case.since.elapsed() >= shared.bound(index);
        let found = self
            .running
            .iter()
            .filter(|(index, case)| overdue(**index, case));
        for index in found.map(|(&index, _)| index).collect::<Vec<_>>() {
            let Some(Running { since, ctx }) = self.running.remove(&index) else {
                continue;
            };
            shared.left_behind.store(true, Ordering::Relaxed);
            let case = self.shared.cases[index].clone();
            let error = format!("no end after {} s", shared.bound(index).as_secs_f64());
            // Of a library that may be wrong in any way, an end that does not come says something.
            let judged = self.shared.options.subject != Subject::Rust;
            let outcome = match judged {
                true => Outcome::Fail(Failure::new("the case", "it comes to its end", error)),
                false => Outcome::Broken(error),
            };
            let outcome = shared.options.expected.judge(&case, outcome);
            let mut record = Record::not_run(case, outcome);
            record.elapsed = since.elapsed();
            if let Some(ctx) = ctx.upgrade() {
                record = with_evidence_in_time(record, ctx, &self.shared.options);
            }
            self.ended(index, record, report);
            self.hung_in_a_row += 1;
            let bearable = self.shared.options.jobs.max(HANGING_IN_A_ROW);
            if self.hung_in_a_row == bearable {
                let reason =
                    format!("not judged: {bearable} cases in a row did not end, and no other has");
                self.give_up(&reason, report);
            } else if let Err(error) = self.start_worker() {
                // Nobody is left who could take the place of the worker that hangs.
                self.give_up(
                    &format!("not judged: cannot start a thread: {error}"),
                    report,
                );
            }
        }
    }

    /// Ends the run: what is not started never will be, what is running is not waited for.
    fn give_up(&mut self, reason: &str, report: &mut dyn Report) {
        self.shared.stop();
        self.running.clear();
        for index in 0..self.records.len() {
            let case = self.shared.cases[index].clone();
            let record = Record::not_run(case, Outcome::Broken(reason.to_owned()));
            self.ended(index, record, report);
        }
    }
}

impl Shared {
    /// How long a case may take.
    fn bound(&self, index: usize) -> Duration {
        let own = self.cases.get(index).and_then(|case| case.bound);
        let bound = own.unwrap_or(self.options.bound);
        self.options.limit.map_or(bound, |limit| bound.min(limit))
    }

    /// No case is begun any more.
    fn stop(&self) {
        self.next.store(self.cases.len(), Ordering::Relaxed);
    }

    /// Takes cases until there are no more. Ends as well when nobody listens any longer.
    fn work(&self, events: &Sender<Event>) {
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&index) = self.order.get(place) else {
                return;
            };
            let case = &self.cases[index];
            let ctx = Context::new(self.options.seed)
                .about(self.options.subject.clone())
                .alone(self.options.jobs == 1 && !self.left_behind.load(Ordering::Relaxed))
                .with_networks(self.options.networks.clone())
                .reaching(Arc::clone(&self.coverage));
            let ctx = Arc::new(ctx);
            if events
                .send(Event::Started(index, Arc::downgrade(&ctx)))
                .is_err()
            {
                return;
            }
            let record = execute(case.clone(), &self.needs, &self.options, ctx);
            if events.send(Event::Ended(index, Box::new(record))).is_err() {
                return;
            }
        }
    }
}

/// Completes the record of a case that hangs, from a thread that may hang as well.
fn with_evidence_in_time(mut record: Record, ctx: Arc<Context>, options: &Options) -> Record {
    let (done, waiting) = mpsc::channel();
    let (mut complete, options) = (record.clone(), options.clone());
    let work = move || {
        keep(&mut complete, &ctx, &options);
        // Nobody may be waiting any more.
        let _ = done.send(complete);
    };
    let trouble = match thread::Builder::new().spawn(work) {
        Ok(_) => match waiting.recv_timeout(EVIDENCE_BOUND) {
            Ok(complete) => return complete,
            Err(_) => "its network hangs as well".to_owned(),
        },
        Err(error) => format!("cannot start a thread: {error}"),
    };
    record.kept.troubles.push(trouble);
    record
}

#[cfg(test)]
mod tests;
