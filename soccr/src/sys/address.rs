//! `SocketAddr` to and from the kernel's `sockaddr`.

use super::calls::{call, call_on};
use super::{check, socklen_of};
use crate::endpoints::Family;
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A `sockaddr` of either family, as the kernel reads it.
pub(super) enum Encoded {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
}

impl Encoded {
    pub(super) fn new(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.ip().octets()),
                },
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(v6) => Self::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            }),
        }
    }

    pub(super) fn as_ptr(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        match self {
            Self::V4(v4) => ((&raw const *v4).cast(), socklen_of::<libc::sockaddr_in>()),
            Self::V6(v6) => ((&raw const *v6).cast(), socklen_of::<libc::sockaddr_in6>()),
        }
    }
}

/// Binds a socket to a local address.
pub(crate) fn bind(fd: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    let encoded = Encoded::new(address);
    let (pointer, length) = encoded.as_ptr();
    call_on("bind", fd, || {
        // SAFETY: `pointer` is valid for reads of `length` bytes while `encoded` lives.
        check(unsafe { libc::bind(fd.as_raw_fd(), pointer, length) })
    })
}

/// Connects a socket to a remote address.
pub(crate) fn connect(fd: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    let encoded = Encoded::new(address);
    let (pointer, length) = encoded.as_ptr();
    call_on("connect", fd, || {
        // SAFETY: `pointer` is valid for reads of `length` bytes while `encoded` lives.
        check(unsafe { libc::connect(fd.as_raw_fd(), pointer, length) })
    })
}

/// The local address of a socket.
pub(crate) fn local_address(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    call("getsockname", || {
        let mut length = socklen_of::<libc::sockaddr_storage>();
        // SAFETY: `storage` is valid for writes of `length` bytes.
        check(unsafe {
            libc::getsockname(fd.as_raw_fd(), storage.as_mut_ptr().cast(), &raw mut length)
        })
    })?;
    // SAFETY: `storage` was zeroed, and zeros are a valid `sockaddr_storage`, whatever part the kernel wrote.
    let storage = unsafe { storage.assume_init() };
    decode(&storage)
}

fn decode(storage: &libc::sockaddr_storage) -> io::Result<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: `sockaddr_storage` is larger than, and aligned for, every `sockaddr`, and all of its bytes
            // are initialised; the family says which one it holds.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Ok(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Ok(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
    }
}

/// Where a socket was connected to, if it ever was: unlike `getpeername`, also before the peer has answered and after
/// the end of the connection (`SO_PEERNAME`).
pub(crate) fn destination(fd: BorrowedFd<'_>, family: Family) -> io::Result<Option<SocketAddr>> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    // The kernel refuses a buffer that is longer than the address.
    let size = match family {
        Family::V4 => socklen_of::<libc::sockaddr_in>(),
        Family::V6 => socklen_of::<libc::sockaddr_in6>(),
    };
    let answer = call("getsockopt(SO_PEERNAME)", || {
        let mut length = size;
        // SAFETY: `storage` is valid for writes of `length` bytes.
        check(unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERNAME,
                storage.as_mut_ptr().cast(),
                &raw mut length,
            )
        })
    });
    match answer {
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => return Ok(None),
        other => other?,
    };
    // SAFETY: `storage` was zeroed, and zeros are a valid `sockaddr_storage`, whatever part the kernel wrote.
    let storage = unsafe { storage.assume_init() };
    decode(&storage).map(Some)
}
