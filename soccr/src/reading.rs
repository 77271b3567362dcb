//! Reading a socket: what is looked at before the pause, and what is read in it.

use crate::buffers::Buffers;
use crate::endpoints::{Endpoints, Family};
use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::ingress::Filter;
use crate::losses::{Loss, Lost};
use crate::options::Options;
use crate::path::Path;
use crate::queue::{Queue, ReceiveQueue, SendQueue};
use crate::raw::{MSG_DONTWAIT, MSG_PEEK, Opt, TCP_NO_QUEUE, TCPI_OPT_ECN, TcpInfo};
use crate::seq::Seq;
use crate::snapshot::{PendingError, Snapshot};
use crate::sockopts::{Found, NewSocket};
use crate::state::TcpState;
use crate::sys;
use crate::window::Window;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

/// Length of `struct tcp_ao_info_opt` (kernel 6.7).
const AO_INFO: usize = 48;

/// Memory for the queues, as far as it is there already.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) receive: Vec<u8>,
    pub(crate) send: Vec<u8>,
}

/// What is read, and allocated, before the pause.
pub(crate) struct Inspected {
    endpoints: Endpoints,
    buffers: Buffers,
    nonblocking: bool,
    options: Found,
    filter: Filter,
    receive: Vec<u8>,
    send: Vec<u8>,
}

impl Inspected {
    /// Looks at a socket that may be saved.
    pub(crate) fn look_at(fd: BorrowedFd<'_>, memory: &mut Memory) -> Result<Self, Error> {
        require_tcp(fd, Step::Inspect)?;
        let (state, _) = carried(fd, Step::Inspect)?;
        refuse_upper_layer(fd)?;
        let endpoints = endpoints(fd)?;
        let family = endpoints.family();
        refuse_authentication(fd)?;
        let new = NewSocket::like(fd, family).at(Step::Inspect, "socket")?;
        Ok(Self {
            endpoints,
            options: Found::read(fd, family, state, &new),
            filter: read_filter(fd)?,
            buffers: Buffers::read(fd, Step::Inspect)?,
            nonblocking: sys::is_nonblocking(fd).at(Step::Inspect, "fcntl(F_GETFL)")?,
            receive: prefaulted(
                std::mem::take(&mut memory.receive),
                queue_length(sys::siocinq(fd), Step::Inspect, "ioctl(SIOCINQ)")?,
            ),
            send: prefaulted(
                std::mem::take(&mut memory.send),
                queue_length(sys::siocoutq(fd), Step::Inspect, "ioctl(SIOCOUTQ)")?,
            ),
        })
    }

    /// The filter that the application has attached.
    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Reads the bytes of both queues; false where the queues are no longer what `data` says.
    pub(crate) fn read_queues(&mut self, fd: BorrowedFd<'_>, data: &Data) -> Result<bool, Error> {
        let received = peek_receive(fd, &mut self.receive, data.inq)?;
        let sent = peek_send(fd, &mut self.send, data.sent_bytes())?;
        deselect(fd, Step::ReadQueue(Queue::Send))?;
        Ok(received && sent)
    }

    /// Puts together what was read.
    pub(crate) fn into_snapshot(self, data: Data, timestamp: u32, reuse_address: bool) -> Snapshot {
        let state = data.state;
        Snapshot {
            state,
            endpoints: self.endpoints,
            options: Options::from_info(&data.info, data.mss_clamp, timestamp),
            // Of a connection that is not there yet, or no more, the windows mean nothing.
            window: data.window.filter(|_| state.is_synchronized()),
            receive: ReceiveQueue {
                end: data.rcv_nxt.back(u32::from(state.has_peer_fin())),
                bytes: self.receive,
            },
            send: SendQueue {
                end: data.write_seq.back(u32::from(state.has_own_fin())),
                bytes: self.send,
                unsent: data.unsent_bytes(),
                fin_unsent: state.owes_fin() && data.outq_unsent > 0,
            },
            shutdown_read: data.shutdown_read(&self.endpoints),
            pending_error: (state == TcpState::Close && data.error_waits())
                .then_some(PendingError::Untaken),
            buffers: self.buffers,
            reuse_address,
            nonblocking: self.nonblocking,
            path: Path::from_info(&data.info),
            unsaved: [data.unsaved(&self.endpoints), self.options.losses].concat(),
            socket_options: self.options.options,
            filter: self.filter,
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
    ready: i16,
}

impl Data {
    /// Reads everything; leaves no queue selected.
    pub(crate) fn read(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        let (state, info) = carried(fd, Step::ReadData)?;
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
            ready: sys::poll_now(fd).at(Step::ReadData, "poll")?,
        })
    }

    /// Bytes in the send queue: a FIN counts in the kernel's length (guide A26), and of a connection that is gone
    /// the kernel still tells the length though the queue is (guide C28).
    fn sent_bytes(&self) -> usize {
        if !self.state.is_synchronized() {
            return 0;
        }
        self.outq.saturating_sub(usize::from(self.state.owes_fin()))
    }

    /// How many of them were never sent. A FIN, which is last, is unsent as long as anything is.
    fn unsent_bytes(&self) -> u32 {
        if !self.state.is_synchronized() {
            return 0;
        }
        self.outq_unsent
            .saturating_sub(u32::from(self.state.owes_fin()))
    }

    /// Whether the application has shut its reading side: end of stream is reported though no FIN has come.
    fn shutdown_read(&self, endpoints: &Endpoints) -> bool {
        let ended =
            self.state.has_peer_fin() || (self.state == TcpState::Close && endpoints.has_remote());
        !ended && self.ready & libc::POLLRDHUP != 0
    }

    /// An error, or a message in the error queue: `poll` does not tell which.
    fn error_waits(&self) -> bool {
        self.ready & libc::POLLERR != 0
    }

    fn unsaved(&self, endpoints: &Endpoints) -> Vec<Loss> {
        let mut losses = Vec::new();
        let mut lose = |what, detail: String| losses.push(Loss::new(what, detail));
        if self.state.is_synchronized() {
            if self.info.options & TCPI_OPT_ECN != 0 {
                lose(
                    Lost::Ecn,
                    "negotiated, and not used after a restore".to_owned(),
                );
            }
            if self.info.rcv_ooopack > 0 {
                let detail = format!(
                    "{} segments came beyond a hole so far; what still waits there, the peer sends again",
                    self.info.rcv_ooopack
                );
                lose(Lost::OutOfOrder, detail);
            }
        }
        if self.state != TcpState::Close && self.error_waits() {
            let detail =
                "something waits in the error queue, or an error that did not end the connection";
            lose(Lost::PendingError, detail.to_owned());
        }
        if self.state == TcpState::SynSent {
            let detail = "the SYN that is sent again has the options and the clock of its new host; an answer to the first \
                          one is reset if it echoes that one's clock, and the peer answers the next SYN";
            lose(Lost::Clock, detail.to_owned());
        }
        if self.state == TcpState::Close && endpoints.has_remote() {
            let detail = "what the connection left in TIME-WAIT, if anything, stays on its host";
            lose(Lost::TimeWait, detail.to_owned());
        }
        losses
    }

    /// Whether nothing has moved since: no data, no acknowledgement, no window update, no FIN.
    pub(crate) fn still_holds(&self, fd: BorrowedFd<'_>) -> Result<bool, Error> {
        let (state, info) = carried(fd, Step::ReadData)?;
        // The counters tell data that came and was read, or was written and acknowledged, in between.
        Ok(state == self.state
            && info.options == self.info.options
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
fn carried(fd: BorrowedFd<'_>, step: Step) -> Result<(TcpState, TcpInfo), Error> {
    let info = crate::raw::tcp_info(&fd).at(step, Opt::TCP_INFO.getting)?;
    match TcpState::from_kernel(info.state) {
        Some(state) if state.is_carried() => Ok((state, info)),
        Some(state) => Err(unsupported(step, Unsupported::State(state))),
        None => Err(unsupported(step, Unsupported::UnknownState(info.state))),
    }
}

/// Both addresses; the remote one is unspecified where the socket was never connected.
fn endpoints(fd: BorrowedFd<'_>) -> Result<Endpoints, Error> {
    let local = sys::local_address(fd).at(Step::Inspect, "getsockname")?;
    let remote =
        sys::destination(fd, Family::of(local)).at(Step::Inspect, "getsockopt(SO_PEERNAME)")?;
    let nowhere = || match local {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    Ok(Endpoints {
        local,
        remote: remote.unwrap_or_else(nowhere),
    })
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

/// Keys cannot be carried, and without them the peer takes nothing.
fn refuse_authentication(fd: BorrowedFd<'_>) -> Result<(), Error> {
    // TCP_AO_INFO takes and gives a structure of this length; one without keys is ENOENT.
    let mut info = [0; AO_INFO];
    match sys::get(fd, Opt::TCP_AO_INFO, &mut info) {
        Ok(_) => Err(unsupported(Step::Inspect, Unsupported::Authentication)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOPROTOOPT)) => {
            Ok(())
        }
        Err(error) => Err(error).at(Step::Inspect, Opt::TCP_AO_INFO.getting),
    }
}

/// The filter that the application has attached.
fn read_filter(fd: BorrowedFd<'_>) -> Result<Filter, Error> {
    let step = Step::Inspect;
    let program = match sys::filter(fd) {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
            return Err(unsupported(step, Unsupported::EbpfFilter));
        }
        other => other.at(step, "getsockopt(SO_GET_FILTER)")?,
    };
    let locked = sys::get_int(fd, Opt::SO_LOCK_FILTER).at(step, Opt::SO_LOCK_FILTER.getting)?;
    Ok(Filter {
        program,
        locked: locked != 0,
    })
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
fn prefaulted(mut buffer: Vec<u8>, length: usize) -> Vec<u8> {
    const PAGE: usize = 4096;
    buffer.resize(length, 0);
    for page in buffer.chunks_mut(PAGE) {
        page[0] = std::hint::black_box(1);
    }
    buffer
}
