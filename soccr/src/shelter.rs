//! A short time out of repair mode in which nothing can leave the host, whatever becomes of this process.
//!
//! Out of repair mode a socket speaks when it is closed, and a process that is killed closes it. Bound to the loopback device
//! the socket has no way to its peer; lingering for no time at all, it is gone at once instead of waiting for
//! acknowledgements. The reset that it would send ends on this host.

use crate::endpoints::Family;
use crate::raw::Opt;
use crate::repair::persist;
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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
    /// `None` where that is not permitted (before kernel 5.7 it takes `CAP_NET_RAW`), or could not be undone (it takes
    /// `CAP_NET_RAW` on every kernel): then the socket has nothing but its closed window, which holds data, but not a
    /// reset.
    pub(crate) fn enter(fd: BorrowedFd<'fd>) -> Option<Self> {
        if !can_be_left() {
            return None;
        }
        let shelter = Self {
            fd,
            device: read(fd, Opt::SO_BINDTODEVICE).ok()?,
            linger: read(fd, Opt::SO_LINGER).ok()?,
        };
        match hide(fd) {
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

/// Takes the way to the peer from a socket that is to be closed: whatever it is made to say, it says to this host.
pub(crate) fn hide(fd: BorrowedFd<'_>) -> io::Result<()> {
    let now = [1_i32.to_ne_bytes(), 0_i32.to_ne_bytes()].concat();
    sys::set(fd, Opt::SO_LINGER, &now)?;
    sys::set(fd, Opt::SO_BINDTODEVICE, LOOPBACK)
}

/// Tries on a socket that nobody misses whether a bound device can be taken off again.
fn can_be_left() -> bool {
    let device = |socket: &OwnedFd, name| sys::set(socket.as_fd(), Opt::SO_BINDTODEVICE, name);
    let tried = sys::tcp_socket(Family::V4).and_then(|socket| {
        device(&socket, LOOPBACK)?;
        device(&socket, b"")
    });
    tried.is_ok()
}

fn read(fd: BorrowedFd<'_>, option: Opt) -> io::Result<Vec<u8>> {
    let mut value = [0; libc::IFNAMSIZ];
    let length = sys::get(fd, option, &mut value)?.min(value.len());
    Ok(value[..length].to_vec())
}
