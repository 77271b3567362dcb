//! Peeking at the bytes of the queues.

use super::{queue_length, select, unsupported};
use crate::error::{At, Error, Step, Unsupported};
use crate::queue::Queue;
use crate::raw::{MSG_DONTWAIT, MSG_PEEK};
use crate::sys;
use std::io;
use std::os::fd::BorrowedFd;

/// Peeks at `length` bytes of the receive queue, which may be `selected` already; false where there are fewer now.
pub(super) fn peek_receive(
    fd: BorrowedFd<'_>,
    bytes: &mut Vec<u8>,
    length: usize,
    selected: bool,
) -> Result<bool, Error> {
    let step = Step::ReadQueue(Queue::Receive);
    bytes.resize(length, 0);
    if length == 0 {
        return Ok(true);
    }
    if !selected {
        select(fd, Queue::Receive.number(), step)?;
    }
    let readable = match sys::recv(fd, bytes, MSG_PEEK | MSG_DONTWAIT) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        answer => answer.at(step, "recv(MSG_PEEK)")?,
    };
    if readable == length {
        return Ok(true);
    }
    let unread = queue_length(sys::siocinq(fd), step, "ioctl(SIOCINQ)")?;
    if unread != length {
        return Ok(false);
    }
    // SO_OOBINLINE is on, so that `unread` counts past a mark; only an urgent mark stops a peek early.
    let urgent = Unsupported::UrgentData { readable, unread };
    Err(unsupported(step, urgent))
}

/// Peeks at the last `length` bytes of the send queue; false where there are fewer now.
pub(super) fn peek_send(
    fd: BorrowedFd<'_>,
    bytes: &mut Vec<u8>,
    length: usize,
) -> Result<bool, Error> {
    let step = Step::ReadQueue(Queue::Send);
    bytes.resize(length, 0);
    if length == 0 {
        return Ok(true);
    }
    select(fd, Queue::Send.number(), step)?;
    loop {
        let count = sys::recv(fd, bytes, MSG_PEEK | MSG_DONTWAIT).at(step, "recv(MSG_PEEK)")?;
        // The kernel names the length of the whole queue, also where the buffer is shorter (guide A24).
        if count > bytes.len() {
            bytes.resize(count, 0);
            continue;
        }
        // It starts at a segment, not at the first byte that is not acknowledged: the surplus leads (guide A25).
        let Some(surplus) = count.checked_sub(length) else {
            return Ok(false);
        };
        bytes.drain(..surplus);
        bytes.truncate(length);
        return Ok(true);
    }
}

/// A buffer whose pages are there: page faults are paid before the pause, not in it.
pub(super) fn prefaulted(mut buffer: Vec<u8>, length: usize) -> Vec<u8> {
    const PAGE: usize = 4096;
    match buffer.capacity() < length {
        // New memory is zero: to fill it once more would only push what the socket holds out of the cache.
        true => buffer = vec![0; length],
        false => buffer.resize(length, 0),
    }
    for page in buffer.chunks_mut(PAGE) {
        page[0] = std::hint::black_box(1);
    }
    // It need not begin where a page does.
    if let Some(last) = buffer.last_mut() {
        *last = std::hint::black_box(1);
    }
    buffer
}
