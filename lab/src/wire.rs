//! Sending raw frames out of a link.

use crate::error::{Doing, Error};
use crate::link::Mac;
use crate::ns::Namespace;
use crate::sys;
use std::os::fd::OwnedFd;

/// A socket that sends frames out of one link, from any thread.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: OwnedFd,
    mac: Mac,
}

impl Wire {
    /// Opens the link number `index` of `namespace`, whose address is `mac`.
    pub(crate) fn open(namespace: &Namespace, index: u32, mac: Mac) -> Result<Self, Error> {
        let doing = || format!("open link number {index} for sending frames");
        let socket = namespace.enter(sys::packet_socket)?.doing(doing)?;
        sys::bind_packet(&socket, index, false).doing(doing)?;
        Ok(Self { socket, mac })
    }

    /// The address of the link.
    pub(crate) fn mac(&self) -> Mac {
        self.mac
    }

    /// Sends one frame, from the Ethernet header on.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<(), Error> {
        nix::unistd::write(&self.socket, frame)
            .map(|_| ())
            .doing(|| format!("send a frame of {} bytes", frame.len()))
    }
}
