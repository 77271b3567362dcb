//! The measurements: of making and removing, and of what a byte has to pass.

use crate::{Lab, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// Labs of each kind.
const ROUNDS: usize = 50;
/// One byte there and one back, so many times.
const ROUND_TRIPS: usize = 2000;
/// Bytes for the throughput.
const BYTES: usize = 256 << 20;

/// What it takes to make a lab, to connect in it, and to remove it.
pub(crate) struct Cost {
    ready: Duration,
    connect: Duration,
    remove: Duration,
}

impl Cost {
    /// Medians of so many labs in a row.
    pub(crate) fn of<L: Lab>(make: impl Fn() -> Result<L>) -> Result<Self> {
        let [mut ready, mut connect, mut remove] = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let lab = make()?;
            let made = start.elapsed();
            let connection = lab.connect()?;
            ready.push(start.elapsed());
            connect.push(start.elapsed() - made);

            let start = Instant::now();
            drop(connection);
            drop(lab);
            remove.push(start.elapsed());
        }
        Ok(Self {
            ready: median(ready),
            connect: median(connect),
            remove: median(remove),
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ready, connect, remove) = (self.ready, self.connect, self.remove);
        write!(f, "{ready:>9.1?} {connect:>9.1?} {remove:>9.1?}")
    }
}

/// What the way between two hosts is like.
pub(crate) struct Path {
    round_trip: Duration,
    /// In bits per second.
    throughput: f64,
}

impl Path {
    /// Measured with connections of its own.
    pub(crate) fn of(lab: &impl Lab) -> Result<Self> {
        Ok(Self {
            round_trip: round_trip(lab.connect()?)?,
            throughput: throughput(lab.connect()?)?,
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (round_trip, rate) = (self.round_trip, self.throughput / 1e9);
        write!(f, "{round_trip:>9.1?} {rate:>6.2} Gbit/s")
    }
}

fn round_trip((mut client, mut server): (TcpStream, TcpStream)) -> Result<Duration> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // Who has to wake up another processor waits longer: every path is measured between the same two.
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let usable: Vec<_> = (0..CpuSet::count())
        .filter(|&cpu| all.is_set(cpu) == Ok(true))
        .collect();
    let (here, there) = (usable.first().copied(), usable.last().copied());
    pin(here)?;
    let echo = thread::spawn(move || -> io::Result<()> {
        pin(there)?;
        for _ in 0..ROUND_TRIPS {
            server.read_exact(&mut [0])?;
            server.write_all(&[0])?;
        }
        Ok(())
    });
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        client.write_all(&[0])?;
        client.read_exact(&mut [0])?;
        times.push(start.elapsed());
    }
    echo.join().map_err(|_| "the echo has panicked")??;
    sched_setaffinity(Pid::from_raw(0), &all)?;
    Ok(median(times))
}

/// Keeps the calling thread on one processor.
fn pin(cpu: Option<usize>) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu.unwrap_or(0))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn throughput((mut client, mut server): (TcpStream, TcpStream)) -> Result<f64> {
    let start = Instant::now();
    let writer = thread::spawn(move || client.write_all(&vec![0; BYTES]));
    let mut left = BYTES;
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        match server.read(&mut buffer)? {
            0 => return Err("the writer has ended too early".into()),
            read => left -= read,
        }
    }
    let time = start.elapsed();
    writer.join().map_err(|_| "the writer has panicked")??;
    Ok(BYTES as f64 * 8.0 / time.as_secs_f64())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
