//! A wire without hosts: what rules make of frames that are given to it.

use super::engine::Engine;
use super::frame::{Frame, Way};
use super::matcher::Matcher;
use super::rule::Rule;
use crate::segment::Segment;
use std::time::{Duration, Instant};

/// Tries rules on frames, without a lab and without privileges: frames are given to it, and time passes when it is told to.
///
/// ```
/// use lab::wire::{DryRun, Matcher, Verdict, Way};
///
/// let mut wire = DryRun::new();
/// wire.rule(Matcher::way(Way::AToB).then(Verdict::Duplicate));
/// wire.frame(Way::AToB, vec![1]);
/// wire.frame(Way::BToA, vec![2]);
/// let out = [(Way::AToB, vec![1]), (Way::AToB, vec![1]), (Way::BToA, vec![2])];
/// assert_eq!(wire.take_out(), out);
/// ```
#[derive(Debug)]
pub struct DryRun {
    engine: Engine,
    now: Instant,
}

impl Default for DryRun {
    fn default() -> Self {
        Self::new()
    }
}

impl DryRun {
    /// A wire that lets everything through.
    #[must_use]
    pub fn new() -> Self {
        Self {
            engine: Engine::default(),
            now: Instant::now(),
        }
    }

    /// Adds a rule behind those that are there; returns its number.
    pub fn rule(&mut self, rule: impl Rule + 'static) -> u64 {
        self.engine.add_rule(Box::new(rule))
    }

    /// Removes the rule with this number.
    pub fn remove_rule(&mut self, number: u64) {
        self.engine.remove_rule(number);
    }

    /// Cuts the wire, as [`Wire::cut`](super::Wire::cut), or mends it.
    pub fn set_cut(&mut self, cut: bool) {
        self.engine.set_cut(cut);
    }

    /// Holds the frames that are meant, as [`Wire::hold`](super::Wire::hold).
    pub fn hold(&mut self, matcher: impl Into<Matcher>) {
        self.engine.hold(matcher.into());
    }

    /// Lets the frame go on that has been held longest, as [`Wire::step`](super::Wire::step).
    pub fn step(&mut self) -> Option<Frame> {
        self.engine.step()
    }

    /// Holds nothing any more, as [`Wire::release`](super::Wire::release).
    pub fn release(&mut self) {
        self.engine.release();
    }

    /// A whole frame comes in.
    pub fn frame(&mut self, way: Way, bytes: Vec<u8>) {
        // What cannot be read is no TCP to a rule, as on a wire.
        let segment = Segment::decode(&bytes).ok().flatten();
        self.engine
            .admit(way, segment, Default::default(), bytes, self.now);
    }

    /// Time passes, and what was delayed goes on once it is due.
    pub fn elapse(&mut self, time: Duration) {
        // A clock has an end, behind which nothing is due.
        self.now = self.now.checked_add(time).unwrap_or(self.now);
        self.engine.send_due(self.now);
    }

    /// Whether frames go on by themselves later.
    #[must_use]
    pub fn is_delaying(&self) -> bool {
        self.engine.is_delaying()
    }

    /// What has gone on since this was last asked, in its order.
    pub fn take_out(&mut self) -> Vec<(Way, Vec<u8>)> {
        let out = self.engine.departures().into_iter();
        out.map(|departure| (departure.way, departure.bytes))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Verdict;

    #[test]
    fn time_passes_when_it_is_told_to() {
        let (mut wire, second) = (DryRun::new(), Duration::from_secs(1));
        wire.rule(Matcher::any().then(Verdict::Delay(second)));
        wire.frame(Way::AToB, vec![1]);
        wire.elapse(second / 2);
        assert!(wire.is_delaying() && wire.take_out().is_empty());
        wire.elapse(second / 2);
        assert!(!wire.is_delaying());
        assert_eq!(wire.take_out(), [(Way::AToB, vec![1])]);
        wire.elapse(Duration::MAX);
    }

    #[test]
    fn what_a_wire_does_it_does() {
        let mut wire = DryRun::new();
        let number = wire.rule(Matcher::any().then(Verdict::Drop));
        wire.frame(Way::AToB, vec![1]);
        wire.remove_rule(number);
        wire.set_cut(true);
        wire.frame(Way::AToB, vec![2]);
        wire.set_cut(false);
        wire.hold(Matcher::any());
        wire.frame(Way::AToB, vec![3]);
        wire.frame(Way::BToA, vec![4]);
        assert!(wire.take_out().is_empty());
        assert_eq!(wire.step().map(|frame| frame.bytes), Some(vec![3]));
        wire.release();
        let out = [(Way::AToB, vec![3]), (Way::BToA, vec![4])];
        assert_eq!(wire.take_out(), out);
    }
}
