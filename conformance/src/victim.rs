//! The child process of a case: a copy of this same program, told to save or to restore, and killed in the middle of it, or
//! given no descriptors or no memory for it; or to enter namespaces of its own, which only a process without threads can, and
//! to try repair mode there; or to
//! call the library that is judged, if that may crash (see [`crate::subject`]).

mod spawner;
mod starved;

pub use spawner::start;
pub(crate) use spawner::start_subject;
pub use starved::{expect_no_memory, restores_in_group, restores_with_room, saves_with_room};

use crate::verdict::Stop;
use lab::Host;
use nix::sched::{CloneFlags, unshare};
use soccr::faults::{Fault, strike_at};
use soccr::{FinMode, Settings, Snapshot, raw};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

/// What a child is told that is started as a program: `subject`, or `spawn` for the one that starts the others; and as the
/// copies of that are, `save N`, `restore N` with the way of the FINs, the same with little of something (`starved`),
/// `repair N`.
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
    let done = match order.as_str() {
        "spawn" => spawner::serve(),
        spawner::SUBJECT => crate::subject::serve(),
        order => {
            let given = io::stdin().as_fd().try_clone_to_owned();
            let code = given.map_or(1, |given| carry_out(order, given));
            return Some(ExitCode::from(code));
        }
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

/// Does what a victim is told, with what it is given for it; returns the code that it ends with, if it comes to that.
fn carry_out(order: &str, given: OwnedFd) -> u8 {
    let mut words = order.split(' ');
    let what = words.next().unwrap_or_default();
    let number = words.next().map_or(Ok(0), str::parse);
    let way = words.next();
    let fin = match way {
        Some("emulate") => FinMode::Emulate,
        _ => FinMode::Inject,
    };
    let done = match (what, number, way) {
        ("save", Ok(number), None) => save(number, &given),
        ("restore", Ok(number), _) => restore(number, fin, given),
        (starved::SAVE | starved::RESTORE | starved::RESTORE_IN_GROUP, Ok(number), _) => {
            return starved::carry_out(what, number, fin, given);
        }
        ("repair", Ok(number), None) => return repair(number, &given),
        _ => Err(format!("{ORDER}={order} is no order").into()),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{order}: {error}");
            1
        }
    }
}

fn save(number: usize, socket: &OwnedFd) -> Done {
    strike_at(number, Fault::Kill, || soccr::save(socket)).0?;
    Ok(())
}

/// What is given is the snapshot. A restore that comes to its end is killed there, before it is resumed.
fn restore(number: usize, fin: FinMode, given: OwnedFd) -> Done {
    let mut given = File::from(given);
    let snapshot = snapshot(&mut given)?;
    let restore = || snapshot.restore_with(Settings::new().fin(fin));
    let (restored, _) = strike_at(number, Fault::Kill, restore);
    let _restored = restored?;
    strike_at(0, Fault::Kill, || soccr::raw::poll(&given)).0?;
    Err("the process was not killed".into())
}

/// The snapshot that a victim is given, as an image.
fn snapshot(from: &mut impl Read) -> io::Result<Snapshot> {
    let mut image = Vec::new();
    from.read_to_end(&mut image)?;
    Snapshot::from_image(&image).map_err(io::Error::other)
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

/// Returns the error number of `TCP_REPAIR`, 0 for success.
fn repair(number: usize, socket: &OwnedFd) -> u8 {
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
        false => repair(socket.as_fd()),
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
