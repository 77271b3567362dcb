//! Reading the process table: who descends from whom, and ending them.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::error::{Error, While as _};

/// How long killed processes may take to end: a bound against those that the kernel does not let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// One line of the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    parent: u32,
    /// Ended, but not waited for.
    zombie: bool,
    /// When it was started, in ticks since boot: tells it from a later process with the same id.
    start: u64,
    /// The command line, or the name in brackets when there is none.
    pub(crate) command: String,
}

/// From now on, whoever descends from us and loses its parent becomes our child.
pub(crate) fn adopt_orphans() -> Result<(), Error> {
    nix::sys::prctl::set_child_subreaper(true)
        .doing(|| "becoming the parent of orphans (prctl)".to_owned())
}

/// The names in /proc that are process ids.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Every process that is alive and descends from `ancestor`, without itself.
pub(crate) fn descendants(ancestor: u32) -> Vec<Process> {
    // One that ends while we look is left out.
    let mut family = family(pids().filter_map(process).collect(), ancestor);
    family.retain(|process| !process.zombie);
    family
}

fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    parse(pid, &stat, &cmdline)
}

/// `stat` is "pid (name) state parent …", its 22nd field the start; the name may hold anything, so it ends at the
/// last ')'.
fn parse(pid: u32, stat: &str, cmdline: &[u8]) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let mut fields = tail.split_ascii_whitespace();
    let line = String::from_utf8_lossy(cmdline).replace('\0', " ");
    let command = match line.trim_end() {
        "" => format!("[{}]", head.split_once('(')?.1),
        line => line.to_owned(),
    };
    Some(Process {
        pid,
        zombie: fields.next()? == "Z",
        parent: fields.next()?.parse().ok()?,
        start: fields.nth(17)?.parse().ok()?,
        command,
    })
}

fn family(mut table: Vec<Process>, ancestor: u32) -> Vec<Process> {
    let (mut found, mut parents) = (Vec::new(), vec![ancestor]);
    while let Some(parent) = parents.pop() {
        let (children, others) = table
            .into_iter()
            .partition(|p: &Process| p.parent == parent);
        table = others;
        parents.extend(children.iter().map(|child: &Process| child.pid));
        found.extend(children);
    }
    found
}

/// Kills `root` and what descends from it.
pub(crate) fn stop_tree(root: u32) {
    stop(process(root).into_iter().chain(descendants(root)).collect());
}

/// Kills what is left of our own family.
pub(crate) fn stop_all() {
    stop(descendants(std::process::id()));
    reap();
}

/// Kills `processes`, and returns when they have ended: the signal is only sent by then, and whoever looks too
/// early still finds them at work.
fn stop(mut processes: Vec<Process>) {
    for process in &processes {
        // That it is gone already is no error.
        let _ = i32::try_from(process.pid).map(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL));
    }
    let killed = Instant::now();
    loop {
        processes.retain(Process::is_alive);
        if processes.is_empty() || killed.elapsed() >= PATIENCE {
            return;
        }
        sleep(Duration::from_millis(5));
    }
}

/// Waits for every child that has ended, ours by birth or by adoption. Only while no command is running.
pub(crate) fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}

impl Process {
    /// Whether it has not ended since it was found.
    fn is_alive(&self) -> bool {
        process(self.pid).is_some_and(|now| now.start == self.start && !now.zombie)
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let namespace = fs::read_link(format!("/proc/{}/ns/net", self.pid));
        let namespace = namespace.map_or_else(
            |_| "a network namespace that we may not see".to_owned(),
            |link| link.display().to_string(),
        );
        write!(f, "{} `{}` in {namespace}", self.pid, self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) Z 5 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let process = parse(7, stat, b"").unwrap();
        let fields = (process.parent, process.zombie, process.start);
        assert_eq!(fields, (5, true, 4711));
        assert_eq!(process.command, "[a) b (c]");
        let process = parse(7, stat, b"sleep\x0060\0").unwrap();
        assert_eq!(process.command, "sleep 60");
    }

    #[test]
    fn a_process_is_not_taken_for_a_later_one_with_its_id() {
        let myself = process(std::process::id()).unwrap();
        let mut earlier = myself.clone();
        earlier.start -= 1;
        assert!(myself.is_alive() && !earlier.is_alive());
    }

    #[test]
    fn the_family_has_grandchildren_in_any_order_and_no_strangers() {
        let process = |pid, parent| Process {
            pid,
            parent,
            zombie: false,
            start: 0,
            command: String::new(),
        };
        let table = [process(4, 3), process(3, 2), process(2, 1), process(9, 8)];
        let pids: Vec<_> = family(table.into(), 2).iter().map(|p| p.pid).collect();
        assert_eq!(pids, [3, 4]);
    }
}
