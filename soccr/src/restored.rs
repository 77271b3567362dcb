//! A restored connection, and the step that brings it to life.

use crate::error::{At, Error, Step};
use crate::faults;
use crate::finishing::has_tail;
use crate::held::{Held, Tail};
use crate::ingress::Filter;
use crate::kind::Kind;
use crate::link;
use crate::losses::Loss;
use crate::options::Timestamps;
use crate::raw::Opt;
use crate::repair::{Probe, persist};
use crate::seq::Seq;
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
    remote: SocketAddr,
    nonblocking: bool,
    held: Held,
    filter: Option<Filter>,
    /// The clock to go on with. A FIN that was put back is acknowledged to the peer within milliseconds, in repair mode
    /// too: if that was in an attempt that failed, this one must not fall behind the clock of that acknowledgement, or
    /// the peer drops its segments (RFC 7323, section 5.3).
    clock: Option<Timestamps>,
    /// Whether the caller has connected it, and sent the SYN of an attempt.
    connected: bool,
    losses: Vec<Loss>,
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
        connected: bool,
    ) -> Self {
        let kind = Kind::of(snapshot);
        Self {
            fd,
            switch,
            kind,
            remote: link::endpoints(snapshot).remote,
            nonblocking: snapshot.nonblocking,
            held: Held {
                reuse_address: snapshot.reuse_address,
                tail: (kind == Kind::Connection && has_tail(snapshot, settings.in_flight))
                    .then_some(Tail {
                        ends: snapshot.state.owes_fin(),
                    }),
                probe: Probe::at_resume(snapshot),
            },
            filter: (settings.ingress_lock || snapshot.filter != Filter::default())
                .then(|| snapshot.filter.clone()),
            clock,
            connected,
            losses: [snapshot.losses(), losses].concat(),
        }
    }

    /// What is not as it was: all that [`Snapshot::losses`] names, and what this kernel, or the way that was chosen,
    /// adds to it.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Brings the connection to life: one window probe, then whatever was waiting to be sent. An attempt to connect sends its
    /// SYN: only then is there a socket that an answer finds, so that what comes in has to be blocked until this has returned.
    ///
    /// No probe is sent where there is nothing to send, and more waits to be read than the peer knows that it may send: it would
    /// keep the kernel from telling the peer of room when that is read. Before kernel 4.19 one is sent all the same.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode, or to what comes before it: nothing was sent, the connection has vanished,
    /// and the snapshot can be restored again.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) -> Result<TcpStream, Error> {
        let (fd, step) = (self.fd.as_fd(), Step::Resume);
        let no_delay = self.held.no_delay(fd)?;
        self.prepare()?;
        if self.kind.ends_in_repair() {
            let left = persist(|| self.switch.leave(fd, self.held.probe));
            if left.is_err() {
                // Still in repair mode, where it vanishes: unless a helper that is late lets it speak first.
                let _ = hide(fd);
            }
            left.at(step, Opt::TCP_REPAIR.setting)?;
        }
        if self.sends_syn() {
            self.connect()?;
        }
        self.held.settle(self.as_fd(), no_delay);
        faults::resumed(self.as_fd());
        Ok(TcpStream::from(self.fd))
    }

    /// Does all of the resume but the resume itself, and gives the socket away, still paused: to one who leaves repair mode
    /// by means of his own, as users of the C interface do.
    ///
    /// Nothing leaves the host but the SYN of an attempt to connect, for only the kernel can send that, and the
    /// acknowledgement of a FIN that was put back. [`Held::resume`] is
    /// the way to resume the socket; after `setsockopt(TCP_REPAIR, 0)` alone `SO_REUSEADDR` is not set, and what was never
    /// sent goes out when a timer says so in the states other than ESTABLISHED, which sends a probe.
    ///
    /// # Errors
    /// What the kernel says to what there is to do. The descriptor is closed: where it was the last one, the connection has
    /// vanished, but for a SYN that was sent.
    #[doc(alias = "libsoccr_restore")]
    pub fn hand_over(self) -> Result<(OwnedFd, Held), Error> {
        self.prepare()?;
        if self.sends_syn() {
            let (fd, step) = (self.as_fd(), Step::Resume);
            let left = self.switch.leave(fd, Probe::Omit);
            left.at(step, Opt::TCP_REPAIR.setting)?;
            self.connect()?;
            let entered = persist(|| self.switch.enter(fd));
            entered.at(step, Opt::TCP_REPAIR.setting)?;
        }
        if !self.kind.ends_in_repair() {
            // It has left that mode already, which has cleared it.
            let reuse = self.held.reuse_address.into();
            sys::set_int(self.as_fd(), Opt::SO_REUSEADDR, reuse)
                .at(Step::Resume, Opt::SO_REUSEADDR.setting)?;
        }
        Ok((self.fd, self.held))
    }

    fn sends_syn(&self) -> bool {
        self.kind == Kind::Attempt && !self.connected
    }

    /// What can fail, and is done in repair mode for that.
    fn prepare(&self) -> Result<(), Error> {
        let (fd, step) = (self.fd.as_fd(), Step::Resume);
        let nonblocking = self.nonblocking || self.sends_syn();
        sys::set_nonblocking(fd, nonblocking).at(step, "fcntl(F_SETFL)")?;
        if let Some(clock) = self.clock {
            let clock = clock.to_restore();
            let now =
                sys::get_int(fd, Opt::TCP_TIMESTAMP).at(step, Opt::TCP_TIMESTAMP.getting)? as u32;
            // A restore that has taken long may itself have said a later one.
            if Seq(now).before(Seq(clock)) {
                sys::set_int(fd, Opt::TCP_TIMESTAMP, clock as i32)
                    .at(step, Opt::TCP_TIMESTAMP.setting)?;
            }
        }
        if let Some(filter) = &self.filter {
            // Last of what can fail: from here on, what comes in is taken.
            filter.attach(fd, step)?;
        }
        Ok(())
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
}
