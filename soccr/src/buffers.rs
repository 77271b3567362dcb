//! Socket buffers: large enough while the queues are restored, and afterwards as they were.

use crate::endpoints::Family;
use crate::error::{At, Error, ErrorKind, Step};
use crate::lint::{Finding, Rule};
use crate::queue::Queue;
use crate::raw::Opt;
use crate::snapshot::Snapshot;
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The sizes of a socket's two buffers, bytes as the kernel counts them: with its own overhead, twice of what
/// `setsockopt` is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Buffers {
    /// Send buffer (`SO_SNDBUF`); 0 keeps what a new socket has.
    pub send: u32,
    /// Receive buffer (`SO_RCVBUF`); 0 keeps what a new socket has.
    pub receive: u32,
    /// Which sizes the application has fixed, so that the kernel does not tune them: bit 0 send, bit 1 receive
    /// (`SO_BUF_LOCK`); `None` where the kernel cannot say (before 5.15).
    pub locks: Option<u8>,
}

/// Kernel overhead of one segment in the send queue, bytes, rounded up (`SKB_TRUESIZE(0)` of a cloned buffer).
const SEGMENT_OVERHEAD: usize = 2304;

/// The kernel doubles what `setsockopt` is given and refuses to overflow an `int` (`sock_set_sndbuf`).
const MAX_BUFFER: u32 = i32::MAX as u32;

impl Buffers {
    /// Reads the sizes as they are.
    pub(crate) fn read(fd: BorrowedFd<'_>, step: Step) -> Result<Self, Error> {
        let size = |option: Opt| sys::get_int(fd, option).at(step, option.getting);
        Ok(Self {
            send: size(Opt::SO_SNDBUF)?.unsigned_abs(),
            receive: size(Opt::SO_RCVBUF)?.unsigned_abs(),
            locks: read_locks(fd).at(step, Opt::SO_BUF_LOCK.getting)?,
        })
    }

    pub(crate) fn lint(&self, found: &mut Vec<Finding>) {
        let not_as_saved = (
            Rule::Length,
            Step::UnboundData,
            "the buffer has another size than it says",
        );
        for (field, bytes) in [
            ("buffers.send", self.send),
            ("buffers.receive", self.receive),
        ] {
            if bytes > MAX_BUFFER {
                let must = "must be less than 2^31";
                found.push(Finding::taken_by_the_kernel(
                    not_as_saved,
                    field,
                    bytes,
                    must,
                ));
            }
        }
        if let Some(locks @ 4..) = self.locks {
            found.push(Finding::refused_by_the_kernel(
                (Rule::Length, Step::RemainingData, libc::EINVAL),
                "buffers.locks",
                locks,
                "must be at most 3",
            ));
        }
    }

    /// Grows both buffers of a new socket to their saved sizes, and further where the snapshot's queues need it,
    /// before anything else is restored.
    ///
    /// Buffers are never shrunk here. Where the kernel grants less, the receive buffer is left to its autotuning, which
    /// grows it up to `tcp_rmem[2]`, unless it cannot be unlocked again (guide A32, G8, H3).
    pub(crate) fn grow(fd: BorrowedFd<'_>, snapshot: &Snapshot) -> Result<(), Error> {
        let step = Step::UnboundData;
        let Self { send, receive, .. } = snapshot.buffers;
        let bytes = snapshot.send.bytes.len();
        let room = send_room(bytes, snapshot.options.mss_clamp);
        let granted = grow_one(fd, SEND, send, room).at(step, Opt::SO_SNDBUF.setting)?;
        // More than this may not fit either; the kernel alone knows its overhead.
        if granted < bytes {
            return Err(too_small(Queue::Send, bytes, granted));
        }
        let bytes = snapshot.receive.bytes.len();
        let granted = grow_one(fd, RECEIVE, receive, bytes).at(step, Opt::SO_RCVBUF.setting)?;
        if granted >= bytes {
            return Ok(());
        }
        match read_locks(fd).at(step, Opt::SO_BUF_LOCK.getting)? {
            Some(_) => Ok(()),
            None => Err(too_small(Queue::Receive, bytes, granted)),
        }
    }

    /// Sets both sizes and their locks as they were saved, after all that needs room (guide H2).
    ///
    /// Where sizes cannot be forced, one that the application had not fixed stays as [`grow`](Self::grow) and the
    /// kernel have made it: set without force, it could shrink below its queue.
    pub(crate) fn settle(&self, fd: BorrowedFd<'_>) -> Result<(), Error> {
        let step = Step::RemainingData;
        for (saved, buffer) in [(self.send, SEND), (self.receive, RECEIVE)] {
            if saved == 0 {
                continue;
            }
            let size = sys::get_int(fd, buffer.plain).at(step, buffer.plain.getting)?;
            // Setting a size locks it, and not every kernel can unlock it again.
            if saved == size.unsigned_abs() {
                continue;
            }
            match sys::set_int(fd, buffer.force, half(saved)) {
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                    if self.locks.is_some_and(|locks| locks & buffer.lock != 0) {
                        sys::set_int(fd, buffer.plain, half(saved))
                            .at(step, buffer.plain.setting)?;
                    }
                }
                other => other.at(step, buffer.force.setting)?,
            }
        }
        write_locks(fd, self.locks.unwrap_or(0)).at(step, Opt::SO_BUF_LOCK.setting)
    }
}

/// One buffer: its two options, and its bit in `SO_BUF_LOCK`.
#[derive(Clone, Copy)]
struct Buffer {
    plain: Opt,
    force: Opt,
    lock: u8,
}

const SEND: Buffer = Buffer {
    plain: Opt::SO_SNDBUF,
    force: Opt::SO_SNDBUFFORCE,
    lock: 1,
};
const RECEIVE: Buffer = Buffer {
    plain: Opt::SO_RCVBUF,
    force: Opt::SO_RCVBUFFORCE,
    lock: 2,
};

/// Makes a buffer at least as large as it was saved, and large enough for `bytes` of data; returns its size.
fn grow_one(fd: BorrowedFd<'_>, buffer: Buffer, saved: u32, bytes: usize) -> io::Result<usize> {
    let size = || Ok::<_, io::Error>(sys::get_int(fd, buffer.plain)?.unsigned_abs());
    // The kernel charges its overhead to the buffer: twice the data always suffices.
    let needed = u32::try_from(bytes.saturating_mul(2)).unwrap_or(MAX_BUFFER);
    let wanted = saved.max(needed.min(MAX_BUFFER));
    let found = size()?;
    if found >= wanted {
        return Ok(found as usize);
    }
    match sys::set_int(fd, buffer.force, half(wanted)) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            // Asked for more than it grants, the kernel makes a buffer smaller than `tcp_wmem` may have made it.
            let room = largest_unforced(buffer).unwrap_or(MAX_BUFFER);
            if room > found {
                sys::set_int(fd, buffer.plain, half(wanted))?;
            }
        }
        other => other?,
    }
    write_locks(fd, 0)?;
    Ok(size()? as usize)
}

/// The largest buffer that can be had without forcing it (`net.core.wmem_max` or `rmem_max`), told by a socket of its own.
fn largest_unforced(buffer: Buffer) -> io::Result<u32> {
    let socket = sys::tcp_socket(Family::V4)?;
    sys::set_int(socket.as_fd(), buffer.plain, half(MAX_BUFFER))?;
    Ok(sys::get_int(socket.as_fd(), buffer.plain)?.unsigned_abs())
}

/// What `setsockopt` has to be given for a buffer of `size`: the kernel doubles it.
fn half(size: u32) -> i32 {
    size.div_ceil(2).min(MAX_BUFFER / 2) as i32
}

/// `None` where the kernel has no `SO_BUF_LOCK`.
fn read_locks(fd: BorrowedFd<'_>) -> io::Result<Option<u8>> {
    match sys::get_int(fd, Opt::SO_BUF_LOCK) {
        Ok(locks) => Ok(u8::try_from(locks).ok()),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_locks(fd: BorrowedFd<'_>, locks: u8) -> io::Result<()> {
    match sys::set_int(fd, Opt::SO_BUF_LOCK, locks.into()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        other => other,
    }
}

/// What a send queue takes in its buffer, bytes, overhead included.
fn send_room(bytes: usize, mss: u16) -> usize {
    if bytes == 0 {
        return 0;
    }
    let segments = bytes.div_ceil(usize::from(mss.max(1)));
    bytes.saturating_add(segments.saturating_mul(SEGMENT_OVERHEAD))
}

fn too_small(queue: Queue, wanted: usize, granted: usize) -> Error {
    let kind = ErrorKind::Buffer {
        queue,
        wanted,
        accepted: 0,
        granted,
    };
    Error::new(Step::UnboundData, kind)
}
