//! The process of a library: this same program, which does with it what the suite says, one thing after the other.

use super::Subject;
use super::message::{Queues, Reply, Request, hear, say};
use soccr_capi::client::{Given, Library, Paused, from_numbers, numbers};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Seconds that a call of a library may take: a bound against hanging, not an expectation. The alarm ends the process.
pub(super) const BOUND: u32 = 10;

/// What the environment tells the process that only opens a library.
const CHECK: &str = "CONFORMANCE_SUBJECT_CHECK";

/// Does what it is told on its standard input, until nobody is there to tell it. What the library logs is on the standard
/// output.
///
/// # Errors
/// Where what is said cannot be heard or answered.
pub fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let suite = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    match obey(&suite) {
        // The suite has ended in the middle of it.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) =>
        {
            Ok(())
        }
        done => Ok(done?),
    }
}

fn obey(suite: &UnixStream) -> io::Result<()> {
    let mut worker = Worker::default();
    while let Some((request, queues, socket)) = hear(suite)? {
        nix::unistd::alarm::set(BOUND);
        let (reply, [receive, send]) = worker.work(request, &queues, socket);
        nix::unistd::alarm::cancel();
        say(suite, &reply, [&receive, &send], None)?;
    }
    Ok(())
}

/// The library, and the one socket that it has to do with.
#[derive(Default)]
struct Worker {
    library: Option<Library>,
    paused: Option<Paused>,
}

impl Worker {
    fn work(
        &mut self,
        request: Request,
        queues: &Queues,
        socket: Option<OwnedFd>,
    ) -> (Reply, Queues) {
        let done = match request {
            Request::Open { file, staged } => self.open(file.as_deref(), staged),
            Request::Pause => self.pause(socket),
            Request::Save => return self.save(),
            Request::Restore {
                data,
                local,
                remote,
            } => {
                let data = from_numbers(data);
                let given = Given {
                    data: &data,
                    local,
                    remote,
                    receive: &queues[0],
                    send: &queues[1],
                };
                self.restore(socket, &given)
            }
            Request::Release => Ok(self.paused.take().map_or(nothing(), |paused| {
                paused.release();
                Reply::Done
            })),
            Request::Resume => Ok(self.paused.take().map_or(nothing(), |paused| {
                paused.resume();
                Reply::Done
            })),
        };
        (done.unwrap_or_else(|reply| reply), Queues::default())
    }

    fn open(&mut self, file: Option<&Path>, staged: bool) -> Result<Reply, Reply> {
        let library = match (file, staged) {
            (Some(file), _) => {
                Library::open(file).map_err(|error| Reply::Impossible(error.to_string()))?
            }
            (None, false) => Library::linked(),
            (None, true) => Library::linked_staged(),
        };
        library.log_errors();
        self.library = Some(library);
        Ok(Reply::Done)
    }

    fn pause(&mut self, socket: Option<OwnedFd>) -> Result<Reply, Reply> {
        // First: what was paused before is released, if anything.
        self.paused = None;
        let (Some(library), Some(socket)) = (self.library, socket) else {
            return Err(nothing());
        };
        let paused = library.pause(socket).map_err(|failed| Reply::Failed {
            failed: failed.into(),
            edited: Vec::new(),
        })?;
        self.paused = Some(paused);
        Ok(Reply::Done)
    }

    fn save(&mut self) -> (Reply, Queues) {
        let Some(paused) = &mut self.paused else {
            return (nothing(), Queues::default());
        };
        match paused.save() {
            Ok(saved) => {
                let reply = Reply::Saved {
                    returned: saved.returned,
                    data: numbers(&saved.data),
                };
                (reply, [saved.receive, saved.send])
            }
            Err(failed) => {
                let reply = Reply::Failed {
                    failed: failed.into(),
                    edited: Vec::new(),
                };
                (reply, Queues::default())
            }
        }
    }

    /// Where it fails, its caller ends the handle, and closes the socket.
    fn restore(&mut self, socket: Option<OwnedFd>, given: &Given<'_>) -> Result<Reply, Reply> {
        self.pause(socket)?;
        let paused = self.paused.as_mut().ok_or_else(nothing)?;
        let outcome = paused.restore(given);
        let edited = outcome.edited;
        match outcome.result {
            Ok(()) => Ok(Reply::Restored { edited }),
            Err(failed) => {
                self.paused = None;
                Err(Reply::Failed {
                    failed: failed.into(),
                    edited,
                })
            }
        }
    }
}

fn nothing() -> Reply {
    Reply::Impossible("there is no library, or no socket".to_owned())
}

/// Whether a subject can be used at all, found out by a process of its own; a saboteur is set to work in this one. To be
/// called before any case runs.
///
/// # Errors
/// Why it cannot be opened.
pub fn check(subject: &Subject) -> Result<(), String> {
    if let Subject::Saboteur(saboteur) = subject {
        return saboteur
            .plant()
            .map_err(|error| format!("{subject}: {error}"));
    }
    let Some(path) = subject.file() else {
        return Ok(());
    };
    let mut command = Command::new("/proc/self/exe");
    command
        .env(CHECK, path)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            Err(match said.is_empty() {
                true => format!("{}: opening it ends with {}", path.display(), output.status),
                false => said.to_owned(),
            })
        }
    }
}

/// Opens the library that the environment names; `None` in a process that is not told to.
#[must_use]
pub fn obey_check() -> Option<ExitCode> {
    let path = std::env::var_os(CHECK)?;
    nix::unistd::alarm::set(BOUND);
    Some(match Library::open(Path::new(&path)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}
