//! How long a run goes on.

use std::time::{Duration, Instant};

/// So many times, and within so much time if there is a bound: whichever comes first, but at least so often as says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    pub(crate) times: u64,
    pub(crate) within: Option<Duration>,
    pub(crate) least: u64,
}

/// A run on its way to its goal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    goal: Goal,
    start: Instant,
}

impl Goal {
    /// Begins now.
    pub(crate) fn begin(self) -> Course {
        Course {
            goal: self,
            start: Instant::now(),
        }
    }
}

impl Course {
    /// Whether there is to be another one after so many.
    pub(crate) fn goes_on(&self, done: u64) -> bool {
        let in_time = self
            .goal
            .within
            .is_none_or(|within| self.start.elapsed() < within);
        done < self.goal.times && (in_time || done < self.goal.least)
    }

    /// How long it has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_ends_it_and_so_often_is_the_least() {
        let goal = |times, within, least| {
            let goal = Goal {
                times,
                within,
                least,
            };
            goal.begin()
        };
        let counted = goal(2, None, 1);
        assert!(counted.goes_on(1));
        assert!(!counted.goes_on(2));
        let late = goal(u64::MAX, Some(Duration::ZERO), 3);
        assert!(late.goes_on(2));
        assert!(!late.goes_on(3));
        assert!(!goal(2, Some(Duration::MAX), 3).goes_on(2));
    }
}
