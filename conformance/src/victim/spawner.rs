//! The process that starts the victims.
//!
//! A process that starts another lends it all its descriptors for a moment, the sockets of every case that runs at the same
//! time among them: and a socket that somebody else still has does not vanish when it is closed. So the victims are
//! started by a process that was itself started before there was any case, and has no sockets but those it is given.

use super::{Done, Ended, ORDER};
use crate::verdict::Stop;
use lab::Host;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The other end of the spawner's standard input.
static SPAWNER: OnceLock<Mutex<OwnedFd>> = OnceLock::new();

/// Longer than any order, and than any answer.
const MESSAGE: usize = 64;

/// The order for the process of a library.
pub(super) const SUBJECT: &str = "subject";

/// The answer to it.
const STARTED: i32 = 0;

/// What a victim that was killed is reported as; a code of its own is at least 0.
const KILLED: i32 = -1;

/// Starts the spawner. To be called in the sandbox, before the process has started a thread.
///
/// # Errors
/// Where it cannot be started.
pub fn start() -> io::Result<()> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut command = Command::new("/proc/self/exe");
    command.env(ORDER, "spawn").stdin(Stdio::from(theirs));
    // It ends when our end is closed, that is, with this process.
    command.spawn()?;
    let _ = SPAWNER.set(Mutex::new(ours));
    Ok(())
}

/// Runs a victim on a host, with `stdin` as its standard input, to its end.
pub(super) fn run(host: &Host, stdin: BorrowedFd<'_>, order: &str) -> Result<Ended, Stop> {
    let answer = ask(host, order, &[stdin])?;
    match answer.parse() {
        Ok(KILLED) => Ok(Ended::Killed),
        Ok(code) => Ok(Ended::Otherwise(code)),
        Err(_) => Err(Stop::Broken(format!("the spawner of victims: {answer}"))),
    }
}

/// Gives the spawner an order, and what it needs for it; returns its answer.
fn ask(host: &Host, order: &str, given: &[BorrowedFd<'_>]) -> Result<String, Stop> {
    let broken = |error: io::Error| Stop::Broken(format!("the spawner of victims: {error}"));
    let network = host.enter(|| File::open("/proc/thread-self/ns/net"))??;
    let spawner = SPAWNER
        .get()
        .ok_or_else(|| Stop::Broken("no spawner of victims was started".to_owned()))?;
    // One victim at a time: its answer is the next message.
    let spawner = spawner.lock().unwrap_or_else(PoisonError::into_inner);
    let all: Vec<_> = [&[network.as_fd()], given].concat();
    send(&*spawner, order, &all).map_err(broken)?;
    let (answer, _) = receive(spawner.as_fd()).map_err(broken)?;
    Ok(answer)
}

/// Starts a process for a library on a host, with these as its standard input and output, and goes on without waiting for
/// it: once it has ended, `end` is told how.
pub(crate) fn start_subject(
    host: &Host,
    stdin: BorrowedFd<'_>,
    stdout: BorrowedFd<'_>,
    end: BorrowedFd<'_>,
) -> Result<(), Stop> {
    match ask(host, SUBJECT, &[stdin, stdout, end])?.parse() {
        Ok(STARTED) => Ok(()),
        Ok(_) | Err(_) => Err(Stop::Broken(
            "the process of the library was not started".to_owned(),
        )),
    }
}

/// Starts victims as it is told, until nobody is there to tell it.
pub(super) fn serve() -> Done {
    let stdin = io::stdin();
    let mut running = Vec::new();
    loop {
        wait_for_any(stdin.as_fd(), &running)?;
        running.retain_mut(Running::goes_on);
        if !is_readable(stdin.as_fd())? {
            continue;
        }
        let (order, given) = receive(stdin.as_fd())?;
        let mut given = given.into_iter();
        let (Some(network), Some(socket)) = (given.next(), given.next()) else {
            return Ok(());
        };
        let answer = match (given.next(), given.next()) {
            (Some(stdout), Some(end)) => {
                serve_subject(&network, socket, stdout, end).map(|started| {
                    running.push(started);
                    STARTED
                })
            }
            _ => serve_one(&order, &network, socket),
        };
        let answer = match answer {
            Ok(code) => code.to_string(),
            Err(error) => error.to_string(),
        };
        let answer = answer.get(..MESSAGE).unwrap_or(&answer);
        send(&stdin, answer, &[])?;
    }
}

/// When it returns, nobody has the socket any more but who has given it.
///
/// The victim is a copy of this process, which has one thread for that reason: to start the program anew would take ten
/// times as long.
fn serve_one(order: &str, network: &OwnedFd, given: OwnedFd) -> io::Result<i32> {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let status = lab::in_copy(|| super::carry_out(order, given)).map_err(io::Error::other)?;
    Ok(match status.signal() {
        Some(libc::SIGKILL) => KILLED,
        Some(other) => 128 + other,
        None => status.code().unwrap_or(255),
    })
}

/// The process of a library, and who is told how it has ended.
struct Running {
    child: Child,
    /// Readable once it has ended.
    process: OwnedFd,
    end: File,
}

impl Running {
    /// Whether it runs; if not, whoever wants to know is told.
    fn goes_on(&mut self) -> bool {
        let told = match self.child.try_wait() {
            Ok(None) => return true,
            Ok(Some(status)) => match status.signal() {
                Some(signal) => format!("signal {signal}"),
                None => format!("exit code {}", status.code().unwrap_or(0)),
            },
            Err(error) => error.to_string(),
        };
        // Nobody may be listening any more.
        let _ = self.end.write_all(told.as_bytes());
        false
    }
}

/// Starts a process; it ends by itself when the suite finds nobody to talk to.
fn serve_subject(
    network: &OwnedFd,
    stdin: OwnedFd,
    stdout: OwnedFd,
    end: OwnedFd,
) -> io::Result<Running> {
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .env(ORDER, SUBJECT)
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout));
    let child = command.spawn()?;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let end = File::from(end);
    Ok(Running {
        child,
        process,
        end,
    })
}

/// Waits until there is an order, or one of those that run has ended.
fn wait_for_any(orders: BorrowedFd<'_>, running: &[Running]) -> io::Result<()> {
    let processes = running.iter().map(|it| it.process.as_fd());
    let mut all: Vec<_> = [orders]
        .into_iter()
        .chain(processes)
        .map(readable)
        .collect();
    retry_on_intr(|| poll(&mut all, None))?;
    Ok(())
}

fn is_readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(poll(&mut [readable(fd)], Some(&Timespec::default()))? > 0)
}

fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

fn send(to: &impl AsFd, text: &str, given: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !given.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(given));
    }
    let bytes = [IoSlice::new(text.as_bytes())];
    sendmsg(to, &bytes, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A message and the descriptors that came with it; both empty where the other end is closed.
fn receive(from: BorrowedFd<'_>) -> io::Result<(String, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; MESSAGE];
    let count = {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        recvmsg(from, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes
    };
    let given = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(given) => Some(given),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((String::from_utf8_lossy(&bytes[..count]).into_owned(), given))
}
