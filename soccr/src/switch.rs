//! The one place where `TCP_REPAIR` is set: by this process, or by a helper in its place.

use crate::helper::Helper;
use crate::raw::{Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON};
use crate::repair::Probe;
use crate::sys;
use std::cell::RefCell;
use std::io;
use std::os::fd::BorrowedFd;

/// Who switches repair mode on and off. Whoever has paused a socket resumes it, wherever its guard is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch(Option<Helper>);

thread_local! {
    static CURRENT: RefCell<Switch> = const { RefCell::new(Switch(None)) };
}

/// Puts back what was in force, also where the work panics.
struct Reset(Switch);

impl Drop for Reset {
    fn drop(&mut self) {
        CURRENT.replace(std::mem::take(&mut self.0));
    }
}

impl Switch {
    /// This process itself, unless a helper is in force on this thread.
    pub(crate) fn current() -> Self {
        CURRENT.with_borrow(Self::clone)
    }

    pub(crate) fn helper(helper: &Helper) -> Self {
        Self(Some(helper.clone()))
    }

    /// Does work during which this one is in force on this thread.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let _reset = Reset(CURRENT.replace(self.clone()));
        work()
    }

    /// Sets `TCP_REPAIR`.
    pub(crate) fn set(&self, fd: BorrowedFd<'_>, mode: i32) -> io::Result<()> {
        match &self.0 {
            None => sys::set_int(fd, Opt::TCP_REPAIR, mode),
            Some(helper) => helper.switch(&[fd], mode),
        }
    }

    /// Enters repair mode.
    pub(crate) fn enter(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.set(fd, TCP_REPAIR_ON)
    }

    /// Leaves repair mode.
    pub(crate) fn leave(&self, fd: BorrowedFd<'_>, probe: Probe) -> io::Result<()> {
        if probe == Probe::Omit {
            match self.leave_quietly(fd) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                other => return other,
            }
        }
        self.set(fd, TCP_REPAIR_OFF)
    }

    /// Leaves repair mode without a window probe; `EINVAL` before kernel 4.19.
    pub(crate) fn leave_quietly(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.set(fd, TCP_REPAIR_OFF_NO_WP)
    }
}
