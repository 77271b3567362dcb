//! From a live socket to a [`Snapshot`], in the documented order: pause; get data; get the bytes of both queues;
//! resume, or leave in repair mode and close.

use crate::buffers::Buffers;
use crate::endpoints::Endpoints;
use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::options::Options;
use crate::queue::{Queue, ReceiveQueue, SendQueue};
use crate::raw::{MSG_DONTWAIT, MSG_PEEK, Opt, TCP_NO_QUEUE, TcpInfo};
use crate::repair::{Probe, Repair};
use crate::seq::Seq;
use crate::snapshot::Snapshot;
use crate::state::TcpState;
use crate::sys;
use crate::window::Window;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How often everything is read again when traffic changes the socket during a save.
///
/// One reading takes a few microseconds, less than a full segment takes on a 1 Gbit/s wire: this many in a row
/// all disturbed means a flood, and a flood is the caller's to block.
const MAX_ATTEMPTS: u32 = 64;

/// Saves a connection and lets it run on.
///
/// The socket is in repair mode for some microseconds; no packet is sent because of it. Traffic that arrives
/// while it is read makes the reading start again. What arrives **after** the snapshot is not in it: to move a
/// connection, block its traffic first and use [`save_and_close`].
///
/// # Errors
/// [`Error`] with the step; the connection runs on as before. Needs `CAP_NET_ADMIN` in the user namespace that
/// owns the socket's network namespace.
#[doc(alias = "libsoccr_save")]
pub fn save(socket: &impl AsFd) -> Result<Snapshot, Error> {
    let saved = pause(socket)?.read_data()?.queue_bytes()?;
    saved.finish(Probe::Omit)
}

/// Saves a connection and closes its socket without a packet: for the peer, nothing has happened.
///
/// Block the traffic of the connection first: once the socket is gone, this host answers every packet for it
/// with a RST, and what arrived between the save and the close would be lost. The connection only vanishes when
/// this was the last descriptor of the socket; another one would be left with a socket in repair mode.
///
/// # Errors
/// [`NotSaved`] gives the socket back; the connection runs on as before.
pub fn save_and_close<T: AsFd + Into<OwnedFd>>(socket: T) -> Result<Snapshot, NotSaved<T>> {
    match pause_and_read(&socket) {
        Ok(snapshot) => {
            drop(socket.into());
            Ok(snapshot)
        }
        Err(error) => Err(NotSaved { socket, error }),
    }
}

fn pause_and_read(socket: &impl AsFd) -> Result<Snapshot, Error> {
    Ok(pause(socket)?.read_data()?.queue_bytes()?.release())
}

/// A connection that was not saved, with its socket: dropping this closes the connection as usual.
#[derive(Debug)]
pub struct NotSaved<T> {
    /// The socket, running as before.
    pub socket: T,
    /// Why.
    pub error: Error,
}

impl<T> fmt::Display for NotSaved<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for NotSaved<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Pauses a socket: the first step of a save, and all of it that happens before anything is read.
///
/// What needs no repair mode is done before it is entered: the checks, the addresses, the buffers for the queues.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for what cannot be saved, [`ErrorKind::AlreadyInRepair`], or the kernel's refusal;
/// the socket is as before.
#[doc(alias = "libsoccr_pause")]
pub fn pause(socket: &impl AsFd) -> Result<Paused<'_>, Error> {
    let fd = socket.as_fd();
    let inspected = Inspected::look_at(fd)?;
    Ok(Paused {
        repair: Repair::enter(fd)?,
        inspected,
    })
}

/// A paused socket of which nothing was read yet. Dropping it resumes the socket.
#[must_use = "dropping it resumes the socket"]
pub struct Paused<'fd> {
    repair: Repair<'fd>,
    inspected: Inspected,
}

/// A paused socket, everything but the queues read. Dropping it resumes the socket.
#[must_use = "dropping it resumes the socket"]
pub struct DataRead<'fd> {
    paused: Paused<'fd>,
    data: Data,
}

/// A paused socket, all of it read. Dropping it resumes the socket.
#[must_use = "dropping it resumes the socket"]
pub struct Saved<'fd> {
    repair: Repair<'fd>,
    snapshot: Snapshot,
}

impl<'fd> Paused<'fd> {
    /// Reads the state, the negotiated options, the windows, and where the queues begin and end.
    ///
    /// # Errors
    /// The socket is resumed.
    #[doc(alias = "libsoccr_get_sk_data")]
    pub fn read_data(self) -> Result<DataRead<'fd>, Error> {
        let data = Data::read(self.repair.fd())?;
        Ok(DataRead { paused: self, data })
    }

    /// Resumes the socket, with one window probe.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) -> Result<(), Error> {
        self.repair.leave(Probe::Send)
    }
}

impl<'fd> DataRead<'fd> {
    /// Reads the bytes of both queues, and everything again until two readings agree.
    ///
    /// Repair mode does not keep packets out (guide A9): without this, a segment that arrives between two reads
    /// would tear the snapshot (guide G10).
    ///
    /// # Errors
    /// [`ErrorKind::Unstable`] if traffic never paused; [`Unsupported::UrgentData`]; the socket is resumed.
    #[doc(alias = "libsoccr_get_queue_bytes")]
    pub fn queue_bytes(self) -> Result<Saved<'fd>, Error> {
        let Self {
            paused: Paused {
                repair,
                mut inspected,
            },
            mut data,
        } = self;
        let fd = repair.fd();
        for _ in 0..MAX_ATTEMPTS {
            let complete = inspected.read_queues(fd, &data)?;
            // Last of all: the peer must not see a timestamp that is older than one it has seen (guide A51).
            let timestamp = sys::get_int(fd, Opt::TCP_TIMESTAMP)
                .at(Step::ReadData, Opt::TCP_TIMESTAMP.getting)? as u32;
            if complete && data.still_holds(fd)? {
                let snapshot = inspected.into_snapshot(data, timestamp, repair.reuse_address());
                return Ok(Saved { repair, snapshot });
            }
            data = Data::read(fd)?;
        }
        let kind = ErrorKind::Unstable {
            attempts: MAX_ATTEMPTS,
        };
        Err(Error::new(Step::ReadData, kind))
    }

    /// Resumes the socket, with one window probe.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode.
    pub fn resume(self) -> Result<(), Error> {
        self.paused.resume()
    }
}

impl Saved<'_> {
    /// What was read.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Resumes the socket, with one window probe: the connection runs on.
    ///
    /// # Errors
    /// What the kernel says to leaving repair mode.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) -> Result<Snapshot, Error> {
        self.finish(Probe::Send)
    }

    /// Leaves the socket in repair mode: closing its last descriptor then makes it vanish without a packet.
    #[doc(alias = "libsoccr_release")]
    #[must_use = "the snapshot is all that is left of the connection once the socket is closed"]
    pub fn release(self) -> Snapshot {
        self.repair.release();
        self.snapshot
    }

    fn finish(self, probe: Probe) -> Result<Snapshot, Error> {
        self.repair.leave(probe)?;
        Ok(self.snapshot)
    }
}

/// What is read, and allocated, before the pause.
struct Inspected {
    endpoints: Endpoints,
    buffers: Buffers,
    receive: Vec<u8>,
    send: Vec<u8>,
}

impl Inspected {
    fn look_at(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        let protocol =
            sys::get_int(fd, Opt::SO_PROTOCOL).at(Step::Inspect, Opt::SO_PROTOCOL.getting)?;
        if protocol != libc::IPPROTO_TCP {
            return Err(unsupported(Step::Inspect, Unsupported::Protocol(protocol)));
        }
        established(fd, Step::Inspect)?;
        refuse_upper_layer(fd)?;
        Ok(Self {
            endpoints: Endpoints {
                local: sys::local_address(fd).at(Step::Inspect, "getsockname")?,
                remote: sys::remote_address(fd).at(Step::Inspect, "getpeername")?,
            },
            buffers: Buffers::read(fd, Step::Inspect)?,
            receive: prefaulted(queue_length(sys::siocinq(fd), "ioctl(SIOCINQ)")?),
            send: prefaulted(queue_length(sys::siocoutq(fd), "ioctl(SIOCOUTQ)")?),
        })
    }

    /// Reads the bytes of both queues; false where the queues are no longer what `data` says.
    fn read_queues(&mut self, fd: BorrowedFd<'_>, data: &Data) -> Result<bool, Error> {
        peek_receive(fd, &mut self.receive, data.inq)?;
        let complete = peek_send(fd, &mut self.send, data.outq)?;
        // With the send queue selected the kernel would take what it is to send as sent.
        select(fd, TCP_NO_QUEUE, Step::ReadQueue(Queue::Send))?;
        Ok(complete)
    }

    fn into_snapshot(self, data: Data, timestamp: u32, reuse_address: bool) -> Snapshot {
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

/// What is read during the pause, but for the bytes of the queues.
struct Data {
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
    /// Reads everything; leaves the receive queue selected.
    fn read(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        let (state, info) = established(fd, Step::ReadData)?;
        if sys::siocatmark(fd).at(Step::ReadData, "ioctl(SIOCATMARK)")? {
            let unread = queue_length(sys::siocinq(fd), "ioctl(SIOCINQ)")?;
            let readable = 0;
            return Err(unsupported(
                Step::ReadData,
                Unsupported::UrgentData { readable, unread },
            ));
        }
        // In repair mode this is what the peer announced; outside of it, what a segment now holds (guide A58).
        let mss_clamp =
            sys::get_int(fd, Opt::TCP_MAXSEG).at(Step::ReadData, Opt::TCP_MAXSEG.getting)?;
        Ok(Self {
            state,
            info,
            mss_clamp: u16::try_from(mss_clamp).unwrap_or(u16::MAX),
            window: read_window(fd, Step::ReadData)?,
            inq: queue_length(sys::siocinq(fd), "ioctl(SIOCINQ)")?,
            outq: queue_length(sys::siocoutq(fd), "ioctl(SIOCOUTQ)")?,
            outq_unsent: unsent_length(fd)?,
            write_seq: queue_end(fd, Queue::Send)?,
            rcv_nxt: queue_end(fd, Queue::Receive)?,
        })
    }

    /// Whether nothing has moved since: no data, no acknowledgement, no window update, no FIN.
    fn still_holds(&self, fd: BorrowedFd<'_>) -> Result<bool, Error> {
        let (_, info) = established(fd, Step::ReadData)?;
        Ok(info.options == self.info.options
            && self.inq == queue_length(sys::siocinq(fd), "ioctl(SIOCINQ)")?
            && self.outq == queue_length(sys::siocoutq(fd), "ioctl(SIOCOUTQ)")?
            && self.outq_unsent == unsent_length(fd)?
            && self.window == read_window(fd, Step::ReadData)?)
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

/// Selects a queue and reads the sequence number at its end.
fn queue_end(fd: BorrowedFd<'_>, queue: Queue) -> Result<Seq, Error> {
    select(fd, queue.number(), Step::ReadData)?;
    let end =
        sys::get_int(fd, Opt::TCP_QUEUE_SEQ).at(Step::ReadData, Opt::TCP_QUEUE_SEQ.getting)?;
    Ok(Seq(end as u32))
}

fn queue_length(answer: std::io::Result<i32>, call: &'static str) -> Result<usize, Error> {
    // The kernel counts bytes of a queue: never negative.
    Ok(answer.at(Step::ReadData, call)?.unsigned_abs() as usize)
}

fn unsent_length(fd: BorrowedFd<'_>) -> Result<u32, Error> {
    let unsent = sys::siocoutqnsd(fd).at(Step::ReadData, "ioctl(SIOCOUTQNSD)")?;
    Ok(unsent.unsigned_abs())
}

/// Peeks at `length` bytes of the receive queue.
fn peek_receive(fd: BorrowedFd<'_>, bytes: &mut Vec<u8>, length: usize) -> Result<(), Error> {
    let step = Step::ReadQueue(Queue::Receive);
    bytes.resize(length, 0);
    if length == 0 {
        return Ok(());
    }
    select(fd, Queue::Receive.number(), step)?;
    let count = sys::recv(fd, bytes, MSG_PEEK | MSG_DONTWAIT).at(step, "recv(MSG_PEEK)")?;
    if count < length {
        // SO_OOBINLINE is on, so that `length` counts past a mark; only an urgent mark stops a peek early.
        let urgent = Unsupported::UrgentData {
            readable: count,
            unread: length,
        };
        return Err(unsupported(step, urgent));
    }
    Ok(())
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
