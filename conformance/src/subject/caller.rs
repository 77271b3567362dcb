//! What a caller of the C interface carries himself, as CRIU does: the socket, its buffers, the options of the application.

use lab::Host;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use soccr::raw::{self, Opt};
use soccr::{Endpoints, Snapshot, SocketOption};
use socket2::SockRef;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// The largest buffer that can be asked for: the kernel doubles it.
const LARGEST: i32 = i32::MAX / 2;

/// Options of the application that are set again before the restore.
const CARRIED: [Opt; 3] = [Opt::SO_BINDTODEVICE, Opt::TCP_NODELAY, Opt::TCP_CORK];

/// A buffer: its option, the one that needs no permission of the kernel's limits, and its bit in `SO_BUF_LOCK`.
const BUFFERS: [(Opt, Opt, u8); 2] = [
    (Opt::SO_SNDBUF, Opt::SO_SNDBUFFORCE, 1),
    (Opt::SO_RCVBUF, Opt::SO_RCVBUFFORCE, 2),
];

/// Both addresses of a socket; the peer's is nobody's where it has none any more.
pub(super) fn endpoints(socket: &impl AsFd) -> io::Result<Endpoints> {
    let socket = SockRef::from(socket);
    let local = socket.local_addr()?.as_socket();
    let remote = match socket.peer_addr() {
        Ok(remote) => remote.as_socket(),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => None,
        // Before the handshake is over there is one that getpeername() does not tell.
        Err(error) => return Err(error),
    };
    let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Ok(Endpoints {
        local: local.unwrap_or(nobody),
        remote: remote.unwrap_or(nobody),
    })
}

/// Reads what is carried beside the numbers of the library, into a snapshot. Not in repair mode, which changes some of it.
pub(super) fn read(host: &Host, socket: &impl AsFd, snapshot: &mut Snapshot) -> io::Result<()> {
    let size = |option| Ok::<_, io::Error>(raw::get_int(socket, option)?.unsigned_abs());
    snapshot.buffers.send = size(Opt::SO_SNDBUF)?;
    snapshot.buffers.receive = size(Opt::SO_RCVBUF)?;
    snapshot.buffers.locks = match raw::get_int(socket, Opt::SO_BUF_LOCK) {
        Ok(locks) => u8::try_from(locks).ok(),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => None,
        Err(error) => return Err(error),
    };
    snapshot.reuse_address = raw::get_int(socket, Opt::SO_REUSEADDR)? != 0;
    let flags = fcntl(socket, FcntlArg::F_GETFL)?;
    snapshot.nonblocking = OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK);
    for option in CARRIED {
        let mut value = [0; 16];
        let length = raw::get(socket, option, &mut value)?;
        if value[..length].iter().any(|byte| *byte != 0) {
            let value = value[..length].to_vec();
            snapshot.socket_options.push(SocketOption { option, value });
        }
    }
    let endpoints = &snapshot.endpoints;
    if [endpoints.local, endpoints.remote]
        .into_iter()
        .any(is_link_local)
    {
        snapshot.link = Some(host.link().to_owned());
    }
    Ok(())
}

/// A socket for the connection of a snapshot: unconnected, with large buffers, and never waiting.
pub(super) fn socket(host: &Host, snapshot: &Snapshot) -> io::Result<OwnedFd> {
    let local = snapshot.endpoints.local;
    let family = match local {
        SocketAddr::V4(_) => soccr::Family::V4,
        SocketAddr::V6(_) => soccr::Family::V6,
    };
    let socket = host
        .enter(|| raw::tcp_socket(family))
        .map_err(io::Error::other)??;
    if matches!(local, SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some()) {
        raw::set_int(&socket, Opt::IPV6_V6ONLY, 0)?;
    }
    let sizes = [LARGEST, half(snapshot.buffers.receive)];
    for ((plain, force, _), size) in BUFFERS.into_iter().zip(sizes) {
        match raw::set_int(&socket, force, LARGEST) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                raw::set_int(&socket, plain, size)?;
                // A receive buffer that is fixed does not grow any more, and one that could not be forced may have to.
                set_locks(&socket, 0)?;
            }
            other => other?,
        }
    }
    raw::set_int(&socket, Opt::SO_REUSEADDR, snapshot.reuse_address.into())?;
    for carried in &snapshot.socket_options {
        raw::set(&socket, carried.option, &carried.value)?;
    }
    set_nonblocking(&socket, true)?;
    Ok(socket)
}

/// The addresses of a snapshot. Where they mean something on one link only, that is the one that the socket is bound to, as
/// CRIU has it.
pub(super) fn addresses(endpoints: Endpoints) -> [SocketAddr; 2] {
    [endpoints.local, endpoints.remote].map(|mut address| {
        if let (true, SocketAddr::V6(v6)) = (is_link_local(address), &mut address) {
            v6.set_scope_id(0);
        }
        address
    })
}

/// Puts back what was raised for the restore: still in repair mode, the last thing before the resume.
pub(super) fn put_back(socket: &impl AsFd, snapshot: &Snapshot) -> io::Result<()> {
    let buffers = snapshot.buffers;
    let locks = buffers.locks.unwrap_or(0);
    for ((plain, force, lock), saved) in BUFFERS.into_iter().zip([buffers.send, buffers.receive]) {
        let half = half(saved);
        match raw::set_int(socket, force, half) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                if locks & lock != 0 || plain == Opt::SO_SNDBUF {
                    raw::set_int(socket, plain, half)?;
                }
            }
            other => other?,
        }
    }
    set_locks(socket, locks)?;
    set_nonblocking(socket, snapshot.nonblocking)
}

/// What `setsockopt` has to be given for a buffer of this size.
fn half(size: u32) -> i32 {
    i32::try_from(size.div_ceil(2)).map_or(LARGEST, |half| half.min(LARGEST))
}

fn set_locks(socket: &impl AsFd, locks: u8) -> io::Result<()> {
    match raw::set_int(socket, Opt::SO_BUF_LOCK, locks.into()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        other => other,
    }
}

fn is_link_local(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local())
}

fn set_nonblocking(socket: &impl AsFd, nonblocking: bool) -> io::Result<()> {
    SockRef::from(socket).set_nonblocking(nonblocking)
}
