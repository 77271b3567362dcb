//! The library that is judged, as cases use it: whichever it is.

use super::Subject;
use super::driver::{Breaches, ByC, Driver, RestoredByC};
use crate::journey::Privileges;
use crate::verdict::{Failure, Stop};
use lab::Host;
use soccr::{Loss, SaveSettings, Settings, Snapshot};
use std::fmt;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// The library that is judged.
#[derive(Clone, Default)]
pub enum Library {
    /// The Rust library.
    #[default]
    Rust,
    /// One with the C interface.
    C(CLibrary),
}

/// A library with the C interface, in a process of its own on each host.
#[derive(Clone)]
pub struct CLibrary(Arc<Driver>);

impl Library {
    /// The library of a subject, for one case.
    pub(crate) fn new(subject: &Subject, breaches: &Breaches) -> Self {
        match subject {
            Subject::Rust | Subject::Saboteur(_) => Self::Rust,
            other => {
                let driver = Driver::new(other.clone(), Arc::clone(breaches));
                Self::C(CLibrary(Arc::new(driver)))
            }
        }
    }

    /// Whether it is the Rust library, which says more than the C interface can: steps, hints, losses.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        matches!(self, Self::Rust)
    }

    /// Pauses a socket of this host.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn pause<'a>(
        &self,
        host: &Host,
        socket: &'a TcpStream,
        settings: SaveSettings,
        privileges: &Privileges,
    ) -> Result<Paused<'a>, Stop> {
        match self {
            Self::Rust => {
                // In its own network, so that what it has not set can be told from what it has.
                let paused = privileges.call(host, || soccr::pause_with(socket, settings))??;
                Ok(Paused::ByRust(Box::new(paused)))
            }
            Self::C(CLibrary(driver)) => Ok(Paused::ByC(driver.pause(host, socket)??)),
        }
    }

    /// Saves a connection, which runs on.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn save(&self, host: &Host, socket: &TcpStream) -> Result<Snapshot, Stop> {
        Ok(self.try_save(host, socket)??)
    }

    /// Saves a connection, which runs on in any case.
    ///
    /// # Errors
    /// [`Stop::Fail`] where a library does not even answer, [`Stop::Broken`] where the lab cannot; within them, what the
    /// library says.
    pub fn try_save(
        &self,
        host: &Host,
        socket: &TcpStream,
    ) -> Result<Result<Snapshot, Refusal>, Stop> {
        let driver = match self {
            Self::Rust => return Ok(host.enter(|| soccr::save(socket))?.map_err(Refusal::ByRust)),
            Self::C(CLibrary(driver)) => driver,
        };
        let paused = match driver.pause(host, socket)? {
            Ok(paused) => paused,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match paused.save()? {
            Ok(snapshot) => {
                paused.resume()?;
                Ok(Ok(snapshot))
            }
            // The connection runs on after that: what is left to end is the handle.
            Err(refusal) => {
                paused.release()?;
                Ok(Err(refusal))
            }
        }
    }

    /// Restores a connection on a host; it stays paused.
    ///
    /// The settings and privileges are those of the Rust library: a case that has any of its own is not asked through C.
    ///
    /// # Errors
    /// [`Stop::Fail`] where a library does not even answer, [`Stop::Broken`] where the lab cannot; within them, what the
    /// library says.
    pub fn restore(
        &self,
        host: &Host,
        snapshot: &Snapshot,
        settings: Settings,
        privileges: &Privileges,
    ) -> Result<Result<Restored, Refusal>, Stop> {
        match self {
            Self::Rust => {
                let restored = privileges.call(host, || snapshot.restore_with(settings))?;
                Ok(restored
                    .map(|restored| Restored::ByRust(Box::new(restored)))
                    .map_err(Refusal::ByRust))
            }
            Self::C(CLibrary(driver)) => driver.restore(host, snapshot),
        }
    }
}

/// A paused socket, of which nothing was read yet.
pub enum Paused<'a> {
    /// By the Rust library.
    ByRust(Box<soccr::Paused<'a>>),
    /// By one with the C interface.
    ByC(ByC<'a>),
}

impl<'a> Paused<'a> {
    /// Reads the connection; it stays paused.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn save(self, host: &Host, privileges: &Privileges) -> Result<Saved<'a>, Stop> {
        match self {
            Self::ByRust(paused) => {
                let saved = privileges.call(host, || paused.read_data()?.queue_bytes())??;
                Ok(Saved::ByRust(Box::new(saved)))
            }
            Self::ByC(paused) => {
                let snapshot = paused.save()??;
                Ok(Saved::ByC(paused, Box::new(snapshot)))
            }
        }
    }
}

/// A connection that is saved and still paused.
pub enum Saved<'a> {
    /// By the Rust library.
    ByRust(Box<soccr::Saved<'a>>),
    /// By one with the C interface.
    ByC(ByC<'a>, Box<Snapshot>),
}

impl Saved<'_> {
    /// Lets the socket stay paused, to be closed without a packet.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn release(self) -> Result<Snapshot, Stop> {
        match self {
            Self::ByRust(saved) => Ok(saved.release()),
            Self::ByC(paused, snapshot) => {
                paused.release()?;
                Ok(*snapshot)
            }
        }
    }
}

/// A connection that is restored and still paused.
pub enum Restored {
    /// By the Rust library.
    ByRust(Box<soccr::Restored>),
    /// By one with the C interface.
    ByC(RestoredByC),
}

impl Restored {
    /// What is not as it was; `None` where the interface does not tell.
    #[must_use]
    pub fn losses(&self) -> Option<&[Loss]> {
        match self {
            Self::ByRust(restored) => Some(restored.losses()),
            Self::ByC(_) => None,
        }
    }

    /// Brings the connection to life.
    ///
    /// # Errors
    /// [`Stop::Fail`] where the library fails.
    pub fn resume(self) -> Result<TcpStream, Stop> {
        match self {
            Self::ByRust(restored) => Ok(restored.resume()?),
            Self::ByC(restored) => restored.resume(),
        }
    }
}

impl From<soccr::Restored> for Restored {
    fn from(restored: soccr::Restored) -> Self {
        Self::ByRust(Box::new(restored))
    }
}

impl AsFd for Restored {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::ByRust(restored) => restored.as_fd(),
            Self::ByC(restored) => restored.as_fd(),
        }
    }
}

/// What a library said that has not restored a connection.
#[derive(Debug)]
pub enum Refusal {
    /// The Rust library.
    ByRust(soccr::Error),
    /// One with the C interface.
    ByC {
        /// What was done, in a word.
        word: &'static str,
        /// What was called, and what it returned.
        text: String,
        /// What it left in `errno`.
        errno: i32,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByRust(error) => error.fmt(f),
            Self::ByC { text, .. } => f.write_str(text),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::ByRust(error) => error.into(),
            Refusal::ByC { word, text, .. } => {
                Failure::new(format!("the library, at {word}"), "success", text).into()
            }
        }
    }
}
