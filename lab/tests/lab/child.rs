//! This program once more, as a child process that plays a role of its own.

use libtest_mimic::Failed;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};

/// Names the role.
const ROLE: &str = "LAB_TEST_ROLE";

/// A role: its name and what it does. What it returns in error goes to the standard error output.
pub(crate) type Role = (&'static str, fn() -> Result<(), Failed>);

const ROLES: &[&[Role]] = &[
    crate::cleanup::ROLES,
    crate::harness::ROLES,
    crate::process::ROLES,
    crate::sandbox::ROLES,
];

/// Plays the role that this process was started for, if it was started for one.
pub(crate) fn role() -> Option<ExitCode> {
    let name = std::env::var(ROLE).ok()?;
    let role = ROLES.iter().copied().flatten().find(|(it, _)| *it == name);
    Some(match role.map(|(_, play)| play()) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("{}", error.message().unwrap_or("no reason given"));
            ExitCode::FAILURE
        }
        None => {
            eprintln!("there is no role {name}");
            ExitCode::FAILURE
        }
    })
}

/// A command that plays `role`.
pub(crate) fn command(role: &str) -> Command {
    // By this name also a user who may not read the directory of the program can run it.
    let mut command = Command::new("/proc/self/exe");
    command.env(ROLE, role);
    command
}

/// What this program is as a test program, without a role.
pub(crate) fn without_role() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.env_remove(ROLE);
    command
}

/// Plays `role` to its end, which has to be a good one that leaves no temporary file; returns what it printed.
pub(crate) fn play(role: &str) -> Result<String, Failed> {
    let temporary = tempfile::tempdir()?;
    let output = command(role).env("TMPDIR", temporary.path()).output()?;
    let printed = text(&output);
    if !output.status.success() {
        return Err(format!("{role}: {}: {printed}", output.status).into());
    }
    assert_eq!(fs::read_dir(temporary.path())?.count(), 0);
    Ok(printed)
}

/// What a process printed, wherever to.
pub(crate) fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|it| String::from_utf8_lossy(it))
        .concat()
}

/// A process that plays a role until it is told to stop, or is killed on drop.
pub(crate) struct Playing(pub(crate) Child);

impl Playing {
    pub(crate) fn start(role: &str, temporary: &Path) -> io::Result<Self> {
        let mut command = command(role);
        command.env("TMPDIR", temporary);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(Self(command.spawn()?))
    }

    /// What it prints up to the first empty line.
    pub(crate) fn first_words(&mut self) -> io::Result<String> {
        let stdout = self.0.stdout.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut words = Vec::new();
        while !words.ends_with(b"\n\n") {
            let mut byte = [0];
            stdout.read_exact(&mut byte)?;
            words.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&words).trim_end().to_owned())
    }

    /// Ends it as nobody can refuse.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}
