//! Scripted peers: one end of a connection that does what it is told, one short command after another.

use crate::error::{Doing, Error};
use crate::stream::Stream;
use crate::sys;
use crate::wait;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// How long nothing may move before a command has failed: well above the first few retransmission timeouts.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much is written or read at once, in bytes.
const CHUNK: usize = 1 << 16;

// What is expected, and found.
const BYTE: &str = "a byte";
const END: &str = "the end of the stream";
const RESET: &str = "a reset";
const ROOM: &str = "room to send";

/// One end of a TCP connection, driven by commands; closed on drop.
///
/// It sends a [`Stream`] and checks what it receives against another, and keeps the offsets. It does nothing of its
/// own accord: **a peer that is not told to receive stalls**, its receive buffer fills up and its window closes.
///
/// Commands do not depend on the socket being blocking or not, and none waits for longer than the peer's patience
/// without anything moving; so both ends of a connection can be driven by one thread. What no end can do alone, such
/// as more data than the buffers hold, is a command for both: [`Peer::transfer`].
///
/// Every command fails with [`Error::Stream`], which names the peer, the offset, what was to be there and what was;
/// with [`Error::Os`] where the kernel refuses something else.
#[derive(Debug)]
pub struct Peer {
    socket: TcpStream,
    name: String,
    sends: Stream,
    expects: Stream,
    sent: u64,
    received: u64,
    patience: Duration,
}

/// What a read has found.
enum Found {
    Bytes(usize),
    Nothing,
    End,
}

impl Peer {
    /// A peer of any name that sends one stream and expects another, from its beginning.
    #[must_use]
    pub fn new(name: &str, socket: TcpStream, sends: Stream, expects: Stream) -> Self {
        Self {
            socket,
            name: name.to_owned(),
            sends,
            expects,
            sent: 0,
            received: 0,
            patience: PATIENCE,
        }
    }

    /// The client's end: it sends [`Stream::CLIENT`] and expects [`Stream::SERVER`].
    #[must_use]
    pub fn client(socket: TcpStream) -> Self {
        Self::new("client", socket, Stream::CLIENT, Stream::SERVER)
    }

    /// The server's end: it sends [`Stream::SERVER`] and expects [`Stream::CLIENT`].
    #[must_use]
    pub fn server(socket: TcpStream) -> Self {
        Self::new("server", socket, Stream::SERVER, Stream::CLIENT)
    }

    /// How long nothing may move before a command fails; ten seconds if nothing else is said.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The socket, for options and for what there is no command for.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// How many bytes of its stream the kernel has taken.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many bytes it has received and found right.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Sends so many bytes; returns when the kernel has taken all of them into the send queue.
    ///
    /// They need not have been acknowledged, nor even sent: see [`Peer::acknowledged`].
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn send(&mut self, bytes: u64) -> Result<(), Error> {
        let doing = &format!("sending {bytes} bytes");
        let mut left = bytes;
        loop {
            left -= self.write(left)?;
            if left == 0 {
                return Ok(());
            }
            match wait::writable(doing, self.patience, &self.socket) {
                Err(Error::Timeout { .. }) => {
                    return Err(self.wrong(doing, self.sent, ROOM, self.nothing()));
                }
                other => other?,
            }
        }
    }

    /// Sends until the other end has closed its window; returns how many bytes that took.
    ///
    /// When it returns, all that the other end has room for is acknowledged, and the kernel holds the rest and takes no
    /// more: the window is closed, or smaller than what is worth a segment. The other end must not read meanwhile.
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn fill(&mut self) -> Result<u64, Error> {
        let before = self.sent;
        let mut last = None;
        let mut failure = None;
        let what = format!("{} to fill the queues of both ends", self.name);
        wait::until(what, self.patience, || {
            let stuck = self.write(u64::MAX).and_then(|taken| {
                let queue = sys::send_queue(&self.socket)
                    .doing(|| self.doing("looking at the send queue"))?;
                // An acknowledgment that is being processed frees the window and sends the next data; in between it
                // looks like this, too. The write above waits for its end, so the second time it does not.
                let stuck = taken == 0 && queue.unsent > 0 && queue.unacknowledged == queue.unsent;
                Ok(stuck.then_some(queue.unsent))
            });
            match stuck {
                Ok(stuck) => stuck.is_some() && std::mem::replace(&mut last, stuck) == stuck,
                Err(error) => {
                    failure = Some(error);
                    true
                }
            }
        })?;
        failure.map_or(Ok(self.sent - before), Err)
    }

    /// Returns when the other end's kernel has acknowledged everything sent so far, a half-close included.
    ///
    /// # Errors
    /// As for [`Peer`]; [`Error::Timeout`] when it has not within the peer's patience.
    pub fn acknowledged(&self) -> Result<(), Error> {
        let mut failure = None;
        let what = format!("what {} has sent to be acknowledged", self.name);
        wait::until(what, self.patience, || {
            match sys::send_queue(&self.socket) {
                Ok(queue) => queue.unacknowledged == 0,
                Err(error) => {
                    failure = Some(error);
                    true
                }
            }
        })?;
        failure
            .map_or(Ok(()), Err)
            .doing(|| self.doing("looking at the send queue"))
    }

    /// Receives exactly so many bytes and checks each.
    ///
    /// # Errors
    /// As for [`Peer`]; a wrong byte is named by its offset.
    pub fn receive(&mut self, bytes: u64) -> Result<(), Error> {
        let doing = format!("receiving {bytes} bytes");
        let mut left = bytes;
        while left > 0 {
            match self.read(left, &doing, BYTE)? {
                Found::Bytes(count) => left -= count as u64,
                Found::End => return Err(self.wrong(&doing, self.received, BYTE, END)),
                Found::Nothing => self.await_input(&doing, BYTE)?,
            }
        }
        Ok(())
    }

    /// Sends so many bytes to `other`, which receives and checks them meanwhile: as many as one likes.
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn transfer(&mut self, other: &mut Self, bytes: u64) -> Result<(), Error> {
        let doing = format!("receiving {bytes} bytes from {}", self.name);
        let (mut to_send, mut to_receive) = (bytes, bytes);
        while to_receive > 0 {
            to_send -= self.write(to_send)?;
            match other.read(to_receive, &doing, BYTE)? {
                Found::Bytes(count) => to_receive -= count as u64,
                Found::End => return Err(other.wrong(&doing, other.received, BYTE, END)),
                // The other end has room, so what was written is on its way.
                Found::Nothing => other.await_input(&doing, BYTE)?,
            }
        }
        Ok(())
    }

    /// Ends its direction; returns when the FIN is in the send queue, behind the data.
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn half_close(&mut self) -> Result<(), Error> {
        self.socket
            .shutdown(Shutdown::Write)
            .doing(|| self.doing("ending its direction"))
    }

    /// Receives the end of the other direction; data before it are an error.
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn receive_end(&mut self) -> Result<(), Error> {
        let doing = "waiting for the end of the stream";
        loop {
            match self.read(1, doing, END)? {
                Found::End => return Ok(()),
                Found::Bytes(_) => return Err(self.wrong(doing, self.received - 1, END, BYTE)),
                Found::Nothing => self.await_input(doing, END)?,
            }
        }
    }

    /// Receives a reset of the connection; data before it, or an orderly end, are an error.
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn receive_reset(&mut self) -> Result<(), Error> {
        let doing = "waiting for a reset";
        loop {
            let found = match recv(self.socket.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT) {
                Err(Errno::ECONNRESET) => return Ok(()),
                Err(Errno::EAGAIN) => {
                    self.await_input(doing, RESET)?;
                    continue;
                }
                Err(errno) => io::Error::from(errno).to_string(),
                Ok(0) => END.to_owned(),
                Ok(_) => BYTE.to_owned(),
            };
            return Err(self.wrong(doing, self.received, RESET, found));
        }
    }

    /// Sets the size of the receive buffer in bytes (`SO_RCVBUF`); returns what the kernel has made of it.
    ///
    /// The kernel doubles it, for its bookkeeping, and stops tuning it. A window that was announced is not taken back:
    /// what still comes of it and has no room is dropped, and sent again. For a window that is small from the
    /// beginning set it in [`ConnectionBuilder::on_server`](crate::ConnectionBuilder::on_server).
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn receive_buffer(&self, bytes: usize) -> Result<usize, Error> {
        let socket = SockRef::from(&self.socket);
        let set = socket
            .set_recv_buffer_size(bytes)
            .and_then(|()| socket.recv_buffer_size());
        set.doing(|| self.doing(format!("setting its receive buffer to {bytes} bytes")))
    }

    /// Sets the size of the send buffer in bytes (`SO_SNDBUF`); returns what the kernel has made of it.
    ///
    /// The kernel doubles it, for its bookkeeping, and stops tuning it. What is queued stays queued.
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn send_buffer(&self, bytes: usize) -> Result<usize, Error> {
        let socket = SockRef::from(&self.socket);
        let set = socket
            .set_send_buffer_size(bytes)
            .and_then(|()| socket.send_buffer_size());
        set.doing(|| self.doing(format!("setting its send buffer to {bytes} bytes")))
    }

    /// Closes the connection with a reset (`SO_LINGER` of zero seconds); the RST is sent when this returns.
    ///
    /// What is queued, in either direction, is thrown away.
    ///
    /// # Errors
    /// As for [`Peer`].
    pub fn reset(self) -> Result<(), Error> {
        let lingers = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        lingers.doing(|| self.doing("asking for a reset on close"))
    }

    /// Closes the socket as close(2) does: a FIN behind the data, or a RST if there is something that was not received.
    pub fn close(self) {}

    /// Writes what the kernel takes now, `limit` bytes at most; returns how many.
    fn write(&mut self, limit: u64) -> Result<u64, Error> {
        let mut taken = 0;
        while taken < limit {
            let chunk = usize::try_from(limit - taken).unwrap_or(CHUNK).min(CHUNK);
            let bytes = self.sends.bytes(self.sent, chunk);
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.socket.as_raw_fd(), &bytes, flags) {
                Ok(count) => {
                    taken += count as u64;
                    self.sent += count as u64;
                }
                Err(Errno::EAGAIN) => break,
                Err(errno) => {
                    return Err(self.wrong("sending", self.sent, ROOM, io::Error::from(errno)));
                }
            }
        }
        Ok(taken)
    }

    /// Reads what there is now, `limit` bytes at most, and checks it.
    fn read(&mut self, limit: u64, doing: &str, expected: &str) -> Result<Found, Error> {
        let mut buffer = vec![0; usize::try_from(limit).unwrap_or(CHUNK).min(CHUNK)];
        let count = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Ok(Found::End),
            Ok(count) => count,
            Err(Errno::EAGAIN) => return Ok(Found::Nothing),
            Err(errno) => {
                return Err(self.wrong(doing, self.received, expected, io::Error::from(errno)));
            }
        };
        buffer.truncate(count);
        self.expects
            .check(self.received, &buffer)
            .map_err(|mismatch| {
                let hex = |bytes: &[u8]| format!("{bytes:02x?}");
                self.wrong(
                    doing,
                    mismatch.offset,
                    hex(&mismatch.expected),
                    hex(&mismatch.found),
                )
            })?;
        self.received += count as u64;
        Ok(Found::Bytes(count))
    }

    /// Waits until there is something to read, the end and an error included.
    fn await_input(&self, doing: &str, expected: &str) -> Result<(), Error> {
        match wait::readable(doing, self.patience, &self.socket) {
            Err(Error::Timeout { .. }) => {
                Err(self.wrong(doing, self.received, expected, self.nothing()))
            }
            other => other,
        }
    }

    fn nothing(&self) -> String {
        format!("nothing for {:?}", self.patience)
    }

    fn doing(&self, what: impl fmt::Display) -> String {
        format!("{}, {what}", self.name)
    }

    fn wrong(
        &self,
        doing: &str,
        offset: u64,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Error {
        Error::Stream {
            doing: self.doing(doing),
            offset,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}
