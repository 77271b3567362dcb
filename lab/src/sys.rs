//! The only unsafe code: what neither the standard library nor nix wraps.

#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

/// Runs `f` in a child process and returns what it answered.
///
/// `f` must not allocate, must not take a lock and must not panic: other threads of this process may have held
/// the allocator's locks at the moment of the fork.
pub(crate) fn in_child(f: impl FnOnce() -> (u8, i32)) -> io::Result<(u8, i32)> {
    let (mut reader, mut writer) = io::pipe()?;
    // SAFETY: the child calls `f`, which by contract makes system calls only, then write(2) and _exit(2).
    match unsafe { fork() }? {
        ForkResult::Child => {
            let (step, errno) = f();
            let [a, b, c, d] = errno.to_ne_bytes();
            let _ = writer.write_all(&[step, a, b, c, d]);
            // SAFETY: _exit has no preconditions; it skips the exit handlers, which belong to the parent.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut answer = [0; 5];
            let read = reader.read_exact(&mut answer);
            while waitpid(child, None) == Err(Errno::EINTR) {}
            read?;
            let [step, a, b, c, d] = answer;
            Ok((step, i32::from_ne_bytes([a, b, c, d])))
        }
    }
}

/// What `SIOCETHTOOL` reads for the commands that take one number.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Sends an ethtool command with one number for `link`, through a socket of the link's namespace.
pub(crate) fn ethtool_set(socket: impl AsFd, link: &str, command: u32, data: u32) -> io::Result<()> {
    let mut value = EthtoolValue { command, data };
    // SAFETY: ifreq is made of integers, addresses and pointers, for all of which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte stays zero: the name ends there.
    let room = request.ifr_name.len() - 1;
    if link.len() > room {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(link.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = ptr::from_mut(&mut value).cast();
    // SAFETY: the request names a link and points to a value of the size that these commands use; both outlive it.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCETHTOOL as _, &mut request) };
    Errno::result(result)?;
    Ok(())
}
