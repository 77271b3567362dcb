//! The one place that every system call passes: counted, retried after a signal, and made to fail on purpose in tests.

use crate::faults;
use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;

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

/// Makes a system call that concerns a socket and gives the kernel bytes; returns what `make` counts.
pub(super) fn give(
    name: &'static str,
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    mut make: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    faults::give(name, socket, bytes, |bytes| call(name, || make(bytes)))
}

/// Makes one that the kernel gives bytes.
pub(super) fn fill(
    name: &'static str,
    socket: BorrowedFd<'_>,
    room: &mut [u8],
    mut make: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    faults::fill(name, socket, room, |room| call(name, || make(room)))
}

/// Makes one that carries no bytes, or such as nobody has to look at.
pub(super) fn call_on(
    name: &'static str,
    socket: BorrowedFd<'_>,
    mut make: impl FnMut() -> io::Result<libc::c_int>,
) -> io::Result<()> {
    give(name, socket, &[], |_| make().map(|_| 0)).map(drop)
}

fn once<T>(name: &'static str, make: &mut impl FnMut() -> io::Result<T>) -> io::Result<T> {
    MADE.set(MADE.get() + 1);
    faults::strike(name)?;
    make()
}
