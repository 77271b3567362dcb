//! The child process of the cases about being killed: this same program, told by its environment to save or to restore, and
//! killed in the middle of it.

mod spawner;

pub use spawner::start;

use crate::verdict::Stop;
use lab::Host;
use soccr::faults::{Fault, strike_at};
use soccr::{FinMode, Settings, Snapshot};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

/// What the child is told: `save N`, `restore N` with the way of the FINs, or `spawn` for the one that starts the others.
const ORDER: &str = "CONFORMANCE_VICTIM";

/// Does what the environment tells a child to do; `None` in a process that is none.
///
/// To be called first thing in every program that runs cases.
#[must_use]
pub fn obey() -> Option<ExitCode> {
    let order = std::env::var(ORDER).ok()?;
    let mut words = order.split(' ');
    let (what, number) = (words.next()?, words.next().map_or(Ok(0), str::parse).ok()?);
    let done = match (what, words.next()) {
        ("save", None) => save(number),
        ("spawn", None) => spawner::serve(),
        ("restore", fin) => restore(number, fin == Some("emulate")),
        _ => Err(format!("{ORDER}={order} is no order").into()),
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{order}: {error}");
            ExitCode::FAILURE
        }
    })
}

type Done = Result<(), Box<dyn std::error::Error>>;

/// The socket is the standard input.
fn save(number: usize) -> Done {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    strike_at(number, Fault::Kill, || soccr::save(&socket)).0?;
    Ok(())
}

/// The snapshot is on the standard input. A restore that comes to its end is killed there, before it is resumed.
fn restore(number: usize, emulate: bool) -> Done {
    let snapshot: Snapshot = serde_json::from_reader(io::stdin())?;
    let fin = match emulate {
        true => FinMode::Emulate,
        false => FinMode::Inject,
    };
    let restore = || snapshot.restore_with(Settings::new().fin(fin));
    let (restored, _) = strike_at(number, Fault::Kill, restore);
    let _restored = restored?;
    strike_at(0, Fault::Kill, || soccr::raw::poll(&io::stdin())).0?;
    Err("the process was not killed".into())
}

/// Lets a child on this host save a socket that this process keeps, and be killed before system call `number`.
///
/// # Errors
/// [`Stop::Broken`] where no child can be started.
pub fn saves(host: &Host, socket: BorrowedFd<'_>, number: usize) -> Result<Ended, Stop> {
    spawner::run(host, socket, &format!("save {number}"))
}

/// Lets a child on this host restore a snapshot, and be killed before system call `number`, or before the resume.
///
/// # Errors
/// [`Stop::Broken`] where no child can be started or told.
pub fn restores(
    host: &Host,
    snapshot: &Snapshot,
    fin: FinMode,
    number: usize,
) -> Result<Ended, Stop> {
    let mut file = tempfile::tempfile()?;
    file.write_all(&serde_json::to_vec(snapshot).map_err(io::Error::from)?)?;
    file.seek(SeekFrom::Start(0))?;
    spawner::run(host, file.as_fd(), &format!("restore {number} {fin}"))
}

/// How a child has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By the signal that it was to die of.
    Killed,
    /// By itself, with this code; or by another signal.
    Otherwise(i32),
}
