//! How many system calls a save and a restore make, by phase. Counted, not known.

use crate::bench_connection::{BenchNetwork, Filled};
use crate::error::Error;
use crate::results::Calls;
use crate::subject::{Ours, Subject, Untreated, Way, name};
use soccr::raw::calls_made;
use soccr::{SaveSettings, Snapshot};
use std::net::TcpStream;

/// Counts the calls of the library and of its floor, on a queue of this length.
///
/// A baseline's are not counted: it makes them itself.
///
/// # Errors
/// What fails.
pub fn count(queue: Filled, bytes: usize) -> Result<Vec<Calls>, Error> {
    let network = BenchNetwork::build(queue)?;
    let subjects: [(Box<dyn Subject>, Way); 3] = [
        (Box::new(Ours::new(Way::Warm)), Way::Warm),
        (
            Box::new(Ours::new(Way::ConnectionOnly)),
            Way::ConnectionOnly,
        ),
        (
            Box::new(Untreated::with_room(2 * bytes + (1 << 20))),
            Way::Warm,
        ),
    ];
    let mut all = Vec::new();
    for (mut subject, way) in subjects {
        let is_floor = subject.name() == name::FLOOR;
        let connection = network.open(bytes)?;
        let another = (!is_floor).then(|| network.open(bytes)).transpose()?;
        let calls = network.host().enter(|| {
            let socket = &connection.subject;
            let (beside_pause, paused) = match is_floor {
                true => (0, counted(|| subject.pause_to_resume(socket))?.1),
                false => pause(socket, way)?,
            };
            let (_, all) = counted(|| subject.save_and_close(connection.subject))?;
            let closed = match &another {
                None => all,
                Some(another) => close(&another.subject, way)?,
            };
            let ((), restore) = counted(|| subject.restore())?;
            let (_, resume) = counted(|| subject.resume())?;
            Ok::<_, Error>(Calls {
                queue,
                bytes,
                subject: subject.name().to_owned(),
                beside_pause,
                paused,
                closed,
                restore,
                resume,
            })
        })??;
        all.push(calls);
    }
    Ok(all)
}

/// Of the library, which says itself what it has done in repair mode.
fn pause(socket: &TcpStream, way: Way) -> Result<(u64, u64), Error> {
    let mut snapshot = empty(socket)?;
    let save = || Ok::<_, Error>(soccr::save_into(socket, &mut snapshot, settings(way))?);
    let (report, all) = counted(save)?;
    Ok((all - report.system_calls, report.system_calls))
}

/// The same of a socket that is to be closed: it stays in repair mode, and is looked at once more.
fn close(socket: &TcpStream, way: Way) -> Result<u64, Error> {
    let mut snapshot = empty(socket)?;
    let paused = soccr::pause_into(socket, &mut snapshot, settings(way))?;
    let saved = paused.read_data()?.queue_bytes()?;
    let paused = saved.report().system_calls;
    let (_, released) = counted(|| Ok(saved.release()))?;
    Ok(paused + released)
}

fn settings(way: Way) -> SaveSettings {
    SaveSettings::new().connection_only(way == Way::ConnectionOnly)
}

fn empty(socket: &TcpStream) -> Result<Snapshot, Error> {
    Ok(Snapshot::new(soccr::Endpoints {
        local: socket.local_addr()?,
        remote: socket.peer_addr()?,
    }))
}

fn counted<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<(T, u64), Error> {
    let before = calls_made();
    let done = work()?;
    Ok((done, calls_made() - before))
}
