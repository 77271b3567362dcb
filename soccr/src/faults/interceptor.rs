//! Somebody between the library and the kernel: what a defect of the library would do, done on purpose.

use super::missing;
use crate::error::Error;
use crate::snapshot::Snapshot;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

/// Stands between the library and the kernel, and may change what passes. Every method does nothing unless it is written.
///
/// It sees the calls of the library's own operations, a save or a restore, on whatever thread they are made. What is
/// called through [`raw`](crate::raw) is the caller's own and passes it by: also what an interceptor does there itself.
pub trait Interceptor: Send + Sync {
    /// Instead of a system call that concerns a socket: makes it, or not, and says what came of it.
    ///
    /// # Errors
    /// What the library is to be told.
    fn call(&self, call: &mut Call<'_>) -> io::Result<usize> {
        call.make()
    }

    /// When a socket was read, still paused.
    fn saved(&self, _socket: BorrowedFd<'_>, _snapshot: &mut Snapshot) {}

    /// When a paused socket is given up, to be closed without a packet.
    fn released(&self, _socket: BorrowedFd<'_>) {}

    /// When a restored socket was resumed.
    fn resumed(&self, _socket: BorrowedFd<'_>) {}

    /// When an image was written.
    fn imaged(&self, _image: &mut Vec<u8>) {}

    /// Instead of the refusal of a snapshot.
    ///
    /// # Errors
    /// What the caller of the library is to be told; nothing, and the snapshot counts as valid.
    fn refused(&self, error: Error) -> Result<(), Error> {
        Err(error)
    }
}

/// A system call that was not made yet.
///
/// Those that concern no socket are none, nor those that carry descriptors to a helper.
pub struct Call<'a> {
    name: &'static str,
    socket: BorrowedFd<'a>,
    bytes: &'a mut [u8],
    make: &'a mut dyn FnMut(&mut [u8]) -> io::Result<usize>,
}

impl Call<'_> {
    /// Its name, as errors have it: `setsockopt(TCP_REPAIR)`, `send`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket
    }

    /// What the kernel is given; or the room for what it gives, where it is written once the call was made. Empty for calls
    /// that carry neither, and for addresses and filters.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// Makes it: as often as one likes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn make(&mut self) -> io::Result<usize> {
        (self.make)(self.bytes)
    }

    /// Makes it with other bytes, or other room.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn make_with(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (self.make)(bytes)
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("socket", &self.socket)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

static INTERCEPTOR: OnceLock<Box<dyn Interceptor>> = OnceLock::new();

/// There is an interceptor in this process already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyIntercepted;

impl fmt::Display for AlreadyIntercepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is an interceptor in this process already: start another process")
    }
}

impl std::error::Error for AlreadyIntercepted {}

/// Puts an interceptor between the library and the kernel, for all threads, until the process ends.
///
/// # Errors
/// [`AlreadyIntercepted`] where there is one.
pub fn intercept(interceptor: impl Interceptor + 'static) -> Result<(), AlreadyIntercepted> {
    let taken = INTERCEPTOR.set(Box::new(interceptor));
    taken.map_err(|_| AlreadyIntercepted)
}

thread_local! {
    static BY_HAND: Cell<bool> = const { Cell::new(false) };
}

/// Makes calls that are not the library's own: nobody stands between.
pub(crate) fn by_hand<T>(f: impl FnOnce() -> T) -> T {
    /// Also where the call panics.
    struct Reset(bool);

    impl Drop for Reset {
        fn drop(&mut self) {
            BY_HAND.set(self.0);
        }
    }

    let _reset = Reset(BY_HAND.replace(true));
    f()
}

fn interceptor() -> Option<&'static dyn Interceptor> {
    match BY_HAND.get() {
        true => None,
        false => INTERCEPTOR.get().map(|interceptor| &**interceptor),
    }
}

/// A call that gives the kernel bytes.
pub(crate) fn give(
    name: &'static str,
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    mut make: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut make = |bytes: &[u8]| {
        missing(name, bytes)?;
        make(bytes)
    };
    let Some(interceptor) = interceptor() else {
        return make(bytes);
    };
    interceptor.call(&mut Call {
        name,
        socket,
        bytes: &mut bytes.to_vec(),
        make: &mut |bytes| make(bytes),
    })
}

/// A call that the kernel gives bytes.
pub(crate) fn fill(
    name: &'static str,
    socket: BorrowedFd<'_>,
    room: &mut [u8],
    mut make: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut make = |room: &mut [u8]| {
        missing(name, &[])?;
        make(room)
    };
    let Some(interceptor) = interceptor() else {
        return make(room);
    };
    interceptor.call(&mut Call {
        name,
        socket,
        bytes: room,
        make: &mut make,
    })
}

pub(crate) fn saved(socket: BorrowedFd<'_>, snapshot: &mut Snapshot) {
    if let Some(interceptor) = interceptor() {
        interceptor.saved(socket, snapshot);
    }
}

pub(crate) fn released(socket: BorrowedFd<'_>) {
    if let Some(interceptor) = interceptor() {
        interceptor.released(socket);
    }
}

pub(crate) fn resumed(socket: BorrowedFd<'_>) {
    if let Some(interceptor) = interceptor() {
        interceptor.resumed(socket);
    }
}

pub(crate) fn imaged(image: &mut Vec<u8>) {
    if let Some(interceptor) = interceptor() {
        interceptor.imaged(image);
    }
}

pub(crate) fn refused(error: Error) -> Result<(), Error> {
    match interceptor() {
        Some(interceptor) => interceptor.refused(error),
        None => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::Family;
    use crate::raw::{self, Opt};
    use crate::sys;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::sync::atomic::{AtomicI32, Ordering};

    /// The tests of this crate share their process: one socket is meant.
    static MEANT: AtomicI32 = AtomicI32::new(-1);

    struct Forgetful;

    impl Interceptor for Forgetful {
        fn call(&self, call: &mut Call<'_>) -> io::Result<usize> {
            let meant: RawFd = MEANT.load(Ordering::Relaxed);
            match call.name() {
                _ if call.socket().as_raw_fd() != meant => call.make(),
                "setsockopt(TCP_NODELAY)" => Ok(call.bytes().len()),
                "setsockopt(TCP_KEEPCNT)" => call.make_with(&mut 5_i32.to_ne_bytes()),
                "getsockopt(TCP_KEEPCNT)" => {
                    let length = call.make()?;
                    call.bytes()[0] += 1;
                    Ok(length)
                }
                _ => call.make(),
            }
        }
    }

    #[test]
    fn calls_of_the_library_are_intercepted_and_those_by_hand_are_not() {
        let socket = raw::tcp_socket(Family::V4).unwrap();
        let fd = socket.as_fd();
        MEANT.store(fd.as_raw_fd(), Ordering::Relaxed);
        intercept(Forgetful).unwrap();
        assert_eq!(intercept(Forgetful), Err(AlreadyIntercepted));
        sys::set_int(fd, Opt::TCP_NODELAY, 1).unwrap();
        assert_eq!(raw::get_int(&fd, Opt::TCP_NODELAY).unwrap(), 0);
        raw::set_int(&fd, Opt::TCP_NODELAY, 1).unwrap();
        assert_eq!(sys::get_int(fd, Opt::TCP_NODELAY).unwrap(), 1);
        sys::set_int(fd, Opt::TCP_KEEPCNT, 9).unwrap();
        assert_eq!(raw::get_int(&fd, Opt::TCP_KEEPCNT).unwrap(), 5);
        let elsewhere = std::thread::scope(|scope| {
            let read = scope.spawn(|| sys::get_int(fd, Opt::TCP_KEEPCNT));
            read.join().unwrap().unwrap()
        });
        assert_eq!(elsewhere, 6);
        MEANT.store(-1, Ordering::Relaxed);
    }
}
