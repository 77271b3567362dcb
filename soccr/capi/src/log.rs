//! The log: lines that go to a function of the caller's.

use std::ffi::{CString, c_char, c_uint};
use std::sync::{Mutex, PoisonError};

/// The function of a caller: `printf`-like, as C has it.
pub type LogFn = unsafe extern "C" fn(level: c_uint, format: *const c_char, ...);

/// What has failed.
pub const SOCCR_LOG_ERR: c_uint = 1;
/// What is being done, and what does not come back.
pub const SOCCR_LOG_DBG: c_uint = 2;

static LOG: Mutex<(c_uint, Option<LogFn>)> = Mutex::new((0, None));

/// Chooses who gets the lines, and up to which level.
pub(crate) fn set(level: c_uint, function: Option<LogFn>) {
    *LOG.lock().unwrap_or_else(PoisonError::into_inner) = (level, function);
}

/// Tells that something has failed.
pub(crate) fn error(message: &str) {
    write(SOCCR_LOG_ERR, "Error", || message.to_owned());
}

/// Tells what is being done; the text is only made where somebody reads it.
pub(crate) fn debug(message: impl FnOnce() -> String) {
    write(SOCCR_LOG_DBG, "Debug", message);
}

fn write(level: c_uint, kind: &str, message: impl FnOnce() -> String) {
    // Not held while the caller's function runs: another thread may log meanwhile.
    let (wanted, function) = *LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(function) = function.filter(|_| level <= wanted) else {
        return;
    };
    let line = format!("{kind} (soccr): {}\n", message().replace('\0', "\u{fffd}"));
    // No zero is left in it.
    let Ok(line) = CString::new(line) else { return };
    // SAFETY: the caller promised a function of this type. The format takes one string, which is there, ends with a zero and
    // lives until the call returns; the line itself is never a format.
    unsafe { function(level, c"%s".as_ptr(), line.as_ptr()) };
}
