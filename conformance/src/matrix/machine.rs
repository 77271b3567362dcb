//! A virtual machine: how it is started, watched, and what its end means.

use super::error::{Doing, Error};
use super::kernel::Kernel;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What runs the machine.
const QEMU: &str = "qemu-system-x86_64";
/// Where that is had.
const WHERE: &str =
    "Debian and Ubuntu: apt install qemu-system-x86; Fedora: dnf install qemu-system-x86-core";
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// What a panic says first.
const PANIC: &str = "Kernel panic - not syncing";

/// What a machine has.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// How many processors.
    pub processors: usize,
    /// Memory, MiB.
    pub memory: usize,
    /// How long it may say nothing, before it counts as hanging.
    pub silence: Duration,
    /// Whether it is the same each time, bit for bit: its time goes on by the instructions that it executes, and where there
    /// are none, it leaps to what happens next.
    pub deterministic: bool,
    /// Once this is set, it is ended.
    pub told_to_end: Arc<AtomicBool>,
}

impl Hardware {
    fn is_to_end(&self) -> bool {
        self.told_to_end.load(Ordering::Relaxed)
    }
}

/// The files of one machine.
pub(super) struct Files {
    pub(super) initramfs: PathBuf,
    pub(super) console: PathBuf,
    pub(super) events: PathBuf,
}

impl Files {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            initramfs: folder.join("initramfs.cpio"),
            console: folder.join("console.txt"),
            events: folder.join("events.jsonl"),
        }
    }
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The suite ended, and the machine behind it; none where the suite was killed.
    Exit(Option<u8>),
    /// The kernel gave up: what it said first.
    Panic(String),
    /// It ended without a verdict, and without a panic.
    WithoutVerdict,
    /// Nothing was heard of it any more.
    Silent(Duration),
    /// The emulator ended otherwise: what it said.
    Emulator(String),
    /// It was ended, because this program was told to end.
    Told,
}

/// Boots a kernel, and waits for its end.
pub(super) fn run(kernel: &Kernel, files: &Files, hardware: &Hardware) -> Result<End, Error> {
    for file in [&files.console, &files.events] {
        File::create(file).doing(|| format!("create {}", file.display()))?;
    }
    if hardware.is_to_end() {
        return Ok(End::Told);
    }
    let mut child = start(kernel, files, hardware)?;
    let ended = watch(&mut child, files, hardware);
    if !matches!(ended, Ok(Some(_))) {
        // It may have ended meanwhile.
        let _ = child.kill();
        let _ = child.wait();
    }
    let console = fs::read(&files.console).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let ended = ended.doing(|| format!("wait for {QEMU}"))?;
    Ok(match ended {
        Some(status) => meaning(status, &console, || said(&mut child)),
        None if hardware.is_to_end() => End::Told,
        None => End::Silent(hardware.silence),
    })
}

fn start(kernel: &Kernel, files: &Files, hardware: &Hardware) -> Result<Child, Error> {
    let serial = |path: &Path| format!("file:{}", path.display());
    // Emulated processors speculate about nothing, and what is cleared twice is cleared by emulation twice.
    let command_line = "console=ttyS0 loglevel=5 reboot=t panic=-1 oops=panic cryptomgr.notests mitigations=off init_on_alloc=0 LD_LIBRARY_PATH=/lib";
    let mut command = Command::new(QEMU);
    match hardware.deterministic {
        true => command.args([
            "-accel",
            "tcg,thread=single",
            "-icount",
            "shift=0,sleep=off",
            "-rtc",
            "base=2026-01-01,clock=vm",
            "-seed",
            "1",
        ]),
        false => command.args(["-accel", "tcg,thread=multi"]),
    };
    command
        .args(["-cpu", "max", "-M", "q35"])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
        ])
        .args(["-m", &hardware.memory.to_string()])
        .args(["-smp", &hardware.processors.to_string()])
        .args(["-serial", &serial(&files.console)])
        .args(["-serial", &serial(&files.events)])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(&files.initramfs)
        .args(["-append", command_line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Error::of_program(error, QEMU, "boot a kernel", WHERE))
}

/// Until it ends, says nothing for too long, or is to be ended.
fn watch(child: &mut Child, files: &Files, hardware: &Hardware) -> io::Result<Option<ExitStatus>> {
    let told = || {
        let length = |path: &Path| fs::metadata(path).map_or(0, |it| it.len());
        [length(&files.console), length(&files.events)]
    };
    let (mut last, mut since) = (told(), Instant::now());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let now = told();
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() >= hardware.silence || hardware.is_to_end() {
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

fn said(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        // What cannot be read is not told.
        let _ = io::Read::read_to_string(&mut stderr, &mut text);
    }
    text.trim().to_owned()
}

/// What it means that the emulator ended so; whether the suite had ended, its events say.
fn meaning(status: ExitStatus, console: &str, said: impl FnOnce() -> String) -> End {
    if let Some(line) = console
        .lines()
        .find_map(|line| Some(&line[line.find(PANIC)?..]))
    {
        return End::Panic(line.trim().to_owned());
    }
    match status.success() {
        true => End::WithoutVerdict,
        false => End::Emulator(format!("{status}: {}", said())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn an_end_is_what_it_is() {
        let end = |status: i32, console: &str| {
            let said = || "no such file".to_owned();
            meaning(ExitStatus::from_raw(status), console, said)
        };
        assert_eq!(end(0, "all is well"), End::WithoutVerdict);
        let panic = "[ 1.0] Kernel panic - not syncing: Oops\r\n";
        let told = End::Panic("Kernel panic - not syncing: Oops".to_owned());
        for status in [0, 1 << 8] {
            assert_eq!(end(status, panic), told);
        }
        for (status, told) in [(1 << 8, "exit status: 1"), (9, "signal: 9")] {
            let End::Emulator(text) = end(status, "") else {
                panic!("{status}");
            };
            assert!(
                text.contains(told) && text.ends_with(": no such file"),
                "{text}"
            );
        }
    }
}
