//! Repair mode as a guard: a socket forgotten in it is a dead connection.

use crate::error::{At, Error, ErrorKind, Step};
use crate::raw::{
    MSG_DONTWAIT, MSG_PEEK, Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON,
};
use crate::sys;
use std::io;
use std::os::fd::BorrowedFd;

/// Whether leaving repair mode sends a window probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// One probe, which makes the peer say its window again.
    Send,
    /// Nothing leaves; on a kernel that cannot (before 4.19), one probe.
    Omit,
}

/// A socket in repair mode; dropping the guard resumes it.
///
/// It also holds what an application has set and a save has to set aside, and puts it back: `SO_REUSEADDR`, which
/// repair mode overwrites (guide A6), `SO_PEEK_OFF`, which would move the start of the receive queue (guide A28),
/// and `SO_OOBINLINE`, without which an urgent mark hides what lies behind it (guide A29).
#[derive(Debug)]
pub(crate) struct Repair<'fd> {
    fd: BorrowedFd<'fd>,
    aside: Aside,
    armed: bool,
}

/// What was set aside. `None`: nothing to put back.
#[derive(Debug, Default)]
struct Aside {
    reuse_address: bool,
    peek_offset: Option<i32>,
    urgent_out_of_line: bool,
}

impl<'fd> Repair<'fd> {
    /// Sets aside what is in the way, and enters repair mode.
    pub(crate) fn enter(fd: BorrowedFd<'fd>) -> Result<Self, Error> {
        let in_repair =
            sys::get_int(fd, Opt::TCP_REPAIR).at(Step::Inspect, Opt::TCP_REPAIR.getting)?;
        if in_repair != 0 {
            return Err(Error::new(Step::Inspect, ErrorKind::AlreadyInRepair));
        }
        let mut guard = Self {
            fd,
            aside: Aside::default(),
            armed: true,
        };
        guard.set_aside()?;
        acknowledge(fd)?;
        sys::set_int(fd, Opt::TCP_REPAIR, TCP_REPAIR_ON)
            .at(Step::Pause, Opt::TCP_REPAIR.setting)?;
        Ok(guard)
    }

    fn set_aside(&mut self) -> Result<(), Error> {
        let get = |option: Opt| sys::get_int(self.fd, option).at(Step::Inspect, option.getting);
        let set = |option: Opt, value| {
            sys::set_int(self.fd, option, value).at(Step::Inspect, option.setting)
        };
        self.aside.reuse_address = get(Opt::SO_REUSEADDR)? != 0;
        if get(Opt::SO_OOBINLINE)? == 0 {
            set(Opt::SO_OOBINLINE, 1)?;
            self.aside.urgent_out_of_line = true;
        }
        // Before kernel 6.9 TCP has no peek offset: then there is nothing in the way.
        if let Some(offset) = sys::get_int(self.fd, Opt::SO_PEEK_OFF)
            .ok()
            .filter(|&offset| offset >= 0)
        {
            set(Opt::SO_PEEK_OFF, -1)?;
            self.aside.peek_offset = Some(offset);
        }
        Ok(())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'fd> {
        self.fd
    }

    /// Whether the application had set `SO_REUSEADDR`.
    pub(crate) fn reuse_address(&self) -> bool {
        self.aside.reuse_address
    }

    /// Leaves repair mode and puts everything back.
    pub(crate) fn leave(mut self, probe: Probe) -> Result<(), Error> {
        self.armed = false;
        self.undo(probe)
    }

    /// Leaves the socket in repair mode, for a silent close.
    pub(crate) fn release(mut self) {
        self.armed = false;
    }

    /// Goes on after a failure, so that one option that cannot be put back does not keep the others from it.
    fn undo(&self, probe: Probe) -> Result<(), Error> {
        let set = |option: Opt, value| {
            sys::set_int(self.fd, option, value).at(Step::Resume, option.setting)
        };
        let inline = match self.aside.urgent_out_of_line {
            true => set(Opt::SO_OOBINLINE, 0),
            false => Ok(()),
        };
        let peek = match self.aside.peek_offset {
            Some(offset) => set(Opt::SO_PEEK_OFF, offset),
            None => Ok(()),
        };
        let off = leave_repair(self.fd, probe).at(Step::Resume, Opt::TCP_REPAIR.setting);
        // Leaving repair mode clears it (guide A6).
        let reuse = set(Opt::SO_REUSEADDR, self.aside.reuse_address.into());
        off.and(reuse).and(inline).and(peek)
    }
}

impl Drop for Repair<'_> {
    fn drop(&mut self) {
        if self.armed {
            // Nobody is left to tell: the error that led here is on its way to the caller.
            let _ = self.undo(Probe::Omit);
        }
    }
}

/// Lets the kernel send the acknowledgement, or the window update, that is due.
///
/// The kernel looks for one at the end of every read, a peek included (`tcp_cleanup_rbuf`): without this, peeking at
/// the receive queue would send it during the pause.
fn acknowledge(fd: BorrowedFd<'_>) -> Result<(), Error> {
    let unread = sys::siocinq(fd).at(Step::Inspect, "ioctl(SIOCINQ)")?;
    // Only where there are bytes to return does a read not consume an error that waits for the application.
    if unread > 0 {
        // Bytes behind an urgent mark cannot be peeked at; the save itself will say so.
        let _ = sys::recv(fd, &mut [0], MSG_PEEK | MSG_DONTWAIT);
    }
    Ok(())
}

/// Leaves repair mode.
pub(crate) fn leave_repair(fd: BorrowedFd<'_>, probe: Probe) -> io::Result<()> {
    if probe == Probe::Omit {
        match sys::set_int(fd, Opt::TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            other => return other,
        }
    }
    sys::set_int(fd, Opt::TCP_REPAIR, TCP_REPAIR_OFF)
}
