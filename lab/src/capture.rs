//! Capturing what is on a host's link.
//!
//! The kernel shows a frame that leaves a host after its egress blackhole, and one that
//! arrives before its ingress blackhole: a capture shows what was on the wire.

mod reader;
mod resting;

use crate::cpus::on_each_cpu;
use crate::error::{Doing, Error};
use crate::host::Host;
use crate::mark::{LONGEST_TEXT, Message};
use crate::packet::Packet;
use crate::sender::Sender;
use crate::sys::{self, Receive, Ring};
use crate::trace::{Item, Trace};
use reader::{Shared, State};
pub(crate) use resting::Resting;
use std::io::PipeWriter;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

/// Bound for reading what has been sent already.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Large enough for a packet of 1500 bytes with the ring's own headers.
const SLOT: usize = 2048;
/// Large enough for the largest packet that the kernel leaves to the link to cut.
const WHOLE_SLOT: usize = 128 * 1024;
const SLOTS: usize = 4096;
const WHOLE_SLOTS: usize = 512;

/// How to capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct CaptureOptions {
    slot: usize,
    slots: usize,
}

impl Default for CaptureOptions {
    /// Every frame of up to 1500 bytes whole, larger ones cut to about 1900; room for 4096 unread frames.
    fn default() -> Self {
        Self {
            slot: SLOT,
            slots: SLOTS,
        }
    }
}

impl CaptureOptions {
    /// Keeps every frame whole, those of 64 KiB that are yet to be cut into segments too; room for 512 (64 MiB).
    pub fn whole_frames() -> Self {
        Self {
            slot: WHOLE_SLOT,
            slots: WHOLE_SLOTS,
        }
    }

    /// Room for this many frames that have not been read yet, rounded up to a power of two from 64 on.
    pub fn frames(mut self, frames: usize) -> Self {
        self.slots = frames.clamp(64, 1 << 20).next_power_of_two();
        self
    }
}

/// A running capture of one link; ends on drop.
pub struct Capture {
    shared: Arc<Shared>,
    /// Outlives nothing: closing it ends the reader.
    stop: Option<PipeWriter>,
    reader: Option<JoinHandle<Ring>>,
    options: CaptureOptions,
    /// Weak, so that what rests goes with the host.
    resting: Weak<Resting>,
    near: Arc<Sender>,
    far: Arc<Sender>,
    links_between: usize,
}

impl Capture {
    pub(crate) fn start(host: &Host, options: CaptureOptions) -> Result<Self, Error> {
        let link: Arc<str> = format!("{}/{}", host.name(), host.port).into();
        let doing = || format!("capture on {link}");
        let (socket, ring) = match host.captures.take(options) {
            Some(ears) => ears,
            None => {
                let socket = host.enter(sys::packet_socket)?.doing(doing)?;
                let ring = Ring::new(&socket, options.slot, options.slots).doing(|| {
                    let kib = options.slot * options.slots / 1024;
                    format!("capture on {link}, with a ring of {kib} KiB")
                })?;
                sys::bind_packet(&socket, host.port_index, Receive::Everything).doing(doing)?;
                (Arc::new(socket), ring)
            }
        };
        let (stopped, stop) = io::pipe().doing(doing)?;
        let shared = Arc::new(Shared::new(socket, Arc::clone(&link), host.mtu()));
        let reader = thread::Builder::new()
            .name(format!("capture {link}"))
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.read(ring, &stopped)
            })
            .doing(doing)?;
        Ok(Self {
            shared,
            stop: Some(stop),
            reader: Some(reader),
            options,
            resting: Arc::downgrade(&host.captures),
            near: Arc::clone(&host.sender),
            far: Arc::clone(&host.far),
            links_between: host.links_between,
        })
    }

    /// Puts a remark among the packets: behind every packet that is on the link at the moment, before every later one.
    ///
    /// A capture at the other end of the link shows it too.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text of more than 1000 bytes; otherwise those of [`Capture::sync`].
    pub fn mark(&self, text: &str) -> Result<(), Error> {
        if text.len() > LONGEST_TEXT {
            return Err(Error::Invalid {
                what: "the text of a mark",
                value: format!("{} bytes long", text.len()),
                why: "1000 bytes fit into every frame",
            });
        }
        self.sync()?;
        self.near
            .send(&Message::Text(text.to_owned()).frame(self.near.mac()))
    }

    /// Returns when everything that was on the link before the call has been read, in either direction.
    ///
    /// # Errors
    /// [`Error::FramesLost`] when the kernel dropped frames, [`Error::Os`] when sending on the link fails,
    /// [`Error::Timeout`] when the reader does not get there in ten seconds.
    pub fn sync(&self) -> Result<(), Error> {
        // A trace with holes stays one: there is nothing to wait for, least of all for a message that was lost itself.
        self.shared.check_losses()?;
        // What this host sends goes through one queue.
        let mut awaited = vec![self.send_sync(&self.near)?];
        // What it receives may wait in a queue of the processor that the sender ran on: a message behind it in each of
        // these queues tells when it is through. Behind a switch it waits in such a queue once per link.
        for _ in 0..self.links_between {
            on_each_cpu(|| {
                awaited.push(self.send_sync(&self.far)?);
                Ok(())
            })?;
            self.pass(&std::mem::take(&mut awaited))?;
        }
        Ok(())
    }

    /// Waits until these sync messages have been read.
    fn pass(&self, awaited: &[u64]) -> Result<(), Error> {
        let what = || {
            format!(
                "the capture on {} to read what is on the link",
                self.shared.link
            )
        };
        let all_read = |state: &State| awaited.iter().all(|number| !state.awaited.contains(number));
        let result = self
            .shared
            .wait(what, TIMEOUT, |state| all_read(state).then_some(()));
        self.shared.check_losses()?;
        result
    }

    /// Everything captured so far.
    ///
    /// # Errors
    /// Those of [`Capture::sync`]: a trace with holes is never returned.
    pub fn trace(&self) -> Result<Trace, Error> {
        self.sync()?;
        let items = self.shared.lock().items.clone();
        Ok(Trace::new(Arc::clone(&self.shared.link), items))
    }

    /// Waits for a packet that `wanted` chooses; those captured already count.
    ///
    /// # Errors
    /// [`Error::Timeout`] naming `what` when none has come after `timeout`, [`Error::FramesLost`] when the kernel
    /// dropped frames.
    pub fn until(
        &self,
        what: &str,
        timeout: Duration,
        mut wanted: impl FnMut(&Packet) -> bool,
    ) -> Result<(), Error> {
        let mut seen = 0;
        let named = || format!("{what} on {}", self.shared.link);
        let result = self.shared.wait(named, timeout, |state| {
            let new = state.items.get(seen..).unwrap_or_default();
            seen = state.items.len();
            new.iter()
                .any(|item| matches!(item, Item::Packet(packet) if wanted(packet)))
                .then_some(())
        });
        self.shared.check_losses()?;
        result
    }

    /// Ends the capture; what it has seen until then, also when its host is gone and with what holes there are.
    ///
    /// For looking at what has gone wrong already; an assertion asks [`Capture::trace`].
    #[must_use]
    pub fn finish(mut self) -> Trace {
        self.stop();
        let items = std::mem::take(&mut self.shared.lock().items);
        Trace::new(Arc::clone(&self.shared.link), items)
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        // The reader does not panic; and if it did, there would be nothing to keep.
        if let Some(Ok(ring)) = self.reader.take().map(JoinHandle::join)
            && let Some(resting) = self.resting.upgrade()
        {
            let ears = (Arc::clone(&self.shared.socket), ring);
            resting.keep(self.options, ears);
        }
    }

    fn send_sync(&self, sender: &Sender) -> Result<u64, Error> {
        let (number, message) = Message::sync();
        self.shared.lock().awaited.insert(number);
        sender.send(&message.frame(sender.mac()))?;
        Ok(number)
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("link", &self.shared.link)
            .finish_non_exhaustive()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
    }
}
