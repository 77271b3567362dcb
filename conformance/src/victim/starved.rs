//! A child that has no descriptors or no memory for what it is told to do, and looks at what the library says of that.

use super::{Ended, snapshot, spawner};
use crate::control_group::ControlGroup;
use crate::verdict::{Failure, Stop, Verdict};
use lab::Host;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use soccr::{Error, ErrorKind, FinMode, Settings, Snapshot};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The orders: with room for so many descriptors, or as a member of a control group that has no memory for a part of so many bytes
/// (0: for any part).
pub(super) const SAVE: &str = "save-with-room";
pub(super) const RESTORE: &str = "restore-with-room";
pub(super) const RESTORE_IN_GROUP: &str = "restore-in-group";

/// What the child ends with where the library has succeeded, has refused for what was missing, or has said something else.
const DONE: u8 = 0;
const REFUSED: u8 = 3;
const OTHERWISE: u8 = 4;

/// What the library is to say where there is no memory.
const NO_MEMORY: &str =
    "that the kernel has no memory, and that tcp_mem or the limit of the group is to be raised";

/// Does what the order says; returns the code to end with.
pub(super) fn carry_out(order: &str, number: usize, fin: FinMode, given: OwnedFd) -> u8 {
    let answer = match order {
        SAVE => save(number, &given),
        RESTORE => restore(number, fin, given),
        _ => restore_in_group(number, given),
    };
    answer.unwrap_or_else(|error| {
        eprintln!("{order} {number}: {error}");
        1
    })
}

fn save(room: usize, socket: &OwnedFd) -> io::Result<u8> {
    leave_room(room)?;
    Ok(judge(soccr::save(socket).map(drop), lacks_descriptors))
}

/// What is given is the snapshot. What was restored vanishes with the child.
fn restore(room: usize, fin: FinMode, given: OwnedFd) -> io::Result<u8> {
    let snapshot = snapshot(&mut File::from(given))?;
    leave_room(room)?;
    let restored = snapshot.restore_with(Settings::new().fin(fin));
    Ok(judge(restored.map(drop), lacks_descriptors))
}

/// What is given are the file with the members of the group, in a line of its own, and the snapshot.
fn restore_in_group(part: usize, given: OwnedFd) -> io::Result<u8> {
    let mut input = BufReader::new(File::from(given));
    let mut members = String::new();
    input.read_line(&mut members)?;
    let snapshot = snapshot(&mut input)?;
    // From here on: the sockets of before are not counted.
    fs::write(members.trim_end(), std::process::id().to_string())?;
    let restored = snapshot.restore().map(drop);
    let part = (part > 0).then_some(part);
    Ok(judge(restored, |error| lacks_memory(error, part)))
}

/// Lets this process have so many descriptors more than it has.
fn leave_room(room: usize) -> io::Result<()> {
    let next = File::open("/dev/null")?.as_raw_fd().unsigned_abs();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(
        Resource::RLIMIT_NOFILE,
        u64::from(next) + room as u64,
        most,
    )?)
}

fn judge(outcome: Result<(), Error>, is_right: impl FnOnce(&Error) -> bool) -> u8 {
    match outcome {
        Ok(()) => DONE,
        Err(error) if is_right(&error) => REFUSED,
        Err(error) => {
            eprintln!("another error: {error}");
            OTHERWISE
        }
    }
}

fn lacks_descriptors(error: &Error) -> bool {
    let hinted = error
        .hint()
        .is_some_and(|hint| hint.contains("RLIMIT_NOFILE"));
    error.raw_os_error() == Some(libc::EMFILE) && hinted
}

/// Whether it is for want of memory that a part of a queue was not written: the one of so many bytes, or any.
fn lacks_memory(error: &Error, part: Option<usize>) -> bool {
    let hinted = error
        .hint()
        .is_some_and(|hint| hint.contains("net.ipv4.tcp_mem"));
    let named = matches!(
        error.kind(),
        ErrorKind::Memory { wanted, accepted, .. } if accepted < wanted && part.is_none_or(|part| part == *wanted)
    );
    named && hinted
}

/// Lets a child on this host save a socket with room for so many descriptors; whether that was refused, and for that.
///
/// # Errors
/// [`Stop::Fail`] where the library says something else, [`Stop::Broken`] where no child can be started.
pub fn saves_with_room(host: &Host, socket: BorrowedFd<'_>, room: usize) -> Result<bool, Stop> {
    let order = format!("{SAVE} {room}");
    was_refused(
        &order,
        "EMFILE, and that RLIMIT_NOFILE is to be raised",
        spawner::run(host, socket, &order)?,
    )
}

/// Lets a child on this host restore a snapshot with room for so many descriptors; whether that was refused, and for that.
///
/// # Errors
/// As [`saves_with_room`].
pub fn restores_with_room(
    host: &Host,
    snapshot: &Snapshot,
    fin: FinMode,
    room: usize,
) -> Result<bool, Stop> {
    let order = format!("{RESTORE} {room} {fin}");
    let file = file(&[&snapshot.to_image()])?;
    let ended = spawner::run(host, file.as_fd(), &order)?;
    was_refused(
        &order,
        "EMFILE, and that RLIMIT_NOFILE is to be raised",
        ended,
    )
}

/// Lets a child of this group on this host restore a snapshot; whether that was refused, for want of memory for the part of a queue
/// that has so many bytes, or for any.
///
/// # Errors
/// As [`saves_with_room`].
pub fn restores_in_group(
    host: &Host,
    snapshot: &Snapshot,
    group: &ControlGroup,
    part: Option<usize>,
) -> Result<bool, Stop> {
    let order = format!("{RESTORE_IN_GROUP} {}", part.unwrap_or(0));
    let members = format!("{}\n", group.members().display());
    let file = file(&[members.as_bytes(), &snapshot.to_image()])?;
    let ended = spawner::run(host, file.as_fd(), &order)?;
    was_refused(&order, NO_MEMORY, ended)
}

/// Fails unless something was refused for want of memory.
///
/// # Errors
/// [`Stop::Fail`] where it was not.
pub fn expect_no_memory(what: &str, outcome: Result<(), Error>) -> Verdict {
    match outcome {
        Err(error) if lacks_memory(&error, None) => Ok(()),
        Err(error) => Err(Failure::new(what, NO_MEMORY, error.to_string()).into()),
        Ok(()) => Err(Failure::new(what, NO_MEMORY, "success").into()),
    }
}

fn file(parts: &[&[u8]]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn was_refused(order: &str, expected: &str, ended: Ended) -> Result<bool, Stop> {
    let code = |code: u8| Ended::Otherwise(code.into());
    match ended {
        ended if ended == code(DONE) => Ok(false),
        ended if ended == code(REFUSED) => Ok(true),
        ended if ended == code(OTHERWISE) => {
            let actual = "another error, which is told above";
            Err(Failure::new(
                format!("a process with the order {order}"),
                expected,
                actual,
            )
            .into())
        }
        ended => Err(Stop::Broken(format!(
            "a process with the order {order}: {ended:?}"
        ))),
    }
}
