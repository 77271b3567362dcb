//! What becomes of each frame, and when: the wire without its sockets.

use super::frame::{Frame, Numbering, Way};
use super::matcher::Matcher;
use super::rule::{Rule, Verdict};
use crate::segment::Segment;
use crate::sys::VnetHeader;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// So many frames can be looked back at.
const MEMORY: usize = 1 << 16;

/// A frame that came in, with the header that tells the link what is still to be done to it.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) frame: Frame,
    pub(super) offload: VnetHeader,
}

/// No frame is delayed for longer, which is 136 years: a clock has an end.
const LONGEST_DELAY: Duration = Duration::from_secs(u32::MAX as u64);

/// Nothing is to be done to a frame.
const COMPLETE: VnetHeader = [0; 10];

/// What goes out.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) way: Way,
    pub(super) bytes: Vec<u8>,
    pub(super) offload: VnetHeader,
}

/// Rules, and the frames that wait.
#[derive(Default)]
pub(super) struct Engine {
    numbering: Numbering,
    rules: Vec<(u64, Box<dyn Rule>)>,
    next_rule: u64,
    cut: bool,
    holding: Vec<Matcher>,
    pub(super) held: VecDeque<Arrival>,
    overtaken: Vec<(usize, Arrival)>,
    delayed: Vec<(Instant, Arrival)>,
    /// The frames that have come in, without what they carry.
    pub(super) seen: VecDeque<Frame>,
    /// How many frames have ever come in.
    pub(super) arrivals: u64,
    /// What goes out next.
    out: Vec<Departure>,
}

impl Engine {
    /// Decides about a frame that has come in.
    pub(super) fn admit(
        &mut self,
        way: Way,
        segment: Option<Segment>,
        offload: VnetHeader,
        bytes: Vec<u8>,
        now: Instant,
    ) {
        // The second byte says into what it is to be cut; 0 is "not at all".
        let gso = offload[1] != 0;
        let frame = self.numbering.frame(way, segment, gso, bytes);
        self.arrivals += 1;
        if self.seen.len() == MEMORY {
            self.seen.pop_front();
        }
        self.seen.push_back(frame.head());
        let verdict = self.judge(&frame);
        self.execute(verdict, Arrival { frame, offload }, now);
    }

    /// Sends something that no rule is asked about.
    pub(super) fn let_through(&mut self, way: Way, bytes: Vec<u8>) {
        self.out.push(Departure {
            way,
            bytes,
            offload: COMPLETE,
        });
    }

    fn judge(&mut self, frame: &Frame) -> Verdict {
        if self.cut {
            return Verdict::Drop;
        }
        if self.holding.iter().any(|matcher| matcher.matches(frame)) {
            return Verdict::Hold;
        }
        let mut verdicts = self.rules.iter_mut().map(|(_, rule)| rule.judge(frame));
        verdicts
            .find(|verdict| *verdict != Verdict::Pass)
            .unwrap_or(Verdict::Pass)
    }

    fn execute(&mut self, verdict: Verdict, mut arrival: Arrival, now: Instant) {
        match verdict {
            Verdict::Pass => self.send(arrival),
            Verdict::Drop => {}
            Verdict::Hold => self.held.push_back(arrival),
            Verdict::Delay(time) => {
                let due = now + time.min(LONGEST_DELAY);
                self.delayed.push((due, arrival));
            }
            Verdict::Duplicate => {
                self.send(arrival.clone());
                self.send(arrival);
            }
            Verdict::Reorder(0) => self.send(arrival),
            Verdict::Reorder(frames) => self.overtaken.push((frames, arrival)),
            Verdict::Corrupt => {
                if arrival.offload == COMPLETE {
                    if let Some(last) = arrival.frame.bytes.last_mut() {
                        *last ^= 1;
                    }
                    self.send(arrival);
                }
            }
            Verdict::Rewrite(bytes) => {
                arrival.frame.bytes = bytes;
                arrival.offload = COMPLETE;
                self.send(arrival);
            }
        }
    }

    /// Sends a frame, and behind it those that have waited for being overtaken by it.
    fn send(&mut self, arrival: Arrival) {
        let mut next = Some(arrival);
        while let Some(arrival) = next {
            let way = arrival.frame.way;
            self.out.push(Departure {
                way,
                bytes: arrival.frame.bytes,
                offload: arrival.offload,
            });
            for (frames, waiting) in &mut self.overtaken {
                if waiting.frame.way == way {
                    // Several may be free to go at once, and each of them overtakes the others.
                    *frames = frames.saturating_sub(1);
                }
            }
            let free = self.overtaken.iter().position(|(frames, _)| *frames == 0);
            next = free.map(|at| self.overtaken.remove(at).1);
        }
    }

    /// Sends what has been delayed for long enough; says when the next is due.
    pub(super) fn send_due(&mut self, now: Instant) -> Option<Instant> {
        self.delayed.sort_by_key(|(due, _)| *due);
        let due = self.delayed.partition_point(|(due, _)| *due <= now);
        let due: Vec<_> = self.delayed.drain(..due).collect();
        for (_, arrival) in due {
            self.send(arrival);
        }
        self.delayed.first().map(|(due, _)| *due)
    }

    pub(super) fn has_departures(&self) -> bool {
        !self.out.is_empty()
    }

    /// What goes out now, in this order.
    pub(super) fn departures(&mut self) -> Vec<Departure> {
        std::mem::take(&mut self.out)
    }

    /// Whether frames go on by themselves later.
    pub(super) fn is_delaying(&self) -> bool {
        !self.delayed.is_empty()
    }

    pub(super) fn add_rule(&mut self, rule: Box<dyn Rule>) -> u64 {
        self.next_rule += 1;
        self.rules.push((self.next_rule, rule));
        self.next_rule
    }

    pub(super) fn remove_rule(&mut self, number: u64) {
        self.rules.retain(|(other, _)| *other != number);
    }

    pub(super) fn set_cut(&mut self, cut: bool) {
        self.cut = cut;
    }

    pub(super) fn hold(&mut self, matcher: Matcher) {
        self.holding.push(matcher);
    }

    /// Lets the frame go on that has been held longest.
    pub(super) fn step(&mut self) -> Option<Frame> {
        let arrival = self.held.pop_front()?;
        let frame = arrival.frame.clone();
        self.send(arrival);
        Some(frame)
    }

    /// Holds nothing any more: whatever waits goes on, what was held before what was to be overtaken.
    pub(super) fn release(&mut self) {
        self.holding.clear();
        while self.step().is_some() {}
        let overtaken = std::mem::take(&mut self.overtaken);
        for (_, arrival) in overtaken {
            self.send(arrival);
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("rules", &self.rules.len())
            .field("cut", &self.cut)
            .field("holding", &self.holding)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Admits frames of one byte each; what goes out, in its order.
    fn sent(engine: &mut Engine, frames: &[u8], now: Instant) -> Vec<u8> {
        for frame in frames {
            engine.admit(Way::AToB, None, COMPLETE, vec![*frame], now);
        }
        out(engine)
    }

    fn out(engine: &mut Engine) -> Vec<u8> {
        let bytes = |departure: Departure| departure.bytes[0];
        engine.departures().into_iter().map(bytes).collect()
    }

    /// Gives a verdict on the frame that consists of this byte.
    fn on(byte: u8, verdict: Verdict) -> Box<dyn Rule> {
        Box::new(move |frame: &Frame| match frame.bytes == [byte] {
            true => verdict.clone(),
            false => Verdict::Pass,
        })
    }

    #[test]
    fn every_verdict_does_what_it_says() {
        let second = Duration::from_secs(1);
        for (verdict, expected) in [
            (Verdict::Pass, &[1, 2, 3, 4][..]),
            (Verdict::Drop, &[1, 3, 4]),
            (Verdict::Hold, &[1, 3, 4]),
            (Verdict::Delay(second), &[1, 3, 4]),
            (Verdict::Duplicate, &[1, 2, 2, 3, 4]),
            (Verdict::Reorder(0), &[1, 2, 3, 4]),
            (Verdict::Reorder(1), &[1, 3, 2, 4]),
            (Verdict::Reorder(2), &[1, 3, 4, 2]),
            (Verdict::Reorder(3), &[1, 3, 4]),
            (Verdict::Corrupt, &[1, 2 ^ 1, 3, 4]),
            (Verdict::Rewrite(vec![9]), &[1, 9, 3, 4]),
        ] {
            let mut engine = Engine::default();
            engine.add_rule(on(2, verdict.clone()));
            let now = Instant::now();
            assert_eq!(
                sent(&mut engine, &[1, 2, 3, 4], now),
                expected,
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn those_that_one_frame_sets_free_go_in_their_order() {
        for (first, second, expected) in [(1, 1, [3, 1, 2]), (2, 1, [3, 2, 1])] {
            let (mut engine, now) = (Engine::default(), Instant::now());
            engine.add_rule(on(1, Verdict::Reorder(first)));
            engine.add_rule(on(2, Verdict::Reorder(second)));
            assert_eq!(sent(&mut engine, &[1, 2, 3], now), expected);
        }
    }

    #[test]
    fn thousands_that_one_frame_sets_free_go_in_their_order() {
        const FRAMES: usize = 20_000;
        let (mut engine, now) = (Engine::default(), Instant::now());
        engine.add_rule(on(1, Verdict::Reorder(1)));
        let sent = sent(&mut engine, &[vec![1; FRAMES], vec![2]].concat(), now);
        assert_eq!(sent, [vec![2], vec![1; FRAMES]].concat());
    }

    #[test]
    fn no_delay_is_too_long_for_the_clock() {
        let (mut engine, now) = (Engine::default(), Instant::now());
        engine.add_rule(on(1, Verdict::Delay(Duration::MAX)));
        assert_eq!(sent(&mut engine, &[1, 2], now), [2]);
        assert_eq!(engine.send_due(now), Some(now + LONGEST_DELAY));
    }

    #[test]
    fn what_is_delayed_goes_when_it_is_due_and_not_before() {
        let (mut engine, now) = (Engine::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        engine.add_rule(on(1, Verdict::Delay(Duration::from_secs(1))));
        assert_eq!(sent(&mut engine, &[1, 2], now), [2]);
        assert_eq!(
            (engine.send_due(now), engine.is_delaying()),
            (Some(later), true)
        );
        assert_eq!(out(&mut engine), [0; 0]);
        assert_eq!(
            (engine.send_due(later), engine.is_delaying()),
            (None, false)
        );
        assert_eq!(out(&mut engine), [1]);
    }

    #[test]
    fn the_first_rule_with_an_opinion_wins_and_a_removed_one_has_none() {
        let (mut engine, now) = (Engine::default(), Instant::now());
        let first = engine.add_rule(on(1, Verdict::Duplicate));
        engine.add_rule(on(1, Verdict::Drop));
        assert_eq!(sent(&mut engine, &[1], now), [1, 1]);
        engine.remove_rule(first);
        assert_eq!(sent(&mut engine, &[1], now), [0; 0]);
    }

    #[test]
    fn what_is_held_goes_step_by_step_or_all_at_once() {
        let (mut engine, now) = (Engine::default(), Instant::now());
        engine.hold(Matcher::any());
        engine.add_rule(on(4, Verdict::Drop));
        assert_eq!(sent(&mut engine, &[1, 2, 3], now), [0; 0]);
        assert_eq!(engine.step().map(|frame| frame.bytes), Some(vec![1]));
        assert_eq!(out(&mut engine), [1]);
        engine.release();
        assert_eq!(out(&mut engine), [2, 3]);
        assert_eq!(sent(&mut engine, &[4, 5], now), [5]);
        assert!(engine.step().is_none());
    }

    #[test]
    fn a_cut_wire_drops_what_comes_and_keeps_what_is_held() {
        let (mut engine, now) = (Engine::default(), Instant::now());
        engine.add_rule(on(1, Verdict::Hold));
        assert_eq!(sent(&mut engine, &[1], now), [0; 0]);
        engine.set_cut(true);
        assert_eq!(sent(&mut engine, &[1, 2], now), [0; 0]);
        engine.set_cut(false);
        engine.release();
        assert_eq!(out(&mut engine), [1]);
    }

    #[test]
    fn what_has_no_checksum_yet_is_dropped_instead_of_corrupted() {
        let (mut engine, now) = (Engine::default(), Instant::now());
        engine.add_rule(on(1, Verdict::Corrupt));
        let mut partial = COMPLETE;
        // VIRTIO_NET_HDR_F_NEEDS_CSUM
        partial[0] = 1;
        engine.admit(Way::AToB, None, partial, vec![1], now);
        assert_eq!(out(&mut engine), [0; 0]);
    }
}
