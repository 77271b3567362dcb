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
            Ok(_) | Err(_) => return Err(too_small(fd, queue, bytes.len(), rest.len())),
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

fn too_small(fd: BorrowedFd<'_>, queue: Queue, wanted: usize, left: usize) -> Error {
    let option = match queue {
        Queue::Receive => Opt::SO_RCVBUF,
        Queue::Send => Opt::SO_SNDBUF,
    };
    let kind = ErrorKind::Buffer {
        queue,
        wanted,
        accepted: wanted - left,
        granted: sys::get_int(fd, option).unwrap_or(0).unsigned_abs() as usize,
    };
    Error::new(Step::WriteQueue(queue), kind)
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
            let size = sys::get_int(socket.as_fd(), option).unwrap();
            let error = too_small(socket.as_fd(), queue, 10, 4);
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Buffer { queue: of, wanted: 10, accepted: 6, granted }
                        if *of == queue && *granted == size as usize
                ),
                "{error}"
            );
        }
    }
}
