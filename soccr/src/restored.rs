//! A restored connection, and the step that brings it to life.

use crate::buffers::Buffers;
use crate::error::{At, Error, Step};
use crate::raw::Opt;
use crate::repair::{Probe, leave_repair};
use crate::snapshot::Snapshot;
use crate::sys;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A restored connection, still paused. Dropping it makes it vanish without a packet.
///
/// Resume it soon: the kernel's timers run in repair mode too, and about a second after the queues were restored
/// they send what was in flight (guide A9, H8).
#[must_use = "dropping it makes the restored connection vanish"]
#[derive(Debug)]
pub struct Restored {
    fd: OwnedFd,
    buffers: Buffers,
    reuse_address: bool,
    has_tail: bool,
}

impl AsFd for Restored {
    /// The restored socket, for options of the caller's own.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Restored {
    pub(crate) fn new(snapshot: &Snapshot, fd: OwnedFd) -> Self {
        Self {
            fd,
            buffers: snapshot.buffers,
            reuse_address: snapshot.reuse_address,
            has_tail: !snapshot.send.unsent().is_empty(),
        }
    }

    /// Brings the connection to life: one window probe, then whatever was waiting to be sent.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode, or to the sizes of the buffers before it: nothing was sent,
    /// the connection has vanished, and the snapshot can be restored again.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) -> Result<TcpStream, Error> {
        let (fd, step) = (self.fd.as_fd(), Step::Resume);
        self.buffers.settle(fd)?;
        let no_delay = sys::get_int(fd, Opt::TCP_NODELAY).at(step, Opt::TCP_NODELAY.getting)?;
        leave_repair(fd, Probe::Send).at(step, Opt::TCP_REPAIR.setting)?;
        self.settle(no_delay);
        Ok(TcpStream::from(self.fd))
    }

    /// What can only be done to a live connection. No error of it is worth the connection's life, and the kernel
    /// knows none: both options are taken by every TCP socket in every state.
    fn settle(&self, no_delay: i32) {
        let set = |option, value| {
            let _ = sys::set_int(self.as_fd(), option, value);
        };
        if self.has_tail {
            // Nothing else would send the held tail before the probe is answered.
            set(Opt::TCP_NODELAY, 1);
            set(Opt::TCP_NODELAY, no_delay);
        }
        // Leaving repair mode has cleared it (guide A6).
        set(Opt::SO_REUSEADDR, self.reuse_address.into());
    }
}
