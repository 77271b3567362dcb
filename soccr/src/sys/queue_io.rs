//! Sending and receiving, with the flags that the caller names.

use super::calls::{fill, give};
use crate::faults::shorten;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Receives into `buffer`; returns the count as the kernel gives it.
///
/// In repair mode with the send queue selected the count can be **larger** than the buffer (guide A24): never
/// take it as a length of `buffer`.
pub(crate) fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
    fill("recv", fd, buffer, |buffer| {
        let room = shorten(buffer.len());
        // SAFETY: `buffer` is valid for writes of its length, and `room` is not larger.
        let count = unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), room, flags) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        // Of a call that is cut short on purpose, no more than it was given came (guide A24).
        Ok(match room < buffer.len() {
            true => count.min(room),
            false => count,
        })
    })
}

/// Sends from `bytes`, never with a `SIGPIPE`; returns how many bytes the kernel took.
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8], flags: i32) -> io::Result<usize> {
    give("send", fd, bytes, |bytes| {
        // SAFETY: `bytes` is valid for reads of its length.
        let count = unsafe {
            libc::send(
                fd.as_raw_fd(),
                bytes.as_ptr().cast(),
                shorten(bytes.len()),
                flags | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    })
}
