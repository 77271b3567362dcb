//! Writing a queue, and saying why it does not fit.

use crate::error::{At, Error, ErrorKind, Step};
use crate::queue::Queue;
use crate::raw::{MSG_DONTWAIT, Opt};
use crate::sys;
use std::io;
use std::os::fd::BorrowedFd;

/// Writes all of `bytes` without ever waiting for room.
pub(crate) fn write_all(fd: BorrowedFd<'_>, queue: Queue, bytes: &[u8]) -> Result<(), Error> {
    let step = Step::WriteQueue(queue);
    let mut rest = bytes;
    while !rest.is_empty() {
        match sys::send(fd, rest, MSG_DONTWAIT) {
            Ok(count) if count > 0 => rest = &rest[count.min(rest.len())..],
            Err(error) if !is_full(&error) => return Err(error).at(step, "send"),
            Ok(_) | Err(_) => return Err(no_room(fd, queue, bytes.len(), rest.len())),
        }
    }
    Ok(())
}

/// What the kernel says when the buffer is full: of the send queue, of the receive queue (guide A32).
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM)
    )
}

fn no_room(fd: BorrowedFd<'_>, queue: Queue, wanted: usize, left: usize) -> Error {
    let option = match queue {
        Queue::Receive => Opt::SO_RCVBUF,
        Queue::Send => Opt::SO_SNDBUF,
    };
    let granted = sys::get_int(fd, option).unwrap_or(0).unsigned_abs() as usize;
    let accepted = wanted - left;
    let lacks_memory = match queue {
        Queue::Receive => lacks_to_receive(wanted, granted),
        Queue::Send => {
            let queued = sys::siocoutq(fd).unwrap_or(0).unsigned_abs() as usize;
            lacks_to_send(queued + left, granted, taken_of_send(fd))
        }
    };
    let kind = match lacks_memory {
        true => ErrorKind::Memory {
            queue,
            wanted,
            accepted,
        },
        false => ErrorKind::Buffer {
            queue,
            wanted,
            accepted,
            granted,
        },
    };
    Error::new(Step::WriteQueue(queue), kind)
}

/// Whether it is not for the buffer that a receive queue does not fit: one of twice the data is large enough for it.
fn lacks_to_receive(wanted: usize, granted: usize) -> bool {
    granted / 2 >= wanted
}

/// Whether it is not for the buffer that `all` of a send queue does not fit: what is in it, and what is left to be written.
///
/// A buffer that is smaller than that was larger when it was looked at before: the kernel shrinks it where it has no memory (guide
/// A67). One that is locked it does not shrink, as before kernel 5.15 every one is that was grown: then there still is room in
/// it (`sk_stream_memory_free`).
fn lacks_to_send(all: usize, granted: usize, taken: Option<usize>) -> bool {
    granted < all || taken.is_some_and(|taken| taken < granted)
}

/// How much of its buffer the send queue takes, bytes, with the kernel's overhead; `None` before kernel 4.12.
fn taken_of_send(fd: BorrowedFd<'_>) -> Option<usize> {
    /// The place of `sk_wmem_queued` (`SK_MEMINFO_WMEM_QUEUED`).
    const PLACE: usize = 5;
    let mut words = [0; 4 * (PLACE + 1)];
    let length = sys::get(fd, Opt::SO_MEMINFO, &mut words).ok()?;
    let word = words.get(..length)?.chunks_exact(4).nth(PLACE)?;
    Some(u32::from_ne_bytes(word.try_into().ok()?) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::Family;
    use std::os::fd::AsFd;

    #[test]
    fn a_queue_that_does_not_fit_tells_how_much_of_it_did() {
        let socket = sys::tcp_socket(Family::V4).unwrap();
        let size = sys::get_int(socket.as_fd(), Opt::SO_RCVBUF).unwrap() as usize;
        let error = no_room(socket.as_fd(), Queue::Receive, size, 4);
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Buffer { queue: Queue::Receive, wanted, accepted, granted }
                    if *wanted == size && *accepted == size - 4 && *granted == size
            ),
            "{error}"
        );
    }

    #[test]
    fn a_send_buffer_is_to_blame_where_it_is_full() {
        let lacks = |granted, taken| lacks_to_send(1000, granted, taken);
        assert!(!lacks(3000, Some(3000)) && !lacks(3000, Some(3001)));
        assert!(lacks(3000, Some(2999)) && lacks(3000, Some(0)));
        assert!(lacks(999, Some(2000)), "shrunk");
        assert!(!lacks(3000, None), "nobody knows");
        let socket = sys::tcp_socket(Family::V4).unwrap();
        assert_eq!(taken_of_send(socket.as_fd()), Some(0));
    }

    #[test]
    fn a_buffer_that_is_large_enough_is_not_blamed() {
        let socket = sys::tcp_socket(Family::V4).unwrap();
        let size = |option| sys::get_int(socket.as_fd(), option).unwrap() as usize;
        for (queue, wanted) in [
            (Queue::Receive, size(Opt::SO_RCVBUF) / 2),
            (Queue::Send, size(Opt::SO_SNDBUF) + 1),
        ] {
            let error = no_room(socket.as_fd(), queue, wanted, 7);
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Memory { queue: of, wanted: whole, accepted }
                        if *of == queue && *whole == wanted && *accepted == wanted - 7
                ),
                "{error}"
            );
        }
    }
}
