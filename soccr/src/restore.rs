//! From a [`Snapshot`] to a live socket, in the documented order: create a socket; pause; unbound data; bind and
//! connect; no-queue data; the bytes of both queues; remaining data; resume.
//!
//! The steps are types: each takes the one before it, so that a step out of order does not compile. Until the
//! last one nothing leaves the host, and dropping any of them makes the half-built socket vanish without a packet.

use crate::adopt;
use crate::buffers::Buffers;
use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::filling::write_all;
use crate::options::Timestamps;
use crate::queue::Queue;
use crate::raw::{self, Opt, TCP_NO_QUEUE, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON, TCPI_OPT_USEC_TS};
use crate::reading::read_window;
use crate::restored::Restored;
use crate::seq::Seq;
use crate::snapshot::Snapshot;
use crate::sys;
use crate::window::Window;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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
    /// The local address has to be on this host, and the connection must not exist in this network namespace any
    /// more. The snapshot is not changed: it can be restored again.
    ///
    /// # Errors
    /// [`Error`] with the step; the half-built socket is gone without a packet. Needs `CAP_NET_ADMIN` in the user
    /// namespace that owns the network namespace.
    #[doc(alias = "libsoccr_restore")]
    pub fn restore(&self) -> Result<Restored, Error> {
        create(self)?
            .pause()?
            .unbound_data()?
            .bind()?
            .connect()?
            .no_queue_data()?
            .queue_bytes()?
            .remaining_data()
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
    snapshot: &'s Snapshot,
    fd: OwnedFd,
    stage: PhantomData<S>,
}

impl<S> AsFd for Restoring<'_, S> {
    /// The half-built socket, for options of the caller's own.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<'s, S> Restoring<'s, S> {
    fn new(snapshot: &'s Snapshot, fd: OwnedFd) -> Self {
        Self {
            snapshot,
            fd,
            stage: PhantomData,
        }
    }

    fn next<T>(self) -> Restoring<'s, T> {
        Restoring::new(self.snapshot, self.fd)
    }
}

impl<'s> Restoring<'s, stage::Created> {
    /// Enters repair mode.
    ///
    /// # Errors
    /// The kernel's refusal, mostly `EPERM`.
    #[doc(alias = "libsoccr_pause")]
    pub fn pause(self) -> Result<Restoring<'s, stage::Paused>, Error> {
        set(self.as_fd(), Step::Pause, Opt::TCP_REPAIR, TCP_REPAIR_ON)?;
        Ok(self.next())
    }
}

impl<'s> Restoring<'s, stage::Paused> {
    /// Grows the buffers for the queues and sets both sequence numbers, which only an unconnected socket takes.
    ///
    /// # Errors
    /// [`ErrorKind::Buffer`] where a queue cannot fit.
    #[doc(alias = "libsoccr_set_sk_data_unbound")]
    pub fn unbound_data(self) -> Result<Restoring<'s, stage::Unbound>, Error> {
        Buffers::grow(self.as_fd(), self.snapshot)?;
        self.set_queue_start(Queue::Send, self.snapshot.send.start())?;
        self.set_queue_start(Queue::Receive, self.snapshot.receive.start())?;
        Ok(self.next())
    }

    fn set_queue_start(&self, queue: Queue, start: Seq) -> Result<(), Error> {
        let (fd, step) = (self.as_fd(), Step::UnboundData);
        set(fd, step, Opt::TCP_REPAIR_QUEUE, queue.number())?;
        set(fd, step, Opt::TCP_QUEUE_SEQ, start.0 as i32)
    }
}

impl<'s> Restoring<'s, stage::Unbound> {
    /// Binds to the snapshot's local address; in repair mode a port that is in use is no obstacle (guide A35).
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` where the address is not on this host.
    pub fn bind(self) -> Result<Restoring<'s, stage::Bound>, Error> {
        sys::bind(self.as_fd(), self.snapshot.endpoints.local).at(Step::Bind, "bind")?;
        Ok(self.next())
    }

    /// Connects a socket that the caller has bound by a standard call, to the snapshot's local address.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] where the socket is bound to another address.
    pub fn connect(self) -> Result<Restoring<'s, stage::Connected>, Error> {
        let wanted = self.snapshot.endpoints.local;
        let found = sys::local_address(self.as_fd()).at(Step::Connect, "getsockname")?;
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
    /// # Errors
    /// `EADDRNOTAVAIL` where the connection still exists here, `ENETUNREACH` without a route.
    pub fn connect(self) -> Result<Restoring<'s, stage::Connected>, Error> {
        connect(self)
    }
}

fn connect<'s, S>(socket: Restoring<'s, S>) -> Result<Restoring<'s, stage::Connected>, Error> {
    sys::connect(socket.as_fd(), socket.snapshot.endpoints.remote).at(Step::Connect, "connect")?;
    Ok(socket.next())
}

impl<'s> Restoring<'s, stage::Connected> {
    /// Restores what was negotiated, the segment size, and the clock of the timestamps.
    ///
    /// Before the queues: the kernel refuses options once a byte was sent, and a restored queue is sent by a
    /// timer (guide A42, H7).
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] where the snapshot's clock counts microseconds and this kernel's cannot.
    #[doc(alias = "libsoccr_set_sk_data_noq")]
    pub fn no_queue_data(self) -> Result<Restoring<'s, stage::NoQueue>, Error> {
        let (fd, step, options) = (self.as_fd(), Step::NoQueueData, self.snapshot.options);
        sys::set(fd, Opt::TCP_REPAIR_OPTIONS, &options.to_repair_options())
            .at(step, Opt::TCP_REPAIR_OPTIONS.setting)?;
        // The kernel takes the clamp and goes on with segments of 524 or 1208 bytes, for the life of the
        // connection, until something makes it compute their size again (guide A46, G2).
        sys::clear(fd, Opt::IP_OPTIONS).at(step, Opt::IP_OPTIONS.setting)?;
        if let Some(timestamps) = options.timestamps {
            self.set_clock(timestamps)?;
        }
        Ok(self.next())
    }

    fn set_clock(&self, timestamps: Timestamps) -> Result<(), Error> {
        let (fd, step) = (self.as_fd(), Step::NoQueueData);
        let value = timestamps.to_restore();
        set(fd, step, Opt::TCP_TIMESTAMP, value as i32)?;
        let info = raw::tcp_info(&fd).at(step, Opt::TCP_INFO.getting)?;
        let microseconds = info.options & TCPI_OPT_USEC_TS != 0;
        if microseconds != timestamps.microseconds {
            let unit = |microseconds| {
                if microseconds {
                    "microseconds"
                } else {
                    "milliseconds"
                }
            };
            return Err(Error::mismatch(
                step,
                "the unit of the timestamp clock",
                unit(timestamps.microseconds),
                unit(microseconds),
            ));
        }
        Ok(())
    }
}

impl<'s> Restoring<'s, stage::NoQueue> {
    /// Writes the receive queue, and what was sent of the send queue.
    ///
    /// # Errors
    /// [`ErrorKind::Buffer`] where the kernel grants less room than a queue needs.
    #[doc(alias = "libsoccr_set_queue_bytes")]
    pub fn queue_bytes(self) -> Result<Restoring<'s, stage::Queued>, Error> {
        self.fill(Queue::Receive, &self.snapshot.receive.bytes)?;
        self.fill(Queue::Send, self.snapshot.send.sent())?;
        Ok(self.next())
    }

    fn fill(&self, queue: Queue, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (fd, step) = (self.as_fd(), Step::WriteQueue(queue));
        set(fd, step, Opt::TCP_REPAIR_QUEUE, queue.number())?;
        write_all(fd, queue, bytes)?;
        // With the send queue selected, whatever is written counts as sent.
        set(fd, step, Opt::TCP_REPAIR_QUEUE, TCP_NO_QUEUE)
    }
}

impl<'s> Restoring<'s, stage::Queued> {
    /// Restores the windows, and the tail of the send queue that was never sent.
    ///
    /// # Errors
    /// [`Unsupported::QuietOff`] where there is such a tail and the kernel cannot hold it (before 4.19).
    #[doc(alias = "libsoccr_set_sk_data")]
    pub fn remaining_data(self) -> Result<Restored, Error> {
        let (fd, step) = (self.as_fd(), Step::RemainingData);
        let rcv_nxt = self.snapshot.receive.end;
        let window = match self.snapshot.window {
            Some(window) => Some(window.acceptable(rcv_nxt)),
            // After a connect in repair mode snd_wl1 is 0, so that for half of all sequence numbers the kernel would
            // refuse its own window, and take no window from the peer either (guide A54).
            None => read_window(fd, step)?.map(|window| Window {
                snd_wl1: rcv_nxt.back(1),
                ..window
            }),
        };
        if !self.snapshot.send.unsent().is_empty() {
            let window = window.ok_or_else(quiet_off)?;
            self.hold_tail(window)?;
        }
        if let Some(window) = window {
            set_window(fd, window)?;
        }
        Ok(Restored::new(self.snapshot, self.fd))
    }

    /// Writes the tail without sending it.
    ///
    /// In repair mode everything written counts as sent, so the mode has to be left for it. Against a send window
    /// of zero the kernel keeps what it is given; the real window is set only when it is back in repair mode. So
    /// no packet leaves before the restore is complete (guide G16, H9), and resuming cannot fail half-way.
    fn hold_tail(&self, window: Window) -> Result<(), Error> {
        let (fd, step) = (self.as_fd(), Step::RemainingData);
        let shut = Window {
            snd_wnd: 0,
            ..window
        };
        set_window(fd, shut)?;
        match sys::set_int(fd, Opt::TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Err(quiet_off()),
            other => other.at(step, Opt::TCP_REPAIR.setting)?,
        }
        let written = write_all(fd, Queue::Send, self.snapshot.send.unsent());
        // Back in repair mode first, whatever happened: only there can the socket vanish.
        set(fd, step, Opt::TCP_REPAIR, TCP_REPAIR_ON)?;
        written
    }
}

fn set(fd: BorrowedFd<'_>, step: Step, option: Opt, value: i32) -> Result<(), Error> {
    sys::set_int(fd, option, value).at(step, option.setting)
}

fn set_window(fd: BorrowedFd<'_>, window: Window) -> Result<(), Error> {
    sys::set(fd, Opt::TCP_REPAIR_WINDOW, &window.to_bytes())
        .at(Step::RemainingData, Opt::TCP_REPAIR_WINDOW.setting)
}

fn quiet_off() -> Error {
    Error::new(
        Step::RemainingData,
        ErrorKind::Unsupported(Unsupported::QuietOff),
    )
}
