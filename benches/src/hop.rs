//! A connection that is saved and restored while its traffic is blocked: where it was, or on another host.

use crate::error::Error;
use crate::subject::Subject;
use lab::{Direction, Flow, Host, Match, Trio};
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// When it was away.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    /// When it was paused.
    pub paused: Instant,
    /// When it was resumed.
    pub resumed: Instant,
    /// Just before it was resumed, by the clock of captures: nanoseconds since 1970.
    pub resuming: u64,
}

impl Absence {
    /// How long it was.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.resumed.duration_since(self.paused)
    }
}

/// Saves a connection, closes its socket, and restores it on the same host; `flow` is what it sends.
///
/// # Errors
/// [`Error`] with what has failed.
pub fn freeze_and_thaw(
    host: &Host,
    flow: Flow,
    subject: &mut dyn Subject,
    socket: TcpStream,
) -> Result<(TcpStream, Absence), Error> {
    subject.prepare()?;
    let lock = host.blackhole(Direction::Ingress, Match::tcp().flow(flow.reversed()))?;
    host.enter(|| {
        let paused = subject.save_and_close(socket)?;
        subject.restore()?;
        drop(lock);
        wake(subject, paused)
    })?
}

/// Saves a connection, closes its socket, and restores it on the host that its address moves to; `flow` is what it sends.
///
/// # Errors
/// [`Error`] with what has failed.
pub fn move_to_other_host(
    trio: &Trio,
    flow: Flow,
    subject: &mut dyn Subject,
    socket: TcpStream,
) -> Result<(TcpStream, Absence), Error> {
    subject.prepare()?;
    let inbound = Match::tcp().flow(flow.reversed());
    let old_lock = trio.old_host().blackhole(Direction::Ingress, inbound)?;
    let new_lock = trio.new_host().blackhole(Direction::Ingress, inbound)?;
    let paused = trio.old_host().enter(|| subject.save_and_close(socket))??;
    trio.move_address()?;
    trio.new_host().enter(|| {
        subject.restore()?;
        drop((old_lock, new_lock));
        wake(subject, paused)
    })?
}

fn wake(subject: &mut dyn Subject, paused: Instant) -> Result<(TcpStream, Absence), Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_err(io::Error::other)?;
    let socket = subject.resume()?;
    let absence = Absence {
        paused,
        resumed: Instant::now(),
        resuming: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
    };
    Ok((socket, absence))
}
