//! Whether a run is to end, and who waits to hear that.

use signal_hook::iterator::Signals;
use std::fmt;
use std::io;
use std::os::raw::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A flag that says that a run is to end, and those who are told when it is set.
///
/// Nobody has to look at it again and again: in a machine whose time leaps over idleness each look costs as much as the leap.
#[derive(Clone, Default)]
pub struct ToldToEnd {
    flag: Arc<AtomicBool>,
    waiting: Arc<Mutex<Vec<Heard>>>,
}

/// What is done when it is set.
type Heard = Box<dyn Fn() + Send>;

impl ToldToEnd {
    /// `flag`, which these signals set; who waits for it hears of them in a thread of its own.
    ///
    /// # Errors
    /// Those of the kernel, where it has no descriptor or no thread left.
    pub fn by(flag: Arc<AtomicBool>, signals: &[c_int]) -> io::Result<Self> {
        let told = Self {
            flag,
            ..Self::default()
        };
        let (mut signals, teller) = (Signals::new(signals)?, told.clone());
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || signals.forever().for_each(|_| teller.tell()))?;
        Ok(told)
    }

    /// Whether the run is to end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Sets it, and tells those who wait.
    pub fn tell(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.waiting().iter().for_each(|heard| heard());
    }

    /// Does this each time it is set from now on, and at once where it is set already.
    pub(super) fn heard(&self, heard: impl Fn() + Send + 'static) {
        let mut waiting = self.waiting();
        if self.is_set() {
            heard();
        }
        waiting.push(Box::new(heard));
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ToldToEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ToldToEnd").field(&self.is_set()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn who_waits_is_told_and_so_is_who_comes_late() {
        let told = ToldToEnd::default();
        let (sender, heard) = mpsc::channel();
        let (early, late) = (sender.clone(), sender);
        told.heard(move || early.send("early").unwrap_or_default());
        assert!(heard.try_recv().is_err() && !told.is_set());
        told.tell();
        assert_eq!(heard.try_recv(), Ok("early"));
        assert!(told.is_set());
        told.heard(move || late.send("late").unwrap_or_default());
        assert_eq!(heard.try_recv(), Ok("late"));
    }
}
