//! Who is measured: the library, its floor, and any library with the C interface.

mod baseline;
mod ours;
mod untreated;

pub use baseline::Baseline;
pub use ours::{Ours, Way};
pub use untreated::Untreated;

use crate::error::Error;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Names in results.
pub mod name {
    /// The library, into buffers that are there already.
    pub const WARM: &str = "soccr";
    /// The library, into buffers that it has to allocate.
    pub const COLD: &str = "soccr, cold buffers";
    /// The library, without what the application has set: as the C interface, and the floor.
    pub const CONNECTION_ONLY: &str = "soccr, connection only";
    /// The least system calls.
    pub const FLOOR: &str = "floor";
    /// What `SOCCR_BASELINE` names.
    pub const BASELINE: &str = "baseline";
}

/// Somebody who saves and restores connections.
pub trait Subject {
    /// Its name in results.
    fn name(&self) -> &'static str;

    /// What nobody measures: the memory of the last round is gone, that of the next one is there or is not.
    ///
    /// # Errors
    /// [`Error`] with what it cannot do.
    fn prepare(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Pauses a socket, reads everything, and resumes it; returns how long it was paused.
    ///
    /// # Errors
    /// What it says.
    fn pause_to_resume(&mut self, socket: &TcpStream) -> Result<Duration, Error>;

    /// Pauses a socket, reads everything, and closes it without a packet; returns when it was paused.
    ///
    /// # Errors
    /// What it says.
    fn save_and_close(&mut self, socket: TcpStream) -> Result<Instant, Error>;

    /// Restores what it has saved last, into a socket of the calling thread's network; that stays paused.
    ///
    /// # Errors
    /// What it says.
    fn restore(&mut self) -> Result<(), Error>;

    /// Resumes what it has restored.
    ///
    /// # Errors
    /// What it says.
    fn resume(&mut self) -> Result<TcpStream, Error>;
}

/// The subjects that restore in ways of their own: the library, the floor, and the baseline if there is one.
#[must_use]
pub fn restorers(room: usize, baseline: Option<&Baseline>) -> Vec<Box<dyn Subject>> {
    let mut subjects: Vec<Box<dyn Subject>> = vec![
        Box::new(Ours::new(Way::Warm)),
        Box::new(Untreated::with_room(room)),
    ];
    subjects.extend(baseline.map(|baseline| Box::new(baseline.another()) as Box<dyn Subject>));
    subjects
}

/// All of them, the ways of the library apart.
#[must_use]
pub fn all(room: usize, baseline: Option<&Baseline>) -> Vec<Box<dyn Subject>> {
    let mut subjects = restorers(room, baseline);
    subjects.push(Box::new(Ours::new(Way::Cold)));
    subjects.push(Box::new(Ours::new(Way::ConnectionOnly)));
    subjects
}

/// Sends a connection once round: saved, closed, restored, resumed; returns how long it stood still, too.
///
/// # Errors
/// What the subject says.
pub fn cycle(subject: &mut dyn Subject, socket: TcpStream) -> Result<(TcpStream, Duration), Error> {
    let paused = subject.save_and_close(socket)?;
    subject.restore()?;
    let socket = subject.resume()?;
    Ok((socket, paused.elapsed()))
}

/// What is missing if a step was left out.
fn nothing_to(what: &str) -> Error {
    Error::broken(format!("there is nothing to {what}"))
}
