//! `conformance matrix`, in virtual machines: a kernel that keeps its promises, and guests in which something goes wrong on
//! purpose, each of which is told as what it is.
//!
//! They need QEMU, and a kernel: `CONFORMANCE_KERNEL` names the files of one as `--kernel` takes them, with `:` between them.

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::io;
use std::process::{Command, ExitCode, Stdio};

/// Where the kernel is.
const KERNEL: &str = "CONFORMANCE_KERNEL";
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
        told(None, "every kernel keeps its promises", 0)
    });
    let planted = PLANTED.map(|(what, expected, code)| {
        Trial::ignorable_test(format!("planted/{what}"), move || {
            told(Some(what), expected, code)
        })
    });
    let usage = Trial::test("what-is-no-kernel-is-refused", what_is_no_kernel_is_refused);
    let trials = planted.into_iter().chain([whole, usage]).collect();
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

fn told(planted: Option<&str>, expected: &str, code: i32) -> Result<Completion, Failed> {
    if let Some(why) = missing() {
        return Ok(Completion::ignored_with(why));
    }
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    command.args([
        "matrix",
        "--filter",
        FILTER,
        "--jobs",
        "1",
        "--silence",
        "20",
    ]);
    for kernel in std::env::var(KERNEL)?.split(':') {
        command.args(["--kernel", kernel]);
    }
    if let Some(what) = planted {
        command.args(["--planted", what]);
    }
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
