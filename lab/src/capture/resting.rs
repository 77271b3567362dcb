//! What is left of captures that have ended: sockets with rings, which take the kernel longer to make, to map and to close than
//! most tests take.

use super::CaptureOptions;
use crate::sys::{self, Ring};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many there are at most in this process, of 8 MiB each: of more, those that have waited longest go.
const MOST: usize = 24;

/// A socket that still receives, and its ring.
type Ears = (Arc<OwnedFd>, Ring);

/// Those of all hosts, with whose they are: one of each at most, of the usual size. Those of a host go with it.
static ALL: Mutex<VecDeque<(u64, Ears)>> = Mutex::new(VecDeque::new());

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
        while ring.take(|_| ()).is_some() {}
        // To ask is to begin from zero.
        sys::frames_lost(&socket).ok()?;
        Some((socket, ring))
    }

    /// Keeps it for the next capture, if it is of the usual size and there is none.
    pub(super) fn keep(&self, options: CaptureOptions, ears: Ears) {
        let mut all = lock();
        let surplus = if options != CaptureOptions::default() || self.position(&all).is_some() {
            Some((self.0, ears))
        } else {
            all.push_back((self.0, ears));
            (all.len() > MOST).then(|| all.pop_front()).flatten()
        };
        // Not with the lock held: the kernel takes its time.
        drop(all);
        drop(surplus);
    }

    /// How many sockets of the host that is.
    pub(crate) fn count(&self) -> u64 {
        u64::from(self.position(&lock()).is_some())
    }

    fn remove(&self) -> Option<Ears> {
        let mut all = lock();
        let position = self.position(&all)?;
        all.remove(position).map(|(_, ears)| ears)
    }

    fn position(&self, all: &VecDeque<(u64, Ears)>) -> Option<usize> {
        all.iter().position(|(whose, _)| *whose == self.0)
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        drop(self.remove());
    }
}

fn lock() -> MutexGuard<'static, VecDeque<(u64, Ears)>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}
