//! What is wrong with a library that is sabotaged.

use soccr::Snapshot;
use soccr::faults::{Call, Interceptor};
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

/// What is wrong.
pub enum Defect {
    /// Nothing.
    None,
    /// Something is done instead of a system call.
    Call(fn(&mut Call<'_>) -> io::Result<usize>),
    /// Something else is saved than was read.
    Saved(fn(&mut Snapshot)),
    /// Something is done to a socket that was saved and is about to be closed.
    Released(fn(BorrowedFd<'_>)),
    /// Something is done to a socket that was resumed.
    Resumed(fn(BorrowedFd<'_>)),
    /// The bytes of an image are others.
    Imaged(fn(&mut Vec<u8>)),
    /// What has to be refused is not.
    Accepted,
}

impl Interceptor for &'static Defect {
    fn call(&self, call: &mut Call<'_>) -> io::Result<usize> {
        match self {
            Defect::Call(instead) => instead(call),
            _ => call.make(),
        }
    }

    fn saved(&self, _socket: BorrowedFd<'_>, snapshot: &mut Snapshot) {
        if let Defect::Saved(change) = self {
            change(snapshot);
        }
    }

    fn released(&self, socket: BorrowedFd<'_>) {
        if let Defect::Released(act) = self {
            act(socket);
        }
    }

    fn resumed(&self, socket: BorrowedFd<'_>) {
        if let Defect::Resumed(act) = self {
            act(socket);
        }
    }

    fn imaged(&self, image: &mut Vec<u8>) {
        if let Defect::Imaged(change) = self {
            change(image);
        }
    }

    fn refused(&self, error: soccr::Error) -> Result<(), soccr::Error> {
        match self {
            Defect::Accepted => Ok(()),
            _ => Err(error),
        }
    }
}

impl fmt::Debug for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Call(_) => "Call",
            Self::Saved(_) => "Saved",
            Self::Released(_) => "Released",
            Self::Resumed(_) => "Resumed",
            Self::Imaged(_) => "Imaged",
            Self::Accepted => "Accepted",
        })
    }
}
