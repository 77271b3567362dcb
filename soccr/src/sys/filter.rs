//! Socket filters: programs of classic BPF that see every packet before the socket does.

use super::calls::{call, call_on};
use super::{check, socklen_of};
use crate::ingress::Instruction;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `SO_DETACH_FILTER`, by its other name.
const SO_DETACH_FILTER: libc::c_int = libc::SO_DETACH_FILTER;

// The kernel reads and writes arrays of this (`struct sock_filter`).
const _: () = assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>());
const _: () = assert!(align_of::<Instruction>() == align_of::<libc::sock_filter>());

/// Reads the filter of a socket; empty without one. `EACCES` where it is one that cannot be read (eBPF).
pub(crate) fn filter(fd: BorrowedFd<'_>) -> io::Result<Vec<Instruction>> {
    let count = read(fd, &mut [])?;
    let mut program = vec![Instruction::default(); count];
    if count > 0 {
        let read = read(fd, &mut program)?;
        program.truncate(read);
    }
    Ok(program)
}

/// How many instructions the filter has; those are written into `program`, if it has room for all.
fn read(fd: BorrowedFd<'_>, program: &mut [Instruction]) -> io::Result<usize> {
    call("getsockopt(SO_GET_FILTER)", || {
        // The kernel counts instructions here, not bytes.
        let mut count = libc::socklen_t::try_from(program.len()).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: `program` is valid for writes of `count` instructions; with a count of zero nothing is written.
        check(unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_GET_FILTER,
                program.as_mut_ptr().cast(),
                &raw mut count,
            )
        })?;
        Ok(count as usize)
    })
}

/// Gives the socket this filter instead of the one it has; none, where it is empty.
pub(crate) fn set_filter(fd: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    match program {
        [] => detach(fd),
        program => attach(fd, program),
    }
}

fn attach(fd: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let length =
        u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let fprog = libc::sock_fprog {
        len: length,
        // The kernel only reads it.
        filter: program.as_ptr().cast_mut().cast(),
    };
    call_on("setsockopt(SO_ATTACH_FILTER)", fd, || {
        // SAFETY: `fprog` points at `length` instructions, which live until the call returns; their layout is that of
        // `sock_filter`, as asserted above.
        check(unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const fprog).cast(),
                socklen_of::<libc::sock_fprog>(),
            )
        })
    })
}

fn detach(fd: BorrowedFd<'_>) -> io::Result<()> {
    let nothing: libc::c_int = 0;
    let answer = call_on("setsockopt(SO_DETACH_FILTER)", fd, || {
        // SAFETY: `nothing` is one valid `int`.
        check(unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_DETACH_FILTER,
                (&raw const nothing).cast(),
                socklen_of::<libc::c_int>(),
            )
        })
    });
    match answer {
        // There was none.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}
