//! Sending and receiving, with the flags that the caller names.

use super::calls::call;
use crate::faults::shorten;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Receives into `buffer`; returns the count as the kernel gives it.
///
/// In repair mode with the send queue selected the count can be **larger** than the buffer (guide A24): never
/// take it as a length of `buffer`.
pub(crate) fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
    call("recv", || {
        // SAFETY: `buffer` is valid for writes of its length.
        let count = unsafe {
            libc::recv(
                fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                shorten(buffer.len()),
                flags,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    })
}

/// Sends from `bytes`, never with a `SIGPIPE`; returns how many bytes the kernel took.
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8], flags: i32) -> io::Result<usize> {
    call("send", || {
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
