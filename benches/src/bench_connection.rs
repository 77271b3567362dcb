//! Connections with one queue filled, between two hosts of a lab.

use crate::error::Error;
use crate::stream;
use lab::{Blackhole, Direction, Family, Flow, Host, Match, Pair, wait};
use serde::{Deserialize, Serialize};
use soccr::raw::{self, MSG_DONTWAIT, Opt};
use std::fmt;
use std::net::TcpStream;
use std::time::Duration;

/// Which queue of the measured socket is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filled {
    /// Received and not read.
    Receive,
    /// Sent and not acknowledged.
    Sent,
    /// Written against a window that the peer has closed: never sent.
    Unsent,
}

impl Filled {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Receive, Self::Sent, Self::Unsent];
}

impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receive => "receive",
            Self::Sent => "sent",
            Self::Unsent => "unsent",
        })
    }
}

/// Two hosts, on which one queue of a connection can be long.
#[derive(Debug)]
pub struct BenchNetwork {
    pair: Pair,
    filled: Filled,
}

/// A connection, one of whose queues is filled.
#[derive(Debug)]
pub struct BenchConnection {
    /// The measured end, on the network's [`host`](BenchNetwork::host).
    pub subject: TcpStream,
    /// The other end; it neither reads nor writes any more.
    pub peer: TcpStream,
    /// What keeps the peer's acknowledgements away, where the queue waits for them.
    pub deaf: Option<Blackhole>,
    /// How much was written so far, all of it by one end: the first [bytes](stream::bytes) of a stream.
    pub written: usize,
}

/// How often the peer is asked for room while what it has no room for is written.
const PROBES: usize = 8;

/// How many connections are opened to find one whose peer has dropped nothing.
const TRIES: usize = 5;

/// How long a window takes to close; nothing is on its way that takes longer.
const CLOSING: Duration = Duration::from_secs(1);

/// A bound for the set-up.
const PATIENCE: Duration = Duration::from_secs(10);

impl BenchNetwork {
    /// Builds it, with room for this queue.
    ///
    /// # Errors
    /// [`Error`] with what could not be done.
    pub fn build(filled: Filled) -> Result<Self, Error> {
        // Room for the largest queue by default, so that no end needs privileges to grow its buffers.
        let room = "4096 33554432 67108864";
        // Soon closed, and not so narrow that the sender makes segments of half a window (guide A66).
        let small = "4096 131072 131072";
        let pair = Pair::builder().sysctl("net.ipv4.tcp_wmem", room).build()?;
        pair.a().sysctl("net.ipv4.tcp_rmem", room)?;
        // What counts as sent is sent again from its beginning on, and no sooner than its timer says.
        pair.a().sysctl("net.ipv4.tcp_early_retrans", "0")?;
        let theirs = match filled {
            Filled::Unsent => small,
            Filled::Receive | Filled::Sent => room,
        };
        pair.b().sysctl("net.ipv4.tcp_rmem", theirs)?;
        Ok(Self { pair, filled })
    }

    /// The host of the measured ends.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.pair.a()
    }

    /// Opens a connection and puts `bytes` into its queue.
    ///
    /// # Errors
    /// [`Error`] with what could not be done.
    pub fn open(&self, bytes: usize) -> Result<BenchConnection, Error> {
        for _ in 1..TRIES {
            match self.try_open(bytes) {
                // A peer that has dropped what it had no room for is sent it again and again: part of that queue was sent.
                Err(Error::Lab(lab::Error::Timeout { .. })) => {}
                other => return other,
            }
        }
        self.try_open(bytes)
    }

    fn try_open(&self, bytes: usize) -> Result<BenchConnection, Error> {
        let connection = self.pair.connection(Family::V4).open()?;
        let (subject, peer) = (connection.client, connection.server);
        let mut deaf = None;
        let from = match self.filled {
            Filled::Receive => &peer,
            Filled::Sent | Filled::Unsent => &subject,
        };
        let mut filler = Filler {
            socket: from,
            written: 0,
        };
        match self.filled {
            Filled::Receive => {
                filler.fill(bytes)?;
                let arrived = || raw::siocinq(&subject).is_ok_and(|inq| inq as usize == bytes);
                wait::until("the receive queue is filled", PATIENCE, arrived)?;
            }
            Filled::Sent if bytes > 0 => {
                let flow = Flow::new(peer.local_addr()?, subject.local_addr()?);
                let answers = Match::tcp().flow(flow);
                deaf = Some(self.host().blackhole(Direction::Ingress, answers)?);
                let written = filler.count_as_sent(bytes);
                // Whatever became of it, nobody measures a socket that is in repair mode.
                raw::set_int(&subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF_NO_WP)?;
                written?;
            }
            // The peer's window takes the first few kilobytes; what is left is the queue.
            Filled::Unsent if bytes > 0 => {
                for _ in 0..PROBES {
                    filler.close_window()?;
                    let left = bytes.saturating_sub(raw::siocoutq(&subject)? as usize);
                    filler.fill(left)?;
                    // Each resume is a probe, and the peer may find room that it has not told of.
                    raw::set_int(&subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
                    raw::set_int(&subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
                }
                let waits = || raw::siocoutqnsd(&subject).is_ok_and(|it| it as usize == bytes);
                wait::until("the send queue is filled", PATIENCE, waits)?;
            }
            Filled::Sent | Filled::Unsent => {}
        }
        let written = filler.written;
        Ok(BenchConnection {
            written,
            subject,
            peer,
            deaf,
        })
    }
}

/// Who fills a queue: each write goes on with the stream where the last one has ended.
struct Filler<'a> {
    socket: &'a TcpStream,
    written: usize,
}

impl Filler<'_> {
    /// Fills the send queue as a restore does it: the kernel takes the bytes for sent, and sends the first of them again
    /// whenever its timer goes off. Leaves the socket in repair mode.
    fn count_as_sent(&mut self, bytes: usize) -> Result<(), Error> {
        raw::set_int(self.socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
        raw::set_int(self.socket, Opt::TCP_REPAIR_QUEUE, raw::TCP_SEND_QUEUE)?;
        self.fill(bytes)
    }

    /// Writes until the peer's window is closed and some bytes wait.
    fn close_window(&mut self) -> Result<(), Error> {
        let socket = self.socket;
        // Nothing waits for an acknowledgement: what waits, waits for the window.
        socket.set_nodelay(true)?;
        wait::until("the window is closed", CLOSING, || {
            while raw::siocoutqnsd(socket).is_ok_and(|unsent| unsent == 0) {
                self.write(&stream::bytes(self.written..self.written + 512));
            }
            // And the rest has been acknowledged.
            raw::siocoutqnsd(socket).ok() == raw::siocoutq(socket).ok()
        })?;
        socket.set_nodelay(false)?;
        Ok(())
    }

    fn fill(&mut self, bytes: usize) -> Result<(), Error> {
        let data = stream::bytes(self.written..self.written + bytes);
        let mut rest = &data[..];
        wait::until("everything is written", PATIENCE, || {
            while let count @ 1.. = self.write(rest) {
                rest = &rest[count..];
            }
            rest.is_empty()
        })?;
        Ok(())
    }

    /// Writes what there is room for, and returns how much that was.
    fn write(&mut self, data: &[u8]) -> usize {
        let written = raw::send(self.socket, data, MSG_DONTWAIT).unwrap_or(0);
        self.written += written;
        written
    }
}
