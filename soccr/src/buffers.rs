//! Socket buffers: large enough while the queues are restored, and afterwards as they were.

use crate::error::{At, Error, ErrorKind, Refusal, Step};
use crate::queue::Queue;
use crate::raw::Opt;
use crate::snapshot::Snapshot;
use crate::sys;
use std::io;
use std::os::fd::BorrowedFd;

/// The sizes of a socket's two buffers, bytes as the kernel counts them: with its own overhead, twice of what
/// `setsockopt` is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Buffers {
    /// Send buffer (`SO_SNDBUF`); 0 keeps what a new socket has.
    pub send: u32,
    /// Receive buffer (`SO_RCVBUF`); 0 keeps what a new socket has.
    pub receive: u32,
    /// Which sizes the application has fixed, so that the kernel does not tune them: bit 0 send, bit 1 receive
    /// (`SO_BUF_LOCK`); `None` where the kernel cannot say (before 5.14).
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

    pub(crate) fn validate(&self) -> Result<(), Refusal> {
        for (field, bytes) in [
            ("buffers.send", self.send),
            ("buffers.receive", self.receive),
        ] {
            if bytes > MAX_BUFFER {
                return Err(Refusal::new(field, bytes, "must be less than 2^31"));
            }
        }
        match self.locks {
            Some(locks) if locks > 3 => {
                Err(Refusal::new("buffers.locks", locks, "must be at most 3"))
            }
            _ => Ok(()),
        }
    }

    /// Grows both buffers of a new socket so that the snapshot's queues fit, before anything else is restored.
    ///
    /// Buffers are never shrunk. A size that the kernel caps is left to its autotuning, which grows receive
    /// buffers up to `tcp_rmem[2]`, unless it cannot be unlocked again (guide A32, G8, H3).
    pub(crate) fn grow(fd: BorrowedFd<'_>, snapshot: &Snapshot) -> Result<(), Error> {
        let send = send_room(snapshot.send.bytes.len(), snapshot.options.mss_clamp);
        let receive = snapshot.receive.bytes.len();
        let granted = grow_one(fd, SEND, send).at(Step::UnboundData, Opt::SO_SNDBUF.setting)?;
        if granted < send {
            return Err(too_small(Queue::Send, snapshot.send.bytes.len(), granted));
        }
        let granted =
            grow_one(fd, RECEIVE, receive).at(Step::UnboundData, Opt::SO_RCVBUF.setting)?;
        let fixed = read_locks(fd)
            .at(Step::UnboundData, Opt::SO_BUF_LOCK.getting)?
            .is_none();
        if granted < receive && fixed {
            return Err(too_small(Queue::Receive, receive, granted));
        }
        Ok(())
    }

    /// Sets both sizes and their locks as they were saved, the last thing of a restore (guide H2).
    pub(crate) fn settle(&self, fd: BorrowedFd<'_>) -> Result<(), Error> {
        for (size, buffer) in [(self.send, SEND), (self.receive, RECEIVE)] {
            if size != 0 {
                set_size(fd, buffer, size / 2).at(Step::Resume, buffer.plain.setting)?;
            }
        }
        // Setting a size has locked it: without a saved lock, leave it to the kernel's autotuning.
        write_locks(fd, self.locks.unwrap_or(0)).at(Step::Resume, Opt::SO_BUF_LOCK.setting)
    }
}

/// The two options of one buffer.
#[derive(Clone, Copy)]
struct BufferOptions {
    plain: Opt,
    force: Opt,
}

const SEND: BufferOptions = BufferOptions {
    plain: Opt::SO_SNDBUF,
    force: Opt::SO_SNDBUFFORCE,
};
const RECEIVE: BufferOptions = BufferOptions {
    plain: Opt::SO_RCVBUF,
    force: Opt::SO_RCVBUFFORCE,
};

/// Makes room for `bytes` of data; returns the size that the buffer then has.
fn grow_one(fd: BorrowedFd<'_>, buffer: BufferOptions, bytes: usize) -> io::Result<usize> {
    let size = || Ok(sys::get_int(fd, buffer.plain)?.unsigned_abs() as usize);
    // The kernel charges its overhead to the buffer: twice the data always suffices.
    if size()? < bytes.saturating_mul(2) {
        let wanted = u32::try_from(bytes)
            .unwrap_or(MAX_BUFFER / 2)
            .min(MAX_BUFFER / 2);
        set_size(fd, buffer, wanted)?;
        write_locks(fd, 0)?;
    }
    size()
}

/// Sets a size past the host's limit where that is allowed, else up to it; the kernel doubles `size`.
fn set_size(fd: BorrowedFd<'_>, buffer: BufferOptions, size: u32) -> io::Result<()> {
    let size = size as i32;
    match sys::set_int(fd, buffer.force, size) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            sys::set_int(fd, buffer.plain, size)
        }
        other => other,
    }
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
