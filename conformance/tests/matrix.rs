//! `conformance matrix`, in virtual machines: a kernel that keeps its promises, and guests in which something goes wrong on
//! purpose, each of which is told as what it is.
//!
//! They need QEMU, and a kernel: `CONFORMANCE_KERNEL` names the files of one as `--kernel` takes them, with `:` between them.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// Where the kernel is.
const KERNEL: &str = "CONFORMANCE_KERNEL";
/// What is said of a kernel that passes two cases.
const PASSED: &str = ": 2 of 2 cases passed";
/// Such a kernel does not let its machine rest: weeks are skipped.
const RESTLESS: &str = "5.10.";
/// Three cases.
const FILTER: &str = "kernel/repair/established/*";

/// What goes wrong, what is said of it, and the code with which the program ends.
const PLANTED: [(&str, &str, i32); 6] = [
    (
        "panic",
        "Kernel panic - not syncing: sysrq triggered crash (running: kernel/repair/established/",
        1,
    ),
    (
        "hang",
        "nothing was heard for 20 s (running: kernel/repair/established/",
        1,
    ),
    ("warn", "WARNING: planted (", 1),
    (
        "kill",
        "the suite was killed and had told nothing (running: kernel/repair/established/",
        1,
    ),
    (
        "truncate",
        "the machine ended without a verdict (running: kernel/repair/established/",
        1,
    ),
    (
        "exit",
        "the suite ended with 99 and had told 0 (no case was running)",
        3,
    ),
];

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(2);
    let whole = Trial::ignorable_test("a-kernel-that-keeps-its-promises", || {
        told(&[], "every kernel keeps its promises", 0)
    });
    let planted = PLANTED.map(|(what, expected, code)| {
        Trial::ignorable_test(format!("planted/{what}"), move || {
            // Whether the processor can run machines, one test asks: where it cannot, that takes its time.
            told(&["--planted", what, "--no-kvm"], expected, code)
        })
    });
    // A guest says each day that it is over, but not for ever.
    let idle = Trial::ignorable_test("planted/hang-where-time-leaps", || {
        let words = ["--planted", "hang", "--deterministic"];
        told(
            &words,
            "nothing was heard for 20 s (running: kernel/repair/established/",
            1,
        )
    });
    let others = [
        Trial::ignorable_test("the-same-each-time", the_same_each_time),
        Trial::ignorable_test("hours-in-seconds", || leaps("timelapse/keepalive/*")),
        Trial::ignorable_test("weeks-in-minutes", || leaps("timelapse/silence/25-days/*")),
        Trial::ignorable_test("a-machine-without-memory", || {
            let memory = "fault/memory/machine/*";
            told_of(memory, &[], ": 4 of 4 cases passed", 0)
        }),
        Trial::ignorable_test("bisected", bisected),
        Trial::ignorable_test("told-to-end", told_to_end),
    ];
    let usage = Trial::test("what-is-no-kernel-is-refused", what_is_no_kernel_is_refused);
    let trials = planted
        .into_iter()
        .chain([idle, whole, usage])
        .chain(others)
        .collect();
    libtest_mimic::run(&args, trials).exit_code()
}

/// Why no kernel can be booted here, if so.
fn missing() -> Option<String> {
    let qemu = Command::new("qemu-system-x86_64")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    match qemu {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some("there is no qemu-system-x86_64 here: apt-get install qemu-system-x86".to_owned())
        }
        _ => std::env::var_os(KERNEL)
            .is_none()
            .then(|| format!("{KERNEL} names no kernel")),
    }
}

fn told(words: &[&str], expected: &str, code: i32) -> Result<Completion, Failed> {
    told_of(FILTER, words, expected, code)
}

/// What is told of these cases, and the code with which the program ends.
fn told_of(cases: &str, words: &[&str], expected: &str, code: i32) -> Result<Completion, Failed> {
    if let Some(why) = missing() {
        return Ok(Completion::ignored_with(why));
    }
    let folder = tempfile::tempdir()?;
    let mut command = conformance(&["matrix", "--filter", cases, "--jobs", "1"])?;
    command.args(["--silence", "20"]).args(words);
    let output = command.arg("--artifacts").arg(folder.path()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let held = text.contains(expected) && output.status.code() == Some(code);
    match held {
        true => Ok(Completion::Completed),
        false => {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(format!("{expected:?} and {code}: {}\n{text}{error}", output.status).into())
        }
    }
}

/// A command about the kernel.
fn conformance(words: &[&str]) -> Result<Command, Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    command.args(words);
    for kernel in std::env::var(KERNEL)?.split(':') {
        command.args(["--kernel", kernel]);
    }
    Ok(command)
}

/// Two runs of a deterministic machine tell the same, and their captures are the same, times included.
fn the_same_each_time() -> Result<Completion, Failed> {
    if let Some(why) = missing() {
        return Ok(Completion::ignored_with(why));
    }
    let once = || {
        let folder = tempfile::tempdir()?;
        let filter = "restore/small-both/ts-sack-wscale/v?";
        let output = conformance(&[
            "matrix",
            "--deterministic",
            "--keep-all",
            "--filter",
            filter,
        ])?
        .arg("--artifacts")
        .arg(folder.path())
        .output()?;
        match output.status.success() {
            true => files(folder.path()),
            false => Err(String::from_utf8_lossy(&output.stdout).into_owned().into()),
        }
    };
    let (one, other) = (once()?, once()?);
    let captures = |it: &(String, Vec<u8>)| it.0.contains(".pcapng") && it.1.len() > 1000;
    if one.iter().filter(|it| captures(it)).count() != 2 {
        let names: Vec<_> = one.iter().map(|(name, _)| name).collect();
        return Err(format!("two captures are not among {names:?}").into());
    }
    let differing = one.iter().zip(&other).filter(|(one, other)| one != other);
    let differing: Vec<_> = differing.map(|(one, _)| &one.0).collect();
    match differing.is_empty() && one.len() == other.len() {
        true => Ok(Completion::Completed),
        false => Err(format!("not the same each time: {differing:?}").into()),
    }
}

/// The events and the captures below a folder, sorted by name.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.display().to_string();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if [".jsonl", ".pcapng"].iter().any(|end| name.ends_with(end)) {
            let parts: Vec<_> = path
                .iter()
                .rev()
                .take(2)
                .map(|it| it.to_string_lossy())
                .collect();
            files.push((parts.join(" of "), fs::read(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// A machine whose time leaps runs these two cases.
fn leaps(filter: &str) -> Result<Completion, Failed> {
    if let Some(why) = missing() {
        return Ok(Completion::ignored_with(why));
    }
    let folder = tempfile::tempdir()?;
    let output = conformance(&["matrix", "--deterministic", "--filter", filter])?
        .arg("--artifacts")
        .arg(folder.path())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if filter.contains("-days/") && text.starts_with(RESTLESS) {
        return Ok(Completion::ignored_with(
            "this kernel does not let its machine rest",
        ));
    }
    match output.status.success() && text.contains(PASSED) {
        true => Ok(Completion::Completed),
        false => {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(format!("{}\n{text}{error}", output.status).into())
        }
    }
}

/// A case that holds is good; that of a kernel that dies is bad, and of one that is not heard cannot be told.
fn bisected() -> Result<Completion, Failed> {
    if let Some(why) = missing() {
        return Ok(Completion::ignored_with(why));
    }
    for (words, code) in [
        (&["kernel/repair/again", "--no-kvm"][..], 0),
        (
            &["kernel/repair/again", "--no-kvm", "--planted", "panic"],
            1,
        ),
        (&["kernel/repair/again", "--no-kvm", "--memory", "16"], 125),
    ] {
        let folder = tempfile::tempdir()?;
        let output = conformance(&[&["bisect"], words].concat())?
            .arg("--artifacts")
            .arg(folder.path())
            .args(["--silence", "20"])
            .output()?;
        if output.status.code() != Some(code) {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            return Err(format!("{words:?}: {code} is not {}\n{text}", output.status).into());
        }
    }
    Ok(Completion::Completed)
}

/// A matrix that is told to end ends its machines.
fn told_to_end() -> Result<Completion, Failed> {
    if let Some(why) = missing() {
        return Ok(Completion::ignored_with(why));
    }
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report.json");
    let mut child = conformance(&[
        "matrix",
        "--no-kvm",
        "--planted",
        "hang",
        "--filter",
        FILTER,
    ])?
    .arg("--json")
    .arg(&report)
    .arg("--artifacts")
    .arg(folder.path())
    .stdout(Stdio::piped())
    .spawn()?;
    let begun = || files(folder.path()).is_ok_and(|it| it.iter().any(|(_, text)| !text.is_empty()));
    lab::wait::until("the guest to begin", Duration::from_secs(60), begun)?;
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)?;
    let status = child.wait()?;
    let told = fs::read_to_string(&report)?;
    // What ran says nothing against the kernel.
    let stopped = told.contains("it was told to end") && told.contains(r#""stopped": true"#);
    match status.code() == Some(3) && stopped {
        true => Ok(Completion::Completed),
        false => Err(format!("{status}: {told}").into()),
    }
}

fn what_is_no_kernel_is_refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("vmlinuz");
    std::fs::write(&file, "not a kernel")?;
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(["matrix", "--kernel"])
        .arg(&file)
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    let expected = "it is neither a bzImage nor a vmlinux with its banner";
    match output.status.code() == Some(2) && error.contains(expected) {
        true => Ok(()),
        false => Err(format!("{}: {error}", output.status).into()),
    }
}
