//! Long runs of the library under traffic: `cycles` of freeze and thaw on one connection, `moves` between hosts, and the
//! `load` of many connections at once.
//!
//! Every byte of every stream is checked at both ends, and in every snapshot; no host may have sent a reset; memory,
//! descriptors, sockets (of moves: the namespaces that have them) and namespaces, read at regular counts, may not grow. It is
//! a package of its own, apart from the benchmarks: those measure how long something takes, this one asks whether it holds.

mod busy;
mod clients;
mod crowd;
mod cycles;
mod driven;
mod error;
mod gauge;
mod goal;
mod idle;
mod limits;
mod load;
mod locks;
mod moves;
mod namespaces;
mod plant;
mod resets;
mod talk;

use crate::error::Error;
use crate::goal::Goal;
use crate::plant::{Plant, Planted};
use clap::{Parser, ValueEnum};
use lab::Sandbox;
use std::process::ExitCode;
use std::time::Duration;

/// How often a load saves and restores all its connections: as often as what grows has to be read to be judged.
const ROUNDS: u64 = gauge::LEAST as u64;

/// What was promised does not hold.
const FAILED: u8 = 1;
/// The command line asks for what is not done.
const USAGE: u8 = 2;
/// The network could not be had.
const NO_SANDBOX: u8 = 3;
/// Everything was skipped.
const NOTHING_RAN: u8 = 4;

/// One kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One busy connection, frozen and thawed again and again
    Cycles,
    /// One busy connection, whose end moves from host to host
    Moves,
    /// Many connections under traffic, all of them saved, closed and restored at once
    Load,
}

/// Long runs of soccr under traffic, with every byte checked and what may not grow counted
#[derive(Debug, Parser)]
#[command(name = "soak")]
struct Arguments {
    /// What to run; without it, all of them
    kinds: Vec<Kind>,
    /// Go on for so many minutes, shared among what is run, however many times that is; a load for 8 rounds at least
    #[arg(long, value_name = "N")]
    minutes: Option<u32>,
    /// cycles: how many, 100000 unless told
    #[arg(long, value_name = "N")]
    cycles: Option<u64>,
    /// moves: how many, 10000 unless told
    #[arg(long, value_name = "N")]
    moves: Option<u64>,
    /// load: how many connections
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    connections: usize,
    /// load: how often all of them are saved and restored, 8 times unless told: with fewer, what grows is not judged
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// moves: after how many there is a new network
    #[arg(long, value_name = "N", default_value_t = 100, hide = true)]
    moves_of_a_network: u64,
    /// Do something wrong on purpose, to see that it is noticed
    #[arg(long, hide = true)]
    plant: Option<Plant>,
}

impl Arguments {
    fn kinds(&self) -> Vec<Kind> {
        match &self.kinds[..] {
            [] => Kind::value_variants().to_vec(),
            kinds => kinds.to_vec(),
        }
    }

    /// So many times, or as often as its share of the time allows, and at least so often.
    fn goal(&self, times: Option<u64>, usual: u64, least: u64) -> Goal {
        let shares = u32::try_from(self.kinds().len()).unwrap_or(1);
        let time = |minutes: u32| Duration::from_secs(60 * u64::from(minutes)) / shares;
        let within = self.minutes.map(time);
        let otherwise = within.map_or(usual, |_| u64::MAX);
        Goal {
            times: times.unwrap_or(otherwise),
            within,
            least,
        }
    }

    fn run(&self, kind: Kind, sandbox: &Sandbox) -> Result<String, Error> {
        let planted = Planted::new(self.plant);
        match kind {
            Kind::Cycles => cycles::run(self.goal(self.cycles, 100_000, 1), planted, sandbox),
            Kind::Moves => {
                let goal = self.goal(self.moves, 10_000, 1);
                moves::run(goal, self.moves_of_a_network, planted, sandbox)
            }
            Kind::Load => {
                let goal = self.goal(self.rounds, ROUNDS, ROUNDS);
                load::run(goal, self.connections, planted, sandbox)
            }
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [clients::ORDER, server, connections] =
        words.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        return of_clients(server, connections);
    }
    let arguments = Arguments::parse();
    if let Some(plant) = arguments.plant
        && !arguments.kinds().iter().all(|kind| plant.is_for(*kind))
    {
        eprintln!(
            "error: --plant {plant:?} is not done in all of {:?}",
            arguments.kinds()
        );
        return ExitCode::from(USAGE);
    }
    // Before the first thread.
    let sandbox = match namespaces::enter() {
        Ok(sandbox) => sandbox,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(NO_SANDBOX);
        }
    };
    let mut ran = false;
    for kind in arguments.kinds() {
        let name = format!("{kind:?}").to_lowercase();
        match arguments.run(kind, &sandbox) {
            Ok(told) => {
                ran = true;
                println!("{name}: {told}");
            }
            Err(Error::Skipped(reason)) => println!("{name}: skipped: {reason}"),
            Err(error) => {
                eprintln!("error: {name}: {error}");
                return ExitCode::from(FAILED);
            }
        }
    }
    match ran {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(NOTHING_RAN),
    }
}

/// The load starts this program again in this way.
fn of_clients(server: &str, connections: &str) -> ExitCode {
    let (Ok(server), Ok(connections)) = (server.parse(), connections.parse()) else {
        eprintln!("error: {server} and {connections} are no address and no number");
        return ExitCode::from(FAILED);
    };
    match clients::run(server, connections) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the clients: {error}");
            ExitCode::from(FAILED)
        }
    }
}
