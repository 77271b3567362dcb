//! What a lab costs: prints medians, judges nothing.
//!
//! `cargo run --release -p lab --example lab_cost`

use lab::{Family, Pair, Sandbox};
use std::error::Error;
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    Sandbox::enter()?;
    let mut create = Vec::new();
    let mut connect = Vec::new();
    let mut remove = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let pair = Pair::new()?;
        create.push(start.elapsed());

        let start = Instant::now();
        let connection = pair.connection(Family::V4).open()?;
        connect.push(start.elapsed());

        let start = Instant::now();
        drop(connection);
        drop(pair);
        remove.push(start.elapsed());
    }
    for (what, times) in [("create", create), ("connect", connect), ("remove", remove)] {
        print(what, times);
    }
    Ok(())
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| {
        times
            .get(times.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{what:>8}: median {:?}, 10th percentile {:?}, 90th {:?}",
        at(50),
        at(10),
        at(90)
    );
}
