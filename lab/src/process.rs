//! Running any program on a host.

use crate::error::{Doing, Error};
use crate::host::Host;
use crate::sys;
use crate::wait;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{
    Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio,
};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A program that runs on a host; killed on drop, with what it has started, and when this process ends in whatever way.
///
/// It is in the host's network and in a process group of its own, and sees the machine's files as this process does:
/// `/sys/class/net` is not the host's, nor is `/etc/resolv.conf`. What it starts and puts into another group is not
/// killed; nor, should this process be killed, is anything but itself.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The command, for errors.
    name: String,
    ended: Option<ExitStatus>,
    /// The thread that started it: the kernel kills the program when that thread ends, not when the process does.
    _parent: mpsc::Sender<()>,
}

impl Host {
    /// Starts a program on this host.
    ///
    /// It cannot read from the terminal; for a program that has to, run it inside of [`Host::enter`].
    ///
    /// # Errors
    /// [`Error::Os`] naming the command, when it cannot be started.
    pub fn spawn(&self, mut command: Command) -> Result<Process, Error> {
        self.touch();
        let name = format!("{command:?} on host {}", self.name());
        let doing = || format!("start {name}");
        command.process_group(0);
        sys::die_with_parent(&mut command);
        let (parent, done) = mpsc::channel::<()>();
        let (to_us, child) = mpsc::channel();
        // A thread that is started here stays on this host, and so does what it starts.
        let thread = self.enter(|| {
            thread::Builder::new().spawn(move || {
                let started = to_us.send(command.spawn()).is_ok();
                // It never sends: this is for the other end to go away.
                started.then(|| done.recv())
            })
        })?;
        thread.doing(doing)?;
        let gone = |_| Err(io::Error::other("the thread that starts it is gone"));
        let child = child.recv().unwrap_or_else(gone).doing(doing)?;
        Ok(Process {
            child,
            name,
            ended: None,
            _parent: parent,
        })
    }

    /// Runs a program on this host to its end, with nothing to read; returns what it has printed.
    ///
    /// # Errors
    /// [`Error::Os`] naming the command, when it cannot be run. That it failed is in [`Output::status`].
    pub fn output(&self, mut command: Command) -> Result<Output, Error> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = self.spawn(command)?;
        let (stdout, stderr) = (process.stdout(), process.stderr());
        let (stdout, stderr) = thread::scope(|scope| {
            let stderr = scope.spawn(|| read(stderr));
            let gone = |_| Err(io::Error::other("its reader is gone"));
            (read(stdout), stderr.join().unwrap_or_else(gone))
        });
        let doing = || format!("read what is printed by {}", process.name);
        Ok(Output {
            stdout: stdout.doing(doing)?,
            stderr: stderr.doing(doing)?,
            status: process.end()?,
        })
    }
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The other end of its standard input, once, if the command made it a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The other end of its standard output, once, if the command made it a pipe.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The other end of its standard error output, once, if the command made it a pipe.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for it to end by itself; what it has started and left is killed then.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it has not after `timeout`; it goes on running.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus, Error> {
        let has_ended = || !matches!(self.look(WaitPidFlag::WNOHANG), Ok(WaitStatus::StillAlive));
        if self.ended.is_none() {
            wait::until(format!("{} to end", self.name), timeout, has_ended)?;
        }
        self.end()
    }

    /// Waits without a bound, then kills what is left of the group, then frees the number of both.
    fn end(&mut self) -> Result<ExitStatus, Error> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let doing = || format!("wait for {}", self.name);
        self.look(WaitPidFlag::empty()).doing(doing)?;
        self.kill_group();
        let status = self.child.wait().doing(doing)?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Waits for its end, or as `how` says, and leaves it a zombie, so that nobody else gets its number.
    fn look(&self, how: WaitPidFlag) -> nix::Result<WaitStatus> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | how;
        waitid(Id::Pid(self.pid()), flags)
    }

    fn kill_group(&self) {
        // It may be empty already.
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    fn pid(&self) -> Pid {
        // The kernel's process numbers are not negative.
        Pid::from_raw(self.child.id() as i32)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill_group();
            // Nothing can be done about a failure: it is killed.
            let _ = self.child.wait();
        }
    }
}

fn read(from: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        from.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
