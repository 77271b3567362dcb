//! A short time out of repair mode in which nothing can leave the host, whatever becomes of this process.
//!
//! Out of repair mode a socket speaks when it is closed, and a process that is killed closes it. Bound to the loopback device
//! the socket has no way to its peer; lingering for no time at all, it is gone at once instead of waiting for
//! acknowledgements. The reset that it would send ends on this host.

use crate::raw::Opt;
use crate::repair::persist;
use crate::sys;
use std::io;
use std::os::fd::BorrowedFd;

/// What the application has set, to be put back.
pub(crate) struct Shelter<'fd> {
    fd: BorrowedFd<'fd>,
    device: Vec<u8>,
    linger: Vec<u8>,
}

/// The only device that every network namespace has.
const LOOPBACK: &[u8] = b"lo";

impl<'fd> Shelter<'fd> {
    /// Takes the way to the peer from a socket that is in repair mode.
    ///
    /// `None` where that is not permitted (before kernel 5.7 it takes `CAP_NET_RAW`): then the socket has nothing but its
    /// closed window, which holds data, but not a reset.
    pub(crate) fn enter(fd: BorrowedFd<'fd>) -> Option<Self> {
        let shelter = Self {
            fd,
            device: read(fd, Opt::SO_BINDTODEVICE).ok()?,
            linger: read(fd, Opt::SO_LINGER).ok()?,
        };
        let now = [1_i32.to_ne_bytes(), 0_i32.to_ne_bytes()].concat();
        let entered = sys::set(fd, Opt::SO_LINGER, &now)
            .and_then(|()| sys::set(fd, Opt::SO_BINDTODEVICE, LOOPBACK));
        match entered {
            Ok(()) => Some(shelter),
            Err(_) => {
                // Still in repair mode: whatever of it is left does no harm if it cannot be put back.
                let _ = shelter.leave();
                None
            }
        }
    }

    /// Gives it back, once the socket is in repair mode again.
    pub(crate) fn leave(self) -> io::Result<()> {
        let device = persist(|| sys::set(self.fd, Opt::SO_BINDTODEVICE, &self.device));
        let linger = persist(|| sys::set(self.fd, Opt::SO_LINGER, &self.linger));
        device.and(linger)
    }
}

fn read(fd: BorrowedFd<'_>, option: Opt) -> io::Result<Vec<u8>> {
    let mut value = [0; libc::IFNAMSIZ];
    let length = sys::get(fd, option, &mut value)?.min(value.len());
    Ok(value[..length].to_vec())
}
