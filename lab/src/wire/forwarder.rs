//! The thread that moves frames from port to port, and what it shares with those who give it orders.

use super::engine::{Departure, Engine};
use super::frame::Way;
use super::quiet::Around;
use crate::cpus;
use crate::error::{Doing, Error};
use crate::mark::Message;
use crate::network::{Node, Port};
use crate::segment::Segment;
use crate::sys::{self, Receive, Ring, RingFrame};
use crate::together::drop_together;
use crate::vlan;
use crate::watched::Watched;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::sched_getcpu;
use std::collections::HashSet;
use std::fmt;
use std::io::{self, PipeReader};
use std::iter;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::MutexGuard;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// After so many frames of one port the other one has its turn.
const BATCH: usize = 64;
/// What the ring needs of a slot for itself.
const SLOT_HEADER: usize = 256;

/// What the forwarder and those who give it orders share.
pub(super) struct Shared {
    /// On the ports of either host: `a`, then `b`.
    sockets: Vec<OwnedFd>,
    pub(super) around: Vec<Around>,
    /// The processor that frames are sent from: one that was sent from another could overtake them.
    cpu: usize,
    state: Watched<State>,
}

/// Everything about a wire that changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) engine: Engine,
    /// Sync messages that have been sent and have not arrived yet.
    pub(super) awaited: HashSet<u64>,
    /// The longest that a frame has waited until the wire looked at it.
    pub(super) lateness: Duration,
    /// Why frames are not moved any more, if they are not.
    failure: Option<String>,
}

impl Shared {
    /// Sockets on both ports, and a ring for each.
    pub(super) fn new(
        node: &Node,
        ports: [&Port; 2],
        around: [Around; 2],
        largest: usize,
        memory: usize,
    ) -> Result<(Self, [Ring; 2]), Error> {
        let slot = (largest + SLOT_HEADER).next_power_of_two();
        let open = |port: &Port| {
            let doing = || format!("forward at port {} of the wire", port.link);
            let socket = node.namespace.enter(sys::forwarding_socket)?.doing(doing)?;
            let ring = Ring::new(&socket, slot, (memory / slot).max(1)).doing(doing)?;
            sys::bind_packet(&socket, port.index, Receive::Everything).doing(doing)?;
            Ok::<_, Error>((socket, ring))
        };
        let [a, b] = ports;
        // Each has to wait for the kernel: they wait at the same time.
        let (a, b) = thread::scope(|scope| {
            let other = scope.spawn(|| open(b));
            (open(a), other.join())
        });
        let ((a, ring_a), (b, ring_b)) = (a?, b.unwrap_or_else(|panic| resume_unwind(panic))?);
        let shared = Self {
            sockets: vec![a, b],
            around: around.into(),
            cpu: sched_getcpu().unwrap_or_default(),
            state: Watched::default(),
        };
        Ok((shared, [ring_a, ring_b]))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Gives an order; what it lets go has gone when this returns.
    pub(super) fn order<R>(&self, order: impl FnOnce(&mut Engine) -> R) -> Result<R, Error> {
        let mut state = self.lock();
        state.check()?;
        let result = order(&mut state.engine);
        if state.engine.has_departures() {
            cpus::on(self.cpu, || self.forward(&mut state));
        }
        let checked = state.check();
        self.state.changed(state);
        checked.map(|()| result)
    }

    /// Looks at the state.
    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> Result<R, Error> {
        let mut state = self.lock();
        state.check()?;
        Ok(look(&mut state))
    }

    /// Waits until `found` finds something.
    pub(super) fn wait<R>(
        &self,
        what: impl Fn() -> String,
        timeout: Duration,
        mut found: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<R, Error> {
        self.state.wait(what, timeout, |state| {
            state.check()?;
            Ok(found(state))
        })
    }

    /// The forwarder: until `stopped` is closed at its other end.
    pub(super) fn run(&self, rings: [Ring; 2], stopped: &PipeReader) {
        cpus::on(self.cpu, || self.serve(rings, stopped));
    }

    fn serve(&self, mut rings: [Ring; 2], stopped: &PipeReader) {
        let sockets = self.sockets.iter().map(AsFd::as_fd);
        let mut fds: Vec<_> = iter::once(stopped.as_fd())
            .chain(sockets)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        loop {
            // Whoever waits for the wire is to be told, not left waiting.
            let Ok(due) = catch_unwind(AssertUnwindSafe(|| self.round(&mut rings))) else {
                return self.fail("the forwarder has panicked".to_owned());
            };
            let timeout = due.map_or(PollTimeout::NONE, until);
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return self.fail(format!("poll: {error}")),
            }
            let mut events = fds
                .iter()
                .map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            if events.next().is_some_and(|stop| !stop.is_empty()) {
                return;
            }
            for (events, socket) in events.zip(&self.sockets) {
                if events.contains(PollFlags::POLLERR) {
                    // The link went down with its host. Reading the error clears it, or poll would never block again.
                    let error = nix::sys::socket::sockopt::SocketError;
                    let _ = nix::sys::socket::getsockopt(socket, error);
                }
            }
        }
    }

    /// Decides about what has come in; says when something is due that has been delayed.
    fn round(&self, rings: &mut [Ring; 2]) -> Option<Instant> {
        loop {
            let mut idle = true;
            let mut state = self.lock();
            for (ring, way) in rings.iter_mut().zip([Way::AToB, Way::BToA]) {
                for _ in 0..BATCH {
                    let taken = ring.take(|frame| {
                        state.admit(way, frame);
                    });
                    if taken.is_none() {
                        break;
                    }
                    idle = false;
                }
            }
            let due = state.engine.send_due(Instant::now());
            self.forward(&mut state);
            if idle {
                return due;
            }
            // Where there was no room for a frame, there is something in the ring: a round like this one comes behind it.
            for socket in &self.sockets {
                match sys::frames_lost(socket) {
                    Ok(0) | Err(_) => {}
                    Ok(lost) => state.fail(format!("there was no room for {lost} frames")),
                }
            }
            self.state.changed(state);
        }
    }

    /// Sends what is to go out.
    fn forward(&self, state: &mut State) {
        for departure in state.engine.departures() {
            if let Err(error) = self.send(&departure) {
                let length = departure.bytes.len();
                match error {
                    // A host that is on its way out takes nothing any more.
                    Errno::ENETDOWN | Errno::ENXIO => {}
                    // Larger than the link of its receiver takes by now: that drops it.
                    Errno::ENOBUFS if !self.is_taken(&departure) => {}
                    error => state.fail(format!("sending a frame of {length} bytes: {error}")),
                }
            }
        }
    }

    fn send(&self, departure: &Departure) -> nix::Result<()> {
        let port = self.sockets.get(match departure.way {
            Way::AToB => 1,
            Way::BToA => 0,
        });
        let port = port.ok_or(Errno::ENXIO)?;
        let parts = [
            io::IoSlice::new(&departure.offload),
            io::IoSlice::new(&departure.bytes),
        ];
        nix::sys::uio::writev(port, &parts).map(drop)
    }

    /// Whether the link of the receiver takes packets of this size ([`Host::set_mtu`](crate::Host::set_mtu)).
    fn is_taken(&self, departure: &Departure) -> bool {
        let receiver = self.around.get(match departure.way {
            Way::AToB => 1,
            Way::BToA => 0,
        });
        receiver.is_none_or(|host| departure.bytes.len() <= host.largest())
    }

    fn fail(&self, why: String) {
        let mut state = self.lock();
        state.fail(why);
        self.state.changed(state);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let listeners = self.around.drain(..).map(Around::into_socket);
        drop_together(self.sockets.drain(..).chain(listeners));
    }
}

impl State {
    fn admit(&mut self, way: Way, frame: &RingFrame<'_>) {
        match Message::of(frame.bytes) {
            Some(Message::Sync(number)) if self.awaited.remove(&number) => return,
            // Remarks of the lab are not part of the network: no rule is asked about them.
            Some(_) => return self.engine.let_through(way, frame.bytes.to_vec()),
            None => {}
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let waited = now
            .unwrap_or_default()
            .saturating_sub(Duration::from_nanos(frame.time));
        self.lateness = self.lateness.max(waited);
        let length = frame.original_len;
        if frame.bytes.len() < length as usize {
            return self.fail(format!("a frame of {length} bytes was cut short"));
        }
        let segment = Segment::decode(frame.bytes).ok().flatten();
        let offload = match frame.tag {
            Some(_) => vlan::shift(frame.vnet_header),
            None => frame.vnet_header,
        };
        let bytes = vlan::put_in(frame.bytes, frame.tag).into_owned();
        let admitted = catch_unwind(AssertUnwindSafe(|| {
            let now = Instant::now();
            self.engine.admit(way, segment, offload, bytes, now);
        }));
        if admitted.is_err() {
            self.fail("a rule has panicked".to_owned());
        }
    }

    fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    /// A wire that has lost frames on its own account is none.
    fn check(&self) -> Result<(), Error> {
        match &self.failure {
            Some(why) => Err(Error::Wire(why.clone())),
            None => Ok(()),
        }
    }
}

/// The time until `due`, rounded up: waking up early would be waking up twice.
fn until(due: Instant) -> PollTimeout {
    let left = due.saturating_duration_since(Instant::now());
    let milliseconds = left.as_millis() + 1;
    PollTimeout::from(u16::try_from(milliseconds).unwrap_or(u16::MAX))
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
