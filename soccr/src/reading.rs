//! Reading a socket: what is looked at before the pause, and what is read in it.

mod data;
mod peek;

pub(crate) use data::{Data, close_window, read_window};

use self::peek::{peek_receive, peek_send, prefaulted};
use crate::buffers::Buffers;
use crate::endpoints::{Endpoints, Family};
use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::ingress::Filter;
use crate::link;
use crate::losses::{Loss, Lost};
use crate::options::Options;
use crate::path::Path;
use crate::queue::{Queue, ReceiveQueue, SendQueue};
use crate::raw::{Opt, TCP_NO_QUEUE, TCPI_ECN_MODE_ACCECN, TCPI_OPT_ECN, TcpInfo};
use crate::settings::SaveSettings;
use crate::snapshot::{PendingError, Snapshot};
use crate::sockopts::{Found, NewSocket};
use crate::state::TcpState;
use crate::sys;
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
    application: Application,
    receive: Vec<u8>,
    send: Vec<u8>,
}

impl Inspected {
    /// Looks at a socket that may be saved.
    pub(crate) fn look_at(
        fd: BorrowedFd<'_>,
        memory: &mut Memory,
        settings: SaveSettings,
    ) -> Result<Self, Error> {
        require_tcp(fd, Step::Inspect)?;
        let (state, info) = carried(fd, Step::Inspect)?;
        if accurate_ecn(state, &info) && !settings.accurate_ecn {
            return Err(unsupported(Step::Inspect, Unsupported::AccurateEcn));
        }
        refuse_upper_layer(fd, Step::Inspect)?;
        let endpoints = endpoints(fd)?;
        refuse_authentication(fd)?;
        let application = match settings.connection_only {
            true => Application::default(),
            false => Application::look_at(fd, &endpoints, state)?,
        };
        Ok(Self {
            endpoints,
            application,
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
        &self.application.filter
    }

    /// Reads the bytes of both queues; false where the queues are no longer what `data` says.
    pub(crate) fn read_queues(&mut self, fd: BorrowedFd<'_>, data: &Data) -> Result<bool, Error> {
        let received = peek_receive(fd, &mut self.receive, data.inq, data.receive_selected)?;
        let sent = peek_send(fd, &mut self.send, data.sent_bytes())?;
        deselect(fd, Step::ReadQueue(Queue::Send))?;
        Ok(received && sent)
    }

    /// Puts together what was read.
    pub(crate) fn into_snapshot(
        self,
        data: &Data,
        timestamp: u32,
        reuse_address: bool,
    ) -> Snapshot {
        let state = data.state;
        let (unsent, fin_unsent) = data.unsent();
        let Application {
            link,
            buffers,
            nonblocking,
            options,
            filter,
        } = self.application;
        Snapshot {
            state,
            endpoints: self.endpoints,
            link,
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
                unsent,
                fin_unsent,
            },
            shutdown_read: data.shutdown_read(&self.endpoints),
            pending_error: (state == TcpState::Close && data.error_waits())
                .then_some(PendingError::Untaken),
            buffers,
            reuse_address,
            nonblocking,
            path: Path::from_info(&data.info),
            unsaved: [data.unsaved(&self.endpoints), options.losses].concat(),
            socket_options: options.options,
            filter,
        }
    }
}

impl fmt::Debug for Inspected {
    /// Without the bytes: a queue can be megabytes long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspected")
            .field("endpoints", &self.endpoints)
            .field("buffers", &self.application.buffers)
            .finish_non_exhaustive()
    }
}

/// What the application has set.
#[derive(Default)]
struct Application {
    link: Option<String>,
    buffers: Buffers,
    nonblocking: bool,
    options: Found,
    filter: Filter,
}

impl Application {
    fn look_at(fd: BorrowedFd<'_>, endpoints: &Endpoints, state: TcpState) -> Result<Self, Error> {
        let new = NewSocket::like(fd, endpoints.family()).at(Step::Inspect, "socket")?;
        let mut options = Found::read(fd, endpoints, state, &new);
        let flags = sys::status_flags(fd).at(Step::Inspect, "fcntl(F_GETFL)")?;
        if flags & libc::O_ASYNC != 0 {
            let detail = "O_ASYNC, and who is sent which signal, belong to a process";
            options.losses.push(Loss::new(Lost::SocketOption, detail));
        }
        Ok(Self {
            link: link::take(endpoints, &mut options.options),
            options,
            filter: read_filter(fd)?,
            buffers: Buffers::read(fd, Step::Inspect)?,
            nonblocking: flags & libc::O_NONBLOCK != 0,
        })
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
    let info = crate::raw::read_info(fd).at(step, Opt::TCP_INFO.getting)?;
    match TcpState::from_kernel(info.state) {
        Some(state) if state.is_carried() => Ok((state, info)),
        Some(state) => Err(unsupported(step, Unsupported::State(state))),
        None => Err(unsupported(step, Unsupported::UnknownState(info.state))),
    }
}

/// Whether both ends count each other's congestion marks (guide H4).
fn accurate_ecn(state: TcpState, info: &TcpInfo) -> bool {
    let negotiated = state.is_synchronized() && info.options & TCPI_OPT_ECN != 0;
    negotiated && info.ecn_mode == TCPI_ECN_MODE_ACCECN
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
pub(crate) fn refuse_upper_layer(fd: BorrowedFd<'_>, step: Step) -> Result<(), Error> {
    // TCP_ULP_NAME_MAX
    let mut name = [0; 16];
    let length = match sys::get(fd, Opt::TCP_ULP, &mut name) {
        Ok(length) => length.min(name.len()),
        // Before kernel 4.13 there are no such layers.
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => 0,
        Err(error) => return Err(error).at(step, Opt::TCP_ULP.getting),
    };
    let name = String::from_utf8_lossy(&name[..length]);
    match name.trim_end_matches('\0') {
        "" => Ok(()),
        name => Err(unsupported(step, Unsupported::UpperLayer(name.to_owned()))),
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

fn select(fd: BorrowedFd<'_>, queue: i32, step: Step) -> Result<(), Error> {
    sys::set_int(fd, Opt::TCP_REPAIR_QUEUE, queue).at(step, Opt::TCP_REPAIR_QUEUE.setting)
}

/// A write to a paused socket goes into the queue that is selected, even into the receive queue: select none.
fn deselect(fd: BorrowedFd<'_>, step: Step) -> Result<(), Error> {
    select(fd, TCP_NO_QUEUE, step)
}

fn queue_length(answer: io::Result<i32>, step: Step, call: &'static str) -> Result<usize, Error> {
    // The kernel counts bytes of a queue: never negative.
    Ok(answer.at(step, call)?.unsigned_abs() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel would write it.
    fn info(options: u8, ecn_mode: u8) -> TcpInfo {
        let mut info = TcpInfo::decode(&[]);
        (info.options, info.ecn_mode) = (options, ecn_mode);
        info
    }

    #[test]
    fn accurate_ecn_is_told_from_every_other_kind() {
        use crate::raw::{TCPI_ECN_MODE_DISABLED, TCPI_ECN_MODE_PENDING, TCPI_ECN_MODE_RFC3168};
        let accurate = info(TCPI_OPT_ECN, TCPI_ECN_MODE_ACCECN);
        assert!(accurate_ecn(TcpState::Established, &accurate));
        assert!(accurate_ecn(TcpState::CloseWait, &accurate));
        // What was asked for and not answered, and what is over, harms nobody.
        let pending = info(TCPI_OPT_ECN, TCPI_ECN_MODE_PENDING);
        assert!(!accurate_ecn(TcpState::SynSent, &pending));
        assert!(!accurate_ecn(TcpState::Close, &accurate));
        for mode in [TCPI_ECN_MODE_DISABLED, TCPI_ECN_MODE_RFC3168] {
            assert!(!accurate_ecn(
                TcpState::Established,
                &info(TCPI_OPT_ECN, mode)
            ));
        }
        // The failure of something that was not negotiated, in the same place (kernel 6.18).
        let failed = info(0, TCPI_ECN_MODE_ACCECN);
        assert!(!accurate_ecn(TcpState::Established, &failed));
    }
}
