//! New sockets.

use super::check;
use crate::endpoints::Family;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Creates a blocking, close-on-exec TCP socket.
pub(crate) fn tcp_socket(family: Family) -> io::Result<OwnedFd> {
    let domain = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    // SAFETY: no pointer is passed.
    let fd = check(unsafe {
        libc::socket(
            domain,
            libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
            libc::IPPROTO_TCP,
        )
    })?;
    // SAFETY: the kernel has just returned `fd`: it is open, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
