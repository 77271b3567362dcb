//! Reading a socket: what is looked at before the pause, and what is read in it.

use crate::buffers::Buffers;
use crate::endpoints::Endpoints;
use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::options::Options;
use crate::queue::{Queue, ReceiveQueue, SendQueue};
use crate::raw::{MSG_DONTWAIT, MSG_PEEK, Opt, TCP_NO_QUEUE, TcpInfo};
use crate::seq::Seq;
use crate::snapshot::Snapshot;
use crate::state::TcpState;
use crate::sys;
use crate::window::Window;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

/// What is read, and allocated, before the pause.
pub(crate) struct Inspected {
    endpoints: Endpoints,
    buffers: Buffers,
    receive: Vec<u8>,
    send: Vec<u8>,
}

impl Inspected {
    /// Looks at a socket that may be saved.
    pub(crate) fn look_at(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        require_tcp(fd, Step::Inspect)?;
        established(fd, Step::Inspect)?;
        refuse_upper_layer(fd)?;
        Ok(Self {
            endpoints: Endpoints {
                local: sys::local_address(fd).at(Step::Inspect, "getsockname")?,
                remote: sys::remote_address(fd).at(Step::Inspect, "getpeername")?,
            },
            buffers: Buffers::read(fd, Step::Inspect)?,
            receive: prefaulted(queue_length(
                sys::siocinq(fd),
                Step::Inspect,
                "ioctl(SIOCINQ)",
            )?),
            send: prefaulted(queue_length(
                sys::siocoutq(fd),
                Step::Inspect,
                "ioctl(SIOCOUTQ)",
            )?),
        })
    }

    /// Reads the bytes of both queues; false where the queues are no longer what `data` says.
    pub(crate) fn read_queues(&mut self, fd: BorrowedFd<'_>, data: &Data) -> Result<bool, Error> {
        let received = peek_receive(fd, &mut self.receive, data.inq)?;
        let sent = peek_send(fd, &mut self.send, data.outq)?;
        deselect(fd, Step::ReadQueue(Queue::Send))?;
        Ok(received && sent)
    }

    /// Puts together what was read.
    pub(crate) fn into_snapshot(self, data: Data, timestamp: u32, reuse_address: bool) -> Snapshot {
        Snapshot {
            state: data.state,
            endpoints: self.endpoints,
            options: Options::from_info(&data.info, data.mss_clamp, timestamp),
            window: data.window,
            receive: ReceiveQueue {
                end: data.rcv_nxt,
                bytes: self.receive,
            },
            send: SendQueue {
                end: data.write_seq,
                bytes: self.send,
                unsent: data.outq_unsent,
            },
            buffers: self.buffers,
            reuse_address,
        }
    }
}

impl fmt::Debug for Inspected {
    /// Without the bytes: a queue can be megabytes long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspected")
            .field("endpoints", &self.endpoints)
            .field("buffers", &self.buffers)
            .finish_non_exhaustive()
    }
}

/// What is read during the pause, but for the bytes of the queues.
#[derive(Debug)]
pub(crate) struct Data {
    state: TcpState,
    info: TcpInfo,
    mss_clamp: u16,
    window: Option<Window>,
    inq: usize,
    outq: usize,
    outq_unsent: u32,
    rcv_nxt: Seq,
    write_seq: Seq,
}

impl Data {
    /// Reads everything; leaves no queue selected.
    pub(crate) fn read(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        let (state, info) = established(fd, Step::ReadData)?;
        if sys::siocatmark(fd).at(Step::ReadData, "ioctl(SIOCATMARK)")? {
            let unread = queue_length(sys::siocinq(fd), Step::ReadData, "ioctl(SIOCINQ)")?;
            let readable = 0;
            return Err(unsupported(
                Step::ReadData,
                Unsupported::UrgentData { readable, unread },
            ));
        }
        // In repair mode this is what the peer announced; outside of it, what a segment now holds (guide A58).
        let mss_clamp =
            sys::get_int(fd, Opt::TCP_MAXSEG).at(Step::ReadData, Opt::TCP_MAXSEG.getting)?;
        let write_seq = queue_end(fd, Queue::Send)?;
        let rcv_nxt = queue_end(fd, Queue::Receive)?;
        deselect(fd, Step::ReadData)?;
        Ok(Self {
            state,
            info,
            mss_clamp: u16::try_from(mss_clamp).unwrap_or(u16::MAX),
            window: read_window(fd, Step::ReadData)?,
            inq: queue_length(sys::siocinq(fd), Step::ReadData, "ioctl(SIOCINQ)")?,
            outq: queue_length(sys::siocoutq(fd), Step::ReadData, "ioctl(SIOCOUTQ)")?,
            outq_unsent: unsent_length(fd)?,
            write_seq,
            rcv_nxt,
        })
    }

    /// Whether nothing has moved since: no data, no acknowledgement, no window update, no FIN.
    pub(crate) fn still_holds(&self, fd: BorrowedFd<'_>) -> Result<bool, Error> {
        let (_, info) = established(fd, Step::ReadData)?;
        // The counters tell data that came and was read, or was written and acknowledged, in between.
        Ok(info.options == self.info.options
            && info.bytes_acked == self.info.bytes_acked
            && info.bytes_received == self.info.bytes_received
            && self.inq == queue_length(sys::siocinq(fd), Step::ReadData, "ioctl(SIOCINQ)")?
            && self.outq == queue_length(sys::siocoutq(fd), Step::ReadData, "ioctl(SIOCOUTQ)")?
            && self.outq_unsent == unsent_length(fd)?
            && self.window == read_window(fd, Step::ReadData)?)
    }
}

/// Refuses a socket that is not TCP.
pub(crate) fn require_tcp(fd: BorrowedFd<'_>, step: Step) -> Result<(), Error> {
    match sys::get_int(fd, Opt::SO_PROTOCOL).at(step, Opt::SO_PROTOCOL.getting)? {
        libc::IPPROTO_TCP => Ok(()),
        other => Err(unsupported(step, Unsupported::Protocol(other))),
    }
}

fn unsupported(step: Step, unsupported: Unsupported) -> Error {
    Error::new(step, ErrorKind::Unsupported(unsupported))
}

/// The state of the socket, if it is one that can be saved.
fn established(fd: BorrowedFd<'_>, step: Step) -> Result<(TcpState, TcpInfo), Error> {
    let info = crate::raw::tcp_info(&fd).at(step, Opt::TCP_INFO.getting)?;
    match TcpState::from_kernel(info.state) {
        Some(state @ TcpState::Established) => Ok((state, info)),
        Some(state) => Err(unsupported(step, Unsupported::State(state))),
        None => Err(unsupported(step, Unsupported::UnknownState(info.state))),
    }
}

/// A layer such as TLS answers reads and writes itself: the queues of TCP cannot be reached through it.
fn refuse_upper_layer(fd: BorrowedFd<'_>) -> Result<(), Error> {
    // TCP_ULP_NAME_MAX
    let mut name = [0; 16];
    let length = match sys::get(fd, Opt::TCP_ULP, &mut name) {
        Ok(length) => length.min(name.len()),
        // Before kernel 4.13 there are no such layers.
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => 0,
        Err(error) => return Err(error).at(Step::Inspect, Opt::TCP_ULP.getting),
    };
    let name = String::from_utf8_lossy(&name[..length]);
    match name.trim_end_matches('\0') {
        "" => Ok(()),
        name => Err(unsupported(
            Step::Inspect,
            Unsupported::UpperLayer(name.to_owned()),
        )),
    }
}

/// Both windows, or `None` on a kernel that does not tell (before 4.8).
pub(crate) fn read_window(fd: BorrowedFd<'_>, step: Step) -> Result<Option<Window>, Error> {
    let mut bytes = [0; Window::SIZE];
    match sys::get(fd, Opt::TCP_REPAIR_WINDOW, &mut bytes) {
        Ok(_) => Ok(Some(Window::from_bytes(bytes))),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        Err(error) => Err(error).at(step, Opt::TCP_REPAIR_WINDOW.getting),
    }
}

fn select(fd: BorrowedFd<'_>, queue: i32, step: Step) -> Result<(), Error> {
    sys::set_int(fd, Opt::TCP_REPAIR_QUEUE, queue).at(step, Opt::TCP_REPAIR_QUEUE.setting)
}

/// A write to a paused socket goes into the queue that is selected, even into the receive queue: select none.
fn deselect(fd: BorrowedFd<'_>, step: Step) -> Result<(), Error> {
    select(fd, TCP_NO_QUEUE, step)
}

/// Selects a queue and reads the sequence number at its end.
fn queue_end(fd: BorrowedFd<'_>, queue: Queue) -> Result<Seq, Error> {
    select(fd, queue.number(), Step::ReadData)?;
    let end =
        sys::get_int(fd, Opt::TCP_QUEUE_SEQ).at(Step::ReadData, Opt::TCP_QUEUE_SEQ.getting)?;
    Ok(Seq(end as u32))
}

fn queue_length(answer: io::Result<i32>, step: Step, call: &'static str) -> Result<usize, Error> {
    // The kernel counts bytes of a queue: never negative.
    Ok(answer.at(step, call)?.unsigned_abs() as usize)
}

fn unsent_length(fd: BorrowedFd<'_>) -> Result<u32, Error> {
    let unsent = sys::siocoutqnsd(fd).at(Step::ReadData, "ioctl(SIOCOUTQNSD)")?;
    Ok(unsent.unsigned_abs())
}

/// Peeks at `length` bytes of the receive queue; false where there are fewer now.
fn peek_receive(fd: BorrowedFd<'_>, bytes: &mut Vec<u8>, length: usize) -> Result<bool, Error> {
    let step = Step::ReadQueue(Queue::Receive);
    bytes.resize(length, 0);
    if length == 0 {
        return Ok(true);
    }
    select(fd, Queue::Receive.number(), step)?;
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
fn peek_send(fd: BorrowedFd<'_>, bytes: &mut Vec<u8>, length: usize) -> Result<bool, Error> {
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
fn prefaulted(length: usize) -> Vec<u8> {
    const PAGE: usize = 4096;
    let mut buffer = vec![0; length];
    for page in buffer.chunks_mut(PAGE) {
        page[0] = std::hint::black_box(1);
    }
    buffer
}
