//! A wire of our own between two hosts: every frame is ours to decide about.
//!
//! It stands in a namespace of its own, where a thread moves frames from one port to the other. Rules decide what
//! becomes of each: what a network does by chance, a test does on purpose, to the frame that it means.
//!
//! ```no_run
//! use lab::wire::{Matcher, Verdict};
//! # fn f() -> Result<(), lab::Error> {
//! let pair = lab::Pair::with_wire()?;
//! let _lose_the_third = pair.wire().rule(Matcher::nth_data(3).then(Verdict::Drop))?;
//! # Ok(()) }
//! ```
//!
//! Rules can be tried without hosts: [`DryRun`].
//!
//! The first rule whose verdict is not [`Verdict::Pass`] wins. What the lab says itself ([marks](crate::Capture::mark))
//! passes always.
//!
//! A capture shows what is on its own host's link: what the wire does stands between the captures of both hosts.

mod dry_run;
mod engine;
mod forwarder;
mod frame;
mod matcher;
mod quiet;
mod random;
mod rule;

pub use dry_run::DryRun;
pub use frame::{Frame, Way};
pub use matcher::Matcher;
pub use random::Random;
pub use rule::{Rule, Verdict};

use crate::error::{Doing, Error};
use crate::host::Host;
use crate::network::{Node, Port};
use crate::settings::Settings;
use forwarder::Shared;
use quiet::Around;
use std::fmt;
use std::io::{self, PipeWriter};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Bound for what is on its way to get there.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The length of an Ethernet header, in bytes.
const ETHERNET_HEADER: usize = 14;

/// The wire between the hosts of a [`PairWithWire`](crate::PairWithWire).
pub struct Wire {
    shared: Arc<Shared>,
    /// Outlives nothing: closing it ends the forwarder.
    stop: Option<PipeWriter>,
    forwarder: Option<JoinHandle<()>>,
    /// Where the forwarder's ports are.
    _node: Node,
}

impl Wire {
    /// Starts to forward between two ports of `node`.
    pub(crate) fn start(
        node: Node,
        ports: [&Port; 2],
        hosts: [&Host; 2],
        settings: &Settings,
    ) -> Result<Self, Error> {
        let [a, b] = hosts;
        let around = [Around::new(a)?, Around::new(b)?];
        let largest = match settings.offload {
            true => settings.gso_max_size,
            false => settings.mtu,
        };
        let largest = largest as usize + ETHERNET_HEADER;
        let (shared, rings) = Shared::new(&node, ports, around, largest, settings.wire_memory)?;
        let shared = Arc::new(shared);
        let doing = || "start the forwarder of a wire".to_owned();
        let (stopped, stop) = io::pipe().doing(doing)?;
        let forwarder = thread::Builder::new()
            .name("wire".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.run(rings, &stopped)
            })
            .doing(doing)?;
        Ok(Self {
            shared,
            stop: Some(stop),
            forwarder: Some(forwarder),
            _node: node,
        })
    }

    /// Adds a rule behind those that are there, until the guard is dropped. It is in force when this returns.
    ///
    /// # Errors
    /// [`Error::Wire`] when the wire has failed: a rule has panicked, or frames came in faster than they could go on.
    pub fn rule(&self, rule: impl Rule + 'static) -> Result<RuleGuard, Error> {
        let number = self
            .shared
            .order(|engine| engine.add_rule(Box::new(rule)))?;
        Ok(RuleGuard {
            shared: Arc::clone(&self.shared),
            number,
        })
    }

    /// Cuts the wire: every frame is dropped until [`mend`](Self::mend).
    ///
    /// # Errors
    /// [`Error::Wire`] when the wire has failed.
    pub fn cut(&self) -> Result<(), Error> {
        self.shared.order(|engine| engine.set_cut(true))
    }

    /// Undoes [`cut`](Self::cut).
    ///
    /// # Errors
    /// [`Error::Wire`] when the wire has failed.
    pub fn mend(&self) -> Result<(), Error> {
        self.shared.order(|engine| engine.set_cut(false))
    }

    /// Holds the frames that are meant, from now on, until [`release`](Self::release); comes before all rules.
    ///
    /// # Errors
    /// [`Error::Wire`] when the wire has failed.
    pub fn hold(&self, matcher: impl Into<Matcher>) -> Result<(), Error> {
        let matcher = matcher.into();
        self.shared.order(|engine| engine.hold(matcher))
    }

    /// The frames that are held, the oldest first.
    ///
    /// # Errors
    /// [`Error::Wire`] when the wire has failed.
    pub fn held(&self) -> Result<Vec<Frame>, Error> {
        self.shared.look(|state| {
            let held = state.engine.held.iter();
            held.map(|arrival| arrival.frame.clone()).collect()
        })
    }

    /// Lets exactly one frame through, the one that has been held longest; tells which.
    ///
    /// # Errors
    /// [`Error::Wire`] when the wire has failed.
    pub fn step(&self) -> Result<Option<Frame>, Error> {
        self.shared.order(engine::Engine::step)
    }

    /// Holds nothing any more: what is held goes on in its order, and so does what waits for being overtaken.
    ///
    /// # Errors
    /// [`Error::Wire`] when the wire has failed.
    pub fn release(&self) -> Result<(), Error> {
        self.shared.order(engine::Engine::release)
    }

    /// Waits until a frame has come to the wire that is meant, whatever became of it; tells which.
    ///
    /// The last 65,536 frames count, from the beginning on: it does not matter whether the frame comes before or after
    /// the call. What a frame carries is not kept.
    ///
    /// # Errors
    /// [`Error::Timeout`] when none has come after `timeout`, [`Error::Wire`] when the wire has failed.
    pub fn until(&self, matcher: impl Into<Matcher>, timeout: Duration) -> Result<Frame, Error> {
        let matcher = matcher.into();
        let what = || format!("{matcher} on the wire");
        self.shared.wait(what, timeout, |state| {
            let mut seen = state.engine.seen.iter();
            seen.find(|frame| matcher.matches(frame)).cloned()
        })
    }

    /// Waits until so many frames are held.
    ///
    /// # Errors
    /// [`Error::Timeout`] when there are fewer after `timeout`, [`Error::Wire`] when the wire has failed.
    pub fn until_held(&self, frames: usize, timeout: Duration) -> Result<(), Error> {
        let what = || format!("the wire to hold {frames} frames");
        self.shared.wait(what, timeout, |state| {
            (state.engine.held.len() >= frames).then_some(())
        })
    }

    /// Waits until nothing is on its way any more: what was sent has got there, or is dropped or held, and so has what
    /// was sent in answer. A timer of a host may still go off later.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the hosts go on talking for ten seconds, [`Error::Wire`] when the wire has failed.
    pub fn until_quiet(&self) -> Result<(), Error> {
        quiet::until_quiet(&self.shared, TIMEOUT)
    }
}

impl Wire {
    /// The longest that a frame has waited until the wire looked at it, since this was last asked.
    ///
    /// It is microseconds, but where the machine is overloaded, or stands still: what hosts say is as late then, and their
    /// timers end.
    ///
    /// # Errors
    /// [`Error::Wire`] when the wire has failed.
    pub fn take_lateness(&self) -> Result<Duration, Error> {
        self.shared
            .look(|state| std::mem::take(&mut state.lateness))
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.shared).finish()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(forwarder) = self.forwarder.take() {
            // The forwarder does not panic; and if it did, there would be nothing to do.
            let _ = forwarder.join();
        }
    }
}

/// A rule that is in force; removed on drop.
#[derive(Debug)]
#[must_use = "dropping it removes the rule"]
pub struct RuleGuard {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        // Where the wire has failed, no rule is in force.
        let _ = self.shared.order(|engine| engine.remove_rule(self.number));
    }
}
