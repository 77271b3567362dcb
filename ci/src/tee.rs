//! What a command prints goes straight through, and its last lines are kept: a log that somebody has cut short from
//! its beginning says at its end what failed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{Error, While as _};

/// So many lines are kept: the end of a test that panics, with its backtrace, and of the suite's report.
const LINES: usize = 60;

/// How many bytes are passed on at a time: as many as a pipe holds, unless somebody makes it larger.
const PIECE: usize = 1 << 16;
/// How many times that a pipe may hold, at most.
const REST: usize = 16;

/// What is between a command and our stdout.
pub(crate) struct Tee {
    /// What the command prints, on either of its streams. `None`: it has closed them.
    pipe: Option<File>,
    out: Box<dyn io::Write>,
    last: LastLines,
}

impl Tee {
    /// Puts itself between `command` and our stdout, unless that is a terminal: a command looks different there, and
    /// whoever looks at it can scroll.
    pub(crate) fn of(command: &mut Command) -> Result<Option<Self>, Error> {
        if io::stdout().is_terminal() {
            return Ok(None);
        }
        Self::between(command, Box::new(io::stdout())).map(Some)
    }

    /// Puts itself between `command` and `out`.
    pub(crate) fn between(command: &mut Command, out: Box<dyn io::Write>) -> Result<Self, Error> {
        let doing = || "making a pipe".to_owned();
        let (reader, writer) = io::pipe().doing(doing)?;
        let reader = OwnedFd::from(reader);
        // A process that a command leaves behind has the other end, and may have it for ever.
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing(doing)?;
        let second = writer.try_clone().doing(doing)?;
        command.stdout(writer).stderr(second);
        Ok(Self {
            pipe: Some(reader.into()),
            out,
            last: LastLines::default(),
        })
    }

    /// To be called when `command` runs: our own hold on its end of the pipe goes.
    pub(crate) fn started(command: &mut Command) {
        command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    }

    /// Passes on some of what there is, after waiting for it no longer than `limit`; whether there was something.
    pub(crate) fn pass_on(&mut self, limit: Duration) -> Result<bool, Error> {
        let Some(pipe) = &mut self.pipe else {
            std::thread::sleep(limit);
            return Ok(false);
        };
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        // That a signal came is no news: the next look is soon.
        let _ = poll(&mut fds, limit);
        let mut bytes = [0; PIECE];
        match pipe.read(&mut bytes) {
            Ok(0) => {
                self.pipe = None;
                Ok(false)
            }
            Ok(n) => {
                let out = &mut self.out;
                let written = out.write_all(&bytes[..n]).and_then(|()| out.flush());
                written.doing(|| "writing to stdout".to_owned())?;
                self.last.add(&bytes[..n]);
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(false),
                _ => Err(error).doing(|| "reading a pipe".to_owned()),
            },
        }
    }

    /// Passes on what an ended command has left in its pipe, and not what a process says that it has left behind.
    pub(crate) fn pass_on_the_rest(&mut self) -> Result<(), Error> {
        for _ in 0..REST {
            if !self.pass_on(Duration::ZERO)? {
                break;
            }
        }
        Ok(())
    }

    /// The last lines of what was passed on.
    pub(crate) fn last_lines(self) -> Vec<String> {
        self.last.lines.into()
    }
}

#[derive(Default)]
struct LastLines {
    lines: VecDeque<String>,
    /// Whether the last one may go on.
    open: bool,
}

impl LastLines {
    fn add(&mut self, bytes: &[u8]) {
        for piece in String::from_utf8_lossy(bytes).split_inclusive('\n') {
            let (text, ends) = match piece.strip_suffix('\n') {
                Some(text) => (text, true),
                None => (piece, false),
            };
            match self.lines.back_mut() {
                Some(line) if self.open => line.push_str(text),
                _ => self.lines.push_back(text.to_owned()),
            }
            self.open = !ends;
            if self.lines.len() > LINES {
                self.lines.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_only_the_last_ones_stay() {
        let mut last = LastLines::default();
        for bytes in ["a", "b\n\nc", "\n", "d"] {
            last.add(bytes.as_bytes());
        }
        assert_eq!(last.lines, ["ab", "", "c", "d"]);
        last.add(b"\n");
        for number in 0..LINES {
            last.add(format!("{number}\n").as_bytes());
        }
        assert_eq!(last.lines.len(), LINES);
        assert_eq!(last.lines[0], "0");
    }

    #[test]
    fn both_streams_are_passed_on_and_kept_and_a_process_that_stays_holds_nobody_up() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; sleep 86398 & echo $!"]);
        let mut tee = Tee::between(&mut command, Box::new(io::sink())).unwrap();
        let mut child = command.spawn().unwrap();
        Tee::started(&mut command);
        assert!(child.wait().unwrap().success());
        tee.pass_on_the_rest().unwrap();
        let lines = tee.last_lines();
        assert_eq!(lines[..2], ["one", "two"]);
        let left = nix::unistd::Pid::from_raw(lines[2].parse().unwrap());
        nix::sys::signal::kill(left, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}
