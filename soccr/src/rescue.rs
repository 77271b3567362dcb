//! Getting a socket back from a saver that has died.
//!
//! Repair mode belongs to the socket, not to the process that asked for it: where a saver is killed in the middle of a
//! save, and another process still has the socket, the socket is left paused. Whoever keeps it can be prepared for that.

use crate::error::{At, Error, Step};
use crate::ingress::Filter;
use crate::raw::Opt;
use crate::repair::{Probe, persist};
use crate::switch::Switch;
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What a save sets aside on a socket, noted by its keeper before another process is let at it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rescue {
    reuse_address: i32,
    inline: i32,
    /// `None` where TCP has no peek offset (before kernel 6.9).
    peek_offset: Option<i32>,
    filter: Filter,
}

impl Rescue {
    /// Notes what a save would set aside. Takes nothing, and needs no privilege.
    ///
    /// # Errors
    /// What the kernel says; an eBPF filter cannot be noted (`EACCES`), and a save refuses it.
    pub fn prepare(socket: &impl AsFd) -> Result<Self, Error> {
        let (fd, step) = (socket.as_fd(), Step::Inspect);
        let get = |option: Opt| sys::get_int(fd, option).at(step, option.getting);
        Ok(Self {
            reuse_address: get(Opt::SO_REUSEADDR)?,
            inline: get(Opt::SO_OOBINLINE)?,
            peek_offset: sys::get_int(fd, Opt::SO_PEEK_OFF).ok(),
            filter: Filter {
                program: sys::filter(fd).at(step, "getsockopt(SO_GET_FILTER)")?,
                // One that is locked is never touched.
                locked: get(Opt::SO_LOCK_FILTER)? != 0,
            },
        })
    }

    /// Puts everything back, and leaves repair mode if a saver has left the socket in it: the connection runs on.
    ///
    /// Harmless where nothing has happened; every part is tried, also when another fails.
    ///
    /// # Errors
    /// The first refusal of the kernel; leaving repair mode needs `CAP_NET_ADMIN`, or a helper
    /// ([`with_helper`](crate::with_helper)).
    pub fn put_back(&self, socket: &impl AsFd) -> Result<(), Error> {
        let fd = socket.as_fd();
        let set = |option: Opt, value| {
            persist(|| sys::set_int(fd, option, value)).at(Step::Resume, option.setting)
        };
        let off = resume(fd);
        let reuse = set(Opt::SO_REUSEADDR, self.reuse_address);
        let inline = set(Opt::SO_OOBINLINE, self.inline);
        let peek = match self.peek_offset {
            Some(offset) => set(Opt::SO_PEEK_OFF, offset),
            None => Ok(()),
        };
        let filter = match self.filter.locked {
            true => Ok(()),
            false => persist(|| sys::set_filter(fd, &self.filter.program))
                .at(Step::Resume, "setsockopt(SO_ATTACH_FILTER)"),
        };
        off.and(reuse).and(inline).and(peek).and(filter)
    }
}

fn resume(fd: BorrowedFd<'_>) -> Result<(), Error> {
    let step = Step::Resume;
    if sys::get_int(fd, Opt::TCP_REPAIR).at(step, Opt::TCP_REPAIR.getting)? == 0 {
        return Ok(());
    }
    let off = persist(|| Switch::current().leave(fd, Probe::Omit));
    let pushed = persist(|| push(fd));
    off.at(step, Opt::TCP_REPAIR.setting)
        .and(pushed.at(step, Opt::TCP_CORK.setting))
}

/// Makes the kernel send what it may, or ask the peer for its window: a saver that has released the socket has closed the
/// window, and then the timer of a paced connection goes off in vain.
fn push(fd: BorrowedFd<'_>) -> io::Result<()> {
    // What is set stays as it is, and the kernel pushes what waits, or starts its timer for probes
    // (`__tcp_push_pending_frames`).
    if sys::get_int(fd, Opt::TCP_CORK)? == 0 {
        return sys::set_int(fd, Opt::TCP_CORK, 0);
    }
    // This one pushes corked data, too.
    let nodelay = sys::get_int(fd, Opt::TCP_NODELAY)?;
    sys::set_int(fd, Opt::TCP_NODELAY, 1)?;
    match nodelay {
        0 => sys::set_int(fd, Opt::TCP_NODELAY, 0),
        _ => Ok(()),
    }
}
