//! Waiting for named conditions; a timeout is only the bound after which the wait has failed.

use crate::error::{Doing, Error};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

/// The first pause between two looks at a condition.
const FIRST_PAUSE: Duration = Duration::from_micros(20);
/// The longest pause between two looks at a condition.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// What the time between two looks costs at most.
const LONGEST_COST: Duration = Duration::from_secs(1);

/// How much longer something is waited for, by a clock that stands still where the machine does.
///
/// Between two looks at most [`LONGEST_COST`] counts: a machine that was suspended, or had its processors taken
/// away, gave what is waited for no time to happen.
pub(crate) struct Patience {
    timeout: Duration,
    left: Duration,
    looked: Instant,
}

impl Patience {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            left: timeout,
            looked: Instant::now(),
        }
    }

    /// What is left of it now.
    pub(crate) fn left(&mut self) -> Duration {
        self.left_at(Instant::now())
    }

    fn left_at(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.looked);
        self.looked = now;
        self.left = self.left.saturating_sub(passed.min(LONGEST_COST));
        self.left
    }

    /// How long may be waited until the next look; an error naming `what` when nothing is left.
    pub(crate) fn pause(&mut self, what: impl FnOnce() -> String) -> Result<Duration, Error> {
        match self.left() {
            Duration::ZERO => Err(Error::Timeout {
                what: what(),
                timeout: self.timeout,
            }),
            left => Ok(left.min(LONGEST_COST)),
        }
    }
}

/// Waits until `condition` holds; looks at once, then ever less often, at least every 5 ms.
///
/// # Errors
/// [`Error::Timeout`] naming `what`, when it still does not hold after `timeout`.
pub fn until(
    what: impl Into<String>,
    timeout: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<(), Error> {
    let what = what.into();
    let mut patience = Patience::new(timeout);
    let mut pause = FIRST_PAUSE;
    while !condition() {
        thread::sleep(pause.min(patience.pause(|| what.clone())?));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// Waits until `fd` has something to read: data, the end of a stream, an error, or a connection to accept.
///
/// # Errors
/// [`Error::Timeout`] naming `what`, when there is still nothing after `timeout`; [`Error::Os`] when poll(2) fails.
pub fn readable(what: impl Into<String>, timeout: Duration, fd: impl AsFd) -> Result<(), Error> {
    ready(what, timeout, fd, PollFlags::POLLIN)
}

/// Waits until something can be written to `fd`, or until it has failed.
///
/// # Errors
/// [`Error::Timeout`] naming `what`, when there is still no room after `timeout`; [`Error::Os`] when poll(2) fails.
pub fn writable(what: impl Into<String>, timeout: Duration, fd: impl AsFd) -> Result<(), Error> {
    ready(what, timeout, fd, PollFlags::POLLOUT)
}

fn ready(
    what: impl Into<String>,
    timeout: Duration,
    fd: impl AsFd,
    events: PollFlags,
) -> Result<(), Error> {
    let what = what.into();
    let mut patience = Patience::new(timeout);
    let mut pause = Duration::ZERO;
    let mut fds = [PollFd::new(fd.as_fd(), events)];
    loop {
        // Rounded up: a wait of less than a millisecond must not become a busy loop.
        let rounded =
            PollTimeout::try_from(pause.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, rounded) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => pause = patience.pause(|| what.clone())?,
            Ok(_) => return Ok(()),
            Err(error) => return Err(error).doing(|| format!("poll for {what}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_condition_that_holds_needs_no_time() {
        until("nothing", Duration::ZERO, || true).unwrap();
    }

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        until("the third look", Duration::from_secs(10), || {
            looks += 1;
            looks == 3
        })
        .unwrap();
        assert_eq!(looks, 3);
    }

    #[test]
    fn a_machine_that_stands_still_costs_one_look() {
        let mut patience = Patience::new(Duration::from_secs(30));
        let hour = patience.looked + Duration::from_secs(3600);
        assert_eq!(patience.left_at(hour), Duration::from_secs(29));
        let soon = hour + Duration::from_millis(5);
        assert_eq!(patience.left_at(soon), Duration::from_millis(28_995));
    }

    #[test]
    fn a_timeout_names_the_condition() {
        let error = until("the sky to fall", Duration::from_millis(1), || false).unwrap_err();
        assert!(error.to_string().contains("the sky to fall"), "{error}");
    }

    #[test]
    fn a_pipe_becomes_readable() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        assert!(matches!(
            readable("a byte", Duration::from_millis(1), &reader),
            Err(Error::Timeout { .. })
        ));
        writer.write_all(b"x").unwrap();
        readable("a byte", Duration::from_secs(10), &reader).unwrap();
    }
}
