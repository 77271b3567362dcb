//! Another library, called through the C interface: the one that `SOCCR_BASELINE` names.
//!
//! It runs in this process, so that it can be measured in turn with the others: one that crashes ends the run, and one that
//! waits holds it up. What its callers do themselves, such as growing buffers, need not be done on the networks here.

use super::{Subject, name, nothing_to};
use crate::error::Error;
use soccr::Family;
use soccr::raw;
use soccr_capi::client::{Library, Paused, Taken};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The environment variable that names it.
const VARIABLE: &str = "SOCCR_BASELINE";

/// A library with the C interface, today's.
#[derive(Debug)]
pub struct Baseline {
    library: Library,
    saved: Option<Saved>,
    restored: Option<Paused>,
}

#[derive(Debug)]
struct Saved {
    taken: Taken,
    local: SocketAddr,
    remote: SocketAddr,
}

impl Baseline {
    /// This library.
    #[must_use]
    pub fn new(library: Library) -> Self {
        Self {
            library,
            saved: None,
            restored: None,
        }
    }

    /// The library that the environment names, and its file; nothing where it names none.
    ///
    /// # Errors
    /// [`Error::NotOpened`] where it is not one.
    pub fn named() -> Result<Option<(Self, PathBuf)>, Error> {
        let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
            return Ok(None);
        };
        let library = Library::open(&path)?;
        Ok(Some((Self::new(library), path)))
    }

    /// The same library, with nothing saved.
    pub(super) fn another(&self) -> Self {
        Self::new(self.library)
    }
}

impl Subject for Baseline {
    fn name(&self) -> &'static str {
        name::BASELINE
    }

    fn prepare(&mut self) -> Result<(), Error> {
        self.saved = None;
        Ok(())
    }

    fn pause_to_resume(&mut self, socket: &TcpStream) -> Result<Duration, Error> {
        // The handle ends with its descriptor.
        let descriptor = socket.try_clone()?;
        let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
        let started = Instant::now();
        let mut paused = self.library.pause(descriptor.into())?;
        let taken = paused.take()?;
        let descriptor = paused.resume_and_keep();
        let standstill = started.elapsed();
        drop(descriptor);
        self.saved = Some(Saved {
            taken,
            local,
            remote,
        });
        Ok(standstill)
    }

    fn save_and_close(&mut self, socket: TcpStream) -> Result<Instant, Error> {
        let (local, remote) = (socket.local_addr()?, socket.peer_addr()?);
        let started = Instant::now();
        let mut paused = self.library.pause(socket.into())?;
        let taken = paused.take()?;
        paused.release();
        self.saved = Some(Saved {
            taken,
            local,
            remote,
        });
        Ok(started)
    }

    fn restore(&mut self) -> Result<(), Error> {
        let saved = self.saved.as_ref().ok_or_else(|| nothing_to("restore"))?;
        let socket = raw::tcp_socket(Family::V4)?;
        let mut paused = self.library.pause(socket)?;
        paused.give(&saved.taken, saved.local, saved.remote)?;
        self.restored = Some(paused);
        Ok(())
    }

    fn resume(&mut self) -> Result<TcpStream, Error> {
        let restored = self.restored.take().ok_or_else(|| nothing_to("resume"))?;
        Ok(TcpStream::from(restored.resume_and_keep()))
    }
}
