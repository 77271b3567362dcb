//! What may not grow, read at regular counts of a run.
//!
//! The last quarter of the readings is compared with the first, in which everything comes to the size that it needs.

use crate::error::{Error, While as _};
use crate::namespaces;
use lab::{Host, Sandbox};
use peak_alloc::PeakAlloc;
use std::fs;
use std::io;

/// Counts what is allocated.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The least number of readings that say anything.
pub(crate) const LEAST: usize = 8;

/// Pages of this process in memory.
const RESIDENT: &str = "resident memory";
/// By how much these may be more in the end, KiB.
const RESIDENT_MARGIN: u64 = 32 << 10;

/// What reads it.
type Read<'a> = Box<dyn Fn() -> io::Result<u64> + 'a>;

/// Which reading of the last quarter is compared with the largest of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    /// The largest: what is ours alone.
    Largest,
    /// The smallest: where others have a share in it that comes and goes.
    Smallest,
}

/// Something that may not grow.
pub(crate) struct Gauge<'a> {
    name: &'static str,
    unit: &'static str,
    /// By how much it may be larger in the end.
    margin: u64,
    late: Late,
    read: Read<'a>,
    readings: Vec<u64>,
}

impl<'a> Gauge<'a> {
    fn new(name: &'static str, margin: u64, read: impl Fn() -> io::Result<u64> + 'a) -> Self {
        Self {
            name,
            unit: "",
            margin,
            late: Late::Largest,
            read: Box::new(read),
            readings: Vec::new(),
        }
    }

    /// What this process has allocated, and what of it is in memory: of that its allocator keeps some tens of megabytes for
    /// threads that come and go.
    fn memory() -> [Self; 2] {
        let allocated = || Ok(ALLOCATED.current_usage() as u64 >> 10);
        let gauges = [
            Self::new("memory", 1024, allocated),
            Self::new(RESIDENT, RESIDENT_MARGIN, resident),
        ];
        gauges.map(|gauge| Self {
            unit: " KiB",
            ..gauge
        })
    }

    /// Allows for what a round allocates and frees, bytes: the allocator may keep the pages of the largest one, whenever that comes.
    /// What is allocated is counted apart.
    pub(crate) fn expect_kept(gauges: &mut [Self], bytes: usize) {
        for gauge in gauges.iter_mut().filter(|gauge| gauge.name == RESIDENT) {
            gauge.margin = gauge.margin.max(RESIDENT_MARGIN + (bytes as u64 >> 10));
        }
    }

    /// The sockets of a host: one that was closed is counted until its last packet is done with.
    pub(crate) fn sockets(host: &'a Host) -> Self {
        Self::new("sockets", 32, move || sockets(host))
    }

    /// The gauges of every run.
    pub(crate) fn usual(sandbox: &'a Sandbox) -> Vec<Self> {
        let mut gauges = Vec::from(Self::memory());
        gauges.extend([
            Self::new("descriptors", 0, descriptors),
            Self::new("namespaces", 0, move || namespaces::named(sandbox)),
        ]);
        gauges
    }

    /// The namespaces of the machine, named or not, where they can be counted: of a run that makes many, and others may make some.
    pub(crate) fn of_the_machine() -> Option<Self> {
        namespaces::of_the_machine().is_ok().then(|| Self {
            late: Late::Smallest,
            ..Self::new("namespaces of the machine", 32, namespaces::of_the_machine)
        })
    }

    /// How it has grown: the largest reading of the first quarter, and one of the last; `None` where they are too few.
    fn growth(&self) -> Option<(u64, u64)> {
        if self.readings.len() < LEAST {
            return None;
        }
        let quarter = self.readings.len() / 4;
        let early = self.readings.iter().take(quarter).max()?;
        let late = self.readings.iter().rev().take(quarter);
        let late = match self.late {
            Late::Largest => late.max(),
            Late::Smallest => late.min(),
        };
        Some((*early, *late?))
    }

    fn judge(&self) -> Result<String, String> {
        let Self {
            name, unit, margin, ..
        } = self;
        let Some((early, late)) = self.growth() else {
            let count = self.readings.len();
            return Ok(format!("{name} not judged ({count} readings)"));
        };
        match late > early + margin {
            false => Ok(format!("{name} {early} -> {late}{unit}")),
            true => Err(format!(
                "{name} grows: {early}{unit} in the first quarter of {} readings, {late}{unit} in the last, and {margin}{unit} \
                 more would be allowed",
                self.readings.len()
            )),
        }
    }
}

/// Reads all of them now.
pub(crate) fn read_all(gauges: &mut [Gauge<'_>]) -> Result<(), Error> {
    for gauge in gauges {
        let now = (gauge.read)().doing(|| format!("reading the {}", gauge.name))?;
        gauge.readings.push(now);
    }
    Ok(())
}

/// Fails with all that have grown; otherwise tells from where to where they went.
pub(crate) fn judge_all(gauges: &[Gauge<'_>]) -> Result<String, Error> {
    let (told, grown): (Vec<_>, Vec<_>) = gauges.iter().map(Gauge::judge).partition(Result::is_ok);
    let words = |judged: Vec<Result<String, String>>| {
        let words = judged.into_iter().map(|it| it.unwrap_or_else(|it| it));
        words.collect::<Vec<_>>().join(", ")
    };
    match grown.is_empty() {
        true => Ok(words(told)),
        false => Err(Error::Grown(words(grown))),
    }
}

/// Pages of this process in memory, in KiB.
fn resident() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let size = text.lines().find_map(|line| {
        let rest = line.strip_prefix("VmRSS:")?;
        rest.split_whitespace().next()?.parse().ok()
    });
    size.ok_or_else(|| io::Error::other("no VmRSS in /proc/self/status"))
}

fn descriptors() -> io::Result<u64> {
    Ok(fs::read_dir("/proc/self/fd")?.count() as u64)
}

fn sockets(host: &Host) -> io::Result<u64> {
    let read = || fs::read_to_string("/proc/thread-self/net/sockstat");
    let text = host.enter(read).map_err(io::Error::other)??;
    let used = text.lines().find_map(|line| {
        let rest = line.strip_prefix("sockets: used ")?;
        rest.trim().parse().ok()
    });
    used.ok_or_else(|| io::Error::other("no count of sockets in /proc/net/sockstat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(late: Late, readings: &[u64]) -> Gauge<'static> {
        Gauge {
            late,
            readings: readings.to_vec(),
            ..Gauge::new("x", 2, || Ok(0))
        }
    }

    #[test]
    fn what_grows_by_more_than_its_margin_is_told_with_both_ends() {
        let steady = gauge(Late::Largest, &[1, 5, 9, 9, 9, 9, 7, 1]);
        assert_eq!(steady.judge().unwrap(), "x 5 -> 7");
        let grown = gauge(Late::Largest, &[1, 5, 0, 0, 0, 0, 8, 1]);
        let error = grown.judge().unwrap_err();
        assert!(error.starts_with("x grows: 5 in the first quarter of 8 readings, 8 in the last"));
        let all = judge_all(&[steady, grown]).unwrap_err().to_string();
        assert_eq!(all, error);
    }

    #[test]
    fn where_others_have_a_share_only_what_stays_counts() {
        let noisy = gauge(Late::Smallest, &[1, 5, 0, 0, 0, 0, 99, 5]);
        assert_eq!(noisy.judge().unwrap(), "x 5 -> 5");
        let grown = gauge(Late::Smallest, &[1, 5, 0, 0, 0, 0, 99, 8]);
        grown.judge().unwrap_err();
    }

    #[test]
    fn what_the_largest_round_frees_may_be_kept_of_resident_memory_alone() {
        let named = |name| Gauge {
            name,
            ..gauge(Late::Largest, &[1, 5, 0, 0, 0, 0, 40 << 10, 1])
        };
        let mut gauges = [named(RESIDENT), named("x")];
        Gauge::expect_kept(&mut gauges, 1 << 20);
        gauges[0].judge().unwrap_err();
        Gauge::expect_kept(&mut gauges, 8 << 20);
        Gauge::expect_kept(&mut gauges, 1 << 20);
        gauges[0].judge().unwrap();
        gauges[1].judge().unwrap_err();
    }

    #[test]
    fn too_few_readings_say_that_they_are() {
        let few = gauge(Late::Largest, &[1, 9, 99]);
        assert_eq!(few.judge().unwrap(), "x not judged (3 readings)");
    }

    #[test]
    fn memory_and_descriptors_can_be_read_and_follow_what_happens() {
        let held = descriptors().unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        assert!(descriptors().unwrap() > held);
        drop(file);
        let before = resident().unwrap();
        let memory = vec![1_u8; 32 << 20];
        let after = resident().unwrap();
        assert!(after > before + (16 << 10), "{before} {after}");
        assert!(memory.iter().all(|byte| *byte == 1));
    }
}
