//! Labs of every topology, one after another: counts what the process holds before and after, and fails on growth.
//!
//! `cargo run --release -p lab --example many_labs [3000]` (no root needed)

use lab::{Family, Pair, Sandbox, Star, Trio, wait};
use std::error::Error;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// Labs that come before the first count: what they prepare stays for the next.
const WARM_UP: usize = 100;
/// Memory that an allocator may keep or give back as it likes, in KiB.
const TOLERANCE: u64 = 2048;

fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::enter()?;
    let labs = std::env::args().nth(1).map_or(Ok(3000), |it| it.parse())?;
    for number in 0..WARM_UP {
        one_lab(number)?;
    }
    let before = Inventory::take(&sandbox)?;
    println!("before: {before:?}");
    let start = Instant::now();
    for number in 0..labs {
        one_lab(number)?;
    }
    println!("{labs} labs in {:?}", start.elapsed());
    // A thread that has been joined may still be listed for a moment.
    let threads = || Inventory::take(&sandbox).is_ok_and(|it| it.threads == before.threads);
    wait::until("the threads to be gone", Duration::from_secs(10), threads)?;
    let after = Inventory::take(&sandbox)?;
    println!("after:  {after:?}");
    let same = (after.files, after.namespaces, after.mounts)
        == (before.files, before.namespaces, before.mounts);
    if !same || after.memory > before.memory + TOLERANCE {
        return Err("something has grown".into());
    }
    Ok(())
}

/// A connection in a lab: mostly of a pair, now and then of a larger topology.
fn one_lab(number: usize) -> Result<(), lab::Error> {
    match number % 20 {
        0 => {
            let trio = Trio::new()?;
            trio.client()
                .connection_to(trio.old_host(), Family::V6)
                .open()?;
            trio.move_address()
        }
        1 => {
            let star = Star::new(3)?;
            let [a, _, c] = star.hosts() else {
                return Ok(());
            };
            a.connection_to(c, Family::V4).open().map(drop)
        }
        2 => {
            let pair = Pair::new()?;
            let capture = pair.a().capture()?;
            pair.connection(Family::V4).open()?;
            capture.trace().map(drop)
        }
        3 => {
            let pair = Pair::with_wire()?;
            pair.connection(Family::V4).open()?;
            pair.wire().until_quiet()
        }
        _ => Pair::new()?.connection(Family::V4).open().map(drop),
    }
}

/// What the process holds.
#[derive(Debug)]
struct Inventory {
    files: usize,
    threads: usize,
    namespaces: usize,
    mounts: usize,
    /// In KiB, of what is resident.
    memory: u64,
}

impl Inventory {
    fn take(sandbox: &Sandbox) -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let memory = status
            .lines()
            .find_map(|it| it.strip_prefix("VmRSS:"))
            .and_then(|it| it.split_whitespace().next()?.parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            files: fs::read_dir("/proc/self/fd")?.count(),
            threads: fs::read_dir("/proc/self/task")?.count(),
            namespaces: sandbox.namespaces()?.len(),
            mounts: fs::read_to_string("/proc/self/mountinfo")?.lines().count(),
            memory,
        })
    }
}
