//! A restored connection, and the step that brings it to life.

use crate::buffers::Buffers;
use crate::error::{At, Error, Step};
use crate::finishing::has_tail;
use crate::ingress::Filter;
use crate::kind::Kind;
use crate::link;
use crate::losses::Loss;
use crate::options::Timestamps;
use crate::raw::Opt;
use crate::repair::{Probe, persist};
use crate::settings::Settings;
use crate::shelter::hide;
use crate::snapshot::Snapshot;
use crate::switch::Switch;
use crate::sys;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A restored connection, still paused. Dropping it makes it vanish without a packet.
///
/// Resume it soon: the kernel's timers run in repair mode too, and about a second after the queues were restored
/// they send what was in flight (guide A9, H8).
#[must_use = "dropping it makes the restored connection vanish"]
#[derive(Debug)]
pub struct Restored {
    fd: OwnedFd,
    switch: Switch,
    kind: Kind,
    buffers: Buffers,
    remote: SocketAddr,
    reuse_address: bool,
    nonblocking: bool,
    tail: Option<Tail>,
    filter: Option<Filter>,
    /// The clock to go on with. A FIN that was put back is acknowledged to the peer within milliseconds, in repair mode
    /// too: if that was in an attempt that failed, this one must not fall behind the clock of that acknowledgement, or
    /// the peer drops its segments (RFC 7323, section 5.3).
    clock: Option<Timestamps>,
    losses: Vec<Loss>,
}

/// What waits to be sent at the resume.
#[derive(Clone, Copy, Debug)]
struct Tail {
    /// Whether our FIN is behind it: nothing more is to be waited for, so that a cork does not hold it.
    ends: bool,
}

impl AsFd for Restored {
    /// The restored socket, for options of the caller's own.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Restored {
    pub(crate) fn new(
        snapshot: &Snapshot,
        settings: Settings,
        losses: Vec<Loss>,
        fd: OwnedFd,
        switch: Switch,
        clock: Option<Timestamps>,
    ) -> Self {
        let kind = Kind::of(snapshot);
        Self {
            fd,
            switch,
            kind,
            buffers: snapshot.buffers,
            remote: link::endpoints(snapshot).remote,
            reuse_address: snapshot.reuse_address,
            nonblocking: snapshot.nonblocking,
            tail: (kind == Kind::Connection && has_tail(snapshot, settings.in_flight)).then_some(
                Tail {
                    ends: snapshot.state.owes_fin(),
                },
            ),
            filter: (settings.ingress_lock || snapshot.filter != Filter::default())
                .then(|| snapshot.filter.clone()),
            clock,
            losses: [snapshot.losses(), losses].concat(),
        }
    }

    /// What is not as it was: all that [`Snapshot::losses`] names, and what this kernel, or the way that was chosen,
    /// adds to it.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Brings the connection to life: one window probe, then whatever was waiting to be sent. An attempt to connect
    /// sends its SYN: only then is there a socket that an answer finds, so that what comes in has to be blocked until
    /// this has returned.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode, or to the sizes of the buffers before it: nothing was sent,
    /// the connection has vanished, and the snapshot can be restored again.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) -> Result<TcpStream, Error> {
        let (fd, step) = (self.fd.as_fd(), Step::Resume);
        self.buffers.settle(fd)?;
        let nonblocking = self.nonblocking || self.kind == Kind::Attempt;
        sys::set_nonblocking(fd, nonblocking).at(step, "fcntl(F_SETFL)")?;
        let no_delay = sys::get_int(fd, Opt::TCP_NODELAY).at(step, Opt::TCP_NODELAY.getting)?;
        if let Some(clock) = self.clock {
            sys::set_int(fd, Opt::TCP_TIMESTAMP, clock.to_restore() as i32)
                .at(step, Opt::TCP_TIMESTAMP.setting)?;
        }
        if let Some(filter) = &self.filter {
            // Last of what can fail: from here on, what comes in is taken.
            filter.attach(fd, step)?;
        }
        if self.kind.ends_in_repair() {
            let left = persist(|| self.switch.leave(fd, Probe::Send));
            if left.is_err() {
                // Still in repair mode, where it vanishes: unless a helper that is late lets it speak first.
                let _ = hide(fd);
            }
            left.at(step, Opt::TCP_REPAIR.setting)?;
        }
        if self.kind == Kind::Attempt {
            self.connect()?;
        }
        self.settle(no_delay);
        Ok(TcpStream::from(self.fd))
    }

    /// Sends the SYN again, without waiting for an answer.
    fn connect(&self) -> Result<(), Error> {
        let (fd, step) = (self.as_fd(), Step::Resume);
        match sys::connect(fd, self.remote) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            other => other.at(step, "connect")?,
        }
        sys::set_nonblocking(fd, self.nonblocking).at(step, "fcntl(F_SETFL)")
    }

    /// What can only be done to a live connection. No error of it is worth the connection's life, and the kernel
    /// knows none: both options are taken by every TCP socket in every state.
    fn settle(&self, no_delay: i32) {
        let set = |option, value| {
            let _ = sys::set_int(self.as_fd(), option, value);
        };
        let corked = sys::get_int(self.as_fd(), Opt::TCP_CORK).is_ok_and(|corked| corked != 0);
        if self.tail.is_some_and(|tail| tail.ends || !corked) {
            // Nothing else would send the held tail before the probe is answered, and only an ESTABLISHED connection
            // sends one.
            set(Opt::TCP_NODELAY, 1);
            set(Opt::TCP_NODELAY, no_delay);
        }
        // Leaving repair mode has cleared it (guide A6).
        set(Opt::SO_REUSEADDR, self.reuse_address.into());
    }
}
