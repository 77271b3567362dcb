//! A state that one thread changes and others wait for.

use crate::error::Error;
use crate::wait::Patience;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    state: Mutex<T>,
    changed: Condvar,
    /// How many wait; changed with the state locked. To tell nobody would be a system call all the same.
    waiting: AtomicUsize,
}

impl<T> Watched<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        // A condition may have panicked; the state is whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unlocks it, and lets those who wait look at it.
    pub(crate) fn changed(&self, state: MutexGuard<'_, T>) {
        let awaited = self.waiting.load(Ordering::Relaxed) > 0;
        drop(state);
        if awaited {
            self.changed.notify_all();
        }
    }

    /// Waits until `ready` answers; it is asked at once and after every change.
    ///
    /// # Errors
    /// Those of `ready`, [`Error::Timeout`] naming `what` when it has not answered after `timeout`.
    pub(crate) fn wait<R>(
        &self,
        what: impl Fn() -> String,
        timeout: Duration,
        mut ready: impl FnMut(&mut T) -> Result<Option<R>, Error>,
    ) -> Result<R, Error> {
        let mut patience = Patience::new(timeout);
        let mut state = self.lock();
        loop {
            if let Some(result) = ready(&mut state)? {
                return Ok(result);
            }
            let pause = patience.pause(&what)?;
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let woken = self.changed.wait_timeout(state, pause);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn who_waits_is_told_of_every_change() {
        let watched = Watched::<u32>::default();
        thread::scope(|scope| {
            let all = [1, 2].map(|wanted| {
                let ready = move |state: &mut u32| Ok((*state >= wanted).then_some(*state));
                let watched = &watched;
                scope.spawn(move || watched.wait(String::new, LONG, ready))
            });
            for _ in 0..2 {
                let mut state = watched.lock();
                *state += 1;
                watched.changed(state);
            }
            for waiter in all {
                assert!(waiter.join().unwrap().unwrap() >= 1);
            }
        });
        assert_eq!(watched.waiting.into_inner(), 0);
    }

    #[test]
    fn a_wait_ends_with_what_it_waited_for() {
        let watched = Watched::<u32>::default();
        let never = |_: &mut u32| Ok(None::<u32>);
        let what = || "the sky to fall".to_owned();
        let error = watched
            .wait(what, Duration::from_millis(1), never)
            .unwrap_err();
        assert!(error.to_string().contains("the sky to fall"), "{error}");
        let failed = |_: &mut u32| Err::<Option<()>, _>(Error::Wire("cut".to_owned()));
        assert!(matches!(watched.wait(what, LONG, failed), Err(Error::Wire(why)) if why == "cut"));
    }
}
