//! Drives a library with the C interface, as a C program does: for those who judge one, ours or another one.
//!
//! Every call goes through the symbols themselves. What is behind them may be anybody's code, wrong in any way, and does to the
//! process what it likes, as a plugin does: let it run in a process of its own.
//!
//! ```no_run
//! use soccr_capi::client::Library;
//!
//! # fn f(socket: std::os::fd::OwnedFd) -> Result<(), Box<dyn std::error::Error>> {
//! let library = Library::open("/usr/lib/libsoccr.so.2".as_ref())?;
//! let mut paused = library.pause(socket)?;
//! let saved = paused.save()?;
//! println!("{} bytes wait to be read", saved.receive.len());
//! paused.resume();
//! # Ok(())
//! # }
//! ```

pub mod careless;
mod errno;
mod failed;
mod in_place;
mod memory;
mod numbers;
mod open;
mod staged;
mod symbols;
mod today;

pub use failed::{Failed, NotOpened};
pub use in_place::Taken;
pub use memory::Block;
pub use numbers::{FIELDS, from_numbers, numbers};

use crate::SkData;
use libc::c_void;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;

/// What an unset number of the structure is filled with before a save: a number that is left so is none.
const UNSET: u32 = 0xa5a5_a5a5;

/// A library with one of the two C interfaces.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    common: symbols::Common,
    generation: Generation,
}

#[derive(Clone, Copy, Debug)]
enum Generation {
    Today(symbols::Today),
    Staged(symbols::Staged),
}

/// What a save has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// How many bytes of the structure the library says have a meaning; this interface has 68.
    pub returned: i32,
    /// The numbers.
    pub data: SkData,
    /// What was received and not read.
    pub receive: Vec<u8>,
    /// What was written and not acknowledged.
    pub send: Vec<u8>,
}

/// What a restore is given.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The numbers.
    pub data: &'a SkData,
    /// The local address.
    pub local: SocketAddr,
    /// The address of the peer.
    pub remote: SocketAddr,
    /// The bytes of the receive queue.
    pub receive: &'a [u8],
    /// The bytes of the send queue.
    pub send: &'a [u8],
}

/// What became of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it has succeeded.
    pub result: Result<(), Failed>,
    /// What of the caller's own the library has changed, in words; nothing of it is the library's to change (guide G12).
    pub edited: Vec<String>,
}

impl Library {
    /// Today's interface of this crate.
    #[must_use]
    pub fn linked() -> Self {
        Self {
            common: symbols::Common::linked(),
            generation: Generation::Today(symbols::Today::linked()),
        }
    }

    /// The staged interface of this crate.
    #[must_use]
    pub fn linked_staged() -> Self {
        Self {
            common: symbols::Common::linked(),
            generation: Generation::Staged(symbols::Staged::linked()),
        }
    }

    /// Today's interface of a shared library, which is never closed again.
    ///
    /// # Errors
    /// What `dlopen` says of the file, or `dlsym` of the first symbol that is missing.
    pub fn open(path: &Path) -> Result<Self, NotOpened> {
        let object = open::Object::open(path)?;
        Ok(Self {
            common: symbols::Common::of(&object)?,
            generation: Generation::Today(symbols::Today::of(&object)?),
        })
    }

    /// Lets the library log what has failed on the standard output.
    ///
    /// A function that takes the arguments of `printf` cannot be written in Rust; but one of the C library is just like what
    /// the interface asks for, `dprintf`, whose first argument is the descriptor, and the level of errors is 1.
    pub fn log_errors(&self) {
        self.common.log_errors();
    }

    /// Pauses a socket (`libsoccr_pause`).
    ///
    /// # Errors
    /// [`Failed`] where it returns NULL; the socket is closed then.
    #[doc(alias = "libsoccr_pause")]
    pub fn pause(&self, socket: OwnedFd) -> Result<Paused, Failed> {
        errno::clear();
        let sk = self.common.pause(socket.as_raw_fd());
        let sk = NonNull::new(sk).ok_or_else(|| Failed::null("libsoccr_pause"))?;
        let handle = Handle {
            library: *self,
            sk: Some(sk),
        };
        Ok(Paused { handle, socket })
    }
}

/// A paused socket. Dropped, its handle is released, and the socket closed.
#[derive(Debug)]
pub struct Paused {
    // Before the socket: it ends first.
    handle: Handle,
    socket: OwnedFd,
}

/// What a library calls a paused socket. Dropped, it is released.
#[derive(Debug)]
struct Handle {
    library: Library,
    /// `None` once it has ended.
    sk: Option<NonNull<c_void>>,
}

impl Handle {
    /// The pointer, which is there as long as this is.
    fn sk(&self) -> *mut c_void {
        self.sk.map_or(std::ptr::null_mut(), NonNull::as_ptr)
    }

    fn resume(mut self) {
        if let Some(sk) = self.sk.take() {
            self.library.common.resume(sk.as_ptr());
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(sk) = self.sk.take() {
            self.library.common.release(sk.as_ptr());
        }
    }
}

impl Paused {
    /// Saves the connection, and takes what is in its queues.
    ///
    /// # Errors
    /// [`Failed`] with the call.
    #[doc(alias = "libsoccr_save")]
    #[doc(alias = "libsoccr_get_sk_data")]
    pub fn save(&mut self) -> Result<Saved, Failed> {
        let mut data = from_numbers([UNSET; FIELDS.len()]);
        let (returned, receive, send) = match self.handle.library.generation {
            Generation::Today(today) => today.save(self.handle.sk(), &mut data)?,
            Generation::Staged(staged) => staged.save(self.handle.sk(), &mut data)?,
        };
        Ok(Saved {
            returned,
            data,
            receive,
            send,
        })
    }

    /// Restores a connection into the socket, which is neither bound nor connected.
    ///
    /// Through today's interface the library gets one queue to keep (`SOCCR_MEM_EXCL`) and one to look at; one address on the
    /// stack and one that is its own. Through the staged one, the socket is bound and connected here, by the caller.
    #[doc(alias = "libsoccr_restore")]
    #[doc(alias = "libsoccr_set_sk_data")]
    pub fn restore(&mut self, given: &Given<'_>) -> Outcome {
        match self.handle.library.generation {
            Generation::Today(today) => today.restore(self.handle.sk(), given),
            Generation::Staged(staged) => staged.restore(self.handle.sk(), &self.socket, given),
        }
    }

    /// Ends the pause (`libsoccr_resume`), and closes this descriptor of the socket.
    #[doc(alias = "libsoccr_resume")]
    pub fn resume(self) {
        drop(self.resume_and_keep());
    }

    /// Ends the pause (`libsoccr_resume`), and gives the socket back.
    pub fn resume_and_keep(self) -> OwnedFd {
        let Self { handle, socket } = self;
        handle.resume();
        socket
    }

    /// Ends the handle alone (`libsoccr_release`), and closes this descriptor of the socket, which stays paused.
    #[doc(alias = "libsoccr_release")]
    pub fn release(self) {
        drop(self);
    }
}

#[cfg(test)]
mod tests;
