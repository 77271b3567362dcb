//! Programs on hosts.

use crate::Case;
use crate::child::{Playing, Role, text};
use crate::connect::namespace;
use lab::{Error, Host, Pair, Process, Sandbox, wait};
use libtest_mimic::Failed;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    (
        "process/a_program_is_in_the_network_of_its_host",
        a_program_is_in_the_network_of_its_host,
    ),
    (
        "process/a_program_can_be_talked_to",
        a_program_can_be_talked_to,
    ),
    (
        "process/the_thread_that_starts_it_may_end",
        the_thread_that_starts_it_may_end,
    ),
    (
        "process/a_program_and_its_children_end_on_drop",
        a_program_and_its_children_end_on_drop,
    ),
    (
        "process/what_a_program_leaves_is_killed",
        what_a_program_leaves_is_killed,
    ),
    (
        "process/a_program_ends_with_a_killed_process",
        a_program_ends_with_a_killed_process,
    ),
    (
        "process/an_error_names_the_command",
        an_error_names_the_command,
    ),
];

pub(crate) const ROLES: &[Role] = &[("hold-a-program", hold_a_program)];

const LONG: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// The first line that a program prints.
fn first_line(process: &mut Process) -> Result<String, Failed> {
    let mut line = String::new();
    let stdout = process.stdout().ok_or("its output is a pipe")?;
    BufReader::new(stdout).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Waits until a process is gone, or at least dead and only not yet waited for.
fn gone(pid: &str) -> Result<(), Error> {
    wait::until(format!("process {pid} to be gone"), LONG, || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |it| {
            it.rsplit(") ").next().is_some_and(|it| it.starts_with('Z'))
        })
    })
}

fn a_program_is_in_the_network_of_its_host() -> Result<(), Failed> {
    let pair = Pair::new()?;
    for host in pair.hosts() {
        let mut readlink = Command::new("readlink");
        readlink.arg("/proc/self/ns/net");
        let output = host.output(readlink)?;
        assert!(output.status.success());
        assert_eq!(text(&output).trim_end(), host.enter(namespace)??);
    }
    Ok(())
}

fn a_program_can_be_talked_to() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let mut process = pair.a().spawn(shell("read word; echo $word; exit 3"))?;
    let error = process
        .wait(Duration::from_millis(1))
        .err()
        .ok_or("nothing was said to it")?;
    assert!(error.to_string().contains("sh"), "{error}");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    process
        .stdin()
        .ok_or("its input is a pipe")?
        .write_all(b"hello\n")?;
    assert_eq!(first_line(&mut process)?, "hello");
    for _ in 0..2 {
        assert_eq!(process.wait(LONG)?.code(), Some(3));
    }
    // With something to read from, cat would wait for it.
    let output = pair
        .b()
        .output(shell("cat; echo out; echo err >&2; exit 4"))?;
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!(output.status.code(), Some(4));
    Ok(())
}

fn the_thread_that_starts_it_may_end() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let started = thread::scope(|scope| {
        scope
            .spawn(|| pair.a().spawn(shell("read word; echo $word")))
            .join()
    });
    let mut process = started.map_err(|_| "it panicked")??;
    process
        .stdin()
        .ok_or("its input is a pipe")?
        .write_all(b"still\n")?;
    assert_eq!(first_line(&mut process)?, "still");
    assert!(process.wait(LONG)?.success());
    Ok(())
}

/// A program that has started another, and the numbers of both.
fn two_programs(host: &Host) -> Result<(Process, [String; 2]), Failed> {
    let mut process = host.spawn(shell("sleep 1000 & echo $!; wait"))?;
    let child = first_line(&mut process)?;
    let pids = [process.id().to_string(), child];
    assert!(
        pids.iter()
            .all(|it| fs::exists(format!("/proc/{it}")).is_ok_and(|it| it)),
        "{pids:?}"
    );
    Ok((process, pids))
}

fn a_program_and_its_children_end_on_drop() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let (process, [pid, child]) = two_programs(pair.a())?;
    drop(process);
    assert!(
        !fs::exists(format!("/proc/{pid}"))?,
        "it has been waited for"
    );
    gone(&child)?;
    Ok(())
}

fn what_a_program_leaves_is_killed() -> Result<(), Failed> {
    let pair = Pair::new()?;
    // Without our pipe: output() waits for its end.
    let output = pair.a().output(shell("sleep 1000 >&- 2>&- & echo $!"))?;
    gone(text(&output).trim_end())?;
    Ok(())
}

fn a_program_ends_with_a_killed_process() -> Result<(), Failed> {
    let temporary = tempfile::tempdir()?;
    let mut holder = Playing::start("hold-a-program", temporary.path())?;
    let pid = holder.first_words()?;
    assert!(fs::exists(format!("/proc/{pid}"))?);
    holder.kill()?;
    gone(&pid)?;
    Ok(())
}

/// A role: a program that does not end by itself, nor with its input.
fn hold_a_program() -> Result<(), Failed> {
    let _sandbox = Sandbox::enter()?;
    let pair = Pair::new()?;
    let mut command = Command::new("sleep");
    command.arg("1000").stdin(Stdio::null());
    let process = pair.a().spawn(command)?;
    println!("{}\n", process.id());
    io::stdin().read_exact(&mut [0])?;
    Ok(())
}

fn an_error_names_the_command() -> Result<(), Failed> {
    let pair = Pair::new()?;
    // With its path: on the way there may be folders that one must not look into, which is another error.
    let error = pair
        .b()
        .output(Command::new("/proc/self/no-such-program"))
        .err()
        .ok_or("there is none")?;
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    assert!(
        error
            .to_string()
            .contains("start \"/proc/self/no-such-program\" on host b"),
        "{error}"
    );
    Ok(())
}
