//! Sending raw frames out of a link.

use crate::error::{Doing, Error};
use crate::link::Mac;
use crate::ns::Namespace;
use crate::sys::{self, Receive};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock, Weak};

/// A socket that sends frames out of one link, from any thread.
///
/// It is opened when it is first used: the kernel takes ten milliseconds and more to close one, which is most of what
/// the end of a pair costs.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Weak, so that a capture does not keep the host alive.
    namespace: Weak<Namespace>,
    index: u32,
    mac: Mac,
    socket: OnceLock<OwnedFd>,
}

impl Sender {
    /// The link number `index` of `namespace`, whose address is `mac`.
    pub(crate) fn new(namespace: &Arc<Namespace>, index: u32, mac: Mac) -> Self {
        Self {
            namespace: Arc::downgrade(namespace),
            index,
            mac,
            socket: OnceLock::new(),
        }
    }

    /// The address of the link.
    pub(crate) fn mac(&self) -> Mac {
        self.mac
    }

    /// Sends one frame, from the Ethernet header on.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<(), Error> {
        nix::unistd::write(self.socket()?, frame)
            .map(|_| ())
            .doing(|| format!("send a frame of {} bytes", frame.len()))
    }

    /// Whether it has a socket by now.
    pub(crate) fn is_open(&self) -> bool {
        self.socket.get().is_some()
    }

    fn socket(&self) -> Result<&OwnedFd, Error> {
        if let Some(socket) = self.socket.get() {
            return Ok(socket);
        }
        let doing = || format!("open link number {} for sending frames", self.index);
        let namespace = self
            .namespace
            .upgrade()
            .ok_or_else(|| io::Error::other("its host is gone"))
            .doing(doing)?;
        let socket = namespace.enter(sys::packet_socket)?.doing(doing)?;
        sys::bind_packet(&socket, self.index, Receive::Nothing).doing(doing)?;
        // Another thread may have been faster; its socket is as good.
        Ok(self.socket.get_or_init(|| socket))
    }
}
