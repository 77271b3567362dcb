//- basis
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

//- network wire
/// Two hosts, and a wire that loses, holds, reorders and duplicates what it is told to.
type Hosts = lab::PairWithWire;

//- network move
/// A peer and two hosts, between which the subject's address moves.
type Hosts = lab::Trio;

//- world
/// The state of a connection that is over, as the kernel numbers it.
const CLOSE: u8 = soccr::TcpState::Close as u8;

/// The two ends, what is between them, and what was said.
struct World {
    //- hosts
    hosts: Hosts,
    //- sockets
    sockets: [Option<TcpStream>; 2],
    //- flow
    /// From the subject.
    flow: lab::Flow,
    //- world end
    /// Bytes that each end has written, and has read of the other's.
    written: [u64; 2],
    read: [u64; 2],
    ended: [bool; 2],
    /// What keeps the faults of the network in force.
    faults: Vec<Box<dyn std::any::Any>>,
}

//- talk
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

    //- reads
    /// Reads so many bytes, or as many as there are.
    fn reads(&mut self, end: usize, bytes: usize) -> Result {
        self.receive(end, bytes)?;
        self.settle()
    }

    //- hosts_of wire
    /// All hosts that an end may be on.
    fn hosts_of(&self, end: usize) -> Vec<&lab::Host> {
        vec![self.hosts.hosts()[end]]
    }

    //- hosts_of move
    /// All hosts that an end may be on.
    fn hosts_of(&self, end: usize) -> Vec<&lab::Host> {
        match end {
            SUBJECT => vec![self.hosts.old_host(), self.hosts.new_host()],
            _ => vec![self.hosts.client()],
        }
    }

    //- host wire
    fn host(&self, end: usize) -> &lab::Host {
        self.hosts.hosts()[end]
    }

    //- host move
    /// The host that has the address of an end.
    fn host(&self, end: usize) -> &lab::Host {
        [self.hosts.holder(), self.hosts.client()][end]
    }

    //- urges
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

    //- sets
    fn sets(&self, end: usize, option: Opt, value: i32) -> Result {
        raw::set_int(self.socket(end)?, option, value)?;
        self.settle()
    }

    //- flow
    /// From an end to the other.
    fn flow_of(&self, end: usize) -> lab::Flow {
        [self.flow, self.flow.reversed()][end]
    }

    //- first
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

    //- lose
    fn lose(&mut self, end: usize, segments: u32) -> Result {
        self.next_of(end, segments, lab::wire::Verdict::Drop)
    }

    //- duplicate
    fn duplicate(&mut self, end: usize, segments: u32) -> Result {
        self.next_of(end, segments, lab::wire::Verdict::Duplicate)
    }

    //- reorder
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

    //- hold
    fn hold(&mut self, end: usize) -> Result {
        let meant = lab::wire::Matcher::flow(self.flow_of(end));
        self.hosts.wire().hold(meant)?;
        // It ends with `clear`, not with a guard.
        self.faults.push(Box::new(()));
        Ok(())
    }

    //- lose all
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

    //- clear
    /// The network is as it should be again.
    fn clear(&mut self) -> Result {
        self.faults.clear();
        //- clear wire
        self.hosts.wire().release()?;
        //- clear end
        self.settle()
    }

    //- mtu
    fn mtu(&self, bytes: u32) -> Result {
        for host in self.hosts.hosts() {
            host.set_mtu(bytes)?;
        }
        self.settle()
    }

    //- checkpoint
    /// Saves connections that run on.
    fn checkpoint(&self, ends: &[usize]) -> Result {
        for &end in ends {
            if self.state(end)? != CLOSE {
                self.save(end)?;
            }
        }
        self.settle()
    }

    //- save
    fn save(&self, end: usize) -> Result {
        soccr::save(self.socket(end)?)?;
        Ok(())
    }

    //- save urgent
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

    //- leave
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
        //- leave urgent
        for &end in &ends {
            if !self.save(end)? {
                return Ok(Gone::default());
            }
        }
        //- leave end
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

    //- restore
    fn restore(&mut self, ends: &[usize]) -> Result {
        let gone = self.leave(ends)?;
        self.arrive(gone)
    }

    //- moves
    /// The subject's address moves to the other host, and its connection with it.
    fn moves(&mut self) -> Result {
        let gone = self.leave(&[SUBJECT])?;
        if !gone.snapshots.is_empty() {
            self.hosts.move_address()?;
        }
        self.arrive(gone)
    }

    //- state
    /// As the kernel numbers it.
    fn state(&self, end: usize) -> Result<u8> {
        Ok(raw::tcp_info(self.socket(end)?)?.state)
    }

    //- quiet wire
    /// Waits until nothing is between the hosts.
    fn quiet(&self) -> Result {
        Ok(self.hosts.wire().until_quiet()?)
    }

    //- quiet move
    fn quiet(&self) -> Result {
        Ok(())
    }

    //- settle
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

//- gone
/// The state of a connection in which nothing has ended, as the kernel numbers it.
const ESTABLISHED: u8 = soccr::TcpState::Established as u8;

/// Connections without sockets, and what keeps packets away from where these were and are to be.
#[derive(Default)]
struct Gone {
    locks: Vec<lab::Blackhole>,
    snapshots: Vec<(usize, soccr::Snapshot)>,
}

//- step
/// Says where it was.
fn step(what: &str, outcome: Result) -> Result {
    outcome.map_err(|error| format!("{what}: {error}").into())
}
