//! Chance, from a seed: the same seed decides the same about the same frames.

use super::frame::Frame;
use super::matcher::Matcher;
use super::rule::{Rule, Verdict};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A rule that loses, duplicates, reorders and delays frames by chance.
///
/// Print it where a test fails: it says its seed.
#[derive(Clone, Debug)]
#[must_use = "it is a rule: give it to Wire::rule"]
pub struct Random {
    seed: u64,
    dice: fastrand::Rng,
    among: Matcher,
    loss: f64,
    duplication: f64,
    reordering: f64,
    delay: Option<(f64, RangeInclusive<Duration>)>,
}

/// At most so many frames overtake one that is reordered. Where they are missing, as behind the last segment, every one
/// of them costs a retransmission timeout.
const FURTHEST: usize = 3;

impl Random {
    /// Chance that follows from `seed`; leaves every frame alone until it is told what to do.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            dice: fastrand::Rng::with_seed(seed),
            among: Matcher::tcp(),
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            delay: None,
        }
    }

    /// Chance that follows from a seed that nobody has chosen; [`seed`](Self::seed) tells it.
    pub fn new() -> Self {
        // 32 bits are enough, and easier to type.
        Self::seeded(fastrand::u32(..).into())
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Only frames that are meant by `matcher` are left to chance; without it, every TCP segment.
    pub fn among(mut self, matcher: impl Into<Matcher>) -> Self {
        self.among = matcher.into();
        self
    }

    /// The share of frames, from 0 to 1, that are dropped.
    pub fn loss(mut self, share: f64) -> Self {
        self.loss = share;
        self
    }

    /// The share of frames, from 0 to 1, that go on twice.
    pub fn duplication(mut self, share: f64) -> Self {
        self.duplication = share;
        self
    }

    /// The share of frames, from 0 to 1, that one to three later ones overtake.
    pub fn reordering(mut self, share: f64) -> Self {
        self.reordering = share;
        self
    }

    /// The share of frames, from 0 to 1, that go on after a time in `range`.
    pub fn delay(mut self, share: f64, range: RangeInclusive<Duration>) -> Self {
        self.delay = Some((share, range));
        self
    }

    fn time_in(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let spread = range.end().saturating_sub(*range.start());
        *range.start() + spread.mul_f64(self.dice.f64())
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl Rule for Random {
    fn judge(&mut self, frame: &Frame) -> Verdict {
        if !self.among.matches(frame) {
            return Verdict::Pass;
        }
        // One throw a frame decides which it is: so shares add up, and are what they are called.
        let mut throw = self.dice.f64();
        let mut falls = |share: f64| {
            throw -= share;
            throw < 0.0
        };
        if falls(self.loss) {
            return Verdict::Drop;
        }
        if falls(self.duplication) {
            return Verdict::Duplicate;
        }
        if falls(self.reordering) {
            return Verdict::Reorder(self.dice.usize(1..=FURTHEST));
        }
        match self.delay.clone() {
            Some((share, range)) if falls(share) => Verdict::Delay(self.time_in(&range)),
            _ => Verdict::Pass,
        }
    }
}

impl fmt::Display for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chance with seed {}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Way;

    fn verdicts(mut chance: Random, frames: usize) -> Vec<Verdict> {
        let frame = Frame {
            way: Way::AToB,
            segment: None,
            number: 0,
            data_number: 0,
            relative_seq: None,
            gso: false,
            bytes: Vec::new(),
        };
        (0..frames).map(|_| chance.judge(&frame)).collect()
    }

    #[test]
    fn the_same_seed_decides_the_same_and_another_one_otherwise() {
        let chance = |seed| Random::seeded(seed).among(Matcher::any()).loss(0.5);
        assert_eq!(verdicts(chance(1), 100), verdicts(chance(1), 100));
        assert_ne!(verdicts(chance(1), 100), verdicts(chance(2), 100));
        assert_eq!(chance(7).to_string(), "chance with seed 7");
    }

    #[test]
    fn shares_are_what_they_are_called() {
        let delay = Duration::from_millis(1)..=Duration::from_millis(3);
        let chance = Random::seeded(1).among(Matcher::any());
        let chance = chance.loss(0.1).duplication(0.2).reordering(0.3);
        let verdicts = verdicts(chance.delay(0.4, delay.clone()), 10_000);
        let share = |which: fn(&Verdict) -> bool| verdicts.iter().filter(|it| which(it)).count();
        for (expected, found) in [
            (1000, share(|it| *it == Verdict::Drop)),
            (2000, share(|it| *it == Verdict::Duplicate)),
            (3000, share(|it| matches!(it, Verdict::Reorder(1..=3)))),
            (4000, share(|it| matches!(it, Verdict::Delay(_)))),
        ] {
            assert!(
                found.abs_diff(expected) < 200,
                "{found} instead of {expected}"
            );
        }
        let in_range = |it: &Verdict| match it {
            Verdict::Delay(time) => delay.contains(time),
            _ => true,
        };
        assert!(verdicts.iter().all(in_range));
    }

    #[test]
    fn what_is_not_meant_is_left_alone() {
        let chance = Random::seeded(1).among(Matcher::tcp()).loss(1.0);
        assert_eq!(verdicts(chance, 1), [Verdict::Pass]);
    }
}
