//! Weeks that pass, in a machine that its kernel lets rest.

use super::{days, minutes};
use crate::verdict::{Stop, Verdict};
use std::fs;
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
/// [`Stop::Skip`] where that would be days and the kernel goes on looking for something to do: each look ends a leap, and weeks
/// would take most of an hour.
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
    let before = looks();
    thread::sleep(WATCHED);
    let looked = looks() - before;
    match looked <= LOOKS {
        true => Ok(WATCHED),
        false => Err(Stop::Skip(format!(
            "{COMPACTION} looks for pages about {:.0} times a second, whatever vm.compaction_proactiveness is: weeks would take \
             most of an hour",
            looked as f64 / WATCHED.as_secs_f64()
        ))),
    }
}

/// How often that thread has gone to sleep; where there is none, never.
fn looks() -> u64 {
    let looks = |folder: fs::DirEntry| {
        let read = |name| fs::read_to_string(folder.path().join(name)).ok();
        if read("comm")?.trim_end() != COMPACTION {
            return None;
        }
        let status = read("status")?;
        let mut lines = status.lines();
        lines.find_map(|line| {
            line.strip_prefix("voluntary_ctxt_switches:")?
                .trim()
                .parse()
                .ok()
        })
    };
    let processes = fs::read_dir("/proc").into_iter().flatten();
    processes.flatten().find_map(looks).unwrap_or(0)
}
