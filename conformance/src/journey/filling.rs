//! Filling the queues of a connection before it is saved.

use super::{LARGE, PATIENCE, Receive, Send, Traveller};
use crate::oracle::stream::End;
use crate::verdict::Verdict;
use lab::wait;
use soccr::raw;
use std::net::TcpStream;

/// Bytes that fit the first congestion window of ten segments, so that all of them are sent at once.
pub(super) const SMALL: usize = 5_000;
/// More than any window of the baseline lets through.
const MORE_THAN_FITS: usize = 16 << 20;

impl Traveller {
    /// Fills both queues.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where a queue does not come to what it should be.
    pub fn fill(&mut self, receive: Receive, send: Send) -> Verdict {
        match receive {
            Receive::Empty => {}
            Receive::Small => self.receive_more(SMALL)?,
            Receive::Large => self.write_until_stalled(End::Peer, LARGE)?,
            Receive::Full => self.write_until_stalled(End::Peer, MORE_THAN_FITS)?,
        }
        match send {
            Send::Empty => Ok(()),
            Send::Unacked => self.send_unacknowledged(SMALL),
            Send::Unsent => self.write_until_stalled(End::Subject, MORE_THAN_FITS),
            Send::Both => self.send_unacknowledged(MORE_THAN_FITS),
        }
    }

    /// Lets `bytes` more from the peer arrive and be acknowledged.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where they do not arrive.
    pub fn receive_more(&mut self, bytes: usize) -> Verdict {
        let wanted = raw::siocinq(&self.subject)? + bytes as i32;
        self.talk.write(End::Peer, &self.peer, bytes)?;
        let (subject, peer) = (&self.subject, &self.peer);
        let arrived = || Ok(raw::siocinq(subject)? == wanted && raw::siocoutq(peer)? == 0);
        Ok(wait::until(
            "the receive queue is filled",
            PATIENCE,
            || holds(arrived()),
        )?)
    }

    /// Writes up to `limit` bytes, until they have all arrived or the window of the other end is closed: nothing
    /// in flight, and nothing more allowed.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where it comes to neither.
    pub fn write_until_stalled(&mut self, end: End, limit: usize) -> Verdict {
        let (socket, talk) = match end {
            End::Subject => (&self.subject, &mut self.talk),
            End::Peer => (&self.peer, &mut self.talk),
        };
        let mut left = limit;
        let mut failure = None;
        wait::until("the window is closed", PATIENCE, || {
            match talk.write(end, socket, left) {
                Ok(written) => left -= written,
                Err(stop) => failure = Some(stop),
            }
            failure.is_some() || holds(stalled(socket, left))
        })?;
        failure.map_or(Ok(()), Err)
    }

    /// Writes up to `limit` bytes, of which the first flight arrives and no acknowledgement comes back.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where it does not arrive.
    pub fn send_unacknowledged(&mut self, limit: usize) -> Verdict {
        let before = raw::siocinq(&self.peer)?;
        // A tail loss probe sends new data at a time of its own, in repair mode too: how much is unsent would change
        // while it is looked at.
        self.pair.a().sysctl("net.ipv4.tcp_early_retrans", "0")?;
        self.lock.block_ingress(&self.pair, self.flow)?;
        self.talk.write(End::Subject, &self.subject, limit)?;
        let (subject, peer) = (&self.subject, &self.peer);
        let delivered = || {
            let in_flight = raw::siocoutq(subject)? - raw::siocoutqnsd(subject)?;
            Ok(in_flight > 0 && raw::siocinq(peer)? == before + in_flight)
        };
        Ok(wait::until(
            "the first flight has arrived",
            PATIENCE,
            || holds(delivered()),
        )?)
    }
}

/// Whether nothing is in flight, and nothing will be: all was sent, or the window is closed. One that is open by less than
/// a segment is filled up by a timer, later.
fn stalled(socket: &TcpStream, left: usize) -> std::io::Result<bool> {
    let unsent = raw::siocoutqnsd(socket)?;
    let in_flight = raw::siocoutq(socket)? - unsent;
    let done = match unsent {
        0 => left == 0,
        _ => raw::tcp_info(socket)?.snd_wnd == 0,
    };
    Ok(in_flight == 0 && done)
}

/// A question that cannot be asked is not answered with yes.
pub(super) fn holds(answer: std::io::Result<bool>) -> bool {
    answer.unwrap_or(false)
}
