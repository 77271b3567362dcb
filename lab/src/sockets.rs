//! The kernel's own view of a host's TCP sockets, as `ss` shows it.

mod diag;
mod info;

pub(crate) use diag::Diag;
pub use info::TcpInfo;

use crate::address::Flow;
use crate::error::Error;
use crate::host::Host;
use std::fmt;
use std::time::Duration;

/// The state of a TCP connection (RFC 9293, section 3.3.2), as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "RFC 9293, section 3.3.2, says what they are")]
pub enum TcpState {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Closed,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    /// Bound to a port, and neither listening nor connected; shown since Linux 6.8.
    BoundInactive,
    /// A state that this library does not know, by its number.
    Other(u8),
}

impl TcpState {
    /// By the numbers of include/net/tcp_states.h.
    fn of(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // 12 is a request that has no socket yet.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            13 => Self::BoundInactive,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::TimeWait => "TIME-WAIT",
            Self::Closed => "CLOSED",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
            Self::BoundInactive => "BOUND-INACTIVE",
            Self::Other(number) => return write!(f, "state {number}"),
        })
    }
}

/// What a socket waits for, and how long still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// To send again; it has done so this many times in a row.
    Retransmission {
        /// Until it goes off.
        left: Duration,
        /// How often it went off since the last acknowledgment.
        expired: u8,
    },
    /// To ask an idle peer, or to give a FIN_WAIT2 up.
    KeepAlive {
        /// Until it goes off.
        left: Duration,
    },
    /// The end of TIME_WAIT.
    TimeWait,
    /// To ask for another window.
    Probe {
        /// Until it goes off.
        left: Duration,
    },
}

/// A TCP socket of a host, as the kernel shows it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSocket {
    /// Its state.
    pub state: TcpState,
    /// From its own address to the peer's, canonical as every [`Flow`]; what it has not is unspecified, port 0.
    pub flow: Flow,
    /// Whether it is an `AF_INET6` socket, one of IPv4-mapped addresses included.
    pub v6: bool,
    /// Bytes received and not read; of a listener, connections that wait to be accepted.
    pub recv_queue: u32,
    /// Bytes written and not acknowledged; of a listener, how many connections may wait.
    pub send_queue: u32,
    /// What it waits for, if for anything.
    pub timer: Option<Timer>,
    /// Its number in `/proc/PID/fd`; 0 when no descriptor refers to it any more.
    pub inode: u32,
    /// What no other socket ever has, as the kernel has it.
    pub(crate) cookie: [u8; 8],
    /// The name of its congestion control.
    pub congestion: Option<String>,
    /// What `TCP_INFO` says; a request, a TIME_WAIT and a closed socket have none.
    pub info: Option<TcpInfo>,
    /// Whether it reads no more, as after `shutdown(SHUT_RD)` or a FIN of the peer.
    pub read_shut: bool,
    /// Whether it writes no more.
    pub write_shut: bool,
}

impl fmt::Display for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (recv, send) = (self.recv_queue, self.send_queue);
        write!(f, "{:<12} {recv:>6} {send:>6}  {}", self.state, self.flow)?;
        match self.timer {
            Some(Timer::Retransmission { left, expired }) => {
                write!(f, " timer:(on,{left:?},{expired})")?;
            }
            Some(Timer::KeepAlive { left }) => write!(f, " timer:(keepalive,{left:?})")?,
            Some(Timer::TimeWait) => f.write_str(" timer:(timewait)")?,
            Some(Timer::Probe { left }) => write!(f, " timer:(persist,{left:?})")?,
            None => {}
        }
        if let Some(congestion) = &self.congestion {
            write!(f, " {congestion}")?;
        }
        match &self.info {
            Some(info) => write!(f, " {info}"),
            None => Ok(()),
        }
    }
}

/// The TCP sockets of a host at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets(Vec<TcpSocket>);

impl Sockets {
    /// All of them, in the kernel's order.
    pub fn iter(&self) -> impl Iterator<Item = &TcpSocket> {
        self.0.iter()
    }

    /// The one whose own address is the source of `flow`, and whose peer's is its destination.
    #[must_use]
    pub fn of(&self, flow: &Flow) -> Option<&TcpSocket> {
        self.iter().find(|socket| socket.flow == *flow)
    }

    /// Those in `state`.
    pub fn in_state(&self, state: TcpState) -> impl Iterator<Item = &TcpSocket> {
        self.iter().filter(move |socket| socket.state == state)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Sockets {
    /// A line each: state, queues, addresses, timer, congestion control and numbers, much as `ss -tina`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|socket| writeln!(f, "{socket}"))
    }
}

impl Host {
    /// The TCP sockets of this host as the kernel shows them at this moment (sock_diag): of all its processes, in
    /// every state, those without a descriptor included.
    ///
    /// # Errors
    /// [`Error::NotInKernel`] for a kernel without `tcp_diag`, [`Error::Os`] when it refuses otherwise.
    #[doc(alias("ss", "inet_diag", "netstat"))]
    pub fn sockets(&self) -> Result<Sockets, Error> {
        self.diag.dump().map(Sockets)
    }

    /// The TCP socket of this host whose own address is the source of `flow`, and whose peer's is its destination,
    /// whatever its state (sock_diag); `None` where there is none.
    ///
    /// The kernel finds it by its addresses. For [`Host::sockets`] it looks through the table of the whole machine, and
    /// so it does for `/proc/net/tcp`: that takes tens of milliseconds where there is much memory.
    ///
    /// # Errors
    /// Those of [`Host::sockets`].
    pub fn socket(&self, flow: &Flow) -> Result<Option<TcpSocket>, Error> {
        self.diag.find(flow, self.index)
    }

    /// Ends the TCP socket of this host whose own address is the source of `flow`, and whose peer's is its destination, as
    /// `ss -K` does: one that could still send says so to its peer by a RST, one in TIME-WAIT is just gone.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses: `ENOENT` where there is none, `EOPNOTSUPP` for a kernel without
    /// `CONFIG_INET_DIAG_DESTROY`, and for TIME-WAIT before 6.0.
    #[doc(alias("ss -K", "SOCK_DESTROY", "tcp_abort"))]
    pub fn destroy(&self, flow: &Flow) -> Result<(), Error> {
        self.diag.destroy(flow, self.index)
    }
}
