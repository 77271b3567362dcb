//! What is known of a kernel once its machine has ended.

use super::machine::{Accelerator, End};
use crate::report::events::Event;
use crate::report::told::Told;
use crate::summary::{Exit, Totals};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What a kernel says when something is wrong with it, at the beginning of a line.
const SPLATS: [&str; 12] = [
    "WARNING: ",
    "BUG: ",
    "Oops",
    "kernel BUG at",
    "general protection fault",
    "stack segment",
    "INFO: task ",
    "INFO: rcu",
    "rcu: INFO:",
    "watchdog: BUG:",
    "refcount_t:",
    "UBSAN:",
];

/// What is known of a kernel.
#[derive(Clone, Debug)]
pub struct Judged {
    /// How its machine ended.
    pub end: End,
    /// How often it was booted: more than once only where it never came to its first process.
    pub boots: usize,
    /// What has executed its instructions.
    pub accelerator: Accelerator,
    /// Why that was not the processor, where it was tried.
    pub not_by_kvm: Option<String>,
    /// What its run has told.
    pub told: Told,
    /// What the kernel has said about itself.
    pub splats: Vec<Splat>,
    /// What the kernel calls itself tainted by.
    pub taint: u64,
    /// What its suite has kept and could not be written here.
    pub lost: Vec<String>,
    /// Where its console, its events, and what its suite has kept are.
    pub folder: PathBuf,
}

/// Something that the kernel has said about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splat {
    /// The line.
    pub text: String,
    /// Which cases were running.
    pub running: Vec<String>,
}

impl Judged {
    pub(super) fn new(end: End, boots: usize, events: &str, folder: PathBuf) -> Self {
        let mut judged = Self {
            end,
            boots,
            accelerator: Accelerator::Tcg,
            not_by_kvm: None,
            told: Told::default(),
            splats: Vec::new(),
            taint: 0,
            lost: Vec::new(),
            folder,
        };
        for line in events.lines() {
            if let Some(event) = judged.told.take_line(line) {
                judged.take(event);
            }
        }
        judged.told.stopped = judged.end == End::Told;
        judged
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Kernel { text, .. } if SPLATS.iter().any(|start| text.starts_with(start)) => {
                let running = self.told.running.clone();
                self.splats.push(Splat { text, running });
            }
            Event::File { path, base64 } => {
                if let Err(error) = keep(&self.folder, &path, &base64) {
                    self.lost.push(format!("{path}: {error}"));
                }
            }
            Event::GuestEnded { code, taint } => {
                self.taint = taint;
                // A machine that went on to do something else has its end from there.
                if self.end == End::WithoutVerdict {
                    self.end = End::Exit(code);
                }
            }
            _ => {}
        }
    }

    /// With which code the suite says that it ended.
    fn finished(&self) -> Option<u8> {
        self.told.end.map(|end| end.exit)
    }

    /// Whether all cases have ended, and the machine as they say.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.finished().is_some()
            && self.end == End::Exit(self.finished())
            && self.told.garbled == 0
            && self.told.cases() == self.told.entries.len()
    }

    /// What is wrong beyond what cases say, in words.
    #[must_use]
    pub fn trouble(&self) -> Vec<String> {
        let mut trouble = Vec::new();
        let running = |ids: &[String]| match ids {
            [] => "no case was running".to_owned(),
            ids => format!("running: {}", ids.join(", ")),
        };
        match &self.end {
            End::Exit(Some(code)) if Some(*code) == self.finished() => {}
            End::Exit(code) => {
                let ended = code.map_or("was killed".to_owned(), |it| format!("ended with {it}"));
                let said = self
                    .finished()
                    .map_or("nothing".to_owned(), |it| it.to_string());
                trouble.push(format!(
                    "the suite {ended} and had told {said} ({})",
                    running(&self.told.running)
                ));
            }
            End::Emulator(_) => trouble.push(self.end.to_string()),
            end => trouble.push(format!("{end} ({})", running(&self.told.running))),
        }
        match &self.told.begin {
            None => trouble.push("the suite did not begin".to_owned()),
            Some(begin) if begin.cases != self.told.entries.len() => trouble.push(format!(
                "{} of {} cases came to an end",
                self.told.entries.len(),
                begin.cases
            )),
            Some(_) => {}
        }
        if self.told.garbled > 0 {
            trouble.push(format!(
                "{} lines of its events are garbled",
                self.told.garbled
            ));
        }
        if self.taint != 0 {
            trouble.push(format!("the kernel is tainted: {:#x}", self.taint));
        }
        for lost in &self.lost {
            trouble.push(format!("not kept: {lost}"));
        }
        for splat in &self.splats {
            trouble.push(format!("{} ({})", splat.text, running(&splat.running)));
        }
        trouble
    }

    /// How the process would end for this kernel alone.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let mut totals = Totals::default();
        let entries = self.told.entries.iter();
        entries.for_each(|entry| totals.add_word(&entry.outcome));
        let crashed = matches!(
            self.end,
            End::Panic(_) | End::WithoutVerdict | End::Silent(_) | End::Late(_) | End::Exit(None)
        );
        match totals.exit(false) {
            _ if !self.splats.is_empty()
                || self.taint != 0
                || (crashed && self.told.begin.is_some()) =>
            {
                Exit::Failures
            }
            Exit::Failures => Exit::Failures,
            _ if !self.is_whole() => Exit::Harness,
            exit => exit,
        }
    }
}

/// Writes a file that came out of a guest, below `folder` and nowhere else.
fn keep(folder: &Path, path: &str, base64: &str) -> io::Result<()> {
    let path = Path::new(path);
    if !path
        .components()
        .all(|it| matches!(it, Component::Normal(_)))
    {
        return Err(io::Error::other("no path below the folder"));
    }
    let bytes = BASE64.decode(base64).map_err(io::Error::other)?;
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    fs::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BEGIN: &str = r#"{"event":"begin","format":1,"version":"0.1.0","release":"6.1","machine":"x86_64","euid":0,"outside_uid":0,"seed":1,"subject":"rust","jobs":1,"cases":2}"#;
    const FINISHED: &str = r#"{"event":"finished","totals":{"passed":2,"failed":0,"skipped":0,"broken":0,"info":0},"promises":{"kept":2,"judged":2},"exit":0,"ms":5}"#;

    fn started(id: &str) -> String {
        format!(r#"{{"event":"started","id":"{id}"}}"#)
    }

    fn ended(id: &str, outcome: &str) -> String {
        format!(
            r#"{{"event":"ended","id":"{id}","level":"must","statement":"x","guide":[],"outcome":"{outcome}","reason":null,"expected":null,"actual":null,"ms":1,"notes":[]}}"#
        )
    }

    fn kernel(text: &str) -> String {
        format!(r#"{{"event":"kernel","level":4,"text":"{text}"}}"#)
    }

    fn guest_ended(code: &str) -> String {
        format!(r#"{{"event":"guest-ended","code":{code},"taint":0}}"#)
    }

    fn judged(end: End, lines: &[String]) -> Judged {
        Judged::new(end, 1, &lines.join("\r\n"), PathBuf::new())
    }

    fn whole() -> Vec<String> {
        let case = |id| [started(id), ended(id, "pass")];
        let cases = [case("a/one"), case("a/two")].concat();
        let end = vec![FINISHED.to_owned(), guest_ended("0")];
        [vec![BEGIN.to_owned()], cases, end].concat()
    }

    #[test]
    fn a_whole_run_is_as_it_says() {
        let it = judged(End::WithoutVerdict, &whole());
        assert_eq!(it.trouble(), [""; 0]);
        assert_eq!(it.exit(), Exit::Passed);
        assert_eq!(it.told.areas().len(), 1);
    }

    #[test]
    fn a_crash_is_told_with_the_case_that_ran_and_fails() {
        let lines = &whole()[..4];
        for (end, told) in [
            (
                End::Panic("Kernel panic - not syncing: x".into()),
                "Kernel panic - not syncing: x (running: a/two)",
            ),
            (
                End::WithoutVerdict,
                "the machine ended without a verdict (running: a/two)",
            ),
            (
                End::Silent(Duration::from_secs(9)),
                "nothing was heard for 9 s (running: a/two)",
            ),
        ] {
            let it = judged(end, lines);
            assert_eq!(it.trouble(), [told, "1 of 2 cases came to an end"]);
            assert_eq!(it.exit(), Exit::Failures);
            assert_eq!(it.told.words()["a/two"], "crash");
        }
        // A machine that was told to end says nothing against its kernel.
        let it = judged(End::Told, lines);
        assert_eq!(it.trouble()[0], "it was told to end (running: a/two)");
        assert_eq!(it.exit(), Exit::Harness);
        assert_eq!(it.told.words()["a/two"], "broken");
    }

    #[test]
    fn a_warning_is_told_with_the_case_that_ran_and_fails() {
        let mut lines = whole();
        lines.insert(4, kernel("WARNING: CPU: 0 PID: 9 at net/ipv4/tcp.c:1"));
        lines.insert(4, kernel("process wrote something"));
        let tainted = whole()
            .last()
            .map(|last| last.replace(r#""taint":0"#, r#""taint":512"#));
        let tainted = [&whole()[..6], &[tainted.unwrap()]].concat();
        let it = judged(End::WithoutVerdict, &tainted);
        assert_eq!(it.trouble(), ["the kernel is tainted: 0x200"]);
        assert_eq!(it.exit(), Exit::Failures);
        let it = judged(End::WithoutVerdict, &lines);
        assert_eq!(it.splats.len(), 1);
        assert_eq!(it.splats[0].running, ["a/two"]);
        assert_eq!(it.exit(), Exit::Failures);
    }

    #[test]
    fn results_that_were_cut_off_and_codes_that_do_not_fit_are_no_pass() {
        let all = whole();
        let without = |from: usize| [&all[..from], &all[6..]].concat();
        let it = judged(End::WithoutVerdict, &without(5));
        assert_eq!(
            it.trouble(),
            ["the suite ended with 0 and had told nothing (no case was running)"]
        );
        assert_eq!(it.exit(), Exit::Harness);
        let mut cut = all.clone();
        cut[5].truncate(40);
        let it = judged(End::WithoutVerdict, &cut);
        assert_eq!((it.told.garbled, it.exit()), (1, Exit::Harness));
        let mut other = all.clone();
        other[6] = guest_ended("1");
        let it = judged(End::WithoutVerdict, &other);
        assert_eq!(
            it.trouble(),
            ["the suite ended with 1 and had told 0 (no case was running)"]
        );
        assert_eq!(it.exit(), Exit::Harness);
        let killed = [&all[..4], &[guest_ended("null")]].concat();
        let it = judged(End::WithoutVerdict, &killed);
        assert_eq!(
            it.trouble()[0],
            "the suite was killed and had told nothing (running: a/two)"
        );
        assert_eq!(it.exit(), Exit::Failures);
        let it = judged(End::Emulator("no memory".into()), &[]);
        assert_eq!(
            it.trouble(),
            ["the emulator: no memory", "the suite did not begin"]
        );
        assert_eq!(it.exit(), Exit::Harness);
    }

    #[test]
    fn what_was_kept_comes_out_below_its_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str, base64: &str| {
            format!(r#"{{"event":"file","path":"{path}","base64":"{base64}"}}"#)
        };
        let mut lines = whole();
        lines.insert(6, file("a__one/a.pcapng", "aGVsbG8="));
        lines.insert(6, file("../out", "aGVsbG8="));
        lines.insert(6, file("b", "?"));
        let text = lines.join("\n");
        let it = Judged::new(End::WithoutVerdict, 1, &text, folder.path().to_owned());
        let kept = fs::read(folder.path().join("a__one/a.pcapng")).unwrap();
        assert_eq!(kept, b"hello");
        assert_eq!(it.lost.len(), 2);
        assert!(!folder.path().join("../out").exists());
    }

    #[test]
    fn a_panic_behind_the_end_of_the_suite_is_a_panic() {
        let it = judged(End::Panic("Kernel panic - not syncing: x".into()), &whole());
        assert_eq!(it.exit(), Exit::Failures);
    }

    #[test]
    fn a_failed_case_fails_whatever_else_happens() {
        let mut lines = whole();
        lines[2] = ended("a/one", "fail");
        lines.truncate(5);
        assert_eq!(judged(End::WithoutVerdict, &lines).exit(), Exit::Failures);
    }
}
