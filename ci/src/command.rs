//! Running commands: their output goes straight through, and their stay is limited.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, While as _};
use crate::processes;
use crate::steps::Outcome;
use crate::tee::Tee;

/// How often a running command is looked at. Bounds how late its end is noticed.
const LOOK: Duration = Duration::from_millis(20);

/// Runs `commands` one after the other, announced; passes if all of them succeed.
pub(crate) fn judge(
    limit: Duration,
    commands: impl IntoIterator<Item = Command>,
) -> Result<Outcome, Error> {
    let (mut wrong, mut last_lines) = (Vec::new(), Vec::new());
    for mut command in commands {
        let shown = shown(&command);
        println!("$ {shown}");
        let mut tee = Tee::of(&mut command)?;
        if let Err(why) = run_through(&mut command, limit, tee.as_mut())? {
            if let Some(tee) = tee {
                last_lines.push(format!("$ {shown}"));
                last_lines.extend(tee.last_lines());
            }
            wrong.push(format!("`{shown}` {why}"));
        }
    }
    Ok(match &wrong[..] {
        [] => Outcome::Passed,
        wrong => Outcome::Failed(wrong.join("; "), last_lines),
    })
}

/// Runs `command` with nothing to read. The inner error says how it ended other than with success.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Result<(), String>, Error> {
    run_through(command, limit, None)
}

fn run_through(
    command: &mut Command,
    limit: Duration,
    mut tee: Option<&mut Tee>,
) -> Result<Result<(), String>, Error> {
    // What we have printed comes first, also where stdout is a file.
    std::io::stdout()
        .flush()
        .doing(|| "writing to stdout".to_owned())?;
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().doing(|| {
        let shown = shown(command);
        format!("starting `{shown}` (is it installed and in PATH?)")
    })?;
    if tee.is_some() {
        Tee::started(command);
    }
    let pid = child.id();
    let waiting = || format!("waiting for process {pid}");
    let ended: Option<ExitStatus> = loop {
        match child.try_wait().doing(waiting)? {
            Some(status) => break Some(status),
            None if start.elapsed() > limit => break None,
            None => match tee.as_mut().map(|tee| tee.pass_on(LOOK)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    processes::stop_tree(pid);
                    child.wait().doing(waiting)?;
                    return Err(error);
                }
                None => std::thread::sleep(LOOK),
            },
        }
    };
    if ended.is_none() {
        processes::stop_tree(pid);
        child.wait().doing(waiting)?;
    }
    if let Some(tee) = tee {
        tee.pass_on_the_rest()?;
    }
    Ok(match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("ended with {status}")),
        None => Err(format!("was stopped after {} s (--limit)", limit.as_secs())),
    })
}

/// Runs `command` and returns what it wrote to stdout. A command that fails is an error with its stderr.
pub(crate) fn read(command: &mut Command) -> Result<String, Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .doing(|| format!("starting `{}` (is it in PATH?)", shown(command)))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Error::unfit(
        format!("running `{}`", shown(command)),
        format!("{}: {}", output.status, stderr.trim()),
        "run it by hand to see more",
    ))
}

/// The command as somebody would type it. Of a command that is run by this very program, the one that it becomes.
pub(crate) fn shown(command: &Command) -> String {
    let mut words: Vec<&OsStr> = command.get_args().collect();
    let mut suffix = "";
    match words.iter().position(|word| *word == "--") {
        Some(end) if command.get_program() == crate::room::PROGRAM => {
            words.drain(..=end);
            suffix = "   (as an ordinary user)";
        }
        _ => words.insert(0, command.get_program()),
    }
    let mut line = String::new();
    // Otherwise the warnings that it denies could not be seen by running it.
    let flags = command.get_envs().find(|(name, _)| *name == "RUSTDOCFLAGS");
    if let Some((name, Some(value))) = flags {
        let _ = write!(line, "{}={} ", name.display(), quoted(value));
    }
    let words: Vec<_> = words.into_iter().map(quoted).collect();
    line + &words.join(" ") + suffix
}

fn quoted(word: &OsStr) -> String {
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
    use std::io::IsTerminal as _;

    const LONG: Duration = Duration::from_secs(60);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn all_commands_are_run_and_every_failure_is_named() {
        assert_eq!(judge(LONG, [sh("exit 0")]).unwrap(), Outcome::Passed);
        let commands = [sh("exit 3"), sh("exit 0"), sh("exit 4")];
        let Outcome::Failed(why, last_lines) = judge(LONG, commands).unwrap() else {
            panic!("passed");
        };
        let expected = "`sh -c 'exit 3'` ended with exit status: 3; `sh -c 'exit 4'` ended with exit status: 4";
        assert_eq!(why, expected);
        if !std::io::stdout().is_terminal() {
            assert_eq!(last_lines, ["$ sh -c 'exit 3'", "$ sh -c 'exit 4'"]);
        }
    }

    #[test]
    fn a_command_that_does_not_exist_is_an_error_that_names_it() {
        let error = run(&mut Command::new("/no/such/program"), LONG).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }

    #[test]
    fn a_command_over_its_limit_is_stopped_with_its_children() {
        let marker = format!("86399.{}", std::process::id());
        let mut command = sh(&format!("sleep {marker} & sleep {marker}; true"));
        command.stderr(Stdio::null());
        let why = run(&mut command, Duration::from_millis(200)).unwrap();
        assert!(why.unwrap_err().contains("--limit"));
        // Orphans go to the next reaper, whoever that is; everything descends from 0.
        let alive = processes::descendants(0);
        assert!(!alive.is_empty());
        assert!(!alive.iter().any(|p| p.command == format!("sleep {marker}")));
    }

    #[test]
    fn one_that_prints_without_end_is_stopped_too() {
        let mut command = Command::new("yes");
        let mut tee = Tee::between(&mut command, Box::new(std::io::sink())).unwrap();
        let why = run_through(&mut command, Duration::from_millis(200), Some(&mut tee)).unwrap();
        assert!(why.unwrap_err().contains("--limit"));
    }

    #[test]
    fn shown_can_be_pasted_into_a_shell() {
        let mut command = Command::new("cargo");
        command.args(["test", "a b", "it's", ""]);
        assert_eq!(shown(&command), r"cargo test 'a b' 'it'\''s' ''");
        let mut command = Command::new("cargo");
        command.args(["doc"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(shown(&command), "RUSTDOCFLAGS='-D warnings' cargo doc");
        let mut command = Command::new(crate::room::PROGRAM);
        command.args(["__room", "--uid", "1", "--", "cargo", "test"]);
        assert_eq!(shown(&command), "cargo test   (as an ordinary user)");
    }

    #[test]
    fn read_returns_stdout_or_says_what_stderr_said() {
        assert_eq!(read(Command::new("echo").arg("hi")).unwrap(), "hi\n");
        let error = read(&mut sh("echo why >&2; exit 1")).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
