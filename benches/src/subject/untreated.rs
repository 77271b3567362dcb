//! The floor, as a subject: its buffers are always there.

use super::{Subject, name, nothing_to};
use crate::error::Error;
use crate::floor::FloorState;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The floor.
#[derive(Debug)]
pub struct Untreated {
    state: FloorState,
    ends: Option<(SocketAddr, SocketAddr)>,
    restored: Option<OwnedFd>,
}

impl Untreated {
    /// With buffers for queues of up to `bytes`.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        Self {
            state: FloorState::with_room(bytes),
            ends: None,
            restored: None,
        }
    }
}

impl Subject for Untreated {
    fn name(&self) -> &'static str {
        name::FLOOR
    }

    fn pause_to_resume(&mut self, socket: &TcpStream) -> Result<Duration, Error> {
        let paused = Instant::now();
        self.state.save(socket)?;
        FloorState::resume(socket)?;
        Ok(paused.elapsed())
    }

    fn save_and_close(&mut self, socket: TcpStream) -> Result<Instant, Error> {
        self.ends = Some((socket.local_addr()?, socket.peer_addr()?));
        let paused = Instant::now();
        self.state.save(&socket)?;
        drop(socket);
        Ok(paused)
    }

    fn restore(&mut self) -> Result<(), Error> {
        let (local, remote) = self.ends.ok_or_else(|| nothing_to("restore"))?;
        self.restored = Some(self.state.restore(local, remote)?);
        Ok(())
    }

    fn resume(&mut self) -> Result<TcpStream, Error> {
        let restored = self.restored.take().ok_or_else(|| nothing_to("resume"))?;
        Ok(self.state.wake(restored)?)
    }
}
