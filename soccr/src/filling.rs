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
    let kind = match lacks_memory(queue, wanted, granted) {
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

/// Whether it is not for the buffer that a queue does not fit.
///
/// A receive buffer of twice the data is large enough for it. A send buffer that is smaller than the data was larger when it
/// was looked at before the queue was written: the kernel shrinks it where it has no memory (guide A67).
fn lacks_memory(queue: Queue, wanted: usize, granted: usize) -> bool {
    match queue {
        Queue::Receive => granted / 2 >= wanted,
        Queue::Send => granted < wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::Family;
    use std::os::fd::AsFd;

    #[test]
    fn a_queue_that_does_not_fit_tells_how_much_of_it_did() {
        let socket = sys::tcp_socket(Family::V4).unwrap();
        for (queue, option) in [
            (Queue::Receive, Opt::SO_RCVBUF),
            (Queue::Send, Opt::SO_SNDBUF),
        ] {
            let size = sys::get_int(socket.as_fd(), option).unwrap() as usize;
            let error = no_room(socket.as_fd(), queue, size, 4);
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Buffer { queue: of, wanted, accepted, granted }
                        if *of == queue && *wanted == size && *accepted == size - 4 && *granted == size
                ),
                "{error}"
            );
        }
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
