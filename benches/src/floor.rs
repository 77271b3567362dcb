//! The floor: the least system calls that save and restore a connection, unchecked and uncured.
//!
//! It restores a connection that works only because nothing about it is difficult. Nobody should use it; it says
//! what the kernel's part of the time is.

use soccr::Family;
use soccr::raw::{self, MSG_DONTWAIT, MSG_PEEK, Opt};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

/// What the floor reads; its buffers are allocated once and used again.
#[derive(Debug, Default)]
pub struct FloorState {
    options: Vec<u8>,
    timestamp: i32,
    window: [u8; 20],
    ends: [i32; 2],
    unsent: usize,
    receive: Vec<u8>,
    send: Vec<u8>,
}

impl FloorState {
    /// Buffers for queues of up to `bytes`, their pages touched.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        Self {
            options: Vec::with_capacity(32),
            receive: vec![1; bytes],
            send: vec![1; bytes],
            ..Self::default()
        }
    }

    /// Reads everything from a socket; leaves it in repair mode.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn save(&mut self, socket: &impl AsFd) -> io::Result<()> {
        raw::set_int(socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
        let info = raw::tcp_info(socket)?;
        let received = raw::siocinq(socket)? as usize;
        let written = raw::siocoutq(socket)? as usize;
        self.unsent = raw::siocoutqnsd(socket)? as usize;
        let mss = raw::get_int(socket, Opt::TCP_MAXSEG)? as u32;
        self.timestamp = raw::get_int(socket, Opt::TCP_TIMESTAMP)?;
        raw::get(socket, Opt::TCP_REPAIR_WINDOW, &mut self.window)?;
        for (queue, length, buffer) in [
            (raw::TCP_RECV_QUEUE, received, &mut self.receive),
            (raw::TCP_SEND_QUEUE, written, &mut self.send),
        ] {
            raw::set_int(socket, Opt::TCP_REPAIR_QUEUE, queue)?;
            self.ends[queue as usize - 1] = raw::get_int(socket, Opt::TCP_QUEUE_SEQ)?;
            buffer.resize(length, 0);
            if length > 0 {
                raw::recv(socket, buffer, MSG_PEEK | MSG_DONTWAIT)?;
            }
        }
        let shifts = u32::from(info.snd_wscale) | u32::from(info.rcv_wscale) << 16;
        self.options.clear();
        for (code, value) in [
            (raw::TCPOPT_MSS, mss),
            (raw::TCPOPT_WINDOW, shifts),
            (raw::TCPOPT_SACK_PERM, 0),
            (raw::TCPOPT_TIMESTAMP, 0),
        ] {
            self.options
                .extend_from_slice(&raw::tcp_repair_opt(code, value));
        }
        Ok(())
    }

    /// Leaves repair mode.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn resume(socket: &impl AsFd) -> io::Result<()> {
        raw::set_int(socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF_NO_WP)
    }

    /// Restores what was sent and received into a new socket; leaves it in repair mode.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn restore(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<OwnedFd> {
        let socket = raw::tcp_socket(if local.is_ipv6() {
            Family::V6
        } else {
            Family::V4
        })?;
        raw::set_int(&socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
        for (queue, length) in [
            (raw::TCP_RECV_QUEUE, self.receive.len()),
            (raw::TCP_SEND_QUEUE, self.send.len()),
        ] {
            raw::set_int(&socket, Opt::TCP_REPAIR_QUEUE, queue)?;
            let start = self.ends[queue as usize - 1].wrapping_sub(length as i32);
            raw::set_int(&socket, Opt::TCP_QUEUE_SEQ, start)?;
        }
        raw::bind(&socket, local)?;
        raw::connect(&socket, remote)?;
        raw::set(&socket, Opt::TCP_REPAIR_OPTIONS, &self.options)?;
        raw::set_int(&socket, Opt::TCP_TIMESTAMP, self.timestamp)?;
        write_all(&socket, raw::TCP_RECV_QUEUE, &self.receive)?;
        write_all(&socket, raw::TCP_SEND_QUEUE, self.queue().0)?;
        raw::set(&socket, Opt::TCP_REPAIR_WINDOW, &self.window)?;
        Ok(socket)
    }

    /// Resumes a restored socket, and sends what was never sent.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn wake(&self, socket: OwnedFd) -> io::Result<TcpStream> {
        raw::set_int(&socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
        send_all(&socket, self.queue().1)?;
        Ok(TcpStream::from(socket))
    }

    /// What was sent of the send queue, and what was not.
    fn queue(&self) -> (&[u8], &[u8]) {
        self.send.split_at(self.send.len() - self.unsent)
    }
}

fn write_all(socket: &OwnedFd, queue: i32, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    raw::set_int(socket, Opt::TCP_REPAIR_QUEUE, queue)?;
    send_all(socket, bytes)
}

fn send_all(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = raw::send(socket, rest, MSG_DONTWAIT)?;
        rest = &rest[count..];
    }
    Ok(())
}
