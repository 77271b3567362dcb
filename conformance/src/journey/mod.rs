//! The journey of one connection: opened, its queues filled, saved, closed, restored, resumed, and judged by all
//! four witnesses.

mod attempts;
mod ecn;
mod ending;
mod filling;
mod lock;
mod moving;
mod plan;
mod privileges;
mod settled;

pub use ecn::{ask_for_accurate_ecn, require_ecn};
pub use ending::Ending;
pub use lock::Lock;
pub use moving::{Left, Mover, own_link_local};
pub use plan::{Negotiated, Plan, Receive, Send};
pub use privileges::Privileges;

use self::attempts::Outlasted;
pub(crate) use self::settled::by_image;
use self::settled::{expect_buffers, expect_settled, expect_usual_losses};
use crate::context::Context;
use crate::oracle::peer::{self, PEER_TELLTALES, TELLTALES};
use crate::oracle::state::KernelView;
use crate::oracle::stream::Talk;
use crate::oracle::table;
use crate::oracle::wire::{self, Probes, WireRules};
use crate::subject::{Library, Restored};
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::wait;
use lab::{Capture, Connection, Counters, Family, Flow, Pair};
use soccr::{FinMode, Lost, SaveSettings, Settings, Snapshot, TcpState, raw};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// How long a condition of the set-up may take: a bound against a hanging run, not an expectation.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a large queue.
const LARGE: usize = 1 << 20;
/// Bytes that each end writes once the connection is back.
const AFTERWARDS: usize = 100_000;

/// A connection on its way, with what was said on it and what is watching it.
pub struct Traveller {
    /// The network.
    pub pair: Arc<Pair>,
    /// What leaves and reaches the subject's host.
    pub capture: Arc<Capture>,
    /// The subject's socket.
    pub subject: TcpStream,
    /// The peer's socket.
    pub peer: TcpStream,
    /// The connection, from the subject.
    pub flow: Flow,
    /// What was written and read.
    pub talk: Talk,
    /// The network lock, as far as it is in place.
    pub lock: Lock,
    /// How it is restored.
    pub settings: Settings,
    /// With which privileges it is saved and restored.
    pub privileges: Privileges,
    /// By which library it is saved and restored.
    pub library: Library,
}

/// A connection that is saved and whose socket is gone.
pub struct Saved {
    /// What was saved.
    pub snapshot: Snapshot,
    /// What the kernel said of the socket while it was paused.
    pub view: KernelView,
    counters: [Counters; 2],
    outlasted: Outlasted,
}

impl Traveller {
    /// Opens a connection with all options between two fresh hosts.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot.
    pub fn open(ctx: &Context, family: Family) -> Result<Self, Stop> {
        let plan = Plan {
            family,
            ..Plan::PLAIN
        };
        plan.depart(ctx)
    }

    /// The family of the subject's socket.
    #[must_use]
    pub fn family(&self) -> soccr::Family {
        match self.subject.local_addr() {
            Ok(std::net::SocketAddr::V6(_)) => soccr::Family::V6,
            _ => soccr::Family::V4,
        }
    }

    /// Starts a journey on an open connection.
    #[must_use]
    pub fn new(
        ctx: &Context,
        pair: Arc<Pair>,
        capture: Arc<Capture>,
        connection: Connection,
    ) -> Self {
        let flow = connection.flow();
        ctx.connected(flow);
        Self {
            pair,
            capture,
            subject: connection.client,
            peer: connection.server,
            flow,
            talk: Talk::default(),
            lock: Lock::default(),
            settings: Settings::new(),
            privileges: Privileges::default(),
            library: ctx.library(),
        }
    }

    /// Saves, closes, restores, resumes, drains, talks on, closes; and judges all of it.
    ///
    /// # Errors
    /// [`Stop`] with what was not as it should be.
    pub fn travel(mut self, ctx: &Context, probes: Probes) -> Verdict {
        let overtaken = raw::tcp_info(&self.subject)?.rcv_ooopack > 0;
        let saved = self.save()?;
        if self.library.is_rust() {
            expect_usual_losses(&saved.snapshot, overtaken)?;
        }
        let restored = self.arrive(&saved)?;
        self.conclude(ctx, &saved, &restored, probes)
    }

    /// Drains, talks on, closes, and lets the witnesses speak that look at the whole journey.
    ///
    /// # Errors
    /// [`Stop`] with what was not as it should be.
    pub fn conclude(
        self,
        ctx: &Context,
        saved: &Saved,
        restored: &TcpStream,
        probes: Probes,
    ) -> Verdict {
        self.talk.drain(restored, &self.peer)?;
        self.talk.exchange(restored, &self.peer, AFTERWARDS)?;
        expect_eq(
            "SO_ERROR at the peer",
            self.peer.take_error()?.map(|error| error.to_string()),
            None,
        )?;
        self.capture.mark(wire::CLOSING)?;
        self.talk.close(restored, &self.peer)?;
        self.expect_over(restored, saved)?;
        saved.expect_undisturbed(&self.pair)?;
        ctx.note(
            "queues",
            format!("{:?} {:?}", saved.snapshot.receive, saved.snapshot.send),
        );
        let rules = WireRules {
            flow: self.flow,
            snapshot: &saved.snapshot,
            probes,
            repeated_fin: self.repeats_fin(&saved.snapshot),
            sends_again: saved.sends_again(),
        };
        rules.judge(&self.capture.trace()?)
    }

    /// Locks the connection, saves it, and closes its socket without a packet.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails, or where the queues it has read are not what was written.
    pub fn save(&mut self) -> Result<Saved, Stop> {
        self.save_with(SaveSettings::new())
    }

    /// As [`save`](Self::save), the ways chosen by the caller.
    ///
    /// # Errors
    /// As there.
    pub fn save_with(&mut self, settings: SaveSettings) -> Result<Saved, Stop> {
        let counters = self.counters()?;
        self.lock.block_ingress(&self.pair, self.flow)?;
        if raw::siocoutq(&self.subject)? > 0 {
            // A timer may send again what is in flight at any time, in repair mode too (guide A9).
            self.lock.block_egress(&self.pair, self.flow)?;
        }
        self.capture.mark(wire::PAUSING)?;
        let host = self.pair.a();
        let paused = self
            .library
            .pause(host, &self.subject, settings, &self.privileges)?;
        self.capture.mark(wire::PAUSED)?;
        let paused = paused.save(host, &self.privileges)?;
        let view = KernelView::read(&self.subject)?;
        let snapshot = paused.release()?;
        expect_eq("the saved state", snapshot.state as u8, view.state)?;
        self.close_subject()?;
        if snapshot.state == TcpState::Established {
            self.lock.unblock_egress();
        } else {
            // A FIN that comes in again is acknowledged again, in repair mode too (guide E4, E6).
            self.lock.block_egress(&self.pair, self.flow)?;
        }
        self.capture.mark(wire::CLOSED)?;
        self.talk.check_received(&snapshot.receive.bytes)?;
        self.talk.check_sent(&snapshot.send.bytes)?;
        // From here on it is what an image of it says.
        let snapshot = by_image(snapshot)?;
        Ok(Saved {
            snapshot,
            view,
            counters,
            outlasted: Outlasted::default(),
        })
    }

    /// Restores the connection, compares it with what it was, takes the lock away and resumes it.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails or the kernel's view is another.
    pub fn arrive(&mut self, saved: &Saved) -> Result<TcpStream, Stop> {
        if saved.snapshot.state == TcpState::LastAck {
            // Its last segment sent twice is acknowledged twice, and the first of the two ends it: the kernel answers the other
            // with a RST. A machine that is slow takes long enough for a probe of the tail (RFC 8985, section 7).
            self.pair.a().sysctl("net.ipv4.tcp_early_retrans", "0")?;
        }
        let restored = saved.attempt(|| {
            let restored = self.restore(&saved.snapshot)?;
            self.expect_view(saved, &KernelView::read(&restored)?)?;
            self.expect_losses(&saved.snapshot, &restored)?;
            if self.library.is_rust() {
                // A caller in C has grown them himself, and has not put them back yet.
                expect_buffers(&restored, &saved.snapshot)?;
            }
            self.about_to_resume()?;
            Ok::<_, Stop>(restored)
        })?;
        let stream = self.call(|| restored.resume())??;
        expect_settled(&stream, &saved.snapshot)?;
        Ok(stream)
    }

    /// Restores a connection on the subject's host; it stays paused.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<Restored, Stop> {
        let host = self.pair.a();
        let restored = self
            .library
            .restore(host, snapshot, self.settings, &self.privileges)?;
        Ok(restored?)
    }

    /// Calls the library on the subject's host.
    fn call<T: std::marker::Send>(
        &self,
        f: impl FnOnce() -> T + std::marker::Send,
    ) -> Result<T, Stop> {
        self.privileges.call(self.pair.a(), f)
    }

    /// Fails unless a restored socket is what the saved one was.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the fields that differ.
    pub fn expect_view(&self, saved: &Saved, actual: &KernelView) -> Verdict {
        let mut expected = saved.view.clone();
        expected.state = self.expected_state(&saved.snapshot) as u8;
        if saved.snapshot.state.has_peer_fin() {
            expected.allow_acknowledgement(actual);
        }
        actual.expect_equal(&expected)
    }

    fn is_emulated(&self) -> bool {
        self.settings.fin == FinMode::Emulate
    }

    /// The state after the restore: where FINs are emulated, the one that comes closest.
    fn expected_state(&self, snapshot: &Snapshot) -> TcpState {
        match snapshot.state {
            state if !self.is_emulated() => state,
            TcpState::CloseWait => TcpState::Established,
            TcpState::FinWait2 | TcpState::LastAck | TcpState::Closing => TcpState::FinWait1,
            state => state,
        }
    }

    /// What is another way than it was is named, and nothing else is.
    ///
    /// # Errors
    /// [`Stop::Fail`] with what is named.
    pub fn expect_losses(&self, snapshot: &Snapshot, restored: &Restored) -> Verdict {
        let Some(losses) = restored.losses() else {
            return Ok(());
        };
        let named = |what| losses.iter().find(|loss| loss.what == what);
        let expected = self.expected_state(snapshot);
        let told = named(Lost::State).and_then(|loss| loss.detail.split(' ').next());
        expect_eq(
            "the state that a loss names",
            told,
            (expected != snapshot.state).then(|| expected.name()),
        )?;
        expect_eq(
            "a repeated FIN is named",
            named(Lost::RepeatedFin).is_some(),
            self.repeats_fin(snapshot),
        )
    }

    fn repeats_fin(&self, snapshot: &Snapshot) -> bool {
        self.is_emulated() && snapshot.state == TcpState::FinWait2
    }

    /// Both connections come to their end. An emulated one does not know that its peer has closed, and waits for that.
    fn expect_over(&self, restored: &TcpStream, saved: &Saved) -> Verdict {
        let emulated_end = self.is_emulated() && saved.snapshot.state.has_peer_fin();
        let last = match emulated_end {
            true => TcpState::FinWait2,
            false => TcpState::Close,
        };
        for (whose, socket, state) in [
            ("subject", restored, last),
            ("peer", &self.peer, TcpState::Close),
        ] {
            let over = || raw::tcp_info(socket).is_ok_and(|info| info.state == state as u8);
            let what = format!("the state of the {whose} after the close");
            let held = wait::until(&what, PATIENCE, over).is_ok();
            let actual = raw::tcp_info(socket)?.state;
            expect(
                what,
                state,
                format!("{:?}", TcpState::from_kernel(actual)),
                held,
            )?;
        }
        Ok(())
    }

    /// Takes the lock away and resumes.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn resume(&mut self, restored: impl Into<Restored>) -> Result<TcpStream, Stop> {
        let restored = restored.into();
        self.about_to_resume()?;
        self.call(|| restored.resume())?
    }

    /// Takes the lock away: what leaves from here on is the resumed connection's.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot.
    pub fn about_to_resume(&mut self) -> Verdict {
        self.capture.mark(wire::RESTORED)?;
        self.lock = Lock::default();
        Ok(())
    }

    /// Closes the subject's socket by replacing it with one that is not connected.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the connection is still there.
    pub fn close_subject(&mut self) -> Verdict {
        let placeholder = self.pair.a().enter(|| -> std::io::Result<TcpStream> {
            Ok(socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?.into())
        })??;
        drop(std::mem::replace(&mut self.subject, placeholder));
        table::expect_absent(self.pair.a(), &self.flow)
    }

    fn counters(&self) -> Result<[Counters; 2], Stop> {
        Ok([self.pair.a().counters()?, self.pair.b().counters()?])
    }
}

impl Saved {
    /// Fails if one of the two hosts has counted anything that an undisturbed connection does not cause.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the counters that moved.
    pub fn expect_undisturbed(&self, pair: &Pair) -> Verdict {
        let [subject, peer] = &self.counters;
        peer::expect_unmoved_at_subject(pair.a(), subject)?;
        peer::expect_unmoved(pair.b(), peer, TELLTALES)?;
        peer::expect_unmoved(pair.b(), peer, PEER_TELLTALES)
    }
}
