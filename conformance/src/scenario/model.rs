//! The reference model: what is known of a connection from what has happened to it, without asking the kernel.

use super::setup::{Network, Opening, Setup};
use super::step::{Setting, Step, Who};
use crate::oracle::stream::End;
use soccr::TcpState;

/// A write is no larger, bytes.
pub(super) const MAX_WRITE: u32 = 4 << 20;

/// What is known of a connection from what has happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// What it started from.
    pub setup: Setup,
    /// Whether the connection has come about: before, the subject has sent a SYN, and there is no peer.
    pub open: bool,
    /// Which applications have ended their streams: subject, peer.
    pub ended: [bool; 2],
    /// Which ends may have urgent data that they have not read.
    pub urged: [bool; 2],
    /// Whether all, or a number, of what each end sends is lost, held, reordered or doubled.
    pub faulty: [bool; 2],
    /// Whether segments can have arrived late or twice: old timestamps are seen then, and counted.
    pub disordered: bool,
    /// Whether segments can have been lost at the end of the connection: what is sent again then, and is acknowledged twice,
    /// may find an end that is over, which answers by a RST (RFC 9293, section 3.10.7.1).
    pub lossy_end: bool,
    /// Which ends hold small writes back for a while.
    pub corked: [bool; 2],
    /// Which ends may probe an idle peer of their own accord.
    pub keeps_alive: [bool; 2],
    /// Which ends have a receive buffer that was chosen, and may have room for less than a segment.
    pub small: [bool; 2],
    /// What each end clamps its window to, bytes.
    pub clamps: [u32; 2],
    /// The largest packet that the links take by now, bytes.
    pub mtu: u32,
    /// Whether that was ever more: an end that asks its route again only when it sends, as after its options have changed,
    /// loses a larger segment at its own link, and then sends it again, in smaller ones.
    pub narrowed: bool,
    /// Whether that was ever another: an end that has not sent anything since has not noticed.
    pub relinked: bool,
}

impl Model {
    /// A connection that was just opened.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let open = !matches!(setup.opening, Opening::Lost { .. });
        Self {
            setup,
            open,
            ended: [false; 2],
            urged: [false; 2],
            faulty: [!open, false],
            disordered: false,
            lossy_end: false,
            corked: [false; 2],
            keeps_alive: [false; 2],
            small: setup.receive_buffers.map(|bytes| bytes.is_some()),
            clamps: [u32::MAX; 2],
            mtu: setup.mtu,
            narrowed: false,
            relinked: false,
        }
    }

    /// Why a step cannot happen now, if so.
    #[must_use]
    pub fn forbids(&self, step: &Step) -> Option<&'static str> {
        const NO_WIRE: &str = "only a wire does that (`network wire`)";
        const ENDED: &str = "this end has ended its stream";
        const ONLY_A_SYN: &str = "there is only the SYN of the subject, until the network is clear";
        let wire = self.setup.network == Network::Wire;
        match *step {
            Step::Write(..) | Step::Read(..) | Step::Urgent(_) | Step::End(_) | Step::Set(..)
                if !self.open =>
            {
                Some(ONLY_A_SYN)
            }
            Step::Lose(End::Subject, _)
            | Step::Hold(End::Subject)
            | Step::Reorder(End::Subject, _)
            | Step::Duplicate(End::Subject, _)
                if !self.open =>
            {
                Some("all of it is lost until the network is clear")
            }
            Step::Mtu(bytes) if !self.open && bytes > self.setup.mtu => {
                Some("the SYN would offer more than what is between the hosts takes")
            }
            Step::Checkpoint(who) | Step::Restore(who)
                if !self.open && who != Who::One(End::Subject) =>
            {
                Some(ONLY_A_SYN)
            }
            Step::Write(end, _) | Step::Urgent(end) | Step::End(end)
                if self.ended[end as usize] =>
            {
                Some(ENDED)
            }
            Step::Write(_, bytes) if bytes == 0 || bytes > MAX_WRITE => {
                Some("1 to 4194304 bytes can be written at once")
            }
            Step::Read(_, Some(0)) => Some("reading nothing is no step"),
            Step::Lose(_, Some(0)) | Step::Duplicate(_, 0) | Step::Reorder(_, 0) => {
                Some("none of the segments is no step")
            }
            Step::Lose(_, Some(_)) | Step::Hold(_) | Step::Reorder(..) | Step::Duplicate(..)
                if !wire =>
            {
                Some(NO_WIRE)
            }
            Step::Mtu(bytes) if !(1280..=65_535).contains(&bytes) => {
                Some("an mtu is 1280 to 65535")
            }
            Step::Move if wire => Some("nothing moves between two hosts (`network move`)"),
            Step::Set(_, Setting::ReceiveBuffer(bytes) | Setting::SendBuffer(bytes))
                if bytes > MAX_WRITE =>
            {
                Some("a buffer is no larger than 4194304 bytes")
            }
            // Clamped below a segment and then above one, the kernel of today offers no window at all, for ever: the
            // threshold stays below (`tcp_set_window_clamp`, `__tcp_select_window`).
            Step::Set(end, Setting::WindowClamp(bytes)) if bytes > self.clamps[end as usize] => {
                Some("a window that was clamped is not let go again")
            }
            _ => None,
        }
    }

    /// Takes note of a step.
    pub fn apply(&mut self, step: &Step) {
        match *step {
            Step::End(end) => {
                self.ended[end as usize] = true;
                self.corked[end as usize] = false;
            }
            Step::Urgent(end) => self.urged[end.other() as usize] = true,
            Step::Lose(end, _) => self.faulty[end as usize] = true,
            Step::Hold(end) | Step::Reorder(end, _) | Step::Duplicate(end, _) => {
                self.faulty[end as usize] = true;
                self.disordered = true;
            }
            Step::Clear => {
                self.faulty = [false; 2];
                self.open = true;
            }
            Step::Set(end, Setting::Cork(on)) => self.corked[end as usize] = on,
            Step::Set(end, Setting::ReceiveBuffer(_)) => self.small[end as usize] = true,
            Step::Set(end, Setting::WindowClamp(bytes)) => self.clamps[end as usize] = bytes,
            Step::Set(end, Setting::KeepAlive) => self.keeps_alive[end as usize] = true,
            Step::Mtu(bytes) => {
                self.narrowed |= bytes < self.mtu;
                self.relinked |= bytes != self.mtu;
                self.mtu = bytes;
            }
            Step::Write(..)
            | Step::Read(..)
            | Step::Set(..)
            | Step::Checkpoint(_)
            | Step::Restore(_)
            | Step::Move => {}
        }
        self.lossy_end |= !self.is_clear() && self.ended != [false; 2];
    }

    /// The payload of the largest segment that the links take by now, bytes.
    #[must_use]
    pub fn largest_segment(&self) -> u32 {
        let now = Setup {
            mtu: self.mtu,
            mss: None,
            ..self.setup
        };
        now.segment()
    }

    /// Whether nothing keeps the two ends from hearing each other.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.faulty == [false; 2]
    }

    /// The states that an end can be in, when nothing is on its way any more.
    ///
    /// An end owes what the other has not acknowledged, data or FIN. Its own FIN is acknowledged where nothing is owed. The peer's has come, or not: it has where the network is clear and
    /// the peer owes nothing, and it has not where the peer has not ended its stream (RFC 9293, section 3.3.2).
    #[must_use]
    pub fn states(&self, end: End, owes: bool, other_owes: bool) -> Vec<TcpState> {
        if !self.open {
            return vec![match end {
                End::Subject => TcpState::SynSent,
                End::Peer => TcpState::Close,
            }];
        }
        let other_ended = self.ended[end.other() as usize];
        let acknowledged = !owes;
        let without: &[TcpState] = match (self.ended[end as usize], acknowledged) {
            (false, _) => &[TcpState::Established],
            (true, false) => &[TcpState::FinWait1],
            (true, true) => &[TcpState::FinWait2],
        };
        // Where both are over the socket itself is in CLOSE, whether its connection is in TIME-WAIT or gone.
        let with: &[TcpState] = match (self.ended[end as usize], acknowledged) {
            (false, _) => &[TcpState::CloseWait],
            (true, false) => &[TcpState::LastAck, TcpState::Closing],
            (true, true) => &[TcpState::Close],
        };
        let must_have_come = self.is_clear() && other_ended && !other_owes;
        let mut states = Vec::new();
        if !must_have_come {
            states.extend(without);
        }
        if other_ended {
            states.extend(with);
        }
        states
    }

    /// Whether an end can have urgent data that it has not read, so that it cannot be saved.
    #[must_use]
    pub fn may_be_refused(&self, who: Who) -> bool {
        who.ends().iter().any(|&end| self.urged[end as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_from_who_has_ended_and_what_is_owed() {
        use TcpState::*;
        let mut model = Model::new(Setup::PLAIN);
        let states = |model: &Model, mine, theirs| model.states(End::Subject, mine, theirs);
        assert_eq!(states(&model, false, false), [Established]);
        model.apply(&Step::End(End::Subject));
        assert_eq!(states(&model, true, false), [FinWait1]);
        assert_eq!(states(&model, false, false), [FinWait2]);
        model.apply(&Step::Hold(End::Peer));
        model.apply(&Step::End(End::Peer));
        assert_eq!(states(&model, true, true), [FinWait1, LastAck, Closing]);
        assert_eq!(states(&model, false, true), [FinWait2, Close]);
        model.apply(&Step::Clear);
        assert_eq!(states(&model, false, false), [Close]);
    }

    #[test]
    fn what_is_lost_at_the_end_may_be_sent_twice_and_what_was_lost_before_may_not() {
        let mut model = Model::new(Setup::PLAIN);
        let lose = Step::Lose(End::Peer, None);
        for step in [lose, Step::Clear, Step::End(End::Subject)] {
            model.apply(&step);
            assert!(!model.lossy_end, "{step:?}");
        }
        for step in [lose, Step::Clear] {
            model.apply(&step);
            assert!(model.lossy_end, "{step:?}");
        }
    }

    #[test]
    fn a_clamp_only_closes() {
        let mut model = Model::new(Setup::PLAIN);
        let clamp = |bytes| Step::Set(End::Peer, Setting::WindowClamp(bytes));
        model.apply(&clamp(3000));
        assert!(model.forbids(&clamp(3000)).is_none() && model.forbids(&clamp(3001)).is_some());
    }

    #[test]
    fn a_connection_whose_syn_was_lost_comes_about_once_the_network_is_clear() {
        let mut model = Model::new(Setup {
            opening: Opening::Lost { subject: 1 },
            ..Setup::PLAIN
        });
        let states = |model: &Model, end| model.states(end, false, false);
        assert_eq!(states(&model, End::Subject), [TcpState::SynSent]);
        assert_eq!(states(&model, End::Peer), [TcpState::Close]);
        let saves = [Who::One(End::Subject), Who::Both].map(Step::Restore);
        assert!(model.forbids(&saves[0]).is_none() && model.forbids(&saves[1]).is_some());
        assert!(!model.is_clear());
        model.apply(&Step::Clear);
        assert_eq!(states(&model, End::Peer), [TcpState::Established]);
        assert_eq!(model.forbids(&saves[1]), None);
    }

    #[test]
    fn what_cannot_happen_is_forbidden() {
        let mut model = Model::new(Setup::PLAIN);
        let write = Step::Write(End::Peer, 1);
        assert_eq!(model.forbids(&write), None);
        model.apply(&Step::End(End::Peer));
        assert!(model.forbids(&write).is_some());
        assert!(model.forbids(&Step::Move).is_some());
        assert!(model.forbids(&Step::Write(End::Subject, 0)).is_some());
    }
}
