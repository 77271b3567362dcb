//! From a [`Snapshot`] to a live socket, in the documented order: create a socket; pause; unbound data; bind and
//! connect; no-queue data; the bytes of both queues; remaining data; resume.
//!
//! The steps are types: each takes the one before it, so that a step out of order does not compile. Until the
//! last one nothing leaves the host, and dropping any of them makes the half-built socket vanish without a packet.

use crate::adopt;
use crate::buffers::Buffers;
use crate::closed::{self, Double};
use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::fin::Fins;
use crate::freebind;
use crate::ingress;
use crate::kind::Kind;
use crate::link;
use crate::losses::Loss;
use crate::queue::Queue;
use crate::raw::Opt;
use crate::repair::Probe;
use crate::restored::Restored;
use crate::seq::Seq;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::sockopts::{self, Moment};
use crate::switch::Switch;
use crate::sys;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

mod binding;
mod connected;

pub use connected::connected;

/// The stages of a restore, as type parameters of [`Restoring`].
pub mod stage {
    /// A new socket.
    #[derive(Debug)]
    pub enum Created {}
    /// In repair mode.
    #[derive(Debug)]
    pub enum Paused {}
    /// Sequence numbers set, buffers grown.
    #[derive(Debug)]
    pub enum Unbound {}
    /// Bound to the local address.
    #[derive(Debug)]
    pub enum Bound {}
    /// In the state ESTABLISHED.
    #[derive(Debug)]
    pub enum Connected {}
    /// Everything restored that has to be there before the queues.
    #[derive(Debug)]
    pub enum NoQueue {}
    /// Queues restored.
    #[derive(Debug)]
    pub enum Queued {}
}

impl Snapshot {
    /// Restores the connection into a new socket, up to the point where only [`Restored::resume`] is missing.
    ///
    /// The local address has to be on this host ([`Settings::freebind`] lets it come later), and the connection must not
    /// exist in this network namespace any more. The snapshot is not changed: it can be restored again.
    ///
    /// # Errors
    /// [`Error`] with the step; the half-built socket is gone without a packet. Needs `CAP_NET_ADMIN` in the user
    /// namespace that owns the network namespace.
    #[doc(alias = "libsoccr_restore")]
    pub fn restore(&self) -> Result<Restored, Error> {
        self.restore_with(Settings::default())
    }

    /// As [`restore`](Self::restore), the ways chosen by the caller.
    ///
    /// # Errors
    /// As there; also where [`FinMode::Inject`](crate::FinMode::Inject) is wanted and not permitted.
    pub fn restore_with(&self, settings: Settings) -> Result<Restored, Error> {
        create(self)?.settings(settings).pause()?.all_steps()
    }
}

/// Checks the snapshot and creates the socket to restore it into: the first step of a restore.
///
/// # Errors
/// What [`Snapshot::validate`] refuses, or the kernel's refusal of a socket.
pub fn create(snapshot: &Snapshot) -> Result<Restoring<'_, stage::Created>, Error> {
    snapshot.validate()?;
    let family = snapshot.endpoints.family();
    let fd = sys::tcp_socket(family).at(Step::Create, "socket")?;
    if snapshot.endpoints.is_v4_mapped() {
        // A new socket has what `net.ipv6.bindv6only` says, and a socket for IPv6 only has no mapped addresses.
        sys::set_int(fd.as_fd(), Opt::IPV6_V6ONLY, 0).at(Step::Create, Opt::IPV6_V6ONLY.setting)?;
    }
    Ok(Restoring::new(snapshot, fd))
}

/// As [`create`], with a new socket of the caller's own, who may have set on it what has to be there before an
/// address is bound or a connection made: `SO_MARK`, `SO_BINDTODEVICE`, `IP_FREEBIND`.
///
/// It may be bound already; then `bind` is left out. It is consumed: on failure it is closed.
///
/// # Errors
/// What [`Snapshot::validate`] refuses; [`ErrorKind::Unsupported`] for a socket that is not TCP;
/// [`ErrorKind::Mismatch`] for one of the other family, or one that is connected or listens.
pub fn create_from(
    snapshot: &Snapshot,
    socket: impl Into<OwnedFd>,
) -> Result<Restoring<'_, stage::Created>, Error> {
    snapshot.validate()?;
    let socket = socket.into();
    adopt::check(socket.as_fd(), snapshot)?;
    Ok(Restoring::new(snapshot, socket))
}

/// A connection that is being restored, at the stage `S`.
///
/// The steps in their order:
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let stream = std::net::TcpStream::connect("192.0.2.1:80")?;
/// let snapshot = soccr::save_and_close(stream)?;
/// let restored = soccr::restore::create(&snapshot)?
///     .pause()?
///     .unbound_data()?
///     .bind()?
///     .connect()?
///     .no_queue_data()?
///     .queue_bytes()?
///     .remaining_data()?;
/// let stream = restored.resume()?;
/// # Ok(()) }
/// ```
///
/// Queues before the connection exists do not compile:
///
/// ```compile_fail,E0599
/// # fn f(snapshot: &soccr::Snapshot) -> Result<(), soccr::Error> {
/// soccr::restore::create(snapshot)?.pause()?.unbound_data()?.queue_bytes()?;
/// # Ok(()) }
/// ```
///
/// Nor do sequence numbers after it does:
///
/// ```compile_fail,E0599
/// # fn f(snapshot: &soccr::Snapshot) -> Result<(), soccr::Error> {
/// soccr::restore::create(snapshot)?.pause()?.unbound_data()?.bind()?.connect()?.unbound_data()?;
/// # Ok(()) }
/// ```
///
/// Nor does resuming before everything is restored:
///
/// ```compile_fail,E0599
/// # fn f(snapshot: &soccr::Snapshot) -> Result<(), soccr::Error> {
/// soccr::restore::create(snapshot)?.pause()?.unbound_data()?.bind()?.connect()?.resume()?;
/// # Ok(()) }
/// ```
///
/// Nor does one step twice:
///
/// ```compile_fail,E0382
/// # fn f(snapshot: &soccr::Snapshot) -> Result<(), soccr::Error> {
/// let paused = soccr::restore::create(snapshot)?.pause()?;
/// paused.unbound_data()?;
/// paused.unbound_data()?;
/// # Ok(()) }
/// ```
#[must_use = "dropping it makes the half-built socket vanish"]
#[derive(Debug)]
pub struct Restoring<'s, S> {
    core: Core<'s>,
    stage: PhantomData<S>,
}

/// What all stages have.
#[derive(Debug)]
struct Core<'s> {
    snapshot: &'s Snapshot,
    fd: OwnedFd,
    settings: Settings,
    switch: Switch,
    fins: Fins,
    /// Plays the peer of a connection that is over.
    double: Option<Double>,
    /// The caller has connected it.
    connected: bool,
    losses: Vec<Loss>,
}

impl Core<'_> {
    fn kind(&self) -> Kind {
        Kind::of(self.snapshot)
    }

    /// Where the receive queue has to start: a FIN that no packet brings is counted in front of the bytes instead of behind
    /// them.
    fn receive_start(&self) -> Seq {
        let emulated = self.fins.is_emulated() && self.snapshot.state.has_peer_fin();
        self.snapshot.receive.start() + u32::from(emulated)
    }
}

impl<S> AsFd for Restoring<'_, S> {
    /// The half-built socket, for options of the caller's own.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.fd.as_fd()
    }
}

impl<'s, S> Restoring<'s, S> {
    fn new(snapshot: &'s Snapshot, fd: OwnedFd) -> Self {
        let core = Core {
            snapshot,
            fd,
            settings: Settings::default(),
            switch: Switch::default(),
            fins: Fins::None,
            double: None,
            connected: false,
            losses: Vec::new(),
        };
        Restoring::at(core)
    }

    fn at(core: Core<'s>) -> Self {
        Self {
            core,
            stage: PhantomData,
        }
    }

    /// Sets the options of the application whose moment it is; what does not work is a loss, not a failure.
    fn apply_options(&mut self, moment: Moment) {
        let options = &self.core.snapshot.socket_options;
        let lost = sockopts::apply(self.core.fd.as_fd(), options, moment);
        self.core.losses.extend(lost);
    }

    fn next<T>(self) -> Restoring<'s, T> {
        Restoring::at(self.core)
    }
}

impl<'s> Restoring<'s, stage::Created> {
    /// Chooses how to go about what can be done in more than one way.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.core.settings = settings;
        self
    }

    /// Enters repair mode; a socket that was never connected needs none.
    ///
    /// # Errors
    /// The kernel's refusal, mostly `EPERM`.
    #[doc(alias = "libsoccr_pause")]
    pub fn pause(mut self) -> Result<Restoring<'s, stage::Paused>, Error> {
        self.core.fins = Fins::choose(self.core.snapshot, self.core.settings.fin_mode())?;
        self.core.switch = Switch::current();
        if self.core.kind() != Kind::Unconnected {
            let entered = self.core.switch.enter(self.as_fd());
            entered.at(Step::Pause, Opt::TCP_REPAIR.setting)?;
        }
        // What ends a connection that is over comes from this host, without the mark.
        if self.core.settings.ingress_lock && self.core.kind().ends_in_repair() {
            ingress::lock(self.as_fd(), Step::Pause)?;
        }
        Ok(self.next())
    }
}

impl<'s> Restoring<'s, stage::Paused> {
    /// Takes all the steps that are left, in their order.
    ///
    /// # Errors
    /// Those of each of them.
    pub fn all_steps(self) -> Result<Restored, Error> {
        self.unbound_data()?
            .bind()?
            .connect()?
            .no_queue_data()?
            .queue_bytes()?
            .remaining_data()
    }

    /// Sets most of the application's options, grows the buffers for the queues, and sets both sequence numbers, which
    /// only an unconnected socket takes.
    ///
    /// # Errors
    /// [`ErrorKind::Buffer`] where a queue cannot fit.
    #[doc(alias = "libsoccr_set_sk_data_unbound")]
    pub fn unbound_data(mut self) -> Result<Restoring<'s, stage::Unbound>, Error> {
        let snapshot = self.core.snapshot;
        self.apply_options(Moment::Unbound);
        Buffers::grow(self.as_fd(), snapshot)?;
        match self.core.kind() {
            Kind::Connection => {
                self.set_queue_start(Queue::Send, snapshot.send.start())?;
                self.set_queue_start(Queue::Receive, self.core.receive_start())?;
            }
            // The SYN has the number before the first byte.
            Kind::Attempt => self.set_queue_start(Queue::Send, snapshot.send.end.back(1))?,
            Kind::Ended | Kind::Refused | Kind::Unconnected => {}
        }
        Ok(self.next())
    }

    fn set_queue_start(&self, queue: Queue, start: Seq) -> Result<(), Error> {
        let (fd, step) = (self.as_fd(), Step::UnboundData);
        set(fd, step, Opt::TCP_REPAIR_QUEUE, queue.number())?;
        set(fd, step, Opt::TCP_QUEUE_SEQ, start.0 as i32)
    }
}

impl<'s> Restoring<'s, stage::Unbound> {
    /// Leaves repair mode, for one whose own `connect` is to send the SYN of an attempt; [`connected()`] goes on from there.
    /// The socket is closed, unless it has another descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for anything but an attempt to connect, or the kernel's refusal.
    pub fn outside_of_repair_mode(self) -> Result<(), Error> {
        if self.core.kind() != Kind::Attempt {
            let state = Unsupported::State(self.core.snapshot.state);
            return Err(Error::new(Step::Connect, ErrorKind::Unsupported(state)));
        }
        let left = self.core.switch.leave(self.as_fd(), Probe::Omit);
        left.at(Step::Connect, Opt::TCP_REPAIR.setting)
    }

    /// Connects a socket that the caller has bound by a standard call, to the snapshot's local address.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] where the socket is bound to another address, or to a link-local one of
    /// another link.
    pub fn connect(self) -> Result<Restoring<'s, stage::Connected>, Error> {
        let snapshot = self.core.snapshot;
        let wanted = link::endpoints(snapshot).local;
        let found = sys::local_address(self.as_fd()).at(Step::Connect, "getsockname")?;
        let found = link::check(self.as_fd(), snapshot, found)?;
        if found != wanted {
            return Err(Error::mismatch(
                Step::Connect,
                "the local address",
                wanted,
                found,
            ));
        }
        connect(self)
    }
}

impl<'s> Restoring<'s, stage::Bound> {
    /// Connects to the snapshot's remote address: no packet is sent, and the state becomes ESTABLISHED.
    ///
    /// Nothing is connected where nothing was. A SYN is sent by [`Restored::resume`] only.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` where the connection still exists here, `ENETUNREACH` without a route.
    pub fn connect(self) -> Result<Restoring<'s, stage::Connected>, Error> {
        connect(self)
    }
}

fn connect<'s, S>(mut socket: Restoring<'s, S>) -> Result<Restoring<'s, stage::Connected>, Error> {
    let (snapshot, step) = (socket.core.snapshot, Step::Connect);
    match socket.core.kind() {
        Kind::Connection => {
            let endpoints = link::endpoints(snapshot);
            match socket.core.settings.freebind {
                true => freebind::connect(socket.as_fd(), endpoints)?,
                false => sys::connect(socket.as_fd(), endpoints.remote).at(step, "connect")?,
            }
        }
        Kind::Ended => {
            let double = Double::create(socket.as_fd())?;
            double.connect(socket.as_fd(), snapshot, &socket.core.switch)?;
            socket.core.double = Some(double);
        }
        Kind::Refused => {
            let left = socket.core.switch.leave(socket.as_fd(), Probe::Omit);
            left.at(step, Opt::TCP_REPAIR.setting)?;
            closed::refuse(socket.as_fd())?;
        }
        Kind::Attempt | Kind::Unconnected => {}
    }
    Ok(socket.next())
}

fn set(fd: BorrowedFd<'_>, step: Step, option: Opt, value: i32) -> Result<(), Error> {
    sys::set_int(fd, option, value).at(step, option.setting)
}
