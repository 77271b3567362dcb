//! The log: lines that go to a function of the caller's.

use std::ffi::{CString, c_char, c_uint};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The function of a caller: `printf`-like, as C has it.
pub type LogFn = unsafe extern "C" fn(level: c_uint, format: *const c_char, ...);

/// What has failed.
pub const SOCCR_LOG_ERR: c_uint = 1;
/// What is being done, and what does not come back.
pub const SOCCR_LOG_DBG: c_uint = 2;

/// No lock: a process that forks while another thread logs would leave it locked in its child for ever.
static LEVEL: AtomicU32 = AtomicU32::new(0);
/// A [`LogFn`], or null.
static FUNCTION: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Chooses who gets the lines, and up to which level.
pub(crate) fn set(level: c_uint, function: Option<LogFn>) {
    let function = function.map_or(ptr::null_mut(), |function| function as *mut ());
    FUNCTION.store(function, Ordering::Release);
    LEVEL.store(level, Ordering::Release);
}

/// Who gets the lines of a level.
fn listener(level: c_uint) -> Option<LogFn> {
    if level > LEVEL.load(Ordering::Acquire) {
        return None;
    }
    let function = FUNCTION.load(Ordering::Acquire);
    // SAFETY: it is null, which is `None`, or was such a function.
    unsafe { mem::transmute::<*mut (), Option<LogFn>>(function) }
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
    let Some(function) = listener(level) else {
        return;
    };
    let line = format!("{kind} (soccr): {}\n", message().replace('\0', "\u{fffd}"));
    // No zero is left in it.
    let Ok(line) = CString::new(line) else { return };
    // SAFETY: the caller promised a function of this type. The format takes one string, which is there, ends with a zero and
    // lives until the call returns; the line itself is never a format.
    unsafe { function(level, c"%s".as_ptr(), line.as_ptr()) };
}
