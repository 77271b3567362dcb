//! Saving and restoring within a scenario.

use super::bins::Moment;
use super::life::{CLOSED, PAUSED, PAUSING, RESTORED, Restored, SETTLED};
use super::network::Hosts;
use super::opening::of_subject;
use super::step::{Step, Who};
use super::visible::Visible;
use super::world::World;
use crate::journey::{Privileges, by_image};
use crate::oracle::state::KernelView;
use crate::oracle::stream::End;
use crate::oracle::table;
use crate::oracle::wire::told_when_read;
use crate::subject::{self, Refusal};
use crate::verdict::{Stop, Verdict, expect_eq};
use lab::{Blackhole, Direction, Flow, Match};
use soccr::raw::{self, Opt};
use soccr::{ErrorKind, SaveSettings, Seq, Settings, Snapshot, TcpState, Unsupported, Window};

impl Step {
    /// Whether an end is saved by it.
    pub(super) fn saves(&self, end: End) -> bool {
        match self {
            Self::Checkpoint(who) | Self::Restore(who) => who.ends().contains(&end),
            Self::Move => end == End::Subject,
            _ => false,
        }
    }
}

/// An end whose socket is gone.
struct Gone {
    end: End,
    snapshot: Snapshot,
    /// Of a connection that both ends know of.
    view: Option<KernelView>,
    visible: Visible,
    /// What `poll` said before it was paused.
    ready: i16,
    /// What keeps packets away from where its socket was, and is to be.
    ingress: Vec<Blackhole>,
    /// What keeps back what a timer sends again.
    egress: Vec<Blackhole>,
}

impl World {
    /// Saves ends that run on.
    pub(super) fn checkpoint(&mut self, step: &Step, who: Who) -> Verdict {
        for &end in who.ends() {
            if self.is_left(step, end)? {
                continue;
            }
            let before = Visible::read(self.socket(end));
            if let Some(snapshot) = self.try_save(end)? {
                let (received, sent) = (&snapshot.receive.bytes, &snapshot.send.bytes);
                self.talk.check_queues(end, received, sent)?;
                self.moments
                    .push(Moment::of(&self.model, step, end, &snapshot));
            }
            Visible::read(self.socket(end)).expect_equal(&before)?;
        }
        Ok(())
    }

    /// Saves ends, closes their sockets, and restores them where they were.
    pub(super) fn restore(&mut self, step: &Step, who: Who) -> Verdict {
        let mut gone = Vec::new();
        for (end, ingress) in self.lock(step, who.ends())? {
            gone.push(self.leave(step, end, ingress)?);
        }
        self.arrive(gone)
    }

    /// Saves the subject, closes its socket, and restores it on the host that its address moves to.
    pub(super) fn move_subject(&mut self, step: &Step) -> Verdict {
        let mut gone = Vec::new();
        for (end, ingress) in self.lock(step, &[End::Subject])? {
            gone.push(self.leave(step, end, ingress)?);
            if let Hosts::Move(trio) = &*self.hosts {
                trio.move_address()?;
            }
        }
        self.arrive(gone)
    }

    fn is_over(&self, end: End) -> Result<bool, Stop> {
        Ok(raw::tcp_info(self.socket(end))?.state == TcpState::Close as u8)
    }

    /// Whether a step leaves an end alone whose connection is over: what is in TIME-WAIT does not move with it, and the other
    /// end may still ask there; and not every library with the C interface takes a socket in CLOSE.
    fn is_left(&self, step: &Step, end: End) -> Result<bool, Stop> {
        if !self.is_over(end)? {
            return Ok(false);
        }
        let asked = *step == Step::Move && !self.is_over(end.other())?;
        Ok(asked || !self.library.is_rust())
    }

    /// Keeps packets away from those ends that are saved. Where urgent data waits at one of them, that is refused by
    /// name, and none is saved.
    ///
    /// All are locked before the first is saved: what one sends as it is paused must not reach another that is not there any
    /// more. And what comes in late, urgent data too, comes in before.
    fn lock(&self, step: &Step, ends: &[End]) -> Result<Vec<(End, Vec<Blackhole>)>, Stop> {
        let mut locked = Vec::new();
        for &end in ends {
            locked.push((end, self.lock_ingress(end)?));
        }
        self.quiet()?;
        let mut left = [false; 2];
        for &end in ends {
            left[end as usize] = self.is_left(step, end)?;
        }
        locked.retain(|(end, _)| !left[*end as usize]);
        for (end, _) in &locked {
            if self.model.urged[*end as usize] && self.try_save(*end)?.is_none() {
                return Ok(Vec::new());
            }
        }
        Ok(locked)
    }

    /// Saves an end that runs on; `None` where urgent data waits, which is refused by that name.
    fn try_save(&self, end: End) -> Result<Option<Snapshot>, Stop> {
        let refusal = match self
            .library
            .try_save(self.hosts.of(end), self.socket(end))?
        {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(refusal) => refusal,
        };
        let named = match &refusal {
            Refusal::ByRust(error) => matches!(
                error.kind(),
                ErrorKind::Unsupported(Unsupported::UrgentData { .. })
            ),
            Refusal::ByC { errno, .. } => *errno == libc::EOPNOTSUPP,
        };
        if !(named && self.model.urged[end as usize]) {
            return Err(refusal.into());
        }
        let repair = raw::get_int(self.socket(end), Opt::TCP_REPAIR)?;
        expect_eq("TCP_REPAIR after a refused save", repair, 0)?;
        Ok(None)
    }

    fn lock_ingress(&self, end: End) -> Result<Vec<Blackhole>, Stop> {
        self.swallow(end, Direction::Ingress, self.flow_of(end.other()))
    }

    fn lock_egress(&self, end: End) -> Result<Vec<Blackhole>, Stop> {
        self.swallow(end, Direction::Egress, self.flow_of(end))
    }

    /// At every host that the end may be on.
    fn swallow(&self, end: End, direction: Direction, flow: Flow) -> Result<Vec<Blackhole>, Stop> {
        let hosts = self.hosts.all_of(end).into_iter();
        let locks = hosts.map(|host| host.blackhole(direction, Match::tcp().flow(flow)));
        Ok(locks.collect::<Result<_, _>>()?)
    }

    fn mark(&self, end: End, text: &str) -> Verdict {
        for capture in &self.captures[end as usize] {
            capture.mark(text)?;
        }
        Ok(())
    }

    /// Saves an end that is locked, and closes its socket without a packet.
    fn leave(&mut self, step: &Step, end: End, ingress: Vec<Blackhole>) -> Result<Gone, Stop> {
        if self.is_over(end)? {
            // The double that its restore needs is reset, and counted; nothing was before.
            self.expect_undisturbed()?;
        }
        let privileges = Privileges::default();
        let visible = Visible::read(self.socket(end));
        let ready = raw::poll(self.socket(end))?;
        let mut egress = Vec::new();
        if raw::siocoutq(self.socket(end))? > 0 || !self.model.is_clear() {
            // A timer may send again what is in flight at any time, or acknowledge a FIN, in repair mode too (guide A9).
            egress = self.lock_egress(end)?;
        }
        self.mark(end, PAUSING)?;
        let (host, socket) = (self.hosts.of(end), self.socket(end));
        let paused = self
            .library
            .pause(host, socket, SaveSettings::new(), &privileges)?;
        self.mark(end, PAUSED)?;
        let synchronized = TcpState::from_kernel(raw::tcp_info(socket)?.state)
            .is_some_and(TcpState::is_synchronized);
        // Not behind the save: a timer that acknowledges in between, in repair mode too, would be in the view alone
        // (guide A9).
        let view = synchronized.then(|| KernelView::read(socket)).transpose()?;
        let mut snapshot = paused.save(host, &privileges)?.release()?;
        if !snapshot.endpoints.has_remote() {
            // getpeername() does not tell it before the connection has come about: a caller has to remember it.
            snapshot.endpoints.remote = of_subject(&self.model.setup, self.flow.destination);
        }
        let placeholder = host.enter(|| raw::tcp_socket(soccr::Family::V4))??;
        drop(std::mem::replace(
            &mut self.sockets[end as usize],
            placeholder.into(),
        ));
        if snapshot.state == TcpState::Established {
            egress.clear();
        } else if egress.is_empty() {
            // A FIN that comes in again is acknowledged again, in repair mode too (guide E4, E6).
            egress = self.lock_egress(end)?;
        }
        self.mark(end, CLOSED)?;
        // Who looks at `/proc/self/fd` has had the socket for a moment: while it is there, its addresses are taken.
        let flow = match end {
            End::Subject => self.flow,
            End::Peer => self.flow.reversed(),
        };
        table::expect_over(self.hosts.of(end), &flow)?;
        self.talk
            .check_queues(end, &snapshot.receive.bytes, &snapshot.send.bytes)?;
        self.moments
            .push(Moment::of(&self.model, step, end, &snapshot));
        Ok(Gone {
            end,
            snapshot: by_image(snapshot)?,
            view,
            visible,
            ready,
            ingress,
            egress,
        })
    }

    /// Restores ends, compares them with what they were, takes the locks away and resumes them.
    fn arrive(&mut self, gone: Vec<Gone>) -> Verdict {
        let mut restored = Vec::new();
        for mut it in gone {
            let back = self.restore_end(&it)?;
            if let Some(before) = &it.view {
                self.expect_same(&it.snapshot, before, &back)?;
            }
            self.mark(it.end, RESTORED)?;
            // Not before: a timer may send a FIN again as soon as it can, in repair mode too (guide A9).
            it.egress.clear();
            restored.push((it, back));
        }
        for (it, _) in &mut restored {
            it.ingress.clear();
        }
        let mut resumed = Vec::new();
        for (it, back) in restored {
            let end = it.end;
            let snapshot = &it.snapshot;
            let window = snapshot.window.map_or(0, |window| window.snd_wnd);
            let sent = |view: &KernelView| match self.hides_unsent_fin(snapshot, view) {
                true => snapshot.write_seq(),
                false => Seq(view.write_seq.wrapping_sub(view.unsent as u32)),
            };
            let snd_nxt = it.view.as_ref().map(sent);
            self.restores[end as usize].push(Restored {
                snd_nxt,
                snd_una: (snapshot.state != TcpState::Close).then(|| snapshot.snd_una()),
                has_peer_fin: snapshot.state.has_peer_fin(),
                probe: snapshot.state == TcpState::Established && !told_when_read(snapshot),
                more_probes: self.model.keeps_alive[end as usize]
                    || window < self.model.setup.segment()
                    || snapshot.send.unsent > 0,
            });
            let socket = back.resume()?;
            let state = TcpState::from_kernel(raw::tcp_info(&socket)?.state);
            if let Some(restored) = self.restores[end as usize].last_mut() {
                // A FIN of the other end may have come before it was resumed: in CLOSE-WAIT there is no probe (guide A13).
                restored.probe &= state == Some(TcpState::Established);
            }
            self.sockets[end as usize] = socket;
            self.expect_settled(&it)?;
            self.homes[end as usize].push(self.hosts.home(end));
            if it.snapshot.state == TcpState::Close {
                self.count_at(end)?;
            }
            resumed.push(end);
        }
        self.settle()?;
        resumed
            .into_iter()
            .try_for_each(|end| self.mark(end, SETTLED))
    }

    /// What the kernel tells of a connection that is restored, and paused, is what it told when it was saved.
    fn expect_same(
        &self,
        snapshot: &Snapshot,
        before: &KernelView,
        back: &subject::Restored,
    ) -> Verdict {
        let view = KernelView::read(back)?;
        let mut expected = before.clone();
        expected.allow_raised_window();
        if self.hides_unsent_fin(snapshot, before) {
            expected.unsent = 0;
        }
        // What came in last a timer can have acknowledged between that look and the save, which says so then.
        let acknowledged = |window: Window| window.rcv_wup == snapshot.receive.end;
        if snapshot.state.has_peer_fin() || snapshot.window.is_some_and(acknowledged) {
            expected.allow_acknowledgement(&view);
        }
        let segment = self.model.largest_segment();
        if self.model.relinked && view.snd_mss <= segment {
            // The saved socket has not sent anything since, and not noticed.
            expected.snd_mss = view.snd_mss;
        }
        view.expect_equal(&expected)
    }

    /// Whether a FIN was never sent, with nothing unsent in front of it: that has no place in the structure of C, and the
    /// FIN counts as sent.
    fn hides_unsent_fin(&self, snapshot: &Snapshot, before: &KernelView) -> bool {
        !self.library.is_rust() && before.unsent == 1 && snapshot.send.unsent == 0
    }

    fn restore_end(&self, gone: &Gone) -> Result<subject::Restored, Stop> {
        let (host, snapshot) = (self.hosts.of(gone.end), &gone.snapshot);
        let restored =
            self.library
                .restore(host, snapshot, Settings::new(), &Privileges::default())??;
        if !self.library.is_rust() {
            gone.visible.give(&restored)?;
        }
        Ok(restored)
    }

    /// What the application sees of its socket is what it saw before.
    fn expect_settled(&self, gone: &Gone) -> Verdict {
        let socket = self.socket(gone.end);
        if gone.snapshot.state == TcpState::Close {
            expect_eq("what poll says", raw::poll(socket)?, gone.ready)?;
            let unread = gone.snapshot.receive.bytes.len();
            expect_eq("SIOCINQ", raw::siocinq(socket)?, unread as i32)?;
        }
        let repair = raw::get_int(socket, Opt::TCP_REPAIR)?;
        expect_eq("TCP_REPAIR after the resume", repair, 0)?;
        Visible::read(socket).expect_equal(&gone.visible)
    }
}
