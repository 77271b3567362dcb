//! Asking sock_diag for the TCP sockets of a namespace.

use super::{TcpInfo, TcpSocket, TcpState, Timer};
use crate::address::Flow;
use crate::error::{Doing, Error};
use crate::ns::Namespace;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{
    AF_INET, AF_INET6, IPPROTO_TCP, SOCK_DESTROY, SOCK_DIAG_BY_FAMILY,
};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{self, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fmt, io};

/// A list that changed while the kernel wrote it is asked for again, so often.
const ATTEMPTS: usize = 20;

// The bits of INET_DIAG_SHUTDOWN.
const RCV_SHUTDOWN: u8 = 1;
const SEND_SHUTDOWN: u8 = 2;

/// Asks sock_diag in one namespace.
///
/// Its socket stays open: the kernel counts one that was closed for a while still, and how many sockets a host has must not
/// change by asking.
pub(crate) struct Diag {
    /// `None` for a kernel without sock_diag.
    asker: Option<Mutex<Asker>>,
    /// Whether somebody has answered for TCP.
    heard: AtomicBool,
}

struct Asker {
    socket: Socket,
    /// The number of the last request: what is left of the answer to an earlier one has another.
    number: u32,
}

impl Diag {
    pub(crate) fn open(namespace: &Namespace) -> Result<Self, Error> {
        let open = || {
            let socket = Socket::new(NETLINK_SOCK_DIAG)?;
            socket.connect(&SocketAddr::new(0, 0))?;
            io::Result::Ok(socket)
        };
        let asker = match namespace.enter(open)? {
            Ok(socket) => Some(Mutex::new(Asker { socket, number: 0 })),
            Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => None,
            Err(error) => return Err(error).doing(|| "open a socket of sock_diag".to_owned()),
        };
        Ok(Self {
            asker,
            heard: AtomicBool::new(false),
        })
    }

    /// Whether it has a socket.
    pub(crate) fn is_open(&self) -> bool {
        self.asker.is_some()
    }

    /// Every TCP socket of the namespace.
    pub(super) fn dump(&self) -> Result<Vec<TcpSocket>, Error> {
        let mut sockets = self.dump_family(AF_INET)?;
        sockets.append(&mut self.dump_family(AF_INET6)?);
        Ok(sockets)
    }

    /// The socket of `flow`, also one that is bound to `link`.
    pub(super) fn find(&self, flow: &Flow, link: u32) -> Result<Option<TcpSocket>, Error> {
        if !self.heard.load(Ordering::Relaxed) {
            // That there is no such socket, and that nobody answers for TCP, have one number.
            self.dump_family(AF_INET)?;
        }
        let (family, id) = whichever(flow, link);
        match self.ask(family, SOCK_DIAG_BY_FAMILY, 0, id) {
            // Where no socket has this connection, the one that listens is told.
            Ok(found) => Ok(found
                .and_then(|found| found.into_iter().next())
                .filter(|it| it.state != TcpState::Listen)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error).doing(|| format!("ask the kernel for the socket of {flow}")),
        }
    }

    /// Ends the socket of `flow`.
    pub(super) fn destroy(&self, flow: &Flow, link: u32) -> Result<(), Error> {
        let (family, mut id) = whichever(flow, link);
        let ended = match self.find(flow, link)? {
            Some(found) => {
                // Where it is gone by now, the kernel would end the one that listens there.
                id.cookie = found.cookie;
                self.ask(family, SOCK_DESTROY, NLM_F_ACK, id).map(|_| ())
            }
            None => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        };
        ended.doing(|| format!("end the socket of {flow}"))
    }

    fn dump_family(&self, family: u8) -> Result<Vec<TcpSocket>, Error> {
        let doing = || "ask the kernel for its TCP sockets".to_owned();
        for _ in 0..ATTEMPTS {
            let id = match family {
                AF_INET => SocketId::new_v4(),
                _ => SocketId::new_v6(),
            };
            match self.ask(family, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, id) {
                // No handler for TCP, and none that could be loaded.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    return Err(Error::NotInKernel { what: "tcp_diag" });
                }
                Ok(None) => {}
                Ok(Some(sockets)) => {
                    self.heard.store(true, Ordering::Relaxed);
                    return Ok(sockets);
                }
                Err(error) => return Err(error).doing(doing),
            }
        }
        let why = "the list changed each time while it was written";
        Err(io::Error::new(io::ErrorKind::Interrupted, why)).doing(doing)
    }

    /// `None` when the list changed while it was written: it may lack a socket.
    fn ask(
        &self,
        family: u8,
        message: u16,
        flags: u16,
        id: SocketId,
    ) -> io::Result<Option<Vec<TcpSocket>>> {
        let Some(asker) = &self.asker else {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        };
        let mut asker = asker.lock().unwrap_or_else(PoisonError::into_inner);
        asker.number = asker.number.wrapping_add(1);
        let request = request(family, message, flags, asker.number, id);
        if asker.socket.send(&request, 0)? != request.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        asker.answer()
    }
}

impl fmt::Debug for Diag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diag").finish_non_exhaustive()
    }
}

impl Asker {
    fn answer(&self) -> io::Result<Option<Vec<TcpSocket>>> {
        let (mut sockets, mut whole) = (Vec::new(), true);
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let message =
                    NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(|error| {
                        io::Error::new(io::ErrorKind::InvalidData, error.to_string())
                    })?;
                // Each begins at a multiple of four bytes; its header alone has sixteen.
                let length = (message.header.length as usize).next_multiple_of(4).max(16);
                rest = rest.get(length..).unwrap_or_default();
                if message.header.sequence_number != self.number {
                    continue;
                }
                whole &= message.header.flags & NLM_F_DUMP_INTR == 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                        sockets.push(interpret(&response));
                        if message.header.flags & NLM_F_MULTIPART == 0 {
                            return Ok(Some(sockets));
                        }
                    }
                    NetlinkPayload::Done(_) => return Ok(whole.then_some(sockets)),
                    // What was asked for is done.
                    NetlinkPayload::Error(error) if error.code.is_none() => {
                        return Ok(Some(sockets));
                    }
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }
}

/// The family of a connection, and its number, whichever socket it belongs to.
fn whichever(flow: &Flow, link: u32) -> (u8, SocketId) {
    let family = match flow.source.is_ipv4() {
        true => AF_INET,
        false => AF_INET6,
    };
    let id = SocketId {
        source_address: flow.source.ip(),
        source_port: flow.source.port(),
        destination_address: flow.destination.ip(),
        destination_port: flow.destination.port(),
        interface_id: link,
        // Any.
        cookie: [0xff; 8],
    };
    (family, id)
}

fn request(family: u8, message_type: u16, flags: u16, number: u32, socket_id: SocketId) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = number;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: inet::ExtensionFlags::INFO
            | inet::ExtensionFlags::CONG
            | inet::ExtensionFlags::SHUTDOWN,
        // Those, too, that the library has no name for.
        states: StateFlags::from_bits_retain(u32::MAX),
        socket_id,
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    // The library knows questions only.
    bytes[4..6].copy_from_slice(&message_type.to_ne_bytes());
    bytes
}

fn interpret(response: &InetResponse) -> TcpSocket {
    let header = &response.header;
    let id = &header.socket_id;
    let mut socket = TcpSocket {
        state: TcpState::of(header.state),
        flow: Flow::new(
            (id.source_address, id.source_port).into(),
            (id.destination_address, id.destination_port).into(),
        ),
        v6: header.family == AF_INET6,
        recv_queue: header.recv_queue,
        send_queue: header.send_queue,
        timer: header.timer.as_ref().map(|timer| match *timer {
            inet::Timer::Retransmit(left, expired) => Timer::Retransmission { left, expired },
            inet::Timer::KeepAlive(left) => Timer::KeepAlive { left },
            inet::Timer::TimeWait => Timer::TimeWait,
            inet::Timer::Probe(left) => Timer::Probe { left },
        }),
        inode: header.inode,
        cookie: id.cookie,
        congestion: None,
        info: None,
        read_shut: false,
        write_shut: false,
    };
    for attribute in &response.nlas {
        match attribute {
            Nla::Congestion(name) => socket.congestion = Some(name.clone()),
            Nla::TcpInfo(bytes) => socket.info = TcpInfo::decode(bytes),
            Nla::Shutdown(bits) => {
                socket.read_shut = bits & RCV_SHUTDOWN != 0;
                socket.write_shut = bits & SEND_SHUTDOWN != 0;
            }
            _ => {}
        }
    }
    socket
}
