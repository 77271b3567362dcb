//! Reading the process table: who descends from whom, who is still there, who is what.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// One line of the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Process id.
    pub(crate) pid: u32,
    /// Its parent's.
    pub(crate) parent: u32,
    /// Clock ticks since boot: with the pid, it names the process for good.
    pub(crate) started: u64,
    /// Ended, but not waited for.
    pub(crate) zombie: bool,
    /// The command line, or the name in brackets when there is none.
    pub(crate) command: String,
}

/// Every process that can be seen. One that ends while we look is left out.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(one)
        .collect()
}

fn one(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    parse(pid, &stat, &cmdline)
}

/// `stat` is "pid (name) state parent …"; the name may hold anything, so it ends at the last ')'.
fn parse(pid: u32, stat: &str, cmdline: &[u8]) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    let words: Vec<_> = cmdline
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    let line = words.join(" ").trim_end().to_owned();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        zombie: fields.first() == Some(&"Z"),
        command: if line.is_empty() {
            format!("[{name}]")
        } else {
            line
        },
    })
}

/// The descendants of `ancestor`, without itself.
pub(crate) fn descendants(ancestor: u32) -> Vec<Process> {
    family(&all(), ancestor)
}

fn family(table: &[Process], ancestor: u32) -> Vec<Process> {
    let mut known = BTreeSet::from([ancestor]);
    let mut found: Vec<Process> = Vec::new();
    loop {
        let before = known.len();
        for process in table {
            if known.contains(&process.parent) && known.insert(process.pid) {
                found.push(process.clone());
            }
        }
        if known.len() == before {
            return found;
        }
    }
}

/// Kills `root` and all that descends from it, until no new descendant shows up.
pub(crate) fn stop_tree(root: u32) {
    // A process that forks while we look is found in the next round; each round only finds survivors.
    for _ in 0..50 {
        let alive: Vec<_> = descendants(root)
            .into_iter()
            .filter(|process| !process.zombie)
            .collect();
        for process in &alive {
            stop(process.pid);
        }
        if alive.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    stop(root);
}

/// Kills one process. That it may be gone already is no error.
pub(crate) fn stop(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
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

/// The network namespace of a process, as in `net:[4026531833]`, if we may know.
pub(crate) fn network_namespace(pid: u32) -> Option<String> {
    let link = fs::read_link(Path::new("/proc").join(pid.to_string()).join("ns/net")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Every uid that some process has, in any of its four roles.
pub(crate) fn uids() -> BTreeSet<u32> {
    all()
        .iter()
        .filter_map(|process| fs::read_to_string(format!("/proc/{}/status", process.pid)).ok())
        .filter_map(|status| {
            let line = status.lines().find(|line| line.starts_with("Uid:"))?;
            Some(
                line.split_ascii_whitespace()
                    .skip(1)
                    .filter_map(|uid| uid.parse().ok())
                    .collect::<Vec<u32>>(),
            )
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn process(pid: u32, parent: u32) -> Process {
        Process {
            pid,
            parent,
            started: 1,
            zombie: false,
            command: String::new(),
        }
    }

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) Z 5 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let process = parse(7, stat, b"").unwrap();
        assert_eq!(
            (process.parent, process.started, process.zombie),
            (5, 4711, true)
        );
        assert_eq!(process.command, "[a) b (c]");
        assert_eq!(
            parse(7, stat, b"sleep\x0060\0").unwrap().command,
            "sleep 60"
        );
    }

    #[test]
    fn the_family_has_grandchildren_in_any_order_and_no_strangers() {
        let table = [process(4, 3), process(3, 2), process(2, 1), process(9, 8)];
        let mut pids: Vec<_> = family(&table, 2).iter().map(|p| p.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [3, 4]);
    }

    #[test]
    fn a_child_is_seen_with_its_namespace_and_stopped() {
        let mut child = Command::new("sleep")
            .arg("86399.5")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let me = std::process::id();
        // Between fork and exec the command line is still ours.
        let seen = (0..500).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            descendants(me)
                .into_iter()
                .find(|p| p.pid == child.id() && p.command == "sleep 86399.5")
        });
        assert!(seen.is_some());
        assert_eq!(network_namespace(child.id()), network_namespace(me));
        stop_tree(child.id());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn our_own_uid_is_in_use() {
        assert!(uids().contains(&nix::unistd::getuid().as_raw()));
    }
}
