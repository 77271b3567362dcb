//! What a lab costs, with and without a wire: prints medians and ratios, judges nothing.
//!
//! `cargo run --release -p lab --example lab_cost`

use lab::{Connection, Family, Pair, PairWithWire, Sandbox};
use std::error::Error;
use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

/// Labs of each kind.
const ROUNDS: usize = 200;
/// One byte there and one back, so many times.
const ROUND_TRIPS: usize = 2000;
/// Bytes for the throughput.
const BYTES: usize = 256 << 20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    Sandbox::enter()?;
    cost_of_a_lab("pair", Pair::new)?;
    cost_of_a_lab("pair with a wire", Pair::with_wire)?;

    let direct = Pair::new()?;
    let wired = Pair::with_wire()?;
    let offloading = PairWithWire::builder().offload(true).build()?;
    let open = |pair: &Pair| pair.connection(Family::V4).open();
    let mut latency = None;
    let mut speed = None;
    for (what, connection) in [
        ("direct", open(&direct)?),
        ("by a wire", open(&wired)?),
        ("by a wire, with offloads", open(&offloading)?),
    ] {
        let round_trip = round_trip(&connection)?;
        let first = *latency.get_or_insert(round_trip);
        let slower = round_trip.as_secs_f64() / first.as_secs_f64();
        println!("{what}: a byte there and back takes {round_trip:?}, {slower:.1} times the first");
        let rate = throughput(connection)?;
        let first = *speed.get_or_insert(rate);
        let share = rate / first;
        println!(
            "{what}: {:.2} Gbit/s, {share:.2} times the first",
            rate / 1e9
        );
    }
    Ok(())
}

/// Prints what it takes to make such a lab, to connect in it, and to remove it.
fn cost_of_a_lab<T: AsPair>(
    what: &str,
    make: fn() -> std::result::Result<T, lab::Error>,
) -> Result<()> {
    let [mut create, mut connect, mut remove] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let lab = make()?;
        create.push(start.elapsed());

        let start = Instant::now();
        let connection = lab.pair().connection(Family::V4).open()?;
        connect.push(start.elapsed());

        let start = Instant::now();
        drop(connection);
        drop(lab);
        remove.push(start.elapsed());
    }
    for (step, times) in [("create", create), ("connect", connect), ("remove", remove)] {
        println!("{what}: {step} {:?} (median)", median(times));
    }
    Ok(())
}

trait AsPair {
    fn pair(&self) -> &Pair;
}

impl AsPair for Pair {
    fn pair(&self) -> &Pair {
        self
    }
}

impl AsPair for PairWithWire {
    fn pair(&self) -> &Pair {
        self
    }
}

fn round_trip(connection: &Connection) -> Result<Duration> {
    let (mut client, mut server) = (&connection.client, connection.server.try_clone()?);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let echo = thread::spawn(move || -> io::Result<()> {
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
    Ok(median(times))
}

/// In bits per second.
fn throughput(connection: Connection) -> Result<f64> {
    let (mut client, mut server) = (connection.client, connection.server);
    let start = Instant::now();
    let writer = thread::spawn(move || client.write_all(&vec![0; BYTES]));
    let mut left = BYTES;
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        left -= server.read(&mut buffer)?;
    }
    let time = start.elapsed();
    writer.join().map_err(|_| "the writer has panicked")??;
    Ok(BYTES as f64 * 8.0 / time.as_secs_f64())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
