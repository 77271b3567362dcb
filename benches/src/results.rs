//! What a run has measured: the JSON that tables, reports and comparisons are made of.
//!
//! Numbers are nanoseconds, bytes, and bytes per second unless their name says otherwise. A field that is new may be missing in
//! an older file; what changes its meaning gets another [`FORMAT`].

#[cfg(test)]
pub(crate) mod sample;

use crate::bench_connection::Filled;
use crate::error::Error;
use crate::statistics::{Distribution, Ratio};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::Path;

/// The version of the format.
pub const FORMAT: u32 = 3;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`FORMAT`].
    pub format: u32,
    /// Where it was.
    pub machine: Machine,
    /// How much was measured: `full`, `quick`, `test`.
    pub scale: String,
    /// The library that was measured beside ours.
    pub baseline: Option<String>,
    /// How long a connection stands still.
    pub latencies: Vec<Latency>,
    /// How many system calls that takes.
    pub calls: Vec<Calls>,
    /// Many sockets at a time.
    pub crowds: Vec<Crowd>,
    /// What the peer sees.
    pub outages: Vec<Outage>,
    /// What becomes of a connection that is not busy.
    pub undisturbed: Vec<Undisturbed>,
    /// How fast a restored connection is.
    pub fidelity: Option<Fidelity>,
    /// What was to be reached.
    pub verdicts: Vec<Verdict>,
    /// What could not be measured here, and why.
    pub skipped: Vec<String>,
}

/// Where a run was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The kernel's release.
    pub kernel: String,
    /// Its architecture.
    pub architecture: String,
    /// How many processors the run could use.
    pub processors: usize,
    /// Whether it was real root's.
    pub root: bool,
}

/// What is done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Pause, save, resume.
    PauseToResume,
    /// Pause, save, close, new socket, restore, resume.
    FullCycle,
}

impl Work {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::PauseToResume, Self::FullCycle];
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PauseToResume => "pause, save, resume",
            Self::FullCycle => "full cycle",
        })
    }
}

/// One subject's work on a queue of one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// What was done.
    pub work: Work,
    /// The queue that was filled.
    pub queue: Filled,
    /// Its length.
    pub bytes: usize,
    /// Who has done it: see [`name`](crate::subject::name).
    pub subject: String,
    /// From the call that entered repair mode to the one that left it, nanoseconds.
    pub standstill: Distribution,
    /// All of it, with what is done before the pause, nanoseconds.
    pub call: Distribution,
    /// How often a page of memory had to be found, in the middle of all rounds.
    pub page_faults: f64,
    /// The standstill, measured by the floor's.
    pub to_floor: Option<Ratio>,
    /// All of it, measured by all of the floor's.
    pub call_to_floor: Option<Ratio>,
    /// The standstill, measured by the baseline's.
    pub to_baseline: Option<Ratio>,
    /// The standstill, measured by that with buffers that are there already.
    pub to_warm: Option<Ratio>,
}

impl Latency {
    /// Whether both are about the same.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        (self.work, self.queue, self.bytes, &*self.subject)
            == (other.work, other.queue, other.bytes, &*other.subject)
    }

    /// What it is about, in words.
    #[must_use]
    pub fn title(&self) -> String {
        let (work, queue, subject) = (self.work, self.queue, &self.subject);
        format!("{work}, {queue} queue of {}, {subject}", size(self.bytes))
    }
}

/// A number of bytes, for people.
#[must_use]
pub fn size(bytes: usize) -> String {
    match bytes {
        0 => "0".to_owned(),
        bytes if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        bytes if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// How many system calls a subject makes; `close` is not counted for anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// The queue that was filled.
    pub queue: Filled,
    /// Its length.
    pub bytes: usize,
    /// Who makes them.
    pub subject: String,
    /// Out of repair mode, for a save of a connection that runs on.
    pub beside_pause: u64,
    /// In repair mode, entering and leaving it included.
    pub paused: u64,
    /// In repair mode, for a save of a connection that is closed: it is not left. Step by step, as everybody is measured: that is
    /// one call more than `save_and_close` makes, and two where bytes were received.
    pub closed: u64,
    /// To restore the connection, up to the resume.
    pub restore: u64,
    /// To resume it.
    pub resume: u64,
}

impl Calls {
    /// From the pause of a connection that is closed until it is resumed.
    #[must_use]
    pub fn of_a_cycle(&self) -> u64 {
        self.closed + self.restore + self.resume
    }
}

/// Many sockets, saved by one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crowd {
    /// How many.
    pub sockets: usize,
    /// On how many threads.
    pub threads: usize,
    /// What each has cost, nanoseconds.
    pub per_socket: Distribution,
    /// How long each stood still, nanoseconds: the middle.
    pub standstill: f64,
    /// What each has cost, measured by what one alone costs.
    pub to_one: Option<Ratio>,
}

impl Crowd {
    /// What it is about, in words.
    #[must_use]
    pub fn title(&self) -> String {
        let (sockets, threads) = (self.sockets, self.threads);
        format!("one of {sockets} sockets on {threads} threads, to one alone")
    }
}

/// What the peer of a bulk transfer sees of a freeze or of a move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// Whether the connection has moved to another host.
    pub moved: bool,
    /// Who has saved and restored it.
    pub subject: String,
    /// How often it was done.
    pub count: usize,
    /// From the pause to the resume, nanoseconds; with what blocks the traffic and what moves the address.
    pub standstill: Distribution,
    /// From the last segment before to the first after, nanoseconds.
    pub silence: Distribution,
    /// From the last data before to the first after that is new, nanoseconds.
    pub no_data: Distribution,
    /// From the resume until the peer reads nine tenths as fast as before, nanoseconds.
    pub recovery: Distribution,
    /// What the peer has read before, bytes per second.
    pub goodput_before: Distribution,
    /// What it has read after the recovery.
    pub goodput_after: Distribution,
    /// Segments that the peer was sent again, in all of them.
    pub retransmissions: usize,
    /// Resets, in either direction.
    pub resets: usize,
    /// Of one of them: milliseconds since the resume, and how many bytes the peer has read.
    pub timeline: Vec<(f64, u64)>,
}

/// Freezes and thaws of a connection that is not busy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undisturbed {
    /// What its application does.
    pub pattern: Pattern,
    /// How often it was frozen and thawed.
    pub freezes: usize,
    /// Segments that were sent again by either end.
    pub retransmissions: usize,
    /// Resets.
    pub resets: usize,
}

/// What an application does that is not busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Nothing while it is frozen.
    Idle,
    /// It writes less than the network takes, and the last of it is on its way when it is frozen.
    AppLimited,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::AppLimited => "app-limited",
        })
    }
}

/// A restored connection beside one that was never touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// How long each of them has sent, seconds.
    pub seconds: f64,
    /// Bytes per second of the restored one.
    pub restored: f64,
    /// Bytes per second of the other.
    pub twin: f64,
    /// The one, measured by the other.
    pub ratio: Ratio,
}

/// Whether a target was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was to be reached.
    pub target: String,
    /// Whether it was.
    pub met: bool,
    /// What was measured instead, or as well.
    pub measured: String,
}

impl Results {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error`] where it is not one, or one of another format.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let unreadable = |why: String| Error::Unreadable {
            path: path.to_owned(),
            why,
        };
        let text = fs::read_to_string(path).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        // First of all: what another format means, nobody knows here.
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(other) => {
                let why = format!("of format {other}, where {FORMAT} is known");
                return Err(unreadable(why));
            }
            None => return Err(unreadable("no results of these benchmarks".to_owned())),
        }
        serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::from)?;
        write(path, &text)
    }

    /// The latencies of one kind, by length.
    pub fn latencies_of(
        &self,
        work: Work,
        queue: Filled,
        subject: &str,
    ) -> impl Iterator<Item = &Latency> {
        let wanted = move |it: &&Latency| (it.work, it.queue) == (work, queue);
        let subject = subject.to_owned();
        let all = self.latencies.iter().filter(wanted);
        all.filter(move |it| it.subject == subject)
    }
}

/// Writes a file, whose name an error has.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        let results = sample::results();
        results.write(&file).unwrap();
        assert_eq!(Results::read(&file).unwrap(), results);
    }

    #[test]
    fn another_format_and_another_file_are_refused_with_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        let refused = |text: &str| {
            write(&file, text).unwrap();
            Results::read(&file).unwrap_err().to_string()
        };
        assert!(refused(r#"{"format": 1}"#).ends_with("of format 1, where 3 is known"));
        assert!(refused("{}").ends_with("no results of these benchmarks"));
        assert!(refused("").contains("results.json"));
        let nowhere = Results::read(Path::new("/nowhere")).unwrap_err();
        assert!(nowhere.to_string().starts_with("/nowhere: "), "{nowhere}");
    }

    #[test]
    fn sizes_are_those_that_people_say() {
        let sizes = [0, 1 << 10, 64 << 10, 4 << 20, 1500].map(size);
        assert_eq!(sizes, ["0", "1 KiB", "64 KiB", "4 MiB", "1500 B"]);
    }
}
