//! Many sockets, saved by one call: what each of them costs, next to one that is saved alone.

use crate::error::Error;
use crate::results::Crowd;
use crate::statistics::{Distribution, Estimate, ratio};
use lab::{Pair, wait};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use soccr::{PauseReport, SaveSettings, Snapshot, raw};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// What is in the receive queue of each.
const QUEUED: usize = 1 << 10;
/// How many sockets one configuration saves in a round at least, by one call after the other: a clock has its own cost.
const AT_LEAST: usize = 200;
/// Descriptors for all the rest.
const SPARE: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections, and how many of them are saved at a time.
#[derive(Debug)]
pub struct Crowds {
    pair: Pair,
    sockets: Vec<TcpStream>,
}

/// How many sockets at a time, on how many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Configuration {
    sockets: usize,
    threads: NonZeroUsize,
}

/// What a round of one configuration has cost each socket, nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Cost {
    call: f64,
    standstill: f64,
}

impl Crowds {
    /// Opens connections with so many ends, a kilobyte in the receive queue of each end.
    ///
    /// Both ends are on one host, so that each descriptor is one to be saved: limits are low.
    ///
    /// # Errors
    /// [`Error`] with what could not be done; the limit of descriptors, among others: see [`most`].
    pub fn open(count: usize) -> Result<Self, Error> {
        let pair = Pair::new()?;
        let host = pair.a();
        let mut sockets = Vec::new();
        host.enter(|| {
            let listener = TcpListener::bind((host.v4(), 0))?;
            let address = listener.local_addr()?;
            while sockets.len() < count {
                let mut ends = [TcpStream::connect(address)?, listener.accept()?.0];
                for end in &mut ends {
                    end.write_all(&[0x5a; QUEUED])?;
                }
                sockets.extend(ends);
            }
            Ok::<_, io::Error>(())
        })??;
        let filled =
            |socket: &TcpStream| raw::siocinq(socket).is_ok_and(|inq| inq as usize == QUEUED);
        wait::until("all receive queues are filled", PATIENCE, || {
            sockets.iter().all(filled)
        })?;
        Ok(Self { pair, sockets })
    }

    /// Measures 1, 10, 100 … of them on one thread and on two, each as often in turn.
    ///
    /// Also one alone is another one each time, so that the kernel's part of it is in no cache, as it is where a program is
    /// saved.
    ///
    /// # Errors
    /// The first error of a save.
    pub fn measure(&self, rounds: usize) -> Result<Vec<Crowd>, Error> {
        let configurations = configurations(self.sockets.len());
        let mut costs = vec![Vec::with_capacity(rounds); configurations.len()];
        for round in 0..=rounds {
            for turn in 0..configurations.len() {
                let at = (round + turn) % configurations.len();
                let cost = self
                    .pair
                    .a()
                    .enter(|| self.round(configurations[at], round))??;
                // The first one is for the caches and the allocator.
                if round > 0 {
                    costs[at].push(cost);
                }
            }
        }
        let alone = costs.first().cloned().unwrap_or_default();
        let crowds = configurations.iter().zip(&costs);
        Ok(crowds
            .map(|(configuration, costs)| crowd(*configuration, costs, &alone))
            .collect())
    }

    /// Saves as many as it takes, from another one on each round.
    fn round(&self, configuration: Configuration, round: usize) -> Result<Cost, Error> {
        let Configuration { sockets, threads } = configuration;
        let calls = AT_LEAST.div_ceil(sockets);
        let all = self.sockets.len();
        let mut cost = Cost {
            call: 0.0,
            standstill: 0.0,
        };
        for call in 0..calls {
            let last = all - sockets;
            let first = match last {
                0 => 0,
                last => (round * calls + call) * sockets % (last + 1),
            };
            let some = &self.sockets[first..first + sockets];
            let start = Instant::now();
            let saved = soccr::save_many(some, threads, SaveSettings::new());
            cost.call += start.elapsed().as_nanos() as f64;
            for one in saved {
                let (snapshot, report) = one?;
                check(&snapshot, &report)?;
                cost.standstill += report.nanoseconds as f64;
            }
        }
        let saved = (calls * sockets) as f64;
        Ok(Cost {
            call: cost.call / saved,
            standstill: cost.standstill / saved,
        })
    }
}

/// What was saved has to be what is there.
fn check(snapshot: &Snapshot, report: &PauseReport) -> Result<(), Error> {
    match snapshot.receive.bytes.len() == QUEUED && report.readings == 1 {
        true => Ok(()),
        false => Err(Error::broken(format!(
            "{} bytes instead of {QUEUED} were saved, in {} readings",
            snapshot.receive.bytes.len(),
            report.readings
        ))),
    }
}

/// One alone first.
fn configurations(most: usize) -> Vec<Configuration> {
    let mut configurations = Vec::new();
    for threads in [1, 2] {
        let mut sockets = 1;
        while sockets <= most {
            let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
            // More threads than sockets are not started.
            if threads.get() <= sockets {
                configurations.push(Configuration { sockets, threads });
            }
            sockets *= 10;
        }
    }
    configurations
}

fn crowd(configuration: Configuration, costs: &[Cost], alone: &[Cost]) -> Crowd {
    let calls: Vec<_> = costs.iter().map(|cost| cost.call).collect();
    let standstills: Vec<_> = costs.iter().map(|cost| cost.standstill).collect();
    let pairs = costs.iter().zip(alone);
    let pairs = pairs.map(|(cost, alone)| (cost.call, alone.call)).collect();
    let is_alone = configuration.sockets == 1;
    Crowd {
        sockets: configuration.sockets,
        threads: configuration.threads.get(),
        per_socket: Distribution::of(&calls),
        standstill: Distribution::of(&standstills).median(),
        to_one: (!is_alone).then(|| ratio(&[pairs], Estimate::Median)),
    }
}

/// How many sockets, of those that are wanted, the limit of descriptors allows, and why not all; raises it as far as it may
/// be raised.
///
/// # Errors
/// What the system says.
pub fn most(wanted: usize) -> Result<(usize, Option<String>), Error> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(io::Error::from)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(io::Error::from)?;
    let most = usize::try_from(hard.saturating_sub(SPARE)).unwrap_or(usize::MAX);
    if most >= wanted {
        return Ok((wanted, None));
    }
    let mut fits = 1;
    while fits * 10 <= most {
        fits *= 10;
    }
    let why = format!(
        "{wanted} sockets at a time: at most {hard} descriptors are allowed here (ulimit -Hn), enough for {fits}"
    );
    Ok((fits, Some(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_is_the_first_configuration_and_measures_the_others() {
        let all: Vec<_> = configurations(100)
            .iter()
            .map(|it| (it.sockets, it.threads.get()))
            .collect();
        assert_eq!(all, [(1, 1), (10, 1), (100, 1), (10, 2), (100, 2)]);
        let cost = |call| Cost {
            call,
            standstill: 1.0,
        };
        let configuration = configurations(100)[1];
        let crowd = crowd(configuration, &[cost(50.0); 3], &[cost(100.0); 3]);
        assert!((crowd.to_one.unwrap().value - 0.5).abs() < 1e-9);
    }
}
