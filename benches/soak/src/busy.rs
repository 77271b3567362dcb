//! A connection that is busy both ways: one end is the caller's, the other is driven by a thread.

use crate::driven::Driven;
use crate::error::{Error, While as _};
use crate::idle::{self, Idle};
use crate::talk::{Scratch, Talk};
use soccr::Snapshot;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much each end writes at once, bytes.
const CHUNK: usize = 64 << 10;

/// Sizes with which there is always something in the queues, and never more than a save reads in some tens of microseconds.
pub(crate) const BUFFERS: [(&str, &str); 2] = [
    ("net.ipv4.tcp_rmem", "4096 131072 262144"),
    ("net.ipv4.tcp_wmem", "4096 65536 262144"),
];

/// The size that the application fixes both buffers of the end to that is saved. Where buffers may not be forced, one that was
/// not fixed stays as large as a restore has made it, and so would the next make it larger.
pub(crate) const FIXED: usize = 128 << 10;

/// A connection that is busy both ways. The socket of the caller's end may become another.
#[derive(Debug)]
pub(crate) struct Busy {
    talk: Talk,
    scratch: Scratch,
    peer: Driven<Talk>,
    /// How much the peer has read.
    heard: Arc<AtomicU64>,
}

/// How much was said on a connection that has come to its end, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) by_subject: u64,
    pub(crate) by_peer: u64,
}

impl Busy {
    /// Begins to talk on a connection; the other end does so from now on.
    pub(crate) fn start(subject: &TcpStream, peer: TcpStream) -> Result<Self, Error> {
        for socket in [subject, &peer] {
            let set = socket.set_nonblocking(true);
            set.doing(|| "setting O_NONBLOCK".to_owned())?;
        }
        let [talk, mut other] = Talk::pair(0);
        let heard = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&heard);
        let peer = Driven::start(move |end| {
            let mut scratch = Scratch::new(CHUNK);
            pump_until(&mut other, &peer, &mut scratch, |talk| {
                told.store(talk.read(), Ordering::Release);
                end.to_end()
            })?;
            other.fall_silent(&peer)?;
            pump_until(&mut other, &peer, &mut scratch, |talk| {
                talk.is_over() || end.to_give_up()
            })?;
            Ok(other)
        })?;
        Ok(Self {
            talk,
            scratch: Scratch::new(CHUNK),
            peer,
            heard,
        })
    }

    /// Fails unless a snapshot of the caller's end has exactly what is in its queues.
    pub(crate) fn check(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        self.talk.check(snapshot)
    }

    /// Talks until either end has heard so many more bytes.
    pub(crate) fn until_both_have_heard(
        mut self,
        socket: &TcpStream,
        bytes: u64,
    ) -> Result<Self, Error> {
        let (read, heard) = (self.talk.read() + bytes, self.heard() + bytes);
        let (peer, told) = (&self.peer, &self.heard);
        let moved = pump_until(&mut self.talk, socket, &mut self.scratch, |talk| {
            let done = talk.read() >= read && told.load(Ordering::Acquire) >= heard;
            done || peer.has_ended()
        });
        let alone = || Error::Stalled("the peer".to_owned());
        match moved {
            Ok(()) if self.peer.has_ended() => Err(self.peer.blame(alone())),
            Err(error) => Err(self.peer.blame(error)),
            Ok(()) => Ok(self),
        }
    }

    /// Lets both ends fall silent and hear each other's end; fails unless each has heard all that the other has said.
    pub(crate) fn end(mut self, socket: &TcpStream) -> Result<Said, Error> {
        self.peer.tell_to_end();
        self.talk.fall_silent(socket)?;
        let heard = pump_until(&mut self.talk, socket, &mut self.scratch, Talk::is_over);
        if let Err(error) = heard {
            return Err(self.peer.blame(error));
        }
        let other = self.peer.join()?;
        self.talk.expect_all_heard(other.counts())?;
        Ok(Said {
            by_subject: self.talk.written(),
            by_peer: other.written(),
        })
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }
}

/// Writes and reads until something holds, and waits where nothing can move.
fn pump_until(
    talk: &mut Talk,
    socket: &TcpStream,
    scratch: &mut Scratch,
    mut done: impl FnMut(&Talk) -> bool,
) -> Result<(), Error> {
    let mut idle = Idle::default();
    while !done(talk) {
        match talk.pump(socket, scratch)? {
            true => idle.moved(),
            false if idle.is_stalled() => return Err(Error::Stalled(talk.who().to_owned())),
            false => idle::look([(socket, talk.waits_for())])?,
        }
    }
    Ok(())
}
