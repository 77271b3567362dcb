//! How long a connection stands still: pause to resume, and the full cycle, for every length of both queues.

use crate::bench_connection::{BenchConnection, BenchNetwork, Filled};
use crate::error::Error;
use crate::paired::{Contender, Sample, Series, measure};
use crate::queues::Queues;
use crate::results::{Latency, Work, size};
use crate::subject::{Baseline, Subject, all, cycle, name};
use lab::Blackhole;
use std::net::TcpStream;
use std::time::Duration;

/// Room for the bytes before the first one that is not acknowledged, in the floor's buffers.
const SURPLUS: usize = 1 << 20;

/// How often a block is measured whose queue became another one on the way: what was measured behind that is worth nothing.
const TRIES: usize = 3;

/// One work on a queue of one length, and what was measured of it so far.
#[derive(Debug)]
pub struct Standstill {
    work: Work,
    queue: Filled,
    bytes: usize,
    rounds: usize,
    series: Vec<Series>,
    /// Whether the baseline has failed at it.
    alone: bool,
}

impl Standstill {
    /// One of which nothing was measured; a block has so many rounds.
    #[must_use]
    pub fn new(work: Work, queue: Filled, bytes: usize, rounds: usize) -> Self {
        Self {
            work,
            queue,
            bytes,
            rounds,
            series: Vec::new(),
            alone: false,
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}, {} queue {}", self.work, self.queue, size(self.bytes))
    }

    /// Measures everybody in another block. Where the baseline fails, that is the answer, and it is not measured any more.
    ///
    /// # Errors
    /// The first that anybody else meets.
    pub fn measure(&mut self, baseline: Option<&Baseline>) -> Result<Option<Error>, Error> {
        let baseline = baseline.filter(|_| !self.alone);
        match self.block(baseline) {
            Err(failed @ (Error::Baseline(_) | Error::BaselineLoses(_))) => {
                self.alone = true;
                self.series.retain(|series| series.name != name::BASELINE);
                self.block(None).map(|()| Some(failed))
            }
            measured => measured.map(|()| None),
        }
    }

    fn block(&mut self, baseline: Option<&Baseline>) -> Result<(), Error> {
        let measure = || block(self.work, self.queue, self.bytes, self.rounds, baseline);
        let mut block = measure();
        for _ in 1..TRIES {
            match block {
                // The answer to a window probe that comes while the queue is selected lets all of it count as sent (guide A65).
                Err(Error::Changed(_)) if self.queue == Filled::Unsent => block = measure(),
                _ => break,
            }
        }
        let block = block?;
        if self.series.is_empty() {
            self.series = block;
            return Ok(());
        }
        for (series, block) in self.series.iter_mut().zip(block) {
            series.extend(block);
        }
        Ok(())
    }

    /// What all blocks together say.
    #[must_use]
    pub fn latencies(&self) -> Vec<Latency> {
        let of = |name| self.series.iter().find(|series| series.name == name);
        let (floor, warm, base) = (of(name::FLOOR), of(name::WARM), of(name::BASELINE));
        let standstill = |sample: &Sample| sample.standstill;
        let call = |sample: &Sample| sample.call;
        let latency = |series: &Series| {
            // Nobody is measured by himself.
            let by = |other: Option<&Series>, of: fn(&Sample) -> f64| {
                let other = other.filter(|other| other.name != series.name);
                other.map(|other| series.ratio_to(other, of))
            };
            let ours = ![name::FLOOR, name::BASELINE].contains(&series.name);
            Latency {
                work: self.work,
                queue: self.queue,
                bytes: self.bytes,
                subject: series.name.to_owned(),
                standstill: series.distribution(standstill),
                call: series.distribution(call),
                page_faults: series.distribution(|sample| sample.page_faults).median(),
                to_floor: by(floor, standstill),
                call_to_floor: by(floor, call),
                to_baseline: by(base.filter(|_| ours), standstill),
                to_warm: by(warm.filter(|_| series.name == name::COLD), standstill),
            }
        };
        self.series.iter().map(latency).collect()
    }
}

/// Measures everybody on connections that nobody else has: one that all of them save, or one for each to restore.
fn block(
    work: Work,
    queue: Filled,
    bytes: usize,
    rounds: usize,
    baseline: Option<&Baseline>,
) -> Result<Vec<Series>, Error> {
    let network = BenchNetwork::build(queue)?;
    let subjects = all(bytes + SURPLUS, baseline);
    // In its network, so that what a save compares with a new socket is of the same one, and a restore finds its address.
    network.host().enter(|| match work {
        Work::PauseToResume => {
            let connection = network.open(bytes)?;
            let in_place = |subject| InPlace {
                subject,
                socket: &connection.subject,
            };
            let before = Queues::of(&connection.subject)?;
            let mut contenders: Vec<_> = subjects.into_iter().map(in_place).collect();
            let series = measure(&mut contenders, rounds)?;
            before
                .expect_still(&connection.subject)?
                .map_err(Error::Changed)?;
            Ok(series)
        }
        Work::FullCycle => {
            let mut contenders = Vec::new();
            for subject in subjects {
                contenders.push(Cycle::new(subject, network.open(bytes)?)?);
            }
            let series = measure(&mut contenders, rounds)?;
            for contender in &contenders {
                contender.check()?;
            }
            Ok(series)
        }
    })?
}

/// Saves a connection that runs on.
struct InPlace<'a> {
    subject: Box<dyn Subject>,
    socket: &'a TcpStream,
}

impl Contender for InPlace<'_> {
    fn name(&self) -> &'static str {
        self.subject.name()
    }

    fn prepare(&mut self) -> Result<(), Error> {
        self.subject.prepare()
    }

    fn run(&mut self) -> Result<Duration, Error> {
        self.subject.pause_to_resume(self.socket)
    }
}

/// Sends its own connection round and round.
struct Cycle {
    subject: Box<dyn Subject>,
    /// Away while it is on its way.
    socket: Option<TcpStream>,
    queues: Queues,
    /// Keep the connection alive, and its queue where it is.
    _peer: TcpStream,
    _deaf: Option<Blackhole>,
}

impl Cycle {
    fn new(subject: Box<dyn Subject>, connection: BenchConnection) -> Result<Self, Error> {
        Ok(Self {
            subject,
            queues: Queues::of(&connection.subject)?,
            socket: Some(connection.subject),
            _peer: connection.peer,
            _deaf: connection.deaf,
        })
    }

    /// Fails where less work was done than with all that there was in the beginning.
    fn check(&self) -> Result<(), Error> {
        let Some(socket) = &self.socket else {
            return Err(Error::broken("the connection was lost"));
        };
        self.queues
            .expect_still(socket)?
            .map_err(|told| match self.subject.name() {
                name::BASELINE => Error::BaselineLoses(told),
                name => Error::Changed(format!("{name}: {told}")),
            })
    }
}

impl Contender for Cycle {
    fn name(&self) -> &'static str {
        self.subject.name()
    }

    fn prepare(&mut self) -> Result<(), Error> {
        self.subject.prepare()
    }

    fn run(&mut self) -> Result<Duration, Error> {
        let gone = || Error::broken("the connection was lost in an earlier round");
        let socket = self.socket.take().ok_or_else(gone)?;
        let (socket, standstill) = cycle(self.subject.as_mut(), socket)?;
        self.socket = Some(socket);
        Ok(standstill)
    }
}
