//! How a socket comes to have no connection.

use crate::journey::PATIENCE;
use crate::verdict::{Stop, Verdict};
use lab::{Direction, Family, Match, Pair, wait};
use soccr::TcpState;
use soccr::raw;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

/// Bytes that are left to read.
pub(super) const UNREAD: usize = 5_000;

/// How a socket came to have no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The peer closed, then we did.
    Ended,
    /// We closed, then the peer did: the connection is in TIME-WAIT.
    EndedFirst,
    /// The peer reset the connection.
    Reset,
    /// The peer closed its side, then reset the connection.
    BrokenPipe,
    /// The peer was not heard any more.
    TimedOut,
    /// There was nobody to connect to.
    Refused,
    /// It never had one.
    Never,
    /// It never had one, and has an address.
    NeverBound,
    /// It never had one, and has a port of every address of its host.
    NeverBoundAnywhere,
    /// It never had one, and its reading side is shut.
    NeverShut,
}

impl Over {
    pub(super) const ALL: [(Self, &'static str); 10] = [
        (Self::Ended, "ended"),
        (Self::EndedFirst, "ended-first"),
        (Self::Reset, "reset"),
        (Self::BrokenPipe, "broken-pipe"),
        (Self::TimedOut, "timed-out"),
        (Self::Refused, "refused"),
        (Self::Never, "never-connected"),
        (Self::NeverBound, "bound"),
        (Self::NeverBoundAnywhere, "bound-anywhere"),
        (Self::NeverShut, "never-connected-shut"),
    ];

    /// What waits for its application.
    pub(super) fn errno(self) -> Option<i32> {
        match self {
            Self::Reset => Some(libc::ECONNRESET),
            Self::BrokenPipe => Some(libc::EPIPE),
            Self::TimedOut => Some(libc::ETIMEDOUT),
            Self::Refused => Some(libc::ECONNREFUSED),
            _ => None,
        }
    }
}

/// Brings a socket to where it has no connection.
pub(super) fn bring(pair: &Pair, over: Over, family: Family) -> Result<TcpStream, Stop> {
    match over {
        Over::Never => return Ok(unconnected(pair, family)?.into()),
        Over::NeverBound => return bound(pair, family, super::local(pair, family).ip()),
        Over::NeverBoundAnywhere => {
            let anywhere = match super::family(family) {
                soccr::Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
                soccr::Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
            };
            return bound(pair, family, anywhere);
        }
        Over::NeverShut => {
            let socket = unconnected(pair, family)?;
            // Says ENOTCONN, and does it.
            let _ = socket.shutdown(Shutdown::Read);
            return Ok(socket.into());
        }
        Over::Refused => return refused(pair, family),
        _ => {}
    }
    let connection = pair.connection(family).open()?;
    let (socket, peer) = (connection.client, connection.server);
    (&peer).write_all(&lab::Stream::numbered(0).bytes(0, UNREAD))?;
    let arrived = || raw::siocinq(&socket).is_ok_and(|unread| unread == UNREAD as i32);
    wait::until("everything has arrived", PATIENCE, arrived)?;
    match over {
        Over::Ended => {
            peer.shutdown(Shutdown::Write)?;
            reaches(&socket, TcpState::CloseWait)?;
            socket.shutdown(Shutdown::Write)?;
        }
        Over::EndedFirst => {
            socket.shutdown(Shutdown::Write)?;
            reaches(&peer, TcpState::CloseWait)?;
            peer.shutdown(Shutdown::Write)?;
        }
        Over::Reset => reset(peer)?,
        Over::BrokenPipe => {
            peer.shutdown(Shutdown::Write)?;
            reaches(&socket, TcpState::CloseWait)?;
            reset(peer)?;
        }
        _ => {
            let flow = lab::Flow::new(
                super::canonical(socket.local_addr()?),
                super::canonical(socket.peer_addr()?),
            );
            let _hole = pair
                .a()
                .blackhole(Direction::Egress, Match::tcp().flow(flow))?;
            socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(Duration::from_millis(1)))?;
            (&socket).write_all(b"lost")?;
            reaches(&socket, TcpState::Close)?;
        }
    }
    reaches(&socket, TcpState::Close)?;
    Ok(socket)
}

/// With a port that the kernel chooses.
fn bound(pair: &Pair, family: Family, address: IpAddr) -> Result<TcpStream, Stop> {
    let socket = unconnected(pair, family)?;
    socket.bind(&SocketAddr::new(address, 0).into())?;
    Ok(socket.into())
}

fn unconnected(pair: &Pair, family: Family) -> Result<socket2::Socket, Stop> {
    let domain = match family {
        Family::V4 => socket2::Domain::IPV4,
        Family::V6 | Family::V4Mapped => socket2::Domain::IPV6,
    };
    let socket = pair
        .a()
        .enter(|| socket2::Socket::new(domain, socket2::Type::STREAM, None))??;
    Ok(socket)
}

fn refused(pair: &Pair, family: Family) -> Result<TcpStream, Stop> {
    let socket = unconnected(pair, family)?;
    socket.set_nonblocking(true)?;
    // Nobody listens there.
    let nobody = super::remote(pair, family, 1);
    match socket.connect(&nobody.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => other?,
    }
    reaches(&socket, TcpState::Close)?;
    Ok(socket.into())
}

/// Closes with a RST.
fn reset(socket: TcpStream) -> Verdict {
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    drop(socket);
    Ok(())
}

pub(super) fn reaches(socket: &impl AsFd, state: TcpState) -> Verdict {
    let reached = || raw::tcp_info(socket).is_ok_and(|info| info.state == state as u8);
    Ok(wait::until(
        format!("the state is {state}"),
        PATIENCE,
        reached,
    )?)
}
