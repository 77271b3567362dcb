//! Waiting until something can move, and noticing that nothing does.

use crate::error::{Error, While as _};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long one look takes where nothing can move, milliseconds.
const LOOK: u16 = 50;

/// How long nothing may move on a connection: a bound. Twice the longest time between two attempts to send again
/// (`TCP_RTO_MAX`).
const PATIENCE: Duration = Duration::from_secs(240);

/// Since when nothing has moved on a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    since: Instant,
    patience: Duration,
}

impl Default for Idle {
    fn default() -> Self {
        Self::with_patience(PATIENCE)
    }
}

impl Idle {
    pub(crate) fn with_patience(patience: Duration) -> Self {
        Self {
            since: Instant::now(),
            patience,
        }
    }

    /// Something has moved.
    pub(crate) fn moved(&mut self) {
        self.since = Instant::now();
    }

    /// Whether nothing has moved for so long that nothing will.
    pub(crate) fn is_stalled(&self) -> bool {
        self.since.elapsed() > self.patience
    }
}

/// Waits until one of these can do what it waits for, or for one look.
pub(crate) fn look<'a>(
    sockets: impl IntoIterator<Item = (&'a TcpStream, PollFlags)>,
) -> Result<(), Error> {
    let entries = sockets.into_iter();
    let mut entries: Vec<_> = entries
        // One that waits for nothing has an end to tell all the time.
        .filter(|(_, flags)| !flags.is_empty())
        .map(|(socket, flags)| PollFd::new(socket.as_fd(), flags))
        .collect();
    match poll(&mut entries, LOOK) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error).doing(|| "polling".to_owned()),
    }
}
