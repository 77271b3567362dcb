//! Sockets: new ones, and what is done to a whole one.

use super::calls::{call, call_on};
use super::{check, socklen_of};
use crate::endpoints::Family;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Creates a blocking, close-on-exec TCP socket.
pub(crate) fn tcp_socket(family: Family) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    let fd = call("socket", || {
        // SAFETY: no pointer is passed.
        check(unsafe { libc::socket(family.domain(), kind, libc::IPPROTO_TCP) })
    })?;
    // SAFETY: the kernel has just returned `fd`: it is open, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Shuts one or both directions of a connection.
pub(crate) fn shutdown(fd: BorrowedFd<'_>, how: Shutdown) -> io::Result<()> {
    let (name, how) = match how {
        Shutdown::Read => ("shutdown(SHUT_RD)", libc::SHUT_RD),
        Shutdown::Write => ("shutdown(SHUT_WR)", libc::SHUT_WR),
        Shutdown::Both => ("shutdown(SHUT_RDWR)", libc::SHUT_RDWR),
    };
    call_on(name, fd, || {
        // SAFETY: no pointer is passed.
        check(unsafe { libc::shutdown(fd.as_raw_fd(), how) })
    })
}

/// Takes the connection from a socket, as `connect(2)` does for an address of no family.
pub(crate) fn disconnect(fd: BorrowedFd<'_>) -> io::Result<()> {
    let nowhere = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    call_on("connect(AF_UNSPEC)", fd, || {
        let length = socklen_of::<libc::sockaddr>();
        // SAFETY: `nowhere` is valid for reads of `length` bytes.
        check(unsafe { libc::connect(fd.as_raw_fd(), &raw const nowhere, length) })
    })
}

/// Whether calls on the socket never wait (`O_NONBLOCK`).
pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(status_flags(fd)? & libc::O_NONBLOCK != 0)
}

/// Makes calls on the socket wait, or never wait.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    let old = status_flags(fd)?;
    let new = match nonblocking {
        true => old | libc::O_NONBLOCK,
        false => old & !libc::O_NONBLOCK,
    };
    if new == old {
        return Ok(());
    }
    call_on("fcntl(F_SETFL)", fd, || {
        // SAFETY: `F_SETFL` takes an `int`, and no pointer is passed.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, new) })
    })
}

/// The flags of the open socket: `O_NONBLOCK`, `O_ASYNC`.
pub(crate) fn status_flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    call("fcntl(F_GETFL)", || {
        // SAFETY: `F_GETFL` takes no argument.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })
    })
}

/// Ends this process at once, without any of its destructors.
#[cfg(feature = "faults")]
pub(crate) fn kill_self() {
    // SAFETY: no pointer is passed, and a process may always signal itself.
    unsafe { libc::raise(libc::SIGKILL) };
}
