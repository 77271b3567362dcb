//! When nothing is on its way any more: a matter of cause and effect, not of waiting for a while.
//!
//! What is on its way stands in queues: of the hosts, of the wire, and of the processors between them. A message of our
//! own that is put behind it in each of them tells, when it has come out, that everything before it has, too. What
//! that has caused in turn is behind the next message. So: once around, and if nothing has moved meanwhile, all is
//! quiet; otherwise once more.

use super::ETHERNET_HEADER;
use super::forwarder::Shared;
use crate::cpus::on_each_cpu;
use crate::error::{Doing, Error};
use crate::host::Host;
use crate::mark::{ETHERTYPE, Message};
use crate::sender::Sender;
use crate::sys::{self, Receive};
use crate::wait::{self, Patience};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::collections::HashSet;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Messages around one host: out of it, and towards it.
#[derive(Debug)]
pub(super) struct Around {
    /// Sends out of the host.
    out: Arc<Sender>,
    /// Sends out of the wire, to the host.
    towards: Arc<Sender>,
    /// Receives what comes to the host.
    listener: OwnedFd,
    /// The largest IP packet that its link takes, bytes.
    mtu: Arc<AtomicU32>,
}

impl Around {
    pub(super) fn new(host: &Host) -> Result<Self, Error> {
        let doing = || format!("listen for the lab's own messages on {}", host.name());
        let listener = host.enter(sys::packet_socket)?.doing(doing)?;
        sys::bind_packet(&listener, host.port_index, Receive::EtherType(ETHERTYPE)).doing(doing)?;
        Ok(Self {
            out: Arc::clone(&host.sender),
            towards: Arc::clone(&host.far),
            listener,
            mtu: Arc::clone(&host.mtu),
        })
    }

    /// The length of the largest frame that its link takes, in bytes.
    pub(super) fn largest(&self) -> usize {
        self.mtu.load(Ordering::Relaxed) as usize + ETHERNET_HEADER
    }

    pub(super) fn into_socket(self) -> OwnedFd {
        self.listener
    }

    /// The number of the next message that has come to the host, if any has.
    fn heard(&self) -> Result<Option<Message>, Error> {
        let mut frame = [0; 2048];
        match recv(
            self.listener.as_raw_fd(),
            &mut frame,
            MsgFlags::MSG_DONTWAIT,
        ) {
            Ok(length) => Ok(Message::of(&frame[..length])),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error).doing(|| "receive the lab's own messages".to_owned()),
        }
    }

    /// Returns when all that was on its way to the host has got there.
    fn flush_towards(&self, timeout: Duration) -> Result<(), Error> {
        // Marks come here, too, and nobody else takes them away.
        while self.heard()?.is_some() {}
        let mut awaited = HashSet::new();
        on_each_cpu(|| {
            let (number, message) = Message::sync();
            awaited.insert(number);
            self.towards.send(&message.frame(self.towards.mac()))
        })?;
        let what = "what is on its way to a host";
        let mut patience = Patience::new(timeout);
        while !awaited.is_empty() {
            wait::readable(what, patience.left(), &self.listener)?;
            if let Some(Message::Sync(number)) = self.heard()? {
                awaited.remove(&number);
            }
        }
        Ok(())
    }

    /// Returns when all that the host has sent has come to the wire.
    fn flush_out(&self, shared: &Shared, timeout: Duration) -> Result<(), Error> {
        let mut numbers = Vec::new();
        on_each_cpu(|| {
            let (number, message) = Message::sync();
            numbers.push(number);
            shared.look(|state| state.awaited.insert(number))?;
            self.out.send(&message.frame(self.out.mac()))
        })?;
        let what = || "what a host has sent to come to the wire".to_owned();
        shared.wait(what, timeout, |state| {
            let arrived = numbers.iter().all(|number| !state.awaited.contains(number));
            arrived.then_some(())
        })
    }
}

/// Returns when nothing is on its way, and nothing is delayed.
pub(super) fn until_quiet(shared: &Shared, timeout: Duration) -> Result<(), Error> {
    let mut patience = Patience::new(timeout);
    loop {
        let what = || "what is delayed to go on".to_owned();
        let before = shared.wait(what, patience.left(), |state| {
            (!state.engine.is_delaying()).then_some(state.engine.arrivals)
        })?;
        for host in &shared.around {
            host.flush_towards(patience.left())?;
        }
        for host in &shared.around {
            host.flush_out(shared, patience.left())?;
        }
        if shared.look(|state| state.engine.arrivals == before && !state.engine.is_delaying())? {
            return Ok(());
        }
        patience.pause(|| "the wire to be quiet".to_owned())?;
    }
}
