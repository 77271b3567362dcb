//! A connection with one queue filled, between two hosts of a lab.

use lab::{Family, Pair, wait};
use soccr::raw::{self, MSG_DONTWAIT};
use std::io;
use std::net::TcpStream;
use std::time::Duration;

/// Which queue of the measured socket is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Received and not read.
    Receive,
    /// Written against a window that the peer has closed: never sent.
    Send,
}

/// A connection whose measured end can be taken out and put back.
#[derive(Debug)]
pub struct BenchConnection {
    /// The network.
    pub pair: Pair,
    /// The measured end.
    pub subject: Option<TcpStream>,
    /// The other end; it neither reads nor writes any more.
    pub peer: TcpStream,
}

/// Why there is nothing to measure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lab could not be built.
    #[error("building the lab: {0}")]
    Lab(#[from] lab::Error),
    /// A queue could not be filled.
    #[error("filling the queue: {0}")]
    Io(#[from] io::Error),
}

/// A bound for the set-up.
const PATIENCE: Duration = Duration::from_secs(10);

impl BenchConnection {
    /// Opens a connection and puts `bytes` into one of its queues.
    ///
    /// # Errors
    /// [`Error`] with what could not be done.
    pub fn open(filled: Filled, bytes: usize) -> Result<Self, Error> {
        // Room for the largest queue by default, so that no end needs privileges to grow its buffers.
        let room = "4096 33554432 67108864";
        let small = "4096 4096 4096";
        let pair = Pair::builder().sysctl("net.ipv4.tcp_wmem", room).build()?;
        pair.a().sysctl("net.ipv4.tcp_rmem", room)?;
        pair.b().sysctl(
            "net.ipv4.tcp_rmem",
            if filled == Filled::Send { small } else { room },
        )?;
        let connection = pair.connection(Family::V4).open()?;
        let (subject, peer) = (connection.client, connection.server);
        match filled {
            Filled::Receive => {
                fill(&peer, bytes)?;
                let arrived = || raw::siocinq(&subject).is_ok_and(|inq| inq as usize == bytes);
                wait::until("the receive queue is filled", PATIENCE, arrived)?;
            }
            // The peer's window takes the first few kilobytes; what is left is the queue.
            Filled::Send if bytes > 0 => {
                close_window(&subject)?;
                let left = bytes.saturating_sub(raw::siocoutq(&subject)? as usize);
                fill(&subject, left)?;
            }
            Filled::Send => {}
        }
        Ok(Self {
            pair,
            subject: Some(subject),
            peer,
        })
    }
}

/// Writes until the peer's window is closed and some bytes wait.
fn close_window(socket: &TcpStream) -> Result<(), Error> {
    let waiting =
        || raw::siocoutqnsd(socket).and_then(|unsent| Ok((unsent, raw::siocoutq(socket)?)));
    wait::until("the window is closed", PATIENCE, || match waiting() {
        Ok((unsent, queued)) if unsent > 0 && unsent == queued => true,
        _ => {
            let _ = raw::send(socket, &[0; 512], MSG_DONTWAIT);
            false
        }
    })?;
    Ok(())
}

fn fill(socket: &TcpStream, bytes: usize) -> Result<(), Error> {
    let data = vec![0x5a; bytes];
    let mut rest = &data[..];
    wait::until("everything is written", PATIENCE, || {
        while let Ok(count @ 1..) = raw::send(socket, rest, MSG_DONTWAIT) {
            rest = &rest[count..];
        }
        rest.is_empty()
    })?;
    Ok(())
}
