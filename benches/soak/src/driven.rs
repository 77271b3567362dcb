//! Something that a thread of its own does until it is told to end.

use crate::error::{Error, While as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// What a thread is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    end: AtomicBool,
    give_up: AtomicBool,
}

impl Told {
    /// Whether it is to end.
    pub(crate) fn to_end(&self) -> bool {
        self.0.end.load(Ordering::Acquire)
    }

    /// Whether it is to end without waiting for anybody.
    pub(crate) fn to_give_up(&self) -> bool {
        self.0.give_up.load(Ordering::Acquire)
    }

    /// Tells it to end.
    pub(crate) fn end(&self) {
        self.0.end.store(true, Ordering::Release);
    }

    /// Tells it to end without waiting for anybody.
    pub(crate) fn give_up(&self) {
        self.0.give_up.store(true, Ordering::Release);
        self.end();
    }
}

/// A thread that runs until it is told to end, or fails.
#[derive(Debug)]
pub(crate) struct Driven<T> {
    told: Told,
    thread: JoinHandle<Result<T, Error>>,
}

impl<T: Send + 'static> Driven<T> {
    /// Starts a thread.
    pub(crate) fn start(
        work: impl FnOnce(&Told) -> Result<T, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let told = Told::default();
        let theirs = told.clone();
        let thread = Builder::new().spawn(move || work(&theirs));
        Ok(Self {
            told,
            thread: thread.doing(|| "starting a thread".to_owned())?,
        })
    }

    /// Whether it has ended, which it does of itself only where it has failed.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Tells it to end.
    pub(crate) fn tell_to_end(&self) {
        self.told.end();
    }

    /// What an error comes from: one end loses the other where that has failed first. The other is not waited for: what it waits
    /// for may be what has failed.
    pub(crate) fn blame(self, error: Error) -> Error {
        match error {
            Error::System { .. } | Error::Stalled(_) => {
                self.told.give_up();
                self.join().err().unwrap_or(error)
            }
            other => other,
        }
    }

    /// Waits for its end; what came of it.
    pub(crate) fn join(self) -> Result<T, Error> {
        let joined = self.thread.join();
        joined.map_err(|_| Error::Panicked("the thread of the peer"))?
    }
}
