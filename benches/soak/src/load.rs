//! Many connections of one server under traffic: all of them saved and closed, and all restored, while their clients go on
//! talking.

use crate::clients::Clients;
use crate::crowd::Crowd;
use crate::error::{Error, While as _};
use crate::gauge::{Gauge, judge_all, read_all};
use crate::goal::Goal;
use crate::limits;
use crate::locks;
use crate::plant::Planted;
use crate::resets::Resets;
use crate::talk::{Counts, Talk};
use lab::{Match, Pair, Sandbox, wait};
use soccr::{Restored, Snapshot};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

/// Sizes with which the queues of ten thousand connections need some hundred megabytes.
const BUFFERS: [(&str, &str); 2] = [
    ("net.ipv4.tcp_rmem", "4096 16384 32768"),
    ("net.ipv4.tcp_wmem", "4096 16384 32768"),
];

/// What each end of each connection says and hears between two rounds, bytes.
const BETWEEN: u64 = 16 << 10;

/// Where the server listens.
const PORT: u16 = 80;

/// How long a client may take to connect: a bound.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long each part of a round has taken.
#[derive(Debug, Default)]
struct Times {
    rounds: u64,
    save: Duration,
    restore: Duration,
    resume: Duration,
    blocked: Duration,
    bytes: usize,
}

/// The server, its connections, and what is looked at meanwhile.
struct Load<'a> {
    pair: &'a Pair,
    server: Crowd,
    threads: NonZeroUsize,
    times: Times,
    gauges: Vec<Gauge<'a>>,
    resets: Resets<'a>,
    planted: Planted,
}

/// Saves, closes and restores all connections until the goal is reached; tells what was done.
pub(crate) fn run(
    goal: Goal,
    connections: usize,
    planted: Planted,
    sandbox: &Sandbox,
) -> Result<String, Error> {
    limits::allow(connections)?;
    let mut builder = Pair::builder();
    for (name, value) in BUFFERS {
        builder = builder.sysctl(name, value);
    }
    let pair = builder.build()?;
    // The threads that restore are started there as well, and stay there.
    pair.a()
        .enter(|| on_server(goal, connections, &pair, planted, sandbox))?
}

fn on_server(
    goal: Goal,
    connections: usize,
    pair: &Pair,
    planted: Planted,
    sandbox: &Sandbox,
) -> Result<String, Error> {
    // It stays open: the connections come back beside it.
    let listener = TcpListener::bind((pair.a().v4(), PORT));
    let listener = listener.doing(|| format!("listening on port {PORT}"))?;
    let address = listener.local_addr();
    let address = address.doing(|| "reading the address of the listener".to_owned())?;
    let resets = Resets::count(&[pair.a()], pair.b())?;
    let mut clients = Clients::start(pair.b(), address, connections)?;
    let server = accept(&listener, connections)?;
    let mut gauges = Gauge::usual(sandbox);
    gauges.push(Gauge::sockets(pair.a()));
    let mut load = Load {
        pair,
        server,
        threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        times: Times::default(),
        gauges,
        resets,
        planted,
    };
    load.serve(goal, &mut clients)?;
    load.judge(&clients.counts()?)
}

impl Load<'_> {
    /// Talks, and saves and restores all connections in between, until the goal is reached; and to the end.
    fn serve(&mut self, goal: Goal, clients: &mut Clients) -> Result<(), Error> {
        let course = goal.begin();
        while course.goes_on(self.times.rounds) {
            self.talk(clients)?;
            self.round()?;
            self.planted.in_a_cycle()?;
            self.planted
                .knock(self.pair.b(), self.pair.a().v4().into())?;
            read_all(&mut self.gauges)?;
            self.resets.expect_none()?;
        }
        self.talk(clients)?;
        // Not at the end: what is sent twice finds a client that has closed, and is answered with a reset, as ever.
        self.resets.expect_none()?;
        clients.tell_to_end();
        self.server.end()
    }

    fn talk(&mut self, clients: &Clients) -> Result<(), Error> {
        let alone = || clients.are_gone();
        self.server.until_each_has_moved(BETWEEN, alone)?;
        match alone() {
            true => Err(Error::Stalled("the clients".to_owned())),
            false => Ok(()),
        }
    }

    /// Saves, closes and restores all connections of the server.
    fn round(&mut self) -> Result<(), Error> {
        let (server, times) = (&mut self.server, &mut self.times);
        let blocked = Instant::now();
        let locks = locks::around(&[self.pair.a()], Match::tcp(), Match::tcp())?;
        let start = Instant::now();
        let sockets = std::mem::take(&mut server.sockets);
        let saved = soccr::save_and_close_many(sockets, self.threads);
        let snapshots: Vec<Snapshot> = saved.into_iter().collect::<Result<_, _>>()?;
        times.save += start.elapsed();
        let changed = self.planted.in_snapshots(&snapshots);
        let start = Instant::now();
        let restored = restore_all(changed.as_deref().unwrap_or(&snapshots), self.threads)?;
        times.restore += start.elapsed();
        drop(locks);
        times.blocked += blocked.elapsed();
        let start = Instant::now();
        let resumed = restored.into_iter().map(Restored::resume);
        server.sockets = resumed.collect::<Result<_, _>>()?;
        times.resume += start.elapsed();
        times.rounds += 1;
        // Not before: this takes longer than all the rest.
        let mut bytes = 0;
        for (talk, snapshot) in server.talks_mut().iter_mut().zip(&snapshots) {
            talk.check(snapshot)?;
            bytes += snapshot.receive.bytes.len() + snapshot.send.bytes.len();
        }
        times.bytes += bytes;
        Gauge::expect_kept(&mut self.gauges, bytes);
        Ok(())
    }

    /// Fails unless everything was heard and nothing has grown; tells what was done.
    fn judge(&self, clients: &[Counts]) -> Result<String, Error> {
        let talks = self.server.talks();
        if clients.len() != talks.len() {
            return Err(Error::Stalled("the clients".to_owned()));
        }
        for (here, there) in talks.iter().zip(clients) {
            here.expect_all_heard(*there)?;
        }
        let grown = judge_all(&self.gauges)?;
        let said: u64 = talks.iter().map(|talk| talk.written() + talk.read()).sum();
        Ok(format!(
            "{} connections, all saved, closed and restored at once ({} rounds, {} threads); {}; {} MB heard to the last byte; no reset; \
             {} segments sent again; {grown}",
            talks.len(),
            self.times.rounds,
            self.threads,
            self.times.told(talks.len() as u64),
            said / 1_000_000,
            self.resets.sent_again()?,
        ))
    }
}

/// The connections as the server has them: in the order in which the clients connect, one after the other.
fn accept(listener: &TcpListener, connections: usize) -> Result<Crowd, Error> {
    let one = || {
        wait::readable("a client to connect", PATIENCE, listener)?;
        let accepted = listener.accept().and_then(|(socket, _)| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        accepted.doing(|| "accepting a client".to_owned())
    };
    let sockets: Result<Vec<TcpStream>, Error> = (0..connections).map(|_| one()).collect();
    let talks = (0..connections as u64).map(|number| {
        let [server, _] = Talk::pair(number);
        server
    });
    Ok(Crowd::new("the server", sockets?, talks.collect()))
}

/// Restores all of them, in their order.
fn restore_all(snapshots: &[Snapshot], threads: NonZeroUsize) -> Result<Vec<Restored>, Error> {
    let share = snapshots.len().div_ceil(threads.get()).max(1);
    let parts = thread::scope(|scope| {
        let shares = snapshots.chunks(share);
        let started: Vec<_> = shares
            .map(|part| scope.spawn(move || restore_part(part)))
            .collect();
        let ended = started.into_iter().map(|thread| {
            let joined = thread.join();
            joined.map_err(|_| Error::Panicked("a thread that restores"))?
        });
        ended.collect::<Result<Vec<_>, Error>>()
    })?;
    Ok(parts.into_iter().flatten().collect())
}

fn restore_part(part: &[Snapshot]) -> Result<Vec<Restored>, Error> {
    let restore = |snapshot: &Snapshot| Ok(snapshot.restore()?);
    part.iter().map(restore).collect()
}

impl Times {
    fn told(&self, connections: u64) -> String {
        let rounds = self.rounds.max(1);
        let sockets = connections * rounds;
        let each = |time: Duration| time.as_micros() / u128::from(sockets.max(1));
        let blocked = self.blocked.as_secs_f64() / rounds as f64;
        format!(
            "{} us to save a socket, {} to restore it, {} to resume it, {} bytes in its queues on average; blocked for {blocked:.2} s \
             a round",
            each(self.save),
            each(self.restore),
            each(self.resume),
            self.bytes as u64 / sockets.max(1),
        )
    }
}
