//! What is left of captures that have ended: sockets with rings, which take the kernel longer to make, to map and to close than
//! most tests take.

use super::CaptureOptions;
use crate::sys::{self, Ring};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::SocketError;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many there are at most in this process, of 8 MiB each: no more are kept, and no host loses its own while it lives.
const MOST: usize = 24;

/// A socket that still receives, and its ring.
type Ears = (Arc<OwnedFd>, Ring);

/// Whose they are: a process, and a host of it. In a copy of the process the rings of the other are still read there.
type Whose = (u32, u64);

/// Those of all hosts: one of each at most, of the usual size. Those of a host go with it.
static ALL: Mutex<Vec<(Whose, Ears)>> = Mutex::new(Vec::new());

/// Tells hosts apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The one of a host that no capture has at the moment, if there is one.
#[derive(Debug)]
pub(crate) struct Resting(u64);

impl Resting {
    pub(crate) fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes it for a new capture, which knows nothing of what the earlier one has left unread, or lost.
    pub(super) fn take(&self, options: CaptureOptions) -> Option<Ears> {
        if options != CaptureOptions::default() {
            return None;
        }
        let (socket, mut ring) = self.remove()?;
        // Its link may be gone, or was down meanwhile.
        let Ok(0) = getsockopt(&socket, SocketError) else {
            return None;
        };
        while ring.take(|_| ()).is_some() {}
        // To ask is to begin from zero.
        sys::frames_lost(&socket).ok()?;
        Some((socket, ring))
    }

    /// Keeps it for the next capture, if it is of the usual size, there is none, and there are not too many.
    pub(super) fn keep(&self, options: CaptureOptions, ears: Ears) {
        let mut all = lock();
        let is_kept = options == CaptureOptions::default()
            && all.len() < MOST
            && self.position(&all).is_none();
        if is_kept {
            all.push((self.whose(), ears));
            return;
        }
        // Not with the lock held: the kernel takes its time to close it.
        drop(all);
        drop(ears);
    }

    /// How many sockets of the host that is.
    pub(crate) fn count(&self) -> u64 {
        u64::from(self.position(&lock()).is_some())
    }

    fn remove(&self) -> Option<Ears> {
        let mut all = lock();
        let position = self.position(&all)?;
        Some(all.swap_remove(position).1)
    }

    fn position(&self, all: &[(Whose, Ears)]) -> Option<usize> {
        let mine = self.whose();
        all.iter().position(|(whose, _)| *whose == mine)
    }

    fn whose(&self) -> Whose {
        (std::process::id(), self.0)
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        drop(self.remove());
    }
}

fn lock() -> MutexGuard<'static, Vec<(Whose, Ears)>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}
