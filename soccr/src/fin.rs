//! Putting back what only the peer can send: its FIN, and its acknowledgement of ours.
//!
//! A raw socket sends a segment from the peer's address to our own. The kernel finds that the destination is this host,
//! and the segment comes in without having been on any wire (guide F1).

use crate::error::{At, Error, ErrorKind, Step};
use crate::raw::{self, Opt};
use crate::segment::{ACK, FIN, Segment};
use crate::settings::FinMode;
use crate::snapshot::Snapshot;
use crate::state::TcpState;
use crate::sys;
use crate::wait::until;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The mark of the packets that put a FIN back (`SO_MARK`), which is also libsoccr's: a firewall that blocks the
/// connection while it is restored has to let packets with it come in.
#[doc(alias = "SOCCR_MARK")]
pub const MARK: u32 = 0xC114;

/// How the FINs of one restore are put back.
#[derive(Debug)]
pub(crate) enum Fins {
    /// None that the kernel would not put back by itself.
    None,
    /// By packets through this raw socket.
    Inject(OwnedFd),
    /// By no packet.
    Emulate,
}

impl Fins {
    /// Chooses the way for a snapshot, before anything of it is restored: a raw socket that is not to be had is an
    /// error at a time when nothing has happened yet.
    pub(crate) fn choose(snapshot: &Snapshot, mode: FinMode) -> Result<Self, Error> {
        let state = snapshot.state;
        if !state.has_peer_fin() && state != TcpState::FinWait2 {
            return Ok(Self::None);
        }
        if mode == FinMode::Emulate {
            return Ok(Self::Emulate);
        }
        match raw_socket(snapshot) {
            Err(error) if mode == FinMode::Auto && is_forbidden(&error) => Ok(Self::Emulate),
            Err(error) => Err(error),
            Ok(socket) => Ok(Self::Inject(socket)),
        }
    }

    pub(crate) fn is_injected(&self) -> bool {
        matches!(self, Self::Inject(_))
    }

    pub(crate) fn is_emulated(&self) -> bool {
        matches!(self, Self::Emulate)
    }
}

fn is_forbidden(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

fn raw_socket(snapshot: &Snapshot) -> Result<OwnedFd, Error> {
    let step = Step::Create;
    let family = crate::endpoints::packet_family(snapshot.endpoints.local);
    let socket = sys::raw_socket(family).at(step, "socket(SOCK_RAW)")?;
    sys::set_int(socket.as_fd(), Opt::SO_MARK, MARK as i32).at(step, Opt::SO_MARK.setting)?;
    Ok(socket)
}

/// Lets a segment of the peer's come in at a socket, and waits until it has brought the socket into a state.
pub(crate) struct Injection<'a> {
    pub(crate) through: &'a OwnedFd,
    pub(crate) socket: BorrowedFd<'a>,
    pub(crate) snapshot: &'a Snapshot,
    /// The window that the segment announces, as it stands in the header.
    pub(crate) window: u16,
}

impl Injection<'_> {
    /// The peer's FIN.
    pub(crate) fn fin(&self, reaches: TcpState) -> Result<(), Error> {
        self.send(FIN | ACK, reaches)
    }

    /// The peer's acknowledgement of our FIN.
    pub(crate) fn ack(&self, reaches: TcpState) -> Result<(), Error> {
        self.send(ACK, reaches)
    }

    fn send(&self, flags: u8, reaches: TcpState) -> Result<(), Error> {
        let step = Step::RemainingData;
        require_same_network(self.through.as_fd(), self.socket)?;
        let endpoints = &self.snapshot.endpoints;
        let segment = Segment {
            from: endpoints.remote,
            to: endpoints.local,
            seq: self.snapshot.receive.end.0,
            ack: self.snapshot.snd_una().0,
            flags,
            window: self.window,
        };
        let packet = segment.to_packet();
        // As the socket has it: a link-local address with the number that its link has here.
        let to = host(sys::local_address(self.socket).at(step, "getsockname")?);
        let sent = sys::send_to(self.through.as_fd(), &packet, to).at(step, "sendto")?;
        if sent != packet.len() {
            let error = io::Error::from(io::ErrorKind::WriteZero);
            return Err(error).at(step, "sendto");
        }
        // The packet comes in by a softirq, mostly before `sendto` returns, but not always.
        let arrived = until(|| {
            let info = raw::read_info(self.socket).at(step, Opt::TCP_INFO.getting)?;
            Ok(TcpState::from_kernel(info.state) == Some(reaches))
        })?;
        match arrived {
            true => Ok(()),
            false => Err(Error::new(step, ErrorKind::NotInjected { wanted: reaches })),
        }
    }
}

/// The address that a raw socket is given: the packet has the ports, and for IPv6 a port would be a protocol.
fn host(local: SocketAddr) -> SocketAddr {
    let mut to = local;
    to.set_ip(local.ip().to_canonical());
    to.set_port(0);
    to
}

/// Refuses sockets of two network namespaces: the packet would come in where the connection is not, and the kernel
/// there would answer it to the peer.
fn require_same_network(raw: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> Result<(), Error> {
    let cookie = |fd| sys::netns_cookie(fd).at(Step::RemainingData, Opt::SO_NETNS_COOKIE.getting);
    let (wanted, found) = (cookie(socket)?, cookie(raw)?);
    if wanted == found {
        return Ok(());
    }
    let name =
        |cookie: Option<u64>| cookie.map_or("unknown".to_owned(), |cookie| cookie.to_string());
    Err(Error::mismatch(
        Step::RemainingData,
        "the network namespace of the thread that restores",
        format!("that of the socket ({})", name(wanted)),
        name(found),
    ))
}
