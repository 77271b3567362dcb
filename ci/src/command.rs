//! Running a command: its output goes straight through, its time is taken, its stay is limited.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, While as _};
use crate::processes;

/// How often a running command is looked at. Bounds how late its end is noticed.
const LOOK: Duration = Duration::from_millis(20);

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was stopped, with everything it had started, because the limit had passed.
    OverTime(Duration),
}

impl Ended {
    /// `Ok` for a success, otherwise a sentence about `shown`.
    pub(crate) fn verdict(&self, shown: &str) -> Result<(), String> {
        match self {
            Self::Exited(status) if status.success() => Ok(()),
            Self::Exited(status) => Err(format!("`{shown}` ended with {status}")),
            Self::OverTime(limit) => Err(format!(
                "`{shown}` was stopped after {} s (--limit)",
                limit.as_secs()
            )),
        }
    }
}

/// Runs `command` with stdin empty and its output where ours goes (unless it was set up otherwise).
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Ended, Error> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().doing(|| {
        format!(
            "starting `{}` (is it installed and in PATH?)",
            shown(command)
        )
    })?;
    loop {
        if let Some(status) = child
            .try_wait()
            .doing(|| format!("waiting for `{}`", shown(command)))?
        {
            return Ok(Ended::Exited(status));
        }
        if start.elapsed() > limit {
            processes::stop_tree(child.id());
            child
                .wait()
                .doing(|| format!("waiting for the stopped `{}`", shown(command)))?;
            return Ok(Ended::OverTime(limit));
        }
        std::thread::sleep(LOOK);
    }
}

/// Runs `command` and returns what it wrote to stdout. A command that fails is an error with its stderr.
pub(crate) fn read(command: &mut Command) -> Result<String, Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .doing(|| format!("starting `{}`", shown(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::unfit(
        format!("running `{}`", shown(command)),
        format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        "run it by hand to see more",
    ))
}

/// The command as somebody would type it, without its environment.
pub(crate) fn shown(command: &Command) -> String {
    let mut line = word(command.get_program());
    for argument in command.get_args() {
        let _ = write!(line, " {}", word(argument));
    }
    line
}

fn word(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn success_and_failure_are_told_apart() {
        let good = run(&mut Command::new("true"), LONG).unwrap();
        assert_eq!(good.verdict("true"), Ok(()));
        let bad = run(Command::new("sh").args(["-c", "exit 3"]), LONG).unwrap();
        let why = bad.verdict("it").unwrap_err();
        assert!(why.contains("`it`") && why.contains('3'), "{why}");
    }

    #[test]
    fn a_command_that_does_not_exist_is_an_error_that_names_it() {
        let error = run(&mut Command::new("/no/such/program"), LONG).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }

    #[test]
    fn a_command_over_its_limit_is_stopped_with_its_children() {
        let marker = format!("86399.{}", std::process::id());
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("sleep {marker} & sleep {marker}; true")])
            .stderr(Stdio::null());
        let ended = run(&mut command, Duration::from_millis(200)).unwrap();
        assert!(ended.verdict("sh").unwrap_err().contains("--limit"));
        let alive = processes::all()
            .into_iter()
            .filter(|p| !p.zombie && p.command.starts_with("sleep") && p.command.contains(&marker))
            .count();
        assert_eq!(alive, 0);
    }

    #[test]
    fn shown_can_be_pasted_into_a_shell() {
        let mut command = Command::new("cargo");
        command.args(["test", "a b", "it's", ""]);
        assert_eq!(shown(&command), r"cargo test 'a b' 'it'\''s' ''");
    }

    #[test]
    fn read_returns_stdout_or_says_what_stderr_said() {
        assert_eq!(read(Command::new("echo").arg("hi")).unwrap(), "hi\n");
        let error = read(Command::new("sh").args(["-c", "echo why >&2; exit 1"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
