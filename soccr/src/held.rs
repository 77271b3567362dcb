//! A paused socket without a guard, for interfaces whose callers pause, save, restore and resume by calls of their own.

use crate::error::{At, Error, Step};
use crate::raw::{Opt, TcpInfo};
use crate::reading::require_tcp;
use crate::repair::{Probe, Repair, acknowledge_unseen, persist};
use crate::save::Paused;
use crate::settings::SaveSettings;
use crate::snapshot::Snapshot;
use crate::switch::Switch;
use crate::sys;
use std::os::fd::{AsFd, BorrowedFd};

/// What `SO_REUSEADDR` reads in repair mode (guide A6; kernel `SK_FORCE_REUSE`).
const FORCED_REUSE: i32 = 2;

/// What has to be put back when a paused socket is resumed, apart from the socket.
///
/// It has no destructor: nothing resumes a socket whose `Held` is dropped. [`pause`](crate::pause) has a guard for that, and
/// is what a program wants that is not an interface for others, as the one for C is.
#[derive(Debug)]
#[must_use = "the socket stays paused until it is resumed"]
pub struct Held {
    pub(crate) reuse_address: bool,
    pub(crate) tail: Option<Tail>,
    pub(crate) probe: Probe,
}

/// What waits to be sent at the resume.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// Whether our FIN is behind it: nothing more is to be waited for, so that a cork does not hold it.
    pub(crate) ends: bool,
}

impl Held {
    /// Pauses a socket, and leaves all that the application has set on it as it is, but for `SO_REUSEADDR`.
    ///
    /// An acknowledgement that is due is sent now. A socket that is paused already stays so; what its `SO_REUSEADDR` was, is
    /// not known then, and counts as not set.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a socket that is not TCP, or the kernel's refusal.
    #[doc(alias = "libsoccr_pause")]
    pub fn pause(socket: &impl AsFd) -> Result<Self, Error> {
        let (fd, step) = (socket.as_fd(), Step::Inspect);
        require_tcp(fd, step)?;
        let mut reuse_address = false;
        if sys::get_int(fd, Opt::TCP_REPAIR).at(step, Opt::TCP_REPAIR.getting)? == 0 {
            let reuse = sys::get_int(fd, Opt::SO_REUSEADDR);
            reuse_address = reuse.at(step, Opt::SO_REUSEADDR.getting)? != 0;
            match acknowledge_unseen(fd) {
                // A listening socket has no queue; the pause says that it cannot be.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                other => other?,
            }
        }
        let entered = Switch::current().enter(fd);
        entered.at(Step::Pause, Opt::TCP_REPAIR.setting)?;
        Ok(Self {
            reuse_address,
            tail: None,
            probe: Probe::Send,
        })
    }

    /// Whether `SO_REUSEADDR` was set before the pause.
    #[must_use]
    pub fn reuses_address(&self) -> bool {
        self.reuse_address
    }

    /// Saves the socket, which stays paused, and says what `TCP_INFO` was. What was set aside for it is as before.
    ///
    /// If it is to be closed, block what it sends, too, until then: its kernel may send what is saved as unsent, as that of a
    /// paced connection does, and the restored one does not recover from its acknowledgement.
    ///
    /// One that is not paused, because an earlier save has failed, is paused again.
    ///
    /// # Errors
    /// [`Error`] with the step; the socket is resumed then, as after every save that fails (guide G10), unless it is one
    /// that tells nothing at all, as a closed descriptor.
    #[doc(alias = "libsoccr_save")]
    pub fn save(
        &self,
        socket: &impl AsFd,
        settings: SaveSettings,
    ) -> Result<(Snapshot, TcpInfo), Error> {
        let (fd, step) = (socket.as_fd(), Step::Inspect);
        let reuse = sys::get_int(fd, Opt::SO_REUSEADDR).at(step, Opt::SO_REUSEADDR.getting)?;
        let reuse_address = chosen_reuse(reuse).unwrap_or(self.reuse_address);
        let repair = Repair::take_over(fd, reuse_address)?;
        let saved = Paused::taken_over(repair, settings)?
            .read()?
            .queue_bytes()?;
        let info = *saved.tcp_info();
        Ok((saved.stay()?, info))
    }

    /// Resumes the socket: one window probe of an ESTABLISHED connection, unless it is a restored one whose
    /// [`resume`](crate::Restored::resume) would send none, then whatever was waiting to be sent.
    ///
    /// `SO_REUSEADDR` is as it was, or as it was set during the pause.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode: the socket is still paused then.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(&self, socket: &impl AsFd) -> Result<(), Error> {
        let (fd, step) = (socket.as_fd(), Step::Resume);
        let no_delay = self.no_delay(fd)?;
        let reuse = sys::get_int(fd, Opt::SO_REUSEADDR).at(step, Opt::SO_REUSEADDR.getting)?;
        let left = persist(|| Switch::current().leave(fd, self.probe));
        left.at(step, Opt::TCP_REPAIR.setting)?;
        let reuse_address = chosen_reuse(reuse).unwrap_or(self.reuse_address);
        Self {
            reuse_address,
            ..*self
        }
        .settle(fd, no_delay);
        Ok(())
    }

    /// The value to put back where the tail was pushed, if there is one: read before there is no way back.
    pub(crate) fn no_delay(&self, fd: BorrowedFd<'_>) -> Result<i32, Error> {
        match self.tail {
            Some(_) => {
                sys::get_int(fd, Opt::TCP_NODELAY).at(Step::Resume, Opt::TCP_NODELAY.getting)
            }
            None => Ok(0),
        }
    }

    /// What can only be done to a live connection. No error of it is worth the connection's life, and the kernel
    /// knows none: both options are taken by every TCP socket in every state.
    pub(crate) fn settle(&self, fd: BorrowedFd<'_>, no_delay: i32) {
        let set = |option, value| {
            let _ = sys::set_int(fd, option, value);
        };
        let corked = || sys::get_int(fd, Opt::TCP_CORK).is_ok_and(|corked| corked != 0);
        if self.tail.is_some_and(|tail| tail.ends || !corked()) {
            // Nothing else would send the held tail before the probe is answered, and only an ESTABLISHED connection
            // sends one.
            set(Opt::TCP_NODELAY, 1);
            set(Opt::TCP_NODELAY, no_delay);
        }
        // Leaving repair mode has cleared it (guide A6).
        set(Opt::SO_REUSEADDR, self.reuse_address.into());
    }
}

/// What somebody has set in repair mode, which takes the place of what the mode itself has set; `None` where nobody has.
pub(crate) fn chosen_reuse(reading: i32) -> Option<bool> {
    (reading != FORCED_REUSE).then_some(reading != 0)
}
