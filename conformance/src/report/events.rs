//! A run as a stream of events, one JSON object a line: for programs that listen while it runs, or that have to know what ran
//! when a kernel dies.
//!
//! A line is written when its event happens, and at once. Every object has the field `event`:
//!
//! | `event` | when | with |
//! |---|---|---|
//! | `begin` | before the first case | `format`, `version`, `release`, `machine`, `euid`, `outside_uid`, `seed`, `subject`, `jobs`, `cases` |
//! | `started` | a case has begun | `id` |
//! | `ended` | a case has ended | the fields of a case in the report of `--json` ([`Entry`]) |
//! | `kernel` | the kernel has said something, in guests only | `level`, 0 to 7, the lower the graver; `text` |
//! | `finished` | after the last case | `totals`, `promises`, `exit`, `ms` |
//! | `file` | behind the last case, in guests only, for each file that was kept | `path`, below the folder of what is kept; `base64` |
//! | `guest-ended` | the process that ran the suite has ended, in guests only | `code`, none where it was killed; `taint`, of the kernel by then |
//!
//! A reader passes over an `event` and over fields that it does not know, and refuses a `format` that it does not know. A run
//! that has no `finished` was cut off: the cases that have started and not ended are those that ran by then.

use super::Report;
use super::json::Entry;
use crate::case::Case;
use crate::machine::Machine;
use crate::outcome::Record;
use crate::runner::Options;
use crate::summary::{Promises, Summary, Totals};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The version of the format. A new field, or a new event, does not change it.
pub const FORMAT: u32 = 1;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A run begins.
    Begin(Begin),
    /// A case has begun.
    Started {
        /// Its id.
        id: String,
    },
    /// A case has ended.
    Ended(Entry),
    /// The kernel has said something.
    Kernel {
        /// How grave it is, from 0 to 7 (`KERN_EMERG` to `KERN_DEBUG`).
        level: u8,
        /// What it said.
        text: String,
    },
    /// A run has come to its end.
    Finished {
        /// How many cases ended in which way.
        totals: Totals,
        /// How many promises were judged.
        promises: Promises,
        /// The code with which the process ends.
        exit: u8,
        /// How long the run took, milliseconds.
        ms: u64,
    },
    /// The process that ran the suite in a guest has ended.
    GuestEnded {
        /// With this code; none where it was killed.
        code: Option<u8>,
        /// What the kernel calls itself tainted by (Documentation/admin-guide/tainted-kernels.rst), but for modules
        /// without a signature.
        taint: u64,
    },
    /// A file that was kept of a case, in guests only: they have no other way out.
    File {
        /// Its path below the folder of what is kept.
        path: String,
        /// What is in it.
        base64: String,
    },
    /// What a version of the suite tells that came later.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// What is known before the first case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the suite.
    pub version: String,
    /// Where the run takes place.
    #[serde(flatten)]
    pub machine: Machine,
    /// What generated cases are generated from.
    pub seed: u64,
    /// Which library is judged: `rust`, `capi`, `staged`, or the path of one.
    pub subject: String,
    /// How many cases run at the same time.
    pub jobs: usize,
    /// How many cases there are.
    pub cases: usize,
}

/// Writes the events of a run.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    failure: Option<io::Error>,
}

impl<W: Write> Lines<W> {
    /// Events go to `out`, each by one call of `write_all`, and a flush.
    pub fn new(out: W) -> Self {
        Self { out, failure: None }
    }

    /// Writes an event; after one that could not be written, no other.
    pub fn write(&mut self, event: &Event) {
        if self.failure.is_none() {
            self.failure = self.try_write(event).err();
        }
    }

    fn try_write(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }

    /// Why not every event was written, if so.
    ///
    /// # Errors
    /// What writing returned first.
    pub fn finish(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

impl<W: Write> Report for Lines<W> {
    fn begin(&mut self, machine: &Machine, options: &Options, cases: &[Case]) {
        self.write(&Event::begin(machine, options, cases));
    }

    fn started(&mut self, _: usize, case: &Case) {
        self.write(&Event::started(case));
    }

    fn ended(&mut self, _: usize, record: &Record) {
        self.write(&Event::Ended(Entry::from(record)));
    }

    fn finished(&mut self, summary: &Summary) {
        self.write(&Event::finished(summary));
    }
}

impl Event {
    /// A run begins.
    #[must_use]
    pub fn begin(machine: &Machine, options: &Options, cases: &[Case]) -> Self {
        Self::Begin(Begin {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: machine.clone(),
            seed: options.seed,
            subject: options.subject.to_string(),
            jobs: options.jobs,
            cases: cases.len(),
        })
    }

    /// A case has begun.
    #[must_use]
    pub fn started(case: &Case) -> Self {
        let id = case.id.clone();
        Self::Started { id }
    }

    /// A run has come to its end.
    #[must_use]
    pub fn finished(summary: &Summary) -> Self {
        Self::Finished {
            totals: summary.totals(),
            promises: summary.promises(),
            exit: summary.exit().code(),
            ms: super::json::milliseconds(summary.elapsed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Needs;
    use crate::runner::run_cases;
    use crate::verdict::Failure;

    fn events(text: &str) -> Vec<Event> {
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_case_begins_and_ends_and_so_does_the_run() {
        let cases = vec![
            Case::new("a/holds", "x", &["A2"], |_| Ok(())),
            Case::new("a/fails", "x", &["A2"], |_| {
                Err(Failure::new("a number", 1, 2).into())
            }),
        ];
        let mut lines = Lines::new(Vec::new());
        run_cases(cases, Needs::default(), &Options::default(), &mut lines);
        let text = String::from_utf8(lines.out).unwrap();
        let told: Vec<_> = events(&text)
            .into_iter()
            .map(|event| match event {
                Event::Begin(begin) => format!("begin {}", begin.cases),
                Event::Started { id } => format!("started {id}"),
                Event::Ended(entry) => format!("{} {}", entry.outcome, entry.id),
                Event::Kernel { .. }
                | Event::GuestEnded { .. }
                | Event::File { .. }
                | Event::Unknown => "of a guest".to_owned(),
                Event::Finished { totals, exit, .. } => {
                    format!("finished {} {exit}", totals.failed)
                }
            })
            .collect();
        assert_eq!(told.first().map(String::as_str), Some("begin 2"));
        assert_eq!(told.last().map(String::as_str), Some("finished 1 1"));
        for (begun, ended) in [
            ("started a/holds", "pass a/holds"),
            ("started a/fails", "fail a/fails"),
        ] {
            let place = |what: &str| told.iter().position(|it| it == what);
            assert!(
                place(begun).is_some() && place(begun) < place(ended),
                "{told:?}"
            );
        }
    }

    #[test]
    fn the_first_failure_is_told_and_nothing_is_written_behind_it() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self
                    .0
                    .checked_sub(1)
                    .ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut lines = Lines::new(Full(1));
        let event = Event::Started { id: "a".to_owned() };
        lines.write(&event);
        assert!(lines.failure.is_none());
        lines.write(&event);
        lines.out.0 = 9;
        lines.write(&event);
        assert_eq!(lines.out.0, 9);
        let kind = lines.finish().map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::StorageFull));
    }
}
