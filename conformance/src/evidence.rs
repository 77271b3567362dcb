//! What is kept of a case that failed: its captures, the kernel's view of its hosts, and the report itself.

use crate::context::Evidence;
use crate::outcome::Record;
use crate::report::failure;
use crate::report::style::Styles;
use crate::runner::Options;
use lab::{Capture, Host};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many lines of a trace a report shows; the rest is in the folder.
const SHOWN_LINES: usize = 20;

/// How many of them come before the last mark.
const LINES_BEFORE_MARK: usize = 5;

/// How a trace prints a mark.
const MARK: &str = "---- ";

/// How many characters a line of a report in the folder has.
const REPORT_WIDTH: usize = 120;

/// The kernel's own account of a host, as files of the namespace.
const KERNEL_STATE: [&str; 4] = ["tcp", "tcp6", "snmp", "netstat"];

/// The file of the scenario that a case failed on.
const SCENARIO: &str = "scenario.txt";

/// What was kept of a case.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Where the files are.
    pub folder: Option<PathBuf>,
    /// The part of each capture that most likely tells why.
    pub excerpts: Vec<Excerpt>,
    /// The file of the scenario that it failed on.
    pub scenario: Option<PathBuf>,
    /// What could not be kept, and why.
    pub troubles: Vec<String>,
}

/// A part of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excerpt {
    /// The host at whose link it was captured.
    pub host: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// How many lines came before.
    pub before: usize,
    /// How many lines come after.
    pub after: usize,
}

/// Keeps what there is, completely as far as possible: a trouble with one file does not cost the others.
pub(crate) fn keep(record: &mut Record, evidence: &Evidence, options: &Options) {
    let mut keeper = Keeper::new(options.artifacts.as_deref(), &record.case.id);
    for (host, capture) in &evidence.captures {
        keeper.capture(host, capture);
    }
    let pairs = evidence.pairs.iter().flat_map(|pair| pair.hosts());
    let with_wires = evidence.with_wires.iter().flat_map(|pair| pair.hosts());
    let trios = evidence.trios.iter().flat_map(|trio| trio.hosts());
    for host in pairs.chain(with_wires).chain(trios) {
        keeper.kernel_state(host);
    }
    if let Some(scenario) = &evidence.scenario {
        keeper.scenario(scenario);
    }
    record.kept = keeper.kept;
    if let Some(folder) = &record.kept.folder {
        let text = failure::block(record, options, REPORT_WIDTH, &Styles::PLAIN);
        if let Err(error) = fs::write(folder.join("report.txt"), text) {
            record.kept.troubles.push(format!("report.txt: {error}"));
        }
    }
}

struct Keeper {
    kept: Kept,
    /// How often a file name was wanted: a case may have two hosts of one name, in two networks.
    names: HashMap<String, usize>,
}

impl Keeper {
    fn new(artifacts: Option<&Path>, id: &str) -> Self {
        let mut keeper = Self {
            kept: Kept::default(),
            names: HashMap::new(),
        };
        if let Some(artifacts) = artifacts {
            let folder = artifacts.join(id.replace('/', "__"));
            match fresh(&folder) {
                Ok(()) => keeper.kept.folder = Some(folder),
                Err(error) => keeper.trouble(folder.display(), error),
            }
        }
        keeper
    }

    fn trouble(&mut self, what: impl Display, error: impl Display) {
        self.kept.troubles.push(format!("{what}: {error}"));
    }

    /// A name that no other host of the case has.
    fn unique(&mut self, kind: &str, host: &str) -> String {
        let count = self.names.entry(format!("{kind} {host}")).or_default();
        *count += 1;
        match count {
            1 => host.to_owned(),
            n => format!("{host}-{n}"),
        }
    }

    fn capture(&mut self, host: &str, capture: &Capture) {
        let host = self.unique("capture", host);
        let trace = match capture.trace() {
            Ok(trace) => trace,
            Err(error) => return self.trouble(format!("the capture of {host}"), error),
        };
        let text = trace.to_string();
        if let Some(folder) = self.kept.folder.clone() {
            let file = format!("{host}.pcapng");
            if let Err(error) = trace.write_pcapng(folder.join(&file)) {
                self.trouble(file, error);
            }
            self.write(format!("{host}.trace.txt"), &text);
        }
        self.kept.excerpts.push(excerpt(host, &text));
    }

    fn kernel_state(&mut self, host: &Host) {
        if self.kept.folder.is_none() {
            return;
        }
        let name = self.unique("kernel", host.name());
        match host.enter(kernel_state) {
            Ok(text) => self.write(format!("{name}.kernel.txt"), &text),
            Err(error) => self.trouble(format!("the kernel state of {name}"), error),
        }
    }

    fn scenario(&mut self, text: &str) {
        self.write(SCENARIO.to_owned(), text);
        self.kept.scenario = self
            .kept
            .folder
            .as_ref()
            .map(|folder| folder.join(SCENARIO));
    }

    fn write(&mut self, file: String, text: &str) {
        if let Some(folder) = &self.kept.folder
            && let Err(error) = fs::write(folder.join(&file), text)
        {
            self.trouble(file, error);
        }
    }
}

/// The lines around the last mark, which is the step of the journey that went wrong or the last that went well; the
/// end of a trace without marks.
fn excerpt(host: String, text: &str) -> Excerpt {
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let last_start = lines.len().saturating_sub(SHOWN_LINES);
    let start = match lines.iter().rposition(|line| line.starts_with(MARK)) {
        Some(mark) => mark.saturating_sub(LINES_BEFORE_MARK).min(last_start),
        None => last_start,
    };
    let end = lines.len().min(start + SHOWN_LINES);
    Excerpt {
        host,
        lines: lines[start..end].to_vec(),
        before: start,
        after: lines.len() - end,
    }
}

/// An empty folder, without what an earlier failure has left in it.
fn fresh(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
}

/// The files of the namespace that the calling thread is in.
fn kernel_state() -> String {
    let mut text = String::new();
    for name in KERNEL_STATE {
        let path = format!("/proc/thread-self/net/{name}");
        let content = fs::read_to_string(&path).unwrap_or_else(|error| format!("{error}\n"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "== {path}\n{content}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: usize, mark: Option<usize>) -> String {
        let line = |at| match mark == Some(at) {
            true => "---- restored ----\n".to_owned(),
            false => format!("{at}\n"),
        };
        (0..count).map(line).collect()
    }

    #[test]
    fn an_excerpt_begins_before_the_last_mark_and_says_what_it_leaves_out() {
        for (count, mark, before, after) in [
            (0, None, 0, 0),
            (10, None, 0, 0),
            (50, None, 30, 0),
            (50, Some(20), 15, 15),
            (50, Some(2), 0, 30),
            (50, Some(49), 30, 0),
        ] {
            let excerpt = excerpt("a".to_owned(), &numbered(count, mark));
            assert_eq!(
                (excerpt.before, excerpt.after),
                (before, after),
                "{count} {mark:?}"
            );
            assert_eq!(excerpt.lines.len(), count - before - after);
        }
    }
}
