//! Raw sockets, which send packets that are complete with their IP header.

use super::address::Encoded;
use super::calls::{call, give};
use super::check;
use crate::endpoints::Family;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Creates a raw, non-blocking, close-on-exec socket whose packets bring their own IP header (`IPPROTO_RAW`).
pub(crate) fn raw_socket(family: Family) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let fd = call("socket(SOCK_RAW)", || {
        // SAFETY: no pointer is passed.
        check(unsafe { libc::socket(family.domain(), kind, libc::IPPROTO_RAW) })
    })?;
    // SAFETY: the kernel has just returned `fd`: it is open, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends one packet to an address; returns how many bytes the kernel took.
pub(crate) fn send_to(fd: BorrowedFd<'_>, packet: &[u8], to: SocketAddr) -> io::Result<usize> {
    let encoded = Encoded::new(to);
    let (pointer, length) = encoded.as_ptr();
    give("sendto", fd, packet, |packet| {
        // SAFETY: `packet` is valid for reads of its length, and `pointer` for reads of `length` bytes.
        let count = unsafe {
            libc::sendto(
                fd.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                libc::MSG_DONTWAIT,
                pointer,
                length,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    })
}
