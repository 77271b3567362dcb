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
//! network move
//! family v6
//! mtu 1500
//! offload on
//! open forged 4294967000 2147483000 77776
//! timestamps ms
//! sack on
//! scaling 10 3
//! congestion reno
//!
//! subject writes 3000
//! peer writes 200000
//! move
//! lose all of subject
//! subject writes 700
//! move
//! clear
//! peer ends
//! checkpoint subject
//! move
//! restore both
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

/// A peer and two hosts, between which the subject's address moves.
type Hosts = lab::Trio;

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

    /// All hosts that an end may be on.
    fn hosts_of(&self, end: usize) -> Vec<&lab::Host> {
        match end {
            SUBJECT => vec![self.hosts.old_host(), self.hosts.new_host()],
            _ => vec![self.hosts.client()],
        }
    }

    /// The host that has the address of an end.
    fn host(&self, end: usize) -> &lab::Host {
        [self.hosts.holder(), self.hosts.client()][end]
    }

    /// From an end to the other.
    fn flow_of(&self, end: usize) -> lab::Flow {
        [self.flow, self.flow.reversed()][end]
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

    fn save(&self, end: usize) -> Result {
        soccr::save(self.socket(end)?)?;
        Ok(())
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

    /// The subject's address moves to the other host, and its connection with it.
    fn moves(&mut self) -> Result {
        let gone = self.leave(&[SUBJECT])?;
        if !gone.snapshots.is_empty() {
            self.hosts.move_address()?;
        }
        self.arrive(gone)
    }

    /// As the kernel numbers it.
    fn state(&self, end: usize) -> Result<u8> {
        Ok(raw::tcp_info(self.socket(end)?)?.state)
    }

    fn quiet(&self) -> Result {
        Ok(())
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
        .offload(true)
        .sysctl("net.ipv4.tcp_early_retrans", "0")
        .build()?;
    let mut subject = soccr::Snapshot::new(soccr::Endpoints {
        local: "[fd77::100]:20001".parse()?,
        remote: "[fd77::1]:20002".parse()?,
    });
    subject.send.end = soccr::Seq(4294967000);
    subject.receive.end = soccr::Seq(2147483000);
    subject.options.mss_clamp = 1440;
    subject.options.sack = true;
    subject.options.window_scale = Some(soccr::WindowScale { snd: 3, rcv: 10 });
    subject.options.timestamps = Some(soccr::Timestamps {
        value: 77776,
        microseconds: false,
    });
    subject.window = Some(soccr::Window {
        snd_wl1: subject.receive.end,
        snd_wnd: 65536,
        max_window: 65536,
        rcv_wnd: 65536,
        rcv_wup: subject.receive.end,
    });
    let mut peer = soccr::Snapshot::new(soccr::Endpoints {
        local: "[fd77::1]:20002".parse()?,
        remote: "[fd77::100]:20001".parse()?,
    });
    peer.send.end = soccr::Seq(2147483000);
    peer.receive.end = soccr::Seq(4294967000);
    peer.options.mss_clamp = 1440;
    peer.options.sack = true;
    peer.options.window_scale = Some(soccr::WindowScale { snd: 10, rcv: 3 });
    peer.options.timestamps = Some(soccr::Timestamps {
        value: 100000,
        microseconds: false,
    });
    peer.window = Some(soccr::Window {
        snd_wl1: peer.receive.end,
        snd_wnd: 65536,
        max_window: 65536,
        rcv_wnd: 65536,
        rcv_wup: peer.receive.end,
    });
    let subject = hosts.old_host().enter(|| subject.restore())??;
    let peer = hosts.client().enter(|| peer.restore())??;
    let sockets = [subject.resume()?, peer.resume()?];
    let flow = lab::Flow::new("[fd77::100]:20001".parse()?, "[fd77::1]:20002".parse()?);
    for socket in &sockets {
        if let Err(error) = raw::set(socket, Opt::TCP_CONGESTION, b"reno") {
            eprintln!("note: no reno here: {error}");
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

    step("1: subject writes 3000", it.writes(SUBJECT, 3000))?;
    step("2: peer writes 200000", it.writes(PEER, 200000))?;
    step("3: move", it.moves())?;
    step("4: lose all of subject", it.lose_all(SUBJECT))?;
    step("5: subject writes 700", it.writes(SUBJECT, 700))?;
    step("6: move", it.moves())?;
    step("7: clear", it.clear())?;
    step("8: peer ends", it.ends(PEER))?;
    step("9: checkpoint subject", it.checkpoint(&[SUBJECT]))?;
    step("10: move", it.moves())?;
    step("11: restore both", it.restore(&[SUBJECT, PEER]))?;
    step("the end", it.finish())?;
    println!("ok");
    Ok(())
}
