//! Waiting until something can move, and noticing that nothing does.

use crate::error::{Error, While as _};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use std::net::TcpStream;
use std::os::fd::AsFd;

/// How long one look takes where nothing can move, milliseconds.
const LOOK: u16 = 50;

/// After how many looks in vain, one after the other, it is said that nothing moves any more: two minutes, the longest time
/// between two attempts to send again (`TCP_RTO_MAX`).
const LOOKS: u32 = 2400;

/// How often it was looked in vain.
#[derive(Debug, Default)]
pub(crate) struct Idle(u32);

impl Idle {
    /// Something has moved.
    pub(crate) fn moved(&mut self) {
        self.0 = 0;
    }

    /// Waits until one of these can be read or written, or for one look.
    pub(crate) fn wait<'a>(
        &mut self,
        who: &str,
        sockets: impl IntoIterator<Item = &'a TcpStream>,
    ) -> Result<(), Error> {
        let both = PollFlags::POLLIN | PollFlags::POLLOUT;
        let entries = sockets.into_iter();
        let mut entries: Vec<_> = entries.map(|it| PollFd::new(it.as_fd(), both)).collect();
        match poll(&mut entries, LOOK) {
            Ok(0) => self.0 += 1,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).doing(|| format!("polling for {who}")),
        }
        match self.0 < LOOKS {
            true => Ok(()),
            false => Err(Error::Stalled(who.to_owned())),
        }
    }
}
