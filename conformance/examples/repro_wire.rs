//! Both ends of a TCP connection over a network of `lab`, and what happens to it. It is saved and restored by `soccr`.
//!
//! ```toml
//! [dependencies] # of the repository that `conformance` is in
//! lab = { path = "lab" }
//! soccr = { path = "soccr" }
//! ```
//!
//! It prints "ok" where every byte has arrived in its place, or says what differs and ends with 1. Written by
//! `conformance repro` from this scenario:
//!
//! ```text
//! soccr scenario 1
//! network wire
//! family mapped
//! mtu 1500
//! offload off
//! open handshake
//! timestamps ms
//! sack on
//! scaling usual
//! mss 900
//! congestion cubic
//! buffer subject 20000
//! buffer peer 30000
//!
//! subject sets nodelay
//! subject writes 20000
//! lose 2 of subject
//! restore subject
//! subject writes 5000
//! clear
//! hold all of peer
//! peer writes 3000
//! restore both
//! clear
//! reorder 2 of subject
//! duplicate 1 of peer
//! subject writes 9000
//! peer urges
//! checkpoint both
//! subject reads all
//! clear
//! links take 1400
//! lose all of peer
//! peer ends
//! restore peer
//! clear
//! restore subject
//! peer reads 100
//! subject ends
//! ```

use lab::wait;
use soccr::raw::{self, MSG_DONTWAIT, Opt};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

type Error = Box<dyn std::error::Error>;
type Result<T = ()> = std::result::Result<T, Error>;

const SUBJECT: usize = 0;
const PEER: usize = 1;
/// A bound for what has to happen, not an expectation.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two hosts, and a wire that loses, holds, reorders and duplicates what it is told to.
type Hosts = lab::PairWithWire;

/// The state of a connection that is over, as the kernel numbers it.
const CLOSE: u8 = soccr::TcpState::Close as u8;

/// The two ends, what is between them, and what was said.
struct World {
    hosts: Hosts,
    sockets: [Option<TcpStream>; 2],
    /// From the subject.
    flow: lab::Flow,
    /// Bytes that each end has written, and has read of the other's.
    written: [u64; 2],
    read: [u64; 2],
    ended: [bool; 2],
    /// What keeps the faults of the network in force.
    faults: Vec<Box<dyn std::any::Any>>,
}

impl World {
    fn socket(&self, end: usize) -> Result<&TcpStream> {
        Ok(self.sockets[end].as_ref().ok_or("a socket that is gone")?)
    }

    /// Writes so many bytes, or as many as the socket takes at once.
    fn writes(&mut self, end: usize, bytes: usize) -> Result {
        let stream = lab::Stream::numbered(end as u64).bytes(self.written[end], bytes);
        let mut rest = &stream[..];
        while !rest.is_empty() {
            match raw::send(self.socket(end)?, rest, MSG_DONTWAIT) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.written[end] += (bytes - rest.len()) as u64;
        self.settle()
    }

    /// Reads what is there and checks every byte; tells whether the stream has ended.
    fn receive(&mut self, end: usize, bytes: usize) -> Result<bool> {
        let (mut left, mut buffer) = (bytes, vec![0; 1 << 16]);
        while left > 0 {
            let room = left.min(buffer.len());
            match raw::recv(self.socket(end)?, &mut buffer[..room], MSG_DONTWAIT) {
                Ok(0) if self.read[end] == self.written[1 - end] => return Ok(true),
                Ok(0) => return Err(format!("an end after {} bytes", self.read[end]).into()),
                Ok(count) => {
                    let stream = lab::Stream::numbered(1 - end as u64);
                    let found = stream.check(self.read[end], &buffer[..count]);
                    found.map_err(|it| format!("wrong bytes: {it:x?}"))?;
                    self.read[end] += count as u64;
                    left -= count;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    fn ends(&mut self, end: usize) -> Result {
        self.socket(end)?.shutdown(Shutdown::Write)?;
        self.ended[end] = true;
        self.settle()
    }

    /// Reads so many bytes, or as many as there are.
    fn reads(&mut self, end: usize, bytes: usize) -> Result {
        self.receive(end, bytes)?;
        self.settle()
    }

    /// All hosts that an end may be on.
    fn hosts_of(&self, end: usize) -> Vec<&lab::Host> {
        vec![self.hosts.hosts()[end]]
    }

    fn host(&self, end: usize) -> &lab::Host {
        self.hosts.hosts()[end]
    }

    /// Sends a byte as urgent data, which stays where it stands in the stream.
    fn urges(&mut self, end: usize) -> Result {
        let byte = lab::Stream::numbered(end as u64).bytes(self.written[end], 1);
        match raw::send(self.socket(end)?, &byte, MSG_DONTWAIT | raw::MSG_OOB) {
            Ok(count) => self.written[end] += count as u64,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        self.settle()
    }

    fn sets(&self, end: usize, option: Opt, value: i32) -> Result {
        raw::set_int(self.socket(end)?, option, value)?;
        self.settle()
    }

    /// From an end to the other.
    fn flow_of(&self, end: usize) -> lab::Flow {
        [self.flow, self.flow.reversed()][end]
    }

    /// Does something to the next so many segments that an end sends.
    fn next_of(&mut self, end: usize, count: u32, fate: lab::wire::Verdict) -> Result {
        let (meant, mut left) = (lab::wire::Matcher::flow(self.flow_of(end)), count);
        let rule = move |frame: &lab::wire::Frame| match left {
            1.. if meant.matches(frame) => {
                left -= 1;
                fate.clone()
            }
            _ => lab::wire::Verdict::Pass,
        };
        let guard = self.hosts.wire().rule(rule)?;
        self.faults.push(Box::new(guard));
        Ok(())
    }

    fn lose(&mut self, end: usize, segments: u32) -> Result {
        self.next_of(end, segments, lab::wire::Verdict::Drop)
    }

    fn duplicate(&mut self, end: usize, segments: u32) -> Result {
        self.next_of(end, segments, lab::wire::Verdict::Duplicate)
    }

    /// The next segment with data is overtaken by so many later ones.
    fn reorder(&mut self, end: usize, by: usize) -> Result {
        use lab::wire::{Matcher, Verdict};
        let (meant, mut late) = (Matcher::flow(self.flow_of(end)).and(Matcher::data()), false);
        let rule = move |frame: &lab::wire::Frame| match late || !meant.matches(frame) {
            true => Verdict::Pass,
            false => {
                late = true;
                Verdict::Reorder(by)
            }
        };
        let guard = self.hosts.wire().rule(rule)?;
        self.faults.push(Box::new(guard));
        Ok(())
    }

    fn hold(&mut self, end: usize) -> Result {
        let meant = lab::wire::Matcher::flow(self.flow_of(end));
        self.hosts.wire().hold(meant)?;
        // It ends with `clear`, not with a guard.
        self.faults.push(Box::new(()));
        Ok(())
    }

    /// Where it would arrive, all that an end sends is lost.
    fn lose_all(&mut self, end: usize) -> Result {
        let lost = lab::Match::tcp().flow(self.flow_of(end));
        let mut blackholes = Vec::new();
        for host in self.hosts_of(1 - end) {
            blackholes.push(host.blackhole(lab::Direction::Ingress, lost)?);
        }
        self.faults.push(Box::new(blackholes));
        Ok(())
    }

    /// The network is as it should be again.
    fn clear(&mut self) -> Result {
        self.faults.clear();
        self.hosts.wire().release()?;
        self.settle()
    }

    fn mtu(&self, bytes: u32) -> Result {
        for host in self.hosts.hosts() {
            host.set_mtu(bytes)?;
        }
        self.settle()
    }

    /// Saves connections that run on.
    fn checkpoint(&self, ends: &[usize]) -> Result {
        for &end in ends {
            if self.state(end)? != CLOSE {
                self.save(end)?;
            }
        }
        self.settle()
    }

    /// Saves one that runs on; `false` where urgent data waits, which cannot be saved.
    fn save(&self, end: usize) -> Result<bool> {
        use soccr::{ErrorKind, Unsupported};
        match soccr::save(self.socket(end)?) {
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::Unsupported(Unsupported::UrgentData { .. }) => Ok(false),
                _ => Err(error.into()),
            },
        }
    }

    /// Keeps packets of a connection away from an end, or from the other end.
    fn lock(&self, end: usize, direction: lab::Direction) -> Result<Vec<lab::Blackhole>> {
        let flow = match direction {
            lab::Direction::Ingress => self.flow_of(1 - end),
            lab::Direction::Egress => self.flow_of(end),
        };
        let hosts = self.hosts_of(end).into_iter();
        let locks = hosts.map(|host| host.blackhole(direction, lab::Match::tcp().flow(flow)));
        Ok(locks.collect::<std::result::Result<_, _>>()?)
    }

    /// Saves connections and closes their sockets; all are locked before the first is saved.
    fn leave(&mut self, ends: &[usize]) -> Result<Gone> {
        let mut gone = Gone::default();
        for &end in ends {
            gone.locks.extend(self.lock(end, lab::Direction::Ingress)?);
        }
        self.quiet()?;
        let states = [self.state(SUBJECT)?, self.state(PEER)?];
        let mut ends = ends.to_vec();
        ends.retain(|&end| states[end] != CLOSE);
        for &end in &ends {
            if !self.save(end)? {
                return Ok(Gone::default());
            }
        }
        for end in ends {
            // A timer may send again what is in flight, or acknowledge a FIN, in repair mode too.
            if raw::siocoutq(self.socket(end)?)? > 0
                || !self.is_clear()
                || states[end] != ESTABLISHED
            {
                gone.locks.extend(self.lock(end, lab::Direction::Egress)?);
            }
            let socket = self.sockets[end].take().ok_or("a socket that is gone")?;
            gone.snapshots.push((end, soccr::save_and_close(socket)?));
        }
        Ok(gone)
    }

    /// Restores connections, and resumes them once the locks are gone.
    fn arrive(&mut self, gone: Gone) -> Result {
        let mut restored = Vec::new();
        for (end, snapshot) in &gone.snapshots {
            restored.push((*end, self.host(*end).enter(|| snapshot.restore())??));
        }
        drop(gone.locks);
        for (end, restored) in restored {
            self.sockets[end] = Some(restored.resume()?);
        }
        self.settle()
    }

    fn restore(&mut self, ends: &[usize]) -> Result {
        let gone = self.leave(ends)?;
        self.arrive(gone)
    }

    /// As the kernel numbers it.
    fn state(&self, end: usize) -> Result<u8> {
        Ok(raw::tcp_info(self.socket(end)?)?.state)
    }

    /// Waits until nothing is between the hosts.
    fn quiet(&self) -> Result {
        Ok(self.hosts.wire().until_quiet()?)
    }

    /// Whether nothing keeps the ends from hearing each other.
    fn is_clear(&self) -> bool {
        self.faults.is_empty()
    }

    /// Waits until nothing moves any more; then no byte may be lost or made up.
    fn settle(&self) -> Result {
        self.quiet()?;
        if self.is_clear() {
            let rest = || self.is_at_rest().unwrap_or(true);
            wait::until("the connection to come to rest", PATIENCE, rest)?;
            self.quiet()?;
        }
        for end in [SUBJECT, PEER] {
            let fin = u64::from(self.ended[end]);
            let unacknowledged = raw::siocoutq(self.socket(end)?)? as u64;
            let acknowledged = (self.written[end] + fin).saturating_sub(unacknowledged);
            let received = self.read[1 - end] + raw::siocinq(self.socket(1 - end)?)? as u64;
            if self.ended != [true; 2] && acknowledged > received + fin {
                let name = ["subject", "peer"][end];
                return Err(format!(
                    "the {name}: {acknowledged} acknowledged, {received} received"
                )
                .into());
            }
        }
        Ok(())
    }

    /// Whether all is acknowledged, or the window of the other end is closed.
    fn is_at_rest(&self) -> Result<bool> {
        for end in [SUBJECT, PEER] {
            // Otherwise the last segment is acknowledged by a timer.
            raw::set_int(self.socket(1 - end)?, Opt::TCP_QUICKACK, 1)?;
            let (info, queued) = (
                raw::tcp_info(self.socket(end)?)?,
                raw::siocoutq(self.socket(end)?)?,
            );
            if info.state != CLOSE && queued > 0 && info.snd_wnd > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads at both ends until each has all that the other has written.
    fn drain(&mut self) -> Result {
        while self.read != [self.written[PEER], self.written[SUBJECT]] {
            let (before, mut outcome) = (self.read, Ok(false));
            wait::until("more of the streams to arrive", PATIENCE, || {
                outcome = self
                    .receive(SUBJECT, 1 << 16)
                    .and(self.receive(PEER, 1 << 16));
                outcome.is_err() || self.read != before
            })?;
            outcome?;
        }
        Ok(())
    }

    /// Both ends talk once more, and close.
    fn finish(&mut self) -> Result {
        self.drain()?;
        for end in [SUBJECT, PEER] {
            for _ in 0..10 {
                if !self.ended[end] {
                    self.writes(end, 1000)?;
                    self.drain()?;
                }
            }
        }
        for end in [SUBJECT, PEER] {
            if !self.ended[end] {
                self.ends(end)?;
            }
            wait::readable("the end of a stream", PATIENCE, self.socket(1 - end)?)?;
            if !self.receive(1 - end, 1)? {
                return Err("no end of a stream".into());
            }
        }
        for end in [SUBJECT, PEER] {
            if let Some(error) = self.socket(end)?.take_error()? {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// The state of a connection in which nothing has ended, as the kernel numbers it.
const ESTABLISHED: u8 = soccr::TcpState::Established as u8;

/// Connections without sockets, and what keeps packets away from where these were and are to be.
#[derive(Default)]
struct Gone {
    locks: Vec<lab::Blackhole>,
    snapshots: Vec<(usize, soccr::Snapshot)>,
}

/// Says where it was.
fn step(what: &str, outcome: Result) -> Result {
    outcome.map_err(|error| format!("{what}: {error}").into())
}

fn main() -> Result {
    lab::Sandbox::enter()?; // first of all: before there are threads
    let hosts = Hosts::builder()
        .mtu(1500)
        .offload(false)
        .sysctl("net.ipv4.tcp_early_retrans", "0")
        .build()?;
    let connection = hosts
        .connection(lab::Family::V4Mapped)
        .on_client(|it| it.set_recv_buffer_size(20000))
        .on_server(|it| {
            it.set_tcp_mss(900)?;
            it.set_recv_buffer_size(30000)
        })
        .open()?;
    let flow = connection.flow();
    let sockets = [connection.client, connection.server];
    for socket in &sockets {
        raw::set_int(socket, Opt::SO_OOBINLINE, 1)?;
        if let Err(error) = raw::set(socket, Opt::TCP_CONGESTION, b"cubic") {
            eprintln!("note: no cubic here: {error}");
        }
    }
    let mut it = World {
        hosts,
        sockets: sockets.map(Some),
        flow,
        written: [0; 2],
        read: [0; 2],
        ended: [false; 2],
        faults: Vec::new(),
    };
    it.settle()?;

    step(
        "1: subject sets nodelay",
        it.sets(SUBJECT, Opt::TCP_NODELAY, 1),
    )?;
    step("2: subject writes 20000", it.writes(SUBJECT, 20000))?;
    step("3: lose 2 of subject", it.lose(SUBJECT, 2))?;
    step("4: restore subject", it.restore(&[SUBJECT]))?;
    step("5: subject writes 5000", it.writes(SUBJECT, 5000))?;
    step("6: clear", it.clear())?;
    step("7: hold all of peer", it.hold(PEER))?;
    step("8: peer writes 3000", it.writes(PEER, 3000))?;
    step("9: restore both", it.restore(&[SUBJECT, PEER]))?;
    step("10: clear", it.clear())?;
    step("11: reorder 2 of subject", it.reorder(SUBJECT, 2))?;
    step("12: duplicate 1 of peer", it.duplicate(PEER, 1))?;
    step("13: subject writes 9000", it.writes(SUBJECT, 9000))?;
    step("14: peer urges", it.urges(PEER))?;
    step("15: checkpoint both", it.checkpoint(&[SUBJECT, PEER]))?;
    step("16: subject reads all", it.reads(SUBJECT, usize::MAX))?;
    step("17: clear", it.clear())?;
    step("18: links take 1400", it.mtu(1400))?;
    step("19: lose all of peer", it.lose_all(PEER))?;
    step("20: peer ends", it.ends(PEER))?;
    step("21: restore peer", it.restore(&[PEER]))?;
    step("22: clear", it.clear())?;
    step("23: restore subject", it.restore(&[SUBJECT]))?;
    step("24: peer reads 100", it.reads(PEER, 100))?;
    step("25: subject ends", it.ends(SUBJECT))?;
    step("the end", it.finish())?;
    println!("ok");
    Ok(())
}
