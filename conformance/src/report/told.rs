//! What a run has told, read from its [events](super::events): what every report but the live ones is made of.

use super::Report;
use super::events::{Begin, Event, FORMAT};
use super::json::Entry;
use crate::case::Case;
use crate::machine::Machine;
use crate::outcome::Record;
use crate::runner::Options;
use crate::summary::{Exit, Promises, Summary, Totals, area};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead};

/// What became of a case that was running when its run was cut off.
pub const CUT_OFF: &str = "crash";
/// What became of it where the run was only told to end: nothing that says anything about the kernel.
const STOPPED: &str = "broken";

/// What a run has told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What it said before the first case.
    pub begin: Option<Begin>,
    /// What became of the cases, in the order of their ends.
    pub entries: Vec<Entry>,
    /// Which cases had begun and not ended.
    pub running: Vec<String>,
    /// What it came to; none where it was cut off.
    pub end: Option<Finished>,
    /// Whether it was cut off because it was told to end.
    #[serde(default)]
    pub stopped: bool,
    /// Lines that are no events: one that was cut off, or garbled on its way.
    pub garbled: usize,
}

/// A run among others.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What tells it from the others: its kernel, or its library.
    pub name: String,
    /// What it has told.
    pub told: Told,
    /// What is wrong beyond what cases say, such as a kernel that has panicked.
    pub trouble: Vec<String>,
}

impl From<Told> for Run {
    /// A run without any trouble.
    fn from(told: Told) -> Self {
        Self {
            name: told.name(),
            told,
            trouble: Vec::new(),
        }
    }
}

/// What a run came to, by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// How many cases ended in which way.
    pub totals: Totals,
    /// How many promises were judged.
    pub promises: Promises,
    /// The code with which the process ended.
    pub exit: u8,
    /// How long the run took, milliseconds.
    pub ms: u64,
}

/// Why events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// They cannot be read at all.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// They are of a format that this program does not know.
    #[error(
        "the events are of format {0}, and this program reads format {FORMAT}: use the one that wrote them"
    )]
    Format(u32),
    /// There is no event among them.
    #[error("no event in {0} lines: give what `conformance run --events FILE` has written")]
    Nothing(usize),
}

impl Told {
    /// Reads events; what a later version may have added is passed over.
    ///
    /// # Errors
    /// [`Unreadable`] where there is no event, or events of a format that is not known.
    pub fn read(lines: impl BufRead) -> Result<Self, Unreadable> {
        let mut told = Self::default();
        let mut count = 0;
        for line in lines.lines() {
            count += 1;
            told.take_line(&line?);
        }
        match &told.begin {
            Some(begin) if begin.format != FORMAT => Err(Unreadable::Format(begin.format)),
            Some(_) => Ok(told),
            None => Err(Unreadable::Nothing(count)),
        }
    }

    /// Takes a line; returns its event where that is not of the run itself.
    pub fn take_line(&mut self, line: &str) -> Option<Event> {
        if line.trim().is_empty() {
            return None;
        }
        match serde_json::from_str(line) {
            Ok(event) => self.take(event),
            Err(_) => {
                self.garbled += 1;
                None
            }
        }
    }

    /// Takes an event; returns one that is not of the run itself.
    pub fn take(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Begin(begin) => self.begin = Some(begin),
            Event::Started { id } => self.running.push(id),
            Event::Ended(entry) => {
                self.running.retain(|id| *id != entry.id);
                self.entries.push(entry);
            }
            Event::Finished {
                totals,
                promises,
                exit,
                ms,
            } => {
                self.end = Some(Finished {
                    totals,
                    promises,
                    exit,
                    ms,
                });
            }
            other => return Some(other),
        }
        None
    }

    /// How many cases there were to be.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.begin.as_ref().map_or(0, |begin| begin.cases)
    }

    /// What tells it from others: its kernel, and its library where that is not ours.
    #[must_use]
    pub fn name(&self) -> String {
        let Some(begin) = &self.begin else {
            return String::new();
        };
        match &*begin.subject {
            "rust" => begin.machine.release.clone(),
            subject => format!("{} {subject}", begin.machine.release),
        }
    }

    /// How the run ended: by its own account, unless it was cut off.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.end {
            Some(end) => Exit::of_code(end.exit),
            None => Exit::worst([Exit::Harness, self.totals().exit(false)]),
        }
    }

    /// What became of each case, by its id; of those that were running when it was cut off, [`CUT_OFF`], and where it was
    /// told to end, `broken`.
    #[must_use]
    pub fn words(&self) -> BTreeMap<&str, &str> {
        let ended = self.entries.iter().map(|it| (&*it.id, &*it.outcome));
        let word = match self.stopped {
            true => STOPPED,
            false => CUT_OFF,
        };
        let running = self.running.iter().map(|id| (&**id, word));
        ended.chain(running).collect()
    }

    /// How many cases ended in which way, as far as is told.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.words().values().for_each(|word| totals.add_word(word));
        totals
    }

    /// How many cases of each area, which is the first part of an id, ended in which way.
    #[must_use]
    pub fn areas(&self) -> Vec<(String, Totals)> {
        let mut areas: BTreeMap<&str, Totals> = BTreeMap::new();
        for (id, word) in self.words() {
            areas.entry(area(id)).or_default().add_word(word);
        }
        let areas = areas.into_iter();
        areas
            .map(|(area, totals)| (area.to_owned(), totals))
            .collect()
    }
}

/// Listens to runs, one after the other, and has what each has told.
#[derive(Clone, Debug, Default)]
pub struct Listener(pub Vec<Told>);

impl Listener {
    fn take(&mut self, event: Event) {
        if let Some(told) = self.0.last_mut() {
            told.take(event);
        }
    }
}

impl Report for Listener {
    fn begin(&mut self, machine: &Machine, options: &Options, cases: &[Case]) {
        self.0.push(Told::default());
        self.take(Event::begin(machine, options, cases));
    }

    fn started(&mut self, _: usize, case: &Case) {
        self.take(Event::started(case));
    }

    fn ended(&mut self, _: usize, record: &Record) {
        self.take(Event::Ended(Entry::from(record)));
    }

    fn finished(&mut self, summary: &Summary) {
        self.take(Event::finished(summary));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::case::Level;

    /// A run that was cut off, with one case of most kinds.
    pub(in super::super) fn sample_of(name: &str) -> Run {
        Run {
            name: name.to_owned(),
            told: sample(),
            trouble: vec!["it <hangs>".to_owned()],
        }
    }

    /// The same without a name.
    pub(in super::super) fn sample() -> Told {
        let entry = |id: &str, outcome: &str| {
            let bad = ["fail", "known"].contains(&outcome);
            let text = |text: &str| bad.then(|| text.to_owned());
            Entry {
                id: id.to_owned(),
                level: Level::Must,
                statement: "holds".to_owned(),
                guide: vec!["A2".to_owned()],
                outcome: outcome.to_owned(),
                reason: match outcome {
                    "skip" => Some("no netem here".to_owned()),
                    _ => text("a number"),
                },
                expected: text("1"),
                actual: text("2\nor <3>"),
                expectation: (outcome == "known").then(|| "fixed in 6.19".to_owned()),
                ms: 1500,
                notes: Vec::new(),
                folder: None,
                traces: Vec::new(),
            }
        };
        let mut told = Told::read(BEGIN.as_bytes()).unwrap();
        told.entries = vec![
            entry("b/known", "known"),
            entry("a/two", "fail"),
            entry("a/one", "pass"),
            entry("a/skipped", "skip"),
        ];
        told.running = vec!["b/running".to_owned()];
        told
    }

    const BEGIN: &str = r#"{"event":"begin","format":1,"version":"0.1.0","release":"6.12","machine":"x86_64","euid":0,"outside_uid":0,"seed":1,"subject":"rust","jobs":4,"cases":2}"#;

    #[test]
    fn what_was_running_when_a_run_was_cut_off_is_told() {
        let lines = format!(
            "{BEGIN}\n{}\n{}\n\n{}",
            r#"{"event":"started","id":"a/one"}"#,
            r#"{"event":"something-new","x":1}"#,
            r#"{"event":"started","i"#
        );
        let told = Told::read(lines.as_bytes()).unwrap();
        assert_eq!(told.words()["a/one"], CUT_OFF);
        assert_eq!((told.garbled, told.cases(), told.end), (1, 2, None));
        assert_eq!(told.areas()[0].1.broken, 1);
        let told = Told {
            stopped: true,
            ..told
        };
        assert_eq!(told.words()["a/one"], STOPPED);
    }

    #[test]
    fn what_is_no_stream_of_events_is_refused() {
        let other = BEGIN.replace(r#""format":1"#, r#""format":9"#);
        let error = Told::read(other.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("format 9"), "{error}");
        let error = Told::read("{}\n".as_bytes()).unwrap_err().to_string();
        assert!(error.contains("1 lines"), "{error}");
    }
}
