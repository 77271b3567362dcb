//! Descriptors that travel over a Unix socket (`SCM_RIGHTS`), with one byte each time.

use super::calls::call;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The most descriptors that the kernel carries with one message (`SCM_MAX_FD`).
pub(crate) const MAX_RIGHTS: usize = 253;

// SAFETY: it computes a length and follows no pointer.
const HEADER: usize = unsafe { libc::CMSG_LEN(0) } as usize;
// SAFETY: as above.
const SPACE: usize = unsafe { libc::CMSG_SPACE((MAX_RIGHTS * size_of::<RawFd>()) as u32) } as usize;

/// Room for the control message with the most descriptors.
#[repr(C, align(8))]
struct Control([u8; SPACE]);

const _: () = assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());

/// What came with one byte.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) byte: u8,
    /// Close-on-exec.
    pub(crate) rights: Vec<OwnedFd>,
    /// Whether all of them arrived: this process may have no room for more descriptors.
    pub(crate) complete: bool,
}

/// Sends a byte with at most [`MAX_RIGHTS`] descriptors, never with a `SIGPIPE`; `EINVAL` for more, as the kernel says.
pub(crate) fn send_rights(
    fd: BorrowedFd<'_>,
    byte: u8,
    rights: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if rights.len() > MAX_RIGHTS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut control = Control([0; SPACE]);
    let length = HEADER + size_of_val(rights);
    // SAFETY: all of its fields are numbers, for which zeros are valid.
    let mut header = unsafe { MaybeUninit::<libc::cmsghdr>::zeroed().assume_init() };
    header.cmsg_len = length as _;
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: `control` is longer than a header, and aligned for one.
    unsafe { control.0.as_mut_ptr().cast::<libc::cmsghdr>().write(header) };
    for (index, right) in rights.iter().enumerate() {
        let at = HEADER + index * size_of::<RawFd>();
        let number = right.as_raw_fd().to_ne_bytes();
        control.0[at..at + number.len()].copy_from_slice(&number);
    }
    let mut byte = byte;
    let mut part = only(&mut byte);
    let mut message = message(&mut part, &mut control);
    message.msg_controllen = length as _;
    call("sendmsg", || {
        // SAFETY: `message` points at `part`, and that at `byte`, and at `length` bytes of `control`, all of which live
        // until the call returns; the kernel only reads them.
        let count =
            unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    })?;
    Ok(())
}

/// Receives one byte and the descriptors that came with it; `None` at the end.
pub(crate) fn receive_rights(fd: BorrowedFd<'_>) -> io::Result<Option<Received>> {
    let mut control = Control([0; SPACE]);
    let mut byte = 0;
    let mut part = only(&mut byte);
    let mut message = message(&mut part, &mut control);
    let count = call("recvmsg", || {
        message.msg_controllen = SPACE as _;
        // SAFETY: `message` points at `part`, and that at `byte`, and at `control`, each valid for writes of the length
        // that stands beside it, until the call returns.
        let count =
            unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    })?;
    let rights = take_rights(&message);
    let complete = message.msg_flags & libc::MSG_CTRUNC == 0;
    Ok((count > 0).then_some(Received {
        byte,
        rights,
        complete,
    }))
}

/// Makes the descriptors of a message that was received, and not looked at yet, this process's to close.
fn take_rights(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut rights = Vec::new();
    // SAFETY: the kernel has set `msg_controllen` to what it has written behind `msg_control`.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !at.is_null() {
        // SAFETY: `at` points at a whole header within what the kernel has written, aligned as `Control`.
        let header = unsafe { at.read() };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: it only computes where the data of the header at `at` begin.
            let mut data = unsafe { libc::CMSG_DATA(at) }.cast::<RawFd>();
            let length = (header.cmsg_len as usize).saturating_sub(HEADER);
            for _ in 0..length / size_of::<RawFd>() {
                // SAFETY: as many whole descriptors as `cmsg_len` has room for were written.
                let fd = unsafe { data.read_unaligned() };
                // SAFETY: the kernel has just opened it for this process, and it is looked at once.
                rights.push(unsafe { OwnedFd::from_raw_fd(fd) });
                // SAFETY: at most one past the last of them.
                data = unsafe { data.add(1) };
            }
        }
        // SAFETY: as for the first.
        at = unsafe { libc::CMSG_NXTHDR(message, at) };
    }
    rights
}

fn only(byte: &mut u8) -> libc::iovec {
    libc::iovec {
        iov_base: (&raw mut *byte).cast(),
        iov_len: 1,
    }
}

/// A message of one part; some C libraries have padding between its fields.
fn message(part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all of its fields are numbers and pointers, for which zeros are valid.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    message.msg_iov = &raw mut *part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message
}
