//! One busy connection, frozen and thawed again and again.
//!
//! Most cycles save the connection and let its socket run on; every tenth closes the socket and restores the connection into
//! another. Between two of them both ends hear something new.

use crate::busy::{BUFFERS, Busy, FIXED, Said};
use crate::error::Error;
use crate::gauge::{Gauge, judge_all, read_all};
use crate::goal::{Course, Goal};
use crate::locks;
use crate::plant::Planted;
use crate::resets::Resets;
use lab::{Connection, Family, Flow, Match, Pair, Sandbox};
use soccr::{ErrorKind, SaveSettings, Snapshot};
use std::fmt;
use std::net::TcpStream;
use std::time::Duration;

/// Every so many cycles the socket becomes another.
const ANOTHER_SOCKET: u64 = 10;

/// Every so many cycles nothing keeps packets out of the socket that is saved. What comes in then can make the kernel take as
/// sent what was not, until a timer of 200 ms sends it: with each cycle like that, the connection would mostly wait.
const WITHOUT_LOCK: u64 = 500;

/// Every so many cycles what may not grow is read, and resets are looked for.
const READING: u64 = 20;

/// What both ends hear between two cycles, bytes.
const BETWEEN: u64 = 32 << 10;

/// What the cycles have come to so far.
#[derive(Debug, Default)]
struct Tally {
    in_place: u64,
    anew: u64,
    without_lock: u64,
    disturbed: u64,
    saved: u64,
    paused: Duration,
    longest: Duration,
}

/// The connection, and the network that it is in.
struct Cycles<'a> {
    pair: &'a Pair,
    flow: Flow,
    snapshot: Snapshot,
    tally: Tally,
    planted: Planted,
}

/// Runs cycles until the goal is reached; tells what was done.
pub(crate) fn run(goal: Goal, planted: Planted, sandbox: &Sandbox) -> Result<String, Error> {
    let mut builder = Pair::builder();
    for (name, value) in BUFFERS {
        builder = builder.sysctl(name, value);
    }
    let pair = builder.build()?;
    let opening = pair.connection(Family::V4).on_client(|socket| {
        socket.set_send_buffer_size(FIXED)?;
        socket.set_recv_buffer_size(FIXED)
    });
    let connection = opening.open()?;
    // On the host of the end that is saved: there its socket becomes another.
    pair.a()
        .enter(|| on_host(goal, planted, sandbox, &pair, connection))?
}

fn on_host(
    goal: Goal,
    planted: Planted,
    sandbox: &Sandbox,
    pair: &Pair,
    connection: Connection,
) -> Result<String, Error> {
    let flow = connection.flow();
    let resets = Resets::count(&[pair.a()], pair.b())?;
    let mut gauges = Gauge::usual(sandbox);
    gauges.push(Gauge::sockets(pair.a()));
    let (mut socket, peer) = (connection.client, connection.server);
    let mut cycles = Cycles {
        pair,
        flow,
        snapshot: soccr::save(&socket)?,
        tally: Tally::default(),
        planted,
    };
    let mut busy = Busy::start(&socket, peer)?;
    // Nothing was said yet: from here both streams are counted.
    busy.check(&cycles.snapshot)?;
    let course = goal.begin();
    let mut done = 0;
    while course.goes_on(done) {
        busy = busy.until_both_have_heard(&socket, BETWEEN)?;
        done += 1;
        match done % ANOTHER_SOCKET {
            0 => socket = cycles.thaw_elsewhere(socket, &mut busy)?,
            _ => cycles.in_place(&socket, &mut busy, done % WITHOUT_LOCK != 1)?,
        }
        cycles.planted.in_a_cycle()?;
        cycles.planted.to_a_socket(&socket)?;
        if done % READING == 0 {
            read_all(&mut gauges)?;
            resets.expect_none()?;
        }
    }
    busy = busy.until_both_have_heard(&socket, BETWEEN)?;
    let said = busy.end(&socket)?;
    cycles.planted.knock(pair.b(), pair.a().v4().into())?;
    resets.expect_none()?;
    let grown = judge_all(&gauges)?;
    let again = resets.sent_again()?;
    Ok(format!(
        "{}; {again} segments sent again; {grown}",
        cycles.tally.told(&course, said)
    ))
}

impl Cycles<'_> {
    /// Saves the connection, whose socket runs on.
    fn in_place(&mut self, socket: &TcpStream, busy: &mut Busy, lock: bool) -> Result<(), Error> {
        let settings = |lock| SaveSettings::new().ingress_lock(lock);
        let saved = soccr::save_into(socket, &mut self.snapshot, settings(lock));
        let report = match saved {
            // What its hint says is done: the traffic is kept out.
            Err(error) if !lock && matches!(error.kind(), ErrorKind::Unstable { .. }) => {
                self.tally.disturbed += 1;
                soccr::save_into(socket, &mut self.snapshot, settings(true))?
            }
            saved => saved?,
        };
        let paused = Duration::from_nanos(report.nanoseconds);
        self.tally.in_place += 1;
        self.tally.without_lock += u64::from(!lock);
        self.tally.paused += paused;
        self.tally.longest = self.tally.longest.max(paused);
        self.tally.count(&self.snapshot);
        busy.check(&self.snapshot)
    }

    /// Saves the connection, closes its socket and restores it into another.
    fn thaw_elsewhere(&mut self, socket: TcpStream, busy: &mut Busy) -> Result<TcpStream, Error> {
        let [inbound, outbound] = [self.flow.reversed(), self.flow].map(|it| Match::tcp().flow(it));
        let locks = locks::around(&[self.pair.a()], inbound, outbound)?;
        let mut snapshot = soccr::save_and_close(socket)?;
        busy.check(&snapshot)?;
        self.planted.in_a_snapshot(&mut snapshot);
        let restored = snapshot.restore()?;
        drop(locks);
        self.tally.anew += 1;
        self.tally.count(&snapshot);
        Ok(restored.resume()?)
    }
}

impl Tally {
    fn count(&mut self, snapshot: &Snapshot) {
        let bytes = snapshot.receive.bytes.len() + snapshot.send.bytes.len();
        self.saved += bytes as u64;
    }

    fn told(&self, course: &Course, said: Said) -> String {
        let cycles = self.in_place + self.anew;
        let mean = self.paused.as_micros() / u128::from(self.in_place.max(1));
        format!(
            "{cycles} cycles in {:.1} s, {} of them into another socket, {} without a lock ({} of those made again with one, as the \
             data kept moving); {said} heard to the last byte; {} in a snapshot on average; paused for {mean} us on average, {} us \
             at most; no reset",
            course.elapsed().as_secs_f64(),
            self.anew,
            self.without_lock,
            self.disturbed,
            bytes(self.saved / cycles.max(1)),
            self.longest.as_micros(),
        )
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, other) = (bytes(self.by_subject), bytes(self.by_peer));
        write!(f, "{one} one way and {other} the other")
    }
}

/// As people read it.
fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{} kB", count / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", count / 1_000_000),
        _ => format!("{} GB", count / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_as_people_read_them() {
        let told = [9_999, 10_000, 12_345_678, 98_765_432_100].map(bytes);
        assert_eq!(told, ["9999 bytes", "10 kB", "12 MB", "98 GB"]);
    }
}
