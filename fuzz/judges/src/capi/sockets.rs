//! The sockets that a careless caller has.

use crate::world;
use arbitrary::Arbitrary;
use lab::{Connection, Family};
use soccr::raw::{self, Opt};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Which socket is meant.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A connection to host `b`.
    Connected,
    /// A new socket.
    Fresh,
    /// A new socket, of IPv6.
    Fresh6,
    Listening,
    Datagrams,
    /// No socket at all.
    File,
    /// Nothing at all.
    Closed,
}

/// The sockets of host `a`, where the caller is, each made when it is asked for.
#[derive(Default)]
pub(super) struct Sockets {
    connection: Option<Connection>,
    fresh: [Option<Socket>; 2],
    listening: Option<TcpListener>,
    datagrams: Option<UdpSocket>,
    file: Option<File>,
}

impl Sockets {
    /// The descriptor of a socket.
    pub(super) fn descriptor(&mut self, kind: Kind) -> i32 {
        let host = world::hosts().a();
        let fresh = |domain| Socket::new(domain, Type::STREAM, None).expect("a socket");
        match kind {
            Kind::Connected => {
                let connection = self.connection.get_or_insert_with(connected);
                connection.client.as_raw_fd()
            }
            Kind::Fresh => self.fresh[0]
                .get_or_insert_with(|| fresh(Domain::IPV4))
                .as_raw_fd(),
            Kind::Fresh6 => self.fresh[1]
                .get_or_insert_with(|| fresh(Domain::IPV6))
                .as_raw_fd(),
            Kind::Listening => {
                let listening = || TcpListener::bind((host.v4(), 0)).expect("a listener");
                self.listening.get_or_insert_with(listening).as_raw_fd()
            }
            Kind::Datagrams => {
                let datagrams = || UdpSocket::bind((host.v4(), 0)).expect("a socket");
                self.datagrams.get_or_insert_with(datagrams).as_raw_fd()
            }
            Kind::File => {
                let open = || File::open("/dev/null").expect("a file");
                self.file.get_or_insert_with(open).as_raw_fd()
            }
            Kind::Closed => -1,
        }
    }

    /// Binds the new sockets, as a caller of the staged interface does; whether it works is the kernel's affair.
    pub(super) fn bind(&self) {
        for (socket, at) in self.fresh.iter().flatten().zip([0, 2]) {
            let _ = socket.bind(&SockAddr::from(named(at)));
        }
    }

    /// Connects them, without a packet where they are paused.
    pub(super) fn connect(&self) {
        for (socket, at) in self.fresh.iter().flatten().zip([1, 3]) {
            // Nobody answers, or somebody refuses.
            let _ = socket.set_nonblocking(true);
            let _ = socket.connect(&SockAddr::from(named(at)));
        }
    }

    /// Closes the first new socket, whose handle may not have ended.
    pub(super) fn close_fresh(&mut self) {
        self.fresh[0] = None;
    }

    /// The connection has been saved at most: it runs on, and both ends hear each other.
    pub(super) fn judge(self) {
        for socket in self.fresh.iter().flatten() {
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        let Some(Connection {
            mut client,
            mut server,
            ..
        }) = self.connection
        else {
            return;
        };
        // A handle that was released has left it paused.
        if raw::get_int(&client, Opt::TCP_REPAIR).expect("a socket") != 0 {
            raw::set_int(&client, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF).expect("it resumes");
        }
        let patience = Some(Duration::from_secs(10));
        let mut byte = [0];
        client.write_all(b"a").expect("it takes data");
        server.set_read_timeout(patience).expect("a timeout");
        server.read_exact(&mut byte).expect("they arrive");
        assert_eq!(byte, *b"a");
        server.write_all(b"b").expect("it takes data");
        client.set_read_timeout(patience).expect("a timeout");
        client.read_exact(&mut byte).expect("they arrive");
        assert_eq!(byte, *b"b");
        for end in [&client, &server] {
            let _ = SockRef::from(end).set_linger(Some(Duration::ZERO));
        }
    }
}

fn connected() -> Connection {
    let connection = world::hosts().connection(Family::V4);
    connection.open().expect("a connection")
}

fn named(at: usize) -> SocketAddr {
    let text = crate::hostile::ADDRESSES[at % crate::hostile::ADDRESSES.len()];
    text.parse().expect("an address")
}

/// An address as C has it, and zeros up to the length of the longest.
pub(super) fn address(at: u8) -> [u8; 28] {
    let mut bytes = [0; 28];
    match named(at.into()) {
        SocketAddr::V4(v4) => {
            bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            bytes[2..4].copy_from_slice(&v4.port().to_be_bytes());
            bytes[4..8].copy_from_slice(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
            bytes[2..4].copy_from_slice(&v6.port().to_be_bytes());
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..].copy_from_slice(&v6.scope_id().to_ne_bytes());
        }
    }
    bytes
}
