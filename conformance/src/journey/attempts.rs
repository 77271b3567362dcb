//! Attempts to restore a connection: their packets are seen, and do not come to the peer.

use super::{Saved, Traveller};
use crate::oracle::peer::{self, TELLTALES};
use crate::verdict::Verdict;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long a restored connection waits, in repair mode too, until it sends again what was in flight (`TCP_TIMEOUT_INIT`,
/// guide A9), less one tick of the slowest clock.
const TIMER: Duration = Duration::from_millis(990);

/// Whether a connection was restored, and not resumed, for so long that its timer may have ended.
#[derive(Debug, Default)]
pub(super) struct Outlasted(Cell<bool>);

impl Traveller {
    /// Lets out again what goes out, so that it is seen, but not as far as the peer: the acknowledgement of a FIN that is put
    /// back has the clock of its attempt, and what a later one says is older then.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where the lab cannot.
    pub fn show_attempts(&mut self) -> Verdict {
        self.lock.block_arrival(&self.pair, self.flow)?;
        self.lock.unblock_egress();
        Ok(())
    }
}

impl Saved {
    /// Carries out an attempt: all that a connection may live for without a resume.
    pub fn attempt<T>(&self, attempt: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = attempt();
        if start.elapsed() >= TIMER {
            self.outlasted.0.set(true);
        }
        result
    }

    /// Whether an attempt took so long that what was in flight may have been sent again.
    #[must_use]
    pub fn sends_again(&self) -> bool {
        self.outlasted.0.get()
    }

    /// Forgets what the hosts have counted so far: a reset that ended on its own host is counted there, too.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where the counters cannot be read.
    pub fn count_from_now(&mut self, traveller: &Traveller) -> Verdict {
        self.counters = traveller.counters()?;
        Ok(())
    }

    /// Fails if one of the two hosts has counted anything that an undisturbed connection does not cause, and forgets what
    /// was counted.
    ///
    /// # Errors
    /// [`Stop::Fail`](crate::verdict::Stop::Fail) with the counters that moved.
    pub fn expect_attempts_only(&mut self, traveller: &Traveller) -> Verdict {
        let [subject, peer] = &self.counters;
        peer::expect_unmoved_at_subject(traveller.pair.a(), subject)?;
        peer::expect_unmoved(traveller.pair.b(), peer, TELLTALES)?;
        self.count_from_now(traveller)
    }
}
