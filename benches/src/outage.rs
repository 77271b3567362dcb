//! What the peer of a bulk transfer sees while the sender is frozen and thawed, or moves to another host.

mod reader;

use self::reader::Reader;
use crate::error::Error;
use crate::hop::{Absence, freeze_and_thaw, move_to_other_host};
use crate::results::Outage;
use crate::statistics::Distribution;
use crate::stream;
use crate::subject::{Baseline, Subject, name, restorers};
use lab::{Capture, Family, Flow, Pair, Trace, Trio};
use soccr::raw::{self, Opt};
use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How fast the sender may send, bytes per second: about a Gbit/s. It waits in the sender, not in a queue of the network, which
/// would hide the outage from the peer.
const RATE: u64 = 120_000_000;
/// How long a sender waits that cannot send, and a receiver that receives nothing: for good.
const PATIENCE: Duration = Duration::from_secs(5);
/// A new socket has room for more than the sender's [`BUFFER`]: whoever does not grow buffers, as the floor, need not.
const WMEM: &str = "4096 8388608 16777216";
/// The sender's, bytes.
const BUFFER: i32 = 1 << 20;
/// Room for the send queue.
const ROOM: usize = 16 << 20;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// How often everybody does it.
    pub times: usize,
    /// How long the transfer runs before and after it.
    pub half: Duration,
}

/// Freezes and thaws by everybody in turn, or moves; and what went wrong with others than the library.
///
/// The floor is made for what is not difficult, and a transfer that runs is difficult: it may lose the stream, which is told,
/// and not tried again.
///
/// # Errors
/// [`Error`] with what has failed, and where bytes are missing, doubled or others, of the library's.
pub fn outages(
    moved: bool,
    watch: Watch,
    baseline: Option<&Baseline>,
) -> Result<(Vec<Outage>, Vec<String>), Error> {
    let mut subjects = restorers(ROOM, baseline);
    let mut seen: Vec<Vec<Seen>> = subjects.iter().map(|_| Vec::new()).collect();
    let mut failures = vec![None; subjects.len()];
    for _ in 0..watch.times {
        let all = subjects.iter_mut().zip(&mut seen).zip(&mut failures);
        for ((subject, seen), failure) in all.filter(|(_, failure)| failure.is_none()) {
            match Scene::open(moved)?.play(subject.as_mut(), watch.half) {
                Ok(one) => seen.push(one),
                Err(error) if subject.name() == name::WARM => return Err(error),
                Err(error) => {
                    let name = subject.name();
                    *failure = Some(format!("outages of a transfer by the {name}: {error}"));
                }
            }
        }
    }
    let all = subjects
        .iter()
        .zip(seen)
        .filter(|(_, seen)| !seen.is_empty());
    let outages = all.map(|(subject, seen)| outage(moved, subject.name(), &seen));
    Ok((outages.collect(), failures.into_iter().flatten().collect()))
}

/// Where it takes place.
enum Network {
    Pair(Box<Pair>),
    Trio(Box<Trio>),
}

/// A transfer that is about to begin.
struct Scene {
    network: Network,
    capture: Capture,
    /// What the sender sends.
    flow: Flow,
    sender: TcpStream,
    receiver: TcpStream,
}

/// What was seen of one outage.
struct Seen {
    standstill: Duration,
    silence: f64,
    no_data: f64,
    recovery: Duration,
    before: f64,
    after: f64,
    retransmissions: usize,
    resets: usize,
    timeline: Vec<(f64, u64)>,
}

impl Scene {
    fn open(moved: bool) -> Result<Self, Error> {
        let family = Family::V4;
        if !moved {
            let pair = Pair::builder().sysctl("net.ipv4.tcp_wmem", WMEM).build()?;
            let capture = pair.b().capture()?;
            let connection = pair.connection(family).open()?;
            return Ok(Self {
                network: Network::Pair(pair.into()),
                capture,
                flow: connection.flow(),
                sender: connection.client,
                receiver: connection.server,
            });
        }
        let trio = Trio::builder().sysctl("net.ipv4.tcp_wmem", WMEM).build()?;
        let capture = trio.client().capture()?;
        let opening = trio.client().connection_to(trio.old_host(), family);
        let (from, to) = (trio.client().address(family), trio.address(family));
        let connection = opening.at(from, to).open()?;
        Ok(Self {
            network: Network::Trio(trio.into()),
            capture,
            flow: connection.flow().reversed(),
            sender: connection.server,
            receiver: connection.client,
        })
    }

    fn play(self, subject: &mut dyn Subject, half: Duration) -> Result<Seen, Error> {
        let mut sender = self.sender;
        raw::set_int(&sender, Opt::SO_SNDBUF, BUFFER)?;
        self.receiver.set_read_timeout(Some(PATIENCE))?;
        let reader = Reader::start(self.receiver)?;
        let mut sent = transfer(&mut sender, 0, half)?;
        let (mut sender, absence) = match &self.network {
            Network::Pair(pair) => freeze_and_thaw(pair.a(), self.flow, subject, sender)?,
            Network::Trio(trio) => move_to_other_host(trio, self.flow, subject, sender)?,
        };
        sent = transfer(&mut sender, sent, half)?;
        drop(sender);
        let reads = reader.finish(sent)?;
        let trace = self.capture.trace()?.of(&self.flow);
        let (silence, no_data) = gaps(&trace, self.flow, absence.resuming)?;
        let before = reads.rate(absence.paused - half / 2, absence.paused);
        let recovery = reads.recovery(absence.resumed, before);
        let recovered = absence.resumed + recovery;
        Ok(Seen {
            standstill: absence.length(),
            silence,
            no_data,
            recovery,
            before,
            after: reads.rate(recovered, recovered.max(absence.resumed + half)),
            retransmissions: trace.annotated().retransmissions().count(),
            resets: trace.count(|segment| segment.flags.rst()),
            timeline: timeline(&reads, absence),
        })
    }
}

/// Sends for this long, as fast as it may; returns how much was sent so far.
fn transfer(socket: &mut TcpStream, mut sent: u64, time: Duration) -> Result<u64, Error> {
    // Whoever restores it does not carry that, but for the library.
    raw::set(socket, Opt::SO_MAX_PACING_RATE, &RATE.to_ne_bytes())?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let start = Instant::now();
    while start.elapsed() < time {
        let chunk = stream::chunk(sent);
        let written = socket.write_all(chunk);
        written.map_err(|error| waited(error, "the sender could send nothing more"))?;
        sent += chunk.len() as u64;
    }
    Ok(sent)
}

/// A limit of time on a socket is told as "try again".
fn waited(error: io::Error, what: &str) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => Error::broken(format!("{what} for {} s", PATIENCE.as_secs())),
        _ => error.into(),
    }
}

/// How long nothing came, and how long nothing new, by the packets on the receiver's link.
fn gaps(trace: &Trace, flow: Flow, resuming: u64) -> Result<(f64, f64), Error> {
    let (mut last, mut last_data) = (None, None);
    let (mut first, mut first_data) = (None, None);
    for seen in trace
        .annotated()
        .iter()
        .filter(|seen| seen.segment.flow == flow)
    {
        let time = seen.packet.time;
        let is_data = seen.segment.payload_len > 0 && !seen.is_retransmission();
        if time < resuming {
            last = Some(time);
            last_data = last_data.max(is_data.then_some(time));
        } else {
            first = first.or(Some(time));
            first_data = first_data.or(is_data.then_some(time));
        }
    }
    let gap = |last: Option<u64>, first: Option<u64>| match (last, first) {
        (Some(last), Some(first)) => Ok(first.saturating_sub(last) as f64),
        _ => Err(Error::broken("nothing was sent before, or nothing after")),
    };
    Ok((gap(last, first)?, gap(last_data, first_data)?))
}

/// How far the receiver was, from some time before the outage to some time after it.
fn timeline(reads: &reader::Reads, absence: Absence) -> Vec<(f64, u64)> {
    let around = absence.length().max(Duration::from_millis(5)) * 3;
    reads.around(absence.resumed, around)
}

fn outage(moved: bool, subject: &str, seen: &[Seen]) -> Outage {
    let of = |value: fn(&Seen) -> f64| {
        let values: Vec<_> = seen.iter().map(value).collect();
        Distribution::of(&values)
    };
    Outage {
        moved,
        subject: subject.to_owned(),
        count: seen.len(),
        standstill: of(|seen| seen.standstill.as_nanos() as f64),
        silence: of(|seen| seen.silence),
        no_data: of(|seen| seen.no_data),
        recovery: of(|seen| seen.recovery.as_nanos() as f64),
        goodput_before: of(|seen| seen.before),
        goodput_after: of(|seen| seen.after),
        retransmissions: seen.iter().map(|seen| seen.retransmissions).sum(),
        resets: seen.iter().map(|seen| seen.resets).sum(),
        timeline: seen
            .first()
            .map(|seen| seen.timeline.clone())
            .unwrap_or_default(),
    }
}
