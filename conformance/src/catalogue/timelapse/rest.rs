//! Weeks that pass, in a machine that its kernel lets rest.

use super::{days, minutes};
use crate::verdict::{Stop, Verdict};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The thread of the kernel that moves pages together, of the first node.
const COMPACTION: &str = "kcompactd0";
/// So long it is watched.
const WATCHED: Duration = minutes(1);
/// As often it may look meanwhile; one that is left alone does not.
const LOOKS: u64 = WATCHED.as_secs();

/// Lets so much time pass.
///
/// # Errors
/// [`Stop::Skip`] where that would be days and the kernel goes on looking for something to do: each look ends a leap.
pub(super) fn rest(time: Duration) -> Verdict {
    let watched = match time < days(1) {
        true => Duration::ZERO,
        false => watch()?,
    };
    thread::sleep(time.saturating_sub(watched));
    Ok(())
}

/// Watches the kernel, and tells for how long.
fn watch() -> Result<Duration, Stop> {
    let Some(folder) = folder_of(COMPACTION)? else {
        return Ok(Duration::ZERO);
    };
    let before = slept(&folder)?;
    thread::sleep(WATCHED);
    let looked = slept(&folder)?.saturating_sub(before);
    if looked <= LOOKS {
        return Ok(WATCHED);
    }
    let told = fs::read_to_string("/proc/sys/vm/compaction_proactiveness")?;
    Err(Stop::Skip(format!(
        "{COMPACTION} looks for pages about {:.0} times a second (vm.compaction_proactiveness = {}): in a machine whose time leaps, \
         weeks would take half an hour",
        looked as f64 / WATCHED.as_secs_f64(),
        told.trim()
    )))
}

/// Where a thread of the kernel is in `/proc`, if there is one of this name.
fn folder_of(name: &str) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        // Processes end meanwhile, and much in there is no process.
        let its = fs::read_to_string(folder.join("comm"));
        if its.is_ok_and(|its| its.trim_end() == name) {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// How often the thread of a folder in `/proc` has gone to sleep.
fn slept(folder: &Path) -> Result<u64, Stop> {
    let status = fs::read_to_string(folder.join("status"))?;
    let count = |line: &str| {
        line.strip_prefix("voluntary_ctxt_switches:")?
            .trim()
            .parse()
            .ok()
    };
    let unread = || {
        Stop::Broken(format!(
            "{}/status has no number of sleeps",
            folder.display()
        ))
    };
    status.lines().find_map(count).ok_or_else(unread)
}
