//! Asking sock_diag for every TCP socket of a namespace.

use super::{TcpInfo, TcpSocket, TcpState, Timer};
use crate::address::Flow;
use crate::error::{Doing, Error};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{self, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};
use std::io;

/// A list that changed while the kernel wrote it is asked for again, so often.
const ATTEMPTS: usize = 20;

// The bits of INET_DIAG_SHUTDOWN.
const RCV_SHUTDOWN: u8 = 1;
const SEND_SHUTDOWN: u8 = 2;

/// Every TCP socket of the network namespace that the calling thread is in.
pub(super) fn dump() -> Result<Vec<TcpSocket>, Error> {
    let mut sockets = dump_family(AF_INET)?;
    sockets.append(&mut dump_family(AF_INET6)?);
    Ok(sockets)
}

fn dump_family(family: u8) -> Result<Vec<TcpSocket>, Error> {
    let doing = || "ask the kernel for its TCP sockets".to_owned();
    for _ in 0..ATTEMPTS {
        match ask(family) {
            // No handler for TCP, and none that could be loaded.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                return Err(Error::NotInKernel { what: "tcp_diag" });
            }
            Ok(None) => {}
            Ok(Some(sockets)) => return Ok(sockets),
            Err(error) => return Err(error).doing(doing),
        }
    }
    let why = "the list changed each time while it was written";
    Err(io::Error::new(io::ErrorKind::Interrupted, why)).doing(doing)
}

/// `None` when the list changed while it was written: it may lack a socket.
fn ask(family: u8) -> io::Result<Option<Vec<TcpSocket>>> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let request = request(family);
    if socket.send(&request, 0)? != request.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let (mut sockets, mut whole) = (Vec::new(), true);
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            whole &= message.header.flags & NLM_F_DUMP_INTR == 0;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    sockets.push(interpret(&response));
                }
                NetlinkPayload::Done(_) => return Ok(whole.then_some(sockets)),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            // Each begins at a multiple of four bytes; its header alone has sixteen.
            let length = (message.header.length as usize).next_multiple_of(4).max(16);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn request(family: u8) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: inet::ExtensionFlags::INFO
            | inet::ExtensionFlags::CONG
            | inet::ExtensionFlags::SHUTDOWN,
        // Those, too, that the library has no name for.
        states: StateFlags::from_bits_retain(u32::MAX),
        socket_id: match family {
            AF_INET => SocketId::new_v4(),
            _ => SocketId::new_v6(),
        },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
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
