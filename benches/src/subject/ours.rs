//! The library, as a program that saves one connection after the other calls it.

use super::{Subject, name, nothing_to};
use crate::error::Error;
use soccr::{Restored, SaveSettings, Snapshot};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// More than an allocator ever keeps for later (glibc: `DEFAULT_MMAP_THRESHOLD_MAX`, 32 MiB): memory that nobody has
/// touched.
const NEVER_KEPT: usize = 33 << 20;

/// How the library is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into the memory of the last save.
    Warm,
    /// Into memory that nobody has touched.
    Cold,
    /// Into the memory of the last save, and without what the application has set.
    ConnectionOnly,
}

/// The library.
#[derive(Debug)]
pub struct Ours {
    way: Way,
    snapshot: Snapshot,
    restored: Option<Restored>,
}

impl Ours {
    /// The library, called like this.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self {
            way,
            snapshot: empty(),
            restored: None,
        }
    }

    fn settings(&self) -> SaveSettings {
        SaveSettings::new().connection_only(self.way == Way::ConnectionOnly)
    }
}

fn empty() -> Snapshot {
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Snapshot::new(soccr::Endpoints {
        local: nowhere,
        remote: nowhere,
    })
}

impl Subject for Ours {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Warm => name::WARM,
            Way::Cold => name::COLD,
            Way::ConnectionOnly => name::CONNECTION_ONLY,
        }
    }

    fn prepare(&mut self) -> Result<(), Error> {
        if self.way == Way::Cold {
            self.snapshot = empty();
            self.snapshot.receive.bytes = Vec::with_capacity(NEVER_KEPT);
            self.snapshot.send.bytes = Vec::with_capacity(NEVER_KEPT);
        }
        Ok(())
    }

    fn pause_to_resume(&mut self, socket: &TcpStream) -> Result<Duration, Error> {
        let settings = self.settings();
        let report = soccr::save_into(socket, &mut self.snapshot, settings)?;
        Ok(Duration::from_nanos(report.nanoseconds))
    }

    fn save_and_close(&mut self, socket: TcpStream) -> Result<Instant, Error> {
        let settings = self.settings();
        let paused = soccr::pause_into(&socket, &mut self.snapshot, settings)?;
        let saved = paused.read_data()?.queue_bytes()?;
        let since = Duration::from_nanos(saved.report().nanoseconds);
        let now = Instant::now();
        self.snapshot = saved.release();
        drop(socket);
        Ok(now.checked_sub(since).unwrap_or(now))
    }

    fn restore(&mut self) -> Result<(), Error> {
        self.restored = Some(self.snapshot.restore()?);
        Ok(())
    }

    fn resume(&mut self) -> Result<TcpStream, Error> {
        let restored = self.restored.take().ok_or_else(|| nothing_to("resume"))?;
        Ok(restored.resume()?)
    }
}
