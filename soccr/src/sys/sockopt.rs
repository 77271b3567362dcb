//! Socket options, as bytes and as `int`.

use super::calls::{call_on, fill, give};
use super::check;
use crate::raw::Opt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads an option into `value`; returns how many bytes the kernel says it wrote.
pub(crate) fn get(fd: BorrowedFd<'_>, option: Opt, value: &mut [u8]) -> io::Result<usize> {
    fill(option.getting, fd, value, |value| {
        let mut length = libc::socklen_t::try_from(value.len()).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: `value` is valid for writes of `length` bytes, which is at most `value.len()`, and both pointers
        // outlive the call. `Opt` holds plain values only: no option among them carries a pointer of its own.
        check(unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                option.level,
                option.name,
                value.as_mut_ptr().cast(),
                &raw mut length,
            )
        })?;
        Ok(length as usize)
    })
}

/// Writes an option from `value`.
pub(crate) fn set(fd: BorrowedFd<'_>, option: Opt, value: &[u8]) -> io::Result<()> {
    give(option.setting, fd, value, |value| {
        let length = libc::socklen_t::try_from(value.len()).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: `value` is valid for reads of `length` bytes, which is at most `value.len()`. `Opt` holds plain
        // values only, so the kernel follows no pointer inside them.
        check(unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                option.level,
                option.name,
                value.as_ptr().cast(),
                length,
            )
        })?;
        Ok(value.len())
    })?;
    Ok(())
}

/// Sets an option to nothing: a null pointer of length zero, which for `IP_OPTIONS` means "no IP options".
pub(crate) fn clear(fd: BorrowedFd<'_>, option: Opt) -> io::Result<()> {
    call_on(option.setting, fd, || {
        // SAFETY: with a length of zero the kernel reads nothing from the pointer.
        check(unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                option.level,
                option.name,
                std::ptr::null(),
                0,
            )
        })
    })
}

/// Reads an option that is an `int`. An option that the kernel answers with fewer bytes is widened with zeros.
pub(crate) fn get_int(fd: BorrowedFd<'_>, option: Opt) -> io::Result<i32> {
    let mut value = [0; size_of::<i32>()];
    get(fd, option, &mut value)?;
    Ok(i32::from_ne_bytes(value))
}

/// Writes an option that is an `int`.
pub(crate) fn set_int(fd: BorrowedFd<'_>, option: Opt, value: i32) -> io::Result<()> {
    set(fd, option, &value.to_ne_bytes())
}

/// A number of the network namespace of a socket; `None` before kernel 5.14.
pub(crate) fn netns_cookie(fd: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let mut cookie = [0; 8];
    match get(fd, Opt::SO_NETNS_COOKIE, &mut cookie) {
        Ok(_) => Ok(Some(u64::from_ne_bytes(cookie))),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        Err(error) => Err(error),
    }
}
