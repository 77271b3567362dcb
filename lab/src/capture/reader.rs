//! The reading side of a capture: a thread that moves frames out of the ring, and those who wait for them.

use crate::error::{Doing, Error};
use crate::mark::{Mark, Message};
use crate::packet::{Checksum, Content, Direction, Packet};
use crate::segment::verify_checksum;
use crate::sys::{self, Ring, RingFrame};
use crate::trace::Item;
use crate::vlan;
use crate::watched::Watched;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::HashSet;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

/// The length of an Ethernet header, in bytes.
const ETHERNET_HEADER: u32 = 14;

/// After so many frames those who wait are told, also while more are coming in.
const BATCH: usize = 256;

/// What the reader and the callers share.
pub(super) struct Shared {
    pub(super) socket: Arc<OwnedFd>,
    /// Host and link.
    pub(super) link: Arc<str>,
    mtu: u32,
    state: Watched<State>,
}

/// What has been read.
#[derive(Default)]
pub(super) struct State {
    pub(super) items: Vec<Item>,
    /// Sync messages that have been sent and not been read yet.
    pub(super) awaited: HashSet<u64>,
    lost: u64,
    /// Why the reader has ended, if it has.
    failure: Option<io::ErrorKind>,
}

impl Shared {
    pub(super) fn new(socket: Arc<OwnedFd>, link: Arc<str>, mtu: u32) -> Self {
        Self {
            socket,
            link,
            mtu,
            state: Watched::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The reader: moves frames out of the ring until the capture is dropped; what is in the ring later is nobody's.
    pub(super) fn read(&self, mut ring: Ring, stopped: &PipeReader) -> Ring {
        loop {
            while self.read_batch(&mut ring) {}
            let mut fds = [
                PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => {
                    let mut state = self.lock();
                    state.failure = Some(io::Error::from(error).kind());
                    self.state.changed(state);
                    return ring;
                }
            }
            let [socket, stop] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
            if !stop.is_empty() {
                // What came between the last look and the end of the capture.
                while self.read_batch(&mut ring) {}
                return ring;
            }
            if socket.contains(PollFlags::POLLERR) {
                // The link went down with its host. Reading the error clears it, or poll would never block again.
                let _ = nix::sys::socket::getsockopt(
                    &self.socket,
                    nix::sys::socket::sockopt::SocketError,
                );
            }
        }
    }

    /// Moves frames out of the ring; false once there are none.
    fn read_batch(&self, ring: &mut Ring) -> bool {
        let mut items = Vec::new();
        let mut synced = Vec::new();
        for _ in 0..BATCH {
            match ring.take(|frame| self.interpret(frame)) {
                Some(Frame::Item(item)) => items.push(item),
                Some(Frame::Sync(number)) => synced.push(number),
                None => break,
            }
        }
        if items.is_empty() && synced.is_empty() {
            return false;
        }
        let mut state = self.lock();
        let mut changed = !items.is_empty();
        state.items.append(&mut items);
        for number in synced {
            // Those of others come here, too.
            changed |= state.awaited.remove(&number);
        }
        if changed {
            self.state.changed(state);
        }
        true
    }

    fn interpret(&self, frame: &RingFrame<'_>) -> Frame {
        let direction = if frame.outgoing {
            Direction::Egress
        } else {
            Direction::Ingress
        };
        match Message::of(frame.bytes) {
            Some(Message::Sync(number)) => Frame::Sync(number),
            Some(Message::Text(text)) => Frame::Item(Item::Mark(Arc::new(Mark {
                text,
                time: frame.time,
                direction,
                bytes: frame.bytes.to_vec(),
            }))),
            None => Frame::Item(Item::Packet(Arc::new(self.packet(frame, direction)))),
        }
    }

    fn packet(&self, frame: &RingFrame<'_>, direction: Direction) -> Packet {
        Packet {
            time: frame.time,
            direction,
            original_len: frame.original_len + frame.tag.map_or(0, |tag| tag.len() as u32),
            bytes: vlan::put_in(frame.bytes, frame.tag).into_owned(),
            checksum: checksum(frame),
            gso: frame.gso || frame.original_len > self.mtu + ETHERNET_HEADER,
            content: Content::of(frame.bytes),
        }
    }

    /// Waits until `ready` answers; it is asked at once and after every change.
    pub(super) fn wait<T>(
        &self,
        what: impl Fn() -> String,
        timeout: Duration,
        mut ready: impl FnMut(&State) -> Option<T>,
    ) -> Result<T, Error> {
        self.state.wait(&what, timeout, |state| {
            let failure = state.failure;
            match (ready(state), failure) {
                (None, Some(failure)) => Err(io::Error::from(failure)).doing(&what),
                (answer, _) => Ok(answer),
            }
        })
    }

    /// Fails once the kernel has dropped a frame since the capture began.
    pub(super) fn check_losses(&self) -> Result<(), Error> {
        // The kernel counts from the last time it was asked.
        let new = sys::frames_lost(&self.socket)
            .doing(|| format!("ask how many frames the capture on {} lost", self.link))?;
        let mut state = self.lock();
        state.lost += u64::from(new);
        match state.lost {
            0 => Ok(()),
            frames => Err(Error::FramesLost {
                link: self.link.to_string(),
                frames,
            }),
        }
    }
}

enum Frame {
    Item(Item),
    Sync(u64),
}

fn checksum(frame: &RingFrame<'_>) -> Checksum {
    if frame.partial_checksum {
        return Checksum::Partial;
    }
    match verify_checksum(frame.bytes) {
        // Cut short: the kernel may have looked at the whole.
        Checksum::Unknown if frame.checksum_verified => Checksum::Valid,
        checksum => checksum,
    }
}
