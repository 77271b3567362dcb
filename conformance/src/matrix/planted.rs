//! What goes wrong in a guest on purpose, so that it is known that it would be noticed.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::Child;
use std::thread;

/// When so many cases have begun.
const DUE: usize = 2;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Planted {
    /// The kernel panics.
    Panic,
    /// Nothing happens any more.
    Hang,
    /// The kernel warns.
    Warn,
    /// The suite is killed.
    Kill,
    /// No event comes through any more, and the suite goes on.
    Truncate,
    /// The code of the suite is told as another.
    Exit,
}

impl Planted {
    /// The other code: none of the suite's.
    pub(super) const WRONG: u8 = 99;

    /// Whether it is to happen, when so many of all cases have begun.
    pub(super) fn is_due(started: usize, cases: usize) -> bool {
        started == DUE.min(cases)
    }

    /// Lets it happen.
    pub(super) fn happen(self, suite: &Child) -> io::Result<()> {
        let write =
            |path: &str, text: &[u8]| OpenOptions::new().write(true).open(path)?.write_all(text);
        // A process number is positive and fits.
        let suite = Pid::from_raw(suite.id() as i32);
        match self {
            Self::Panic => write("/proc/sysrq-trigger", b"c"),
            // Without its end of line, nobody can read a record until the next one comes (prb_commit).
            Self::Warn => write("/dev/kmsg", b"<4>WARNING: planted\n"),
            Self::Kill => Ok(kill(suite, Signal::SIGKILL)?),
            Self::Hang => {
                kill(suite, Signal::SIGSTOP)?;
                loop {
                    thread::park();
                }
            }
            Self::Truncate => Err(io::Error::other(
                "nothing comes through any more, on purpose",
            )),
            Self::Exit => Ok(()),
        }
    }
}
