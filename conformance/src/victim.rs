//! The child process of a case: this same program, told by its environment to save or to restore, and killed in the middle
//! of it, or given no descriptors or no memory for it; or to enter namespaces of its own, which only a process without threads can, and to try repair mode there; or to
//! call the library that is judged, if that may crash (see [`crate::subject`]).

mod spawner;
mod starved;

pub use spawner::start;
pub(crate) use spawner::start_subject;
pub use starved::{restores_with_room, restores_without_memory, saves_with_room};

use crate::verdict::Stop;
use lab::Host;
use nix::sched::{CloneFlags, unshare};
use soccr::faults::{Fault, strike_at};
use soccr::{FinMode, Settings, Snapshot, raw};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

/// What the child is told: `save N`, `restore N` with the way of the FINs, the same with little of something (`starved`),
/// `repair N`, `subject`, or `spawn` for the one that starts the others.
const ORDER: &str = "CONFORMANCE_VICTIM";

/// Does what the environment tells a child to do; `None` in a process that is none.
///
/// To be called first thing in every program that runs cases.
#[must_use]
pub fn obey() -> Option<ExitCode> {
    if let Some(code) = crate::subject::obey_check() {
        return Some(code);
    }
    let order = std::env::var(ORDER).ok()?;
    let mut words = order.split(' ');
    let (what, number) = (words.next()?, words.next().map_or(Ok(0), str::parse).ok()?);
    let done = match (what, words.next()) {
        ("save", None) => save(number),
        ("spawn", None) => spawner::serve(),
        (spawner::SUBJECT, None) => crate::subject::serve(),
        ("restore", fin) => restore(number, fin == Some("emulate")),
        (starved::SAVE | starved::RESTORE | starved::RESTORE_IN_GROUP, fin) => {
            return Some(starved::obey(what, number, fin == Some("emulate")));
        }
        ("repair", None) => return Some(ExitCode::from(repair(number))),
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
    let mut image = Vec::new();
    io::stdin().read_to_end(&mut image)?;
    let snapshot = Snapshot::from_image(&image)?;
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

/// Whose socket a process in a user namespace of its own tries to repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// One that it was given, of the network that it is in.
    Given,
    /// One that it was given, while it is in a network namespace of its own.
    GivenFromElsewhere,
    /// One that it has made in a network namespace of its own.
    Own,
}

/// Added to the error number where the child could not even come to its question.
const NO_NAMESPACE: u8 = 128;

/// The socket is the standard input. Returns the error number of `TCP_REPAIR`, 0 for success.
fn repair(number: usize) -> u8 {
    let own = number == Whose::Own as usize;
    let network = match number == Whose::Given as usize {
        true => CloneFlags::empty(),
        false => CloneFlags::CLONE_NEWNET,
    };
    if let Err(errno) = unshare(CloneFlags::CLONE_NEWUSER | network) {
        return NO_NAMESPACE + (errno as i32 as u8).min(NO_NAMESPACE - 1);
    }
    let repair =
        |socket: BorrowedFd<'_>| raw::set_int(&socket, raw::Opt::TCP_REPAIR, raw::TCP_REPAIR_ON);
    let answer = match own {
        true => raw::tcp_socket(soccr::Family::V4).and_then(|socket| repair(socket.as_fd())),
        false => repair(io::stdin().as_fd()),
    };
    answer.map_or_else(|error| error.raw_os_error().unwrap_or(0) as u8, |()| 0)
}

/// Lets a child on this host enter a user namespace of its own and try repair mode there; returns the error number, 0 for
/// success.
///
/// # Errors
/// [`Stop::Skip`] where there may be no such namespace, [`Stop::Broken`] where no child can be started.
pub fn repairs(host: &Host, socket: BorrowedFd<'_>, whose: Whose) -> Result<i32, Stop> {
    match spawner::run(host, socket, &format!("repair {}", whose as usize))? {
        Ended::Otherwise(code) if code < i32::from(NO_NAMESPACE) => Ok(code),
        Ended::Otherwise(code) => Err(Stop::Skip(format!(
            "no user namespace here: {}",
            io::Error::from_raw_os_error(code - i32::from(NO_NAMESPACE))
        ))),
        Ended::Killed => Err(Stop::Broken("the child was killed".to_owned())),
    }
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
    file.write_all(&snapshot.to_image())?;
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
