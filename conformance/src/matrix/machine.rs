//! A virtual machine: how it is started, watched, and what its end means.

use super::error::{Doing, Error};
use super::kernel::Kernel;
use std::fmt;
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
/// All that it can do, but for copying by one repeated instruction: to emulate that takes longer than the loop that is taken
/// where it is not to be had, a quarter of all time.
const PROCESSOR: &str = "max,-erms,-fsrm";
/// What a kernel is told. Emulated processors speculate about nothing, and what is cleared twice is cleared by emulation twice. A
/// processor that is alone need not wait for the others to have seen something.
const COMMAND_LINE: &str = "console=ttyS0 loglevel=5 reboot=t panic=-1 oops=panic cryptomgr.notests mitigations=off init_on_alloc=0 rcupdate.rcu_expedited=1 LD_LIBRARY_PATH=/lib";
/// And where time leaps over idleness, what lets it rest. Without, it looks at its clock twice a second, for lockups every four
/// seconds (one that does lock up falls silent), at the load of its memory (PSI, DAMON), and for pages to be moved together: five
/// leaps a second, where four a minute are left (6.18).
const RESTFUL: &str =
    "tsc=reliable nowatchdog psi=0 damon_stat.enabled=0 sysctl.vm.compaction_proactiveness=0";
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
    /// Whether the processor itself may run it, where a trial boot has shown that it can.
    pub kvm: bool,
    /// How long it may run at most.
    pub limit: Option<Duration>,
    /// Once this is set, it is ended.
    pub told_to_end: Arc<AtomicBool>,
}

/// What executes the instructions of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The emulator.
    Tcg,
    /// The processor.
    Kvm,
}

impl Hardware {
    pub(super) fn is_to_end(&self) -> bool {
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
    /// It ran for longer than it may.
    Late(Duration),
    /// The emulator ended otherwise: what it said.
    Emulator(String),
    /// It was ended, because this program was told to end.
    Told,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(Some(code)) => write!(f, "the suite ended with {code}"),
            Self::Exit(None) => f.write_str("the suite was killed"),
            Self::Panic(text) => f.write_str(text),
            Self::WithoutVerdict => f.write_str("the machine ended without a verdict"),
            Self::Silent(time) => write!(f, "nothing was heard for {} s", time.as_secs()),
            Self::Late(time) => write!(f, "it ran for more than {} s", time.as_secs()),
            Self::Emulator(text) => write!(f, "the emulator: {text}"),
            Self::Told => f.write_str("it was told to end"),
        }
    }
}

/// Boots a kernel, and waits for its end.
pub(super) fn run(
    kernel: &Kernel,
    files: &Files,
    hardware: &Hardware,
    accelerator: Accelerator,
) -> Result<End, Error> {
    for file in [&files.console, &files.events] {
        File::create(file).doing(|| format!("create {}", file.display()))?;
    }
    if hardware.is_to_end() {
        return Ok(End::Told);
    }
    let mut child = start(kernel, files, hardware, accelerator)?;
    let ended = watch(&mut child, files, hardware);
    if !matches!(ended, Ok(Watched::Ended(_))) {
        // It may have ended meanwhile.
        let _ = child.kill();
        let _ = child.wait();
    }
    let console = fs::read(&files.console).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let ended = ended.doing(|| format!("wait for {QEMU}"))?;
    Ok(match ended {
        Watched::Ended(status) => meaning(status, &console, || said(&mut child)),
        Watched::Stopped(end) => end,
    })
}

fn start(
    kernel: &Kernel,
    files: &Files,
    hardware: &Hardware,
    accelerator: Accelerator,
) -> Result<Child, Error> {
    let serial = |path: &Path| format!("file:{}", path.display());
    let mut command_line = COMMAND_LINE.to_owned();
    if hardware.deterministic {
        command_line = format!("{command_line} {RESTFUL}");
    }
    let mut command = Command::new(QEMU);
    match (accelerator, hardware.deterministic) {
        (Accelerator::Kvm, _) => command.args(["-accel", "kvm"]),
        (Accelerator::Tcg, true) => command.args([
            "-accel",
            "tcg,thread=single",
            "-icount",
            "shift=0,sleep=off",
            "-rtc",
            "base=2026-01-01,clock=vm",
            "-seed",
            "1",
        ]),
        (Accelerator::Tcg, false) => command.args(["-accel", "tcg,thread=multi"]),
    };
    command
        .args(["-cpu", PROCESSOR, "-M", "q35"])
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
        .args(["-append", &command_line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Error::of_program(error, QEMU, "boot a kernel", WHERE))
}

/// What watching a machine came to.
enum Watched {
    Ended(ExitStatus),
    /// It has to be ended.
    Stopped(End),
}

/// Until it ends, says nothing for too long, or is to be ended.
fn watch(child: &mut Child, files: &Files, hardware: &Hardware) -> io::Result<Watched> {
    let told = || {
        let length = |path: &Path| fs::metadata(path).map_or(0, |it| it.len());
        [length(&files.console), length(&files.events)]
    };
    let start = Instant::now();
    let (mut last, mut since) = (told(), start);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Watched::Ended(status));
        }
        if hardware.is_to_end() {
            return Ok(Watched::Stopped(End::Told));
        }
        if let Some(limit) = hardware.limit
            && start.elapsed() >= limit
        {
            return Ok(Watched::Stopped(End::Late(limit)));
        }
        let now = told();
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() >= hardware.silence {
            return Ok(Watched::Stopped(End::Silent(hardware.silence)));
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
