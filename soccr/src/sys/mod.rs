//! The only unsafe code of this crate: system calls, each behind a function that is safe to call.
//!
//! Nothing here knows an order or a policy. Every function makes one system call and returns what the kernel
//! said, so that a step of a save or of a restore reads as the list of calls that it makes.
#![allow(unsafe_code)]

mod address;
mod calls;
mod filter;
mod ioctl;
mod poll;
mod queue_io;
mod raw_socket;
mod rights;
mod socket;
mod sockopt;

pub(crate) use address::{bind, connect, destination, local_address};
pub(crate) use calls::made;
pub(crate) use filter::{filter, set_filter};
pub(crate) use ioctl::{siocatmark, siocinq, siocoutq, siocoutqnsd};
pub(crate) use poll::poll_now;
pub(crate) use queue_io::{recv, send};
pub(crate) use raw_socket::{raw_socket, send_to};
pub(crate) use rights::{MAX_RIGHTS, Received, receive_rights, send_rights};
#[cfg(feature = "faults")]
pub(crate) use socket::kill_self;
pub(crate) use socket::{
    disconnect, is_nonblocking, set_nonblocking, shutdown, status_flags, tcp_socket,
};
pub(crate) use sockopt::{clear, get, get_int, netns_cookie, set, set_int};

use std::io;

/// Turns the `-1` of a system call into the error that `errno` holds.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The length of `T` as the kernel's address and option calls want it.
const fn socklen_of<T>() -> libc::socklen_t {
    // No structure of the socket interface comes near the limit of `socklen_t`.
    size_of::<T>() as libc::socklen_t
}
