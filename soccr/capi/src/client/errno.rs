//! `errno`, before and after a call.

use std::io;

/// Sets it to 0, so that what a call leaves is its own.
pub(super) fn clear() {
    // SAFETY: takes no arguments, and never fails.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the place is the calling thread's own, and lives as long as the thread.
    unsafe { *place = 0 };
}

/// What a call has left.
pub(super) fn last() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
