//! What a socket is ready for, without waiting.

use super::calls::fill;
use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What `poll` says of a socket at this moment: the `POLL*` bits.
///
/// It takes nothing: an error that waits is seen (`POLLERR`) and stays, where `SO_ERROR` would consume it.
pub(crate) fn poll_now(fd: BorrowedFd<'_>) -> io::Result<libc::c_short> {
    let mut ready = [0; size_of::<libc::c_short>()];
    fill("poll", fd, &mut ready, |ready| {
        let mut entry = libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP,
            revents: 0,
        };
        // SAFETY: `entry` is one valid `pollfd`, and lives until the call returns.
        check(unsafe { libc::poll(&raw mut entry, 1, 0) })?;
        ready.copy_from_slice(&entry.revents.to_ne_bytes());
        Ok(ready.len())
    })?;
    Ok(libc::c_short::from_ne_bytes(ready))
}
