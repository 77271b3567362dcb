//! Waiting for what the kernel does of itself: bounded, and never for more than it takes.

use crate::error::Error;
use std::time::{Duration, Instant};

/// How long anything is waited for. What is waited for happens on this host, within microseconds; the bound is for a
/// host that is overloaded, or that drops it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits until a condition holds; false where it does not come to that.
pub(crate) fn until(mut condition: impl FnMut() -> Result<bool, Error>) -> Result<bool, Error> {
    let mut began = None;
    loop {
        if condition()? {
            return Ok(true);
        }
        let began = *began.get_or_insert_with(Instant::now);
        if began.elapsed() > PATIENCE {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}
