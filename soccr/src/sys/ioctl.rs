//! The three queue lengths of a TCP socket.

use super::calls::fill;
use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `libc` has it for some C libraries only. The number of the generic ABI, and that of MIPS (`_IOR('s', 7, int)`).
const SIOCATMARK: libc::Ioctl = if cfg!(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6"
)) {
    0x4004_7307
} else {
    0x8905
};

/// Asks an ioctl that writes one `int`.
fn read_int(fd: BorrowedFd<'_>, name: &'static str, request: libc::Ioctl) -> io::Result<i32> {
    let mut bytes = [0; size_of::<i32>()];
    fill(name, fd, &mut bytes, |bytes| {
        let mut value: libc::c_int = 0;
        // SAFETY: the requests passed here write one `int` through the pointer, which is valid for the call.
        check(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut value) })?;
        bytes.copy_from_slice(&value.to_ne_bytes());
        Ok(bytes.len())
    })?;
    Ok(i32::from_ne_bytes(bytes))
}

/// Bytes in the receive queue, as far as they can be read without meeting an urgent mark. A FIN is not counted.
pub(crate) fn siocinq(fd: BorrowedFd<'_>) -> io::Result<i32> {
    read_int(fd, "ioctl(SIOCINQ)", libc::FIONREAD)
}

/// Bytes in the send queue that are not acknowledged, sent or not. A FIN counts as one.
pub(crate) fn siocoutq(fd: BorrowedFd<'_>) -> io::Result<i32> {
    // SIOCOUTQ by its other name, the one that `libc` has for every C library.
    read_int(fd, "ioctl(SIOCOUTQ)", libc::TIOCOUTQ)
}

/// Bytes in the send queue that were never sent. A FIN counts as one.
pub(crate) fn siocoutqnsd(fd: BorrowedFd<'_>) -> io::Result<i32> {
    read_int(fd, "ioctl(SIOCOUTQNSD)", libc::SIOCOUTQNSD as libc::Ioctl)
}

/// Whether the next byte to read is the urgent mark.
pub(crate) fn siocatmark(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(read_int(fd, "ioctl(SIOCATMARK)", SIOCATMARK)? != 0)
}
