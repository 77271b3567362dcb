//! The steps of a restore once the socket is connected: options and clock, queues, and what comes after them.

use super::{Core, Restoring, set, stage};
use crate::adopt;
use crate::buffers::Buffers;
use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::filling::write_all;
use crate::fin::Fins;
use crate::finishing::{Finishing, set_window};
use crate::kind::Kind;
use crate::losses::{Loss, Lost};
use crate::options::Timestamps;
use crate::queue::Queue;
use crate::raw::{self, Opt, TCP_NO_QUEUE, TCPI_OPT_USEC_TS};
use crate::reading::read_window;
use crate::restored::Restored;
use crate::settings::{InFlight, Settings};
use crate::snapshot::Snapshot;
use crate::sockopts::{self, Moment};
use crate::switch::Switch;
use crate::sys;
use crate::window::Window;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};

/// Goes on with a socket that the caller has bound and connected by standard calls, in repair mode, after
/// [`unbound_data`](Restoring::unbound_data) had set its sequence numbers. An attempt to connect is made outside of repair
/// mode, since it is to send its SYN; by now it may have succeeded.
///
/// For interfaces whose callers make these calls, as the staged one for C has them. The socket is consumed, as by
/// [`create_from`](super::create_from).
///
/// # Errors
/// What [`Snapshot::validate`] refuses; [`ErrorKind::Mismatch`] where the socket is not that
/// connection so far; [`ErrorKind::Unsupported`] for one that is over.
pub fn connected(
    snapshot: &Snapshot,
    socket: impl Into<OwnedFd>,
    settings: Settings,
) -> Result<Restoring<'_, stage::Connected>, Error> {
    snapshot.validate()?;
    let socket = socket.into();
    let mut core = Restoring::<stage::Connected>::new(snapshot, socket).core;
    if !core.kind().ends_in_repair() {
        let state = Unsupported::State(snapshot.state);
        return Err(Error::new(Step::Connect, ErrorKind::Unsupported(state)));
    }
    core.settings = settings;
    core.connected = true;
    core.fins = Fins::choose(snapshot, settings.fin_mode())?;
    core.switch = Switch::current();
    let entered = core.switch.enter(core.fd.as_fd());
    entered.at(Step::Connect, Opt::TCP_REPAIR.setting)?;
    adopt::check_connected(core.fd.as_fd(), snapshot, core.receive_start())?;
    // How long the queues are may be known only now.
    Buffers::grow(core.fd.as_fd(), snapshot)?;
    Ok(Restoring::at(core))
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
    pub fn no_queue_data(mut self) -> Result<Restoring<'s, stage::NoQueue>, Error> {
        self.apply_options(Moment::Connected);
        if self.core.kind() != Kind::Connection {
            return Ok(self.next());
        }
        let options = self.core.snapshot.options;
        let (fd, step) = (self.as_fd(), Step::NoQueueData);
        sys::set(fd, Opt::TCP_REPAIR_OPTIONS, &options.to_repair_options())
            .at(step, Opt::TCP_REPAIR_OPTIONS.setting)?;
        self.bound_segments(options.mss_clamp)?;
        // The kernel takes the clamp and goes on with segments of 524 or 1208 bytes, for the life of the
        // connection, until something makes it compute their size again (guide A46, G2).
        match sockopts::ip_options(&self.core.snapshot.socket_options) {
            [] => sys::clear(fd, Opt::IP_OPTIONS),
            ip_options => sys::set(fd, Opt::IP_OPTIONS, ip_options),
        }
        .at(step, Opt::IP_OPTIONS.setting)?;
        if let Some(timestamps) = options.timestamps {
            self.set_clock(timestamps)?;
        }
        Ok(self.next())
    }

    /// Tells the kernel of a peer whose window was always narrow, where it computes the size of segments: it makes none that is
    /// larger than half of it (guide A66).
    fn bound_segments(&self, mss_clamp: u16) -> Result<(), Error> {
        let (fd, step) = (self.as_fd(), Step::NoQueueData);
        let narrow = 2 * u32::from(mss_clamp);
        let saved = self.core.snapshot.window;
        let Some(Window { max_window, .. }) = saved.filter(|it| it.max_window < narrow) else {
            return Ok(());
        };
        match read_window(fd, step)? {
            // Everything else is set when the queues are there.
            Some(now) => set_window(
                fd,
                step,
                Window {
                    snd_wl1: now.rcv_wup.back(1),
                    max_window: max_window.max(now.snd_wnd),
                    ..now
                },
            ),
            None => Ok(()),
        }
    }

    fn set_clock(&self, timestamps: Timestamps) -> Result<(), Error> {
        let (fd, step) = (self.as_fd(), Step::NoQueueData);
        let value = timestamps.to_restore();
        set(fd, step, Opt::TCP_TIMESTAMP, value as i32)?;
        let info = raw::read_info(fd).at(step, Opt::TCP_INFO.getting)?;
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
        let snapshot = self.core.snapshot;
        self.fill(Queue::Receive, &snapshot.receive.bytes)?;
        if self.core.settings.in_flight == InFlight::AsSent {
            self.fill(Queue::Send, snapshot.send.sent())?;
        }
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
    /// Restores the FINs, the windows, and the tail of the send queue that was never sent.
    ///
    /// # Errors
    /// [`Unsupported::QuietOff`] where there is such a tail and the kernel cannot hold it
    /// (before 4.19); [`ErrorKind::NotInjected`] where a firewall keeps out the packet that puts a FIN back.
    #[doc(alias = "libsoccr_set_sk_data")]
    pub fn remaining_data(mut self) -> Result<Restored, Error> {
        let Core {
            snapshot, settings, ..
        } = self.core;
        let losses = match self.core.kind() {
            Kind::Connection => {
                let finishing = Finishing {
                    fd: self.as_fd(),
                    snapshot,
                    fins: &self.core.fins,
                    in_flight: settings.in_flight,
                    switch: &self.core.switch,
                };
                finishing.finish()?
            }
            Kind::Ended => match self.core.double.take() {
                Some(double) => double.end(self.as_fd(), snapshot, &self.core.switch)?,
                None => Vec::new(),
            },
            Kind::Attempt | Kind::Refused | Kind::Unconnected => Vec::new(),
        };
        if snapshot.shutdown_read && self.core.kind() == Kind::Unconnected {
            // Says ENOTCONN, and does it.
            let _ = sys::shutdown(self.as_fd(), Shutdown::Read);
        }
        self.core.losses.extend(losses);
        if let (Kind::Unconnected, Some(error)) = (self.core.kind(), snapshot.pending_error) {
            // Of a connection that the application has dissolved itself.
            let loss = Loss::new(Lost::PendingError, format!("{error} does not come back"));
            self.core.losses.push(loss);
        }
        self.apply_options(Moment::Last);
        // Before the resume, and not with it: what comes in until then is answered with a window from the buffer as it is.
        snapshot.buffers.settle(self.as_fd())?;
        let Core {
            losses,
            fd,
            fins,
            switch,
            connected,
            ..
        } = self.core;
        let timestamps = snapshot.options.timestamps.filter(|_| fins.is_injected());
        let clock = timestamps.map(Timestamps::ahead);
        Ok(Restored::new(
            snapshot, settings, losses, fd, switch, clock, connected,
        ))
    }
}
