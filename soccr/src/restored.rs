//! A restored connection, and the step that brings it to life.

use crate::error::{At, Error, Step};
use crate::raw::{Opt, TCP_REPAIR_ON};
use crate::repair::{Probe, leave_repair};
use crate::restore::set;
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
pub struct Restored<'s> {
    snapshot: &'s Snapshot,
    fd: OwnedFd,
}

impl AsFd for Restored<'_> {
    /// The restored socket, for options of the caller's own.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<'s> Restored<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot, fd: OwnedFd) -> Self {
        Self { snapshot, fd }
    }

    /// Brings the connection to life: one window probe, then whatever was waiting to be sent.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode; the connection then vanishes without a further packet, and
    /// the snapshot can be restored again.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) -> Result<TcpStream, Error> {
        match self.leave() {
            Ok(()) => Ok(TcpStream::from(self.fd)),
            Err(error) => {
                // A connection that is not what it was must not speak: back to repair mode, and closed there.
                let _ = sys::set_int(self.as_fd(), Opt::TCP_REPAIR, TCP_REPAIR_ON);
                Err(error)
            }
        }
    }

    fn leave(&self) -> Result<(), Error> {
        let (fd, step) = (self.as_fd(), Step::Resume);
        leave_repair(fd, Probe::Send).at(step, Opt::TCP_REPAIR.setting)?;
        if !self.snapshot.send.unsent().is_empty() {
            // Nothing else would send the held tail before the probe is answered.
            set(fd, step, Opt::TCP_NODELAY, 1)?;
            set(fd, step, Opt::TCP_NODELAY, 0)?;
        }
        set(
            fd,
            step,
            Opt::SO_REUSEADDR,
            self.snapshot.reuse_address.into(),
        )?;
        self.snapshot.buffers.settle(fd)
    }
}
