//! The one place that every system call passes: counted, retried after a signal, and made to fail on purpose in tests.

use std::cell::Cell;
use std::io;

thread_local! {
    static MADE: Cell<u64> = const { Cell::new(0) };
}

/// How often a call that a signal interrupted is made again. None of the calls here waits for anything, but for a helper or
/// by one, so that one that is interrupted more often has another reason.
const MAX_INTERRUPTIONS: u32 = 100;

/// How many system calls this thread has made for the library.
pub(crate) fn made() -> u64 {
    MADE.get()
}

/// Makes a system call.
///
/// One that was interrupted has done nothing (`signal(7)`), and is made again.
pub(super) fn call<T>(
    name: &'static str,
    mut make: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    for _ in 0..MAX_INTERRUPTIONS {
        match once(name, &mut make) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
    once(name, &mut make)
}

fn once<T>(name: &'static str, make: &mut impl FnMut() -> io::Result<T>) -> io::Result<T> {
    MADE.set(MADE.get() + 1);
    crate::faults::strike(name)?;
    make()
}
