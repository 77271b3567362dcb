//! The suite's end of the process of a library: what it is asked, and what it means if it does not answer.

use super::Subject;
use super::child::BOUND;
use super::library::Refusal;
use super::message::{Queues, Refused, Reply, Request, hear, say};
use crate::verdict::{Failure, Stop};
use crate::victim;
use lab::Host;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

/// More of a log is not told.
const LOG: usize = 4096;

/// A process with a library, on a host.
pub(super) struct Session {
    process: UnixStream,
    /// How the process has ended is written here, once it has.
    end: PipeReader,
    /// What the library has logged.
    log: File,
}

impl Session {
    /// Starts the process, and lets it open the library.
    pub(super) fn start(host: &Host, subject: &Subject) -> Result<Self, Stop> {
        let (process, theirs) = UnixStream::pair()?;
        let (end, told) = io::pipe()?;
        let log = tempfile::tempfile()?;
        victim::start_subject(host, theirs.as_fd(), log.as_fd(), told.as_fd())?;
        let session = Self { process, end, log };
        // Else its end would not be seen.
        drop((theirs, told));
        session.done(&Request::Open {
            file: subject.file().map(Into::into),
            staged: *subject == Subject::Staged,
        })?;
        Ok(session)
    }

    /// Asks for something that gives nothing back.
    pub(super) fn done(&self, request: &Request) -> Result<(), Stop> {
        self.done_with(request, None)
    }

    /// Asks for something with a socket that gives nothing back.
    pub(super) fn done_with(
        &self,
        request: &Request,
        socket: Option<BorrowedFd<'_>>,
    ) -> Result<(), Stop> {
        match self.ask(request, [&[], &[]], socket)? {
            (Reply::Done, _) => Ok(()),
            (other, _) => Err(self.refusal(request, other)?.into()),
        }
    }

    /// Asks for something; what the process cannot answer any more is a failure of the library.
    pub(super) fn ask(
        &self,
        request: &Request,
        queues: [&[u8]; 2],
        socket: Option<BorrowedFd<'_>>,
    ) -> Result<(Reply, Queues), Stop> {
        let heard = say(&self.process, request, queues, socket).and_then(|()| hear(&self.process));
        match heard {
            Ok(Some((reply, queues, _))) => Ok((reply, queues)),
            Ok(None) | Err(_) => Err(self.ended(request)),
        }
    }

    /// What an answer means that is not success.
    pub(super) fn refusal(&self, request: &Request, reply: Reply) -> Result<Refusal, Stop> {
        match reply {
            Reply::Failed { failed, .. } => Ok(self.told(request, failed)),
            Reply::Impossible(reason) => Err(Stop::Broken(format!(
                "the process of the library: {reason}"
            ))),
            reply => Err(Stop::Broken(format!(
                "the process of the library: {reply:?}"
            ))),
        }
    }

    /// A call that has failed, with what the library has logged.
    pub(super) fn told(&self, request: &Request, failed: Refused) -> Refusal {
        let text = match self.log() {
            log if log.is_empty() => failed.text,
            log => format!("{}; its log: {log}", failed.text),
        };
        Refusal::ByC {
            word: request.word(),
            text,
            errno: failed.errno,
        }
    }

    /// The process has gone: how?
    fn ended(&self, request: &Request) -> Stop {
        let mut how = String::new();
        if let Err(error) = (&self.end).read_to_string(&mut how) {
            return Stop::Broken(format!("the end of the process of the library: {error}"));
        }
        let word = request.word();
        let alarm = format!("signal {}", libc::SIGALRM);
        let mut actual = match &*how {
            "" => return Stop::Broken("the process of the library is out of sight".to_owned()),
            how if how == alarm => {
                format!("the library did not return within {BOUND} s from {word}")
            }
            how if how.starts_with("signal") => format!("the library crashed: {how} in {word}"),
            how => format!("the library ended its process: {how} in {word}"),
        };
        let log = self.log();
        if !log.is_empty() {
            actual = format!("{actual}; its log: {log}");
        }
        Failure::new(format!("the library, at {word}"), "it returns", actual).into()
    }

    /// What the library has logged, in one line.
    fn log(&self) -> String {
        let mut bytes = [0; LOG];
        // A log that cannot be read is none.
        let count = self.log.read_at(&mut bytes, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[..count]);
        text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
    }
}
