//! The first process of a guest: it mounts, loads modules, runs the suite, listens to the kernel, and tells how it ended.
//!
//! It is this same program, which finds out by itself that it is there ([`obey`]).

use super::log::{self, Log};
use super::planted::Planted;
use crate::catalogue::timelapse::{BOUND, days};
use crate::report::events::Event;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Where the modules are, in the order in which they are loaded.
pub(super) const MODULES: &str = "/suite/modules";
/// Where it stands what is to be done ([`Orders`]).
pub(super) const ORDERS: &str = "/suite/orders";
/// Where events go: the second serial port.
const EVENTS: &str = "/dev/ttyS1";
/// Where the suite keeps what its failures have left behind.
const KEPT: &str = "/tmp/conformance-failures";
/// So many bytes of that are brought out: a serial line takes less than a megabyte a second.
const MOST_KEPT: usize = 8 << 20;
const DAY: Duration = days(1);
/// Taint that comes from us: a module without its signature (`TAINT_UNSIGNED_MODULE`).
const OUR_TAINT: u64 = 1 << 13;

/// What a guest is to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Orders {
    /// The words of the command that it runs; without any, it only says that it has come so far.
    pub(super) words: Vec<String>,
    /// What goes wrong on purpose.
    pub(super) planted: Option<Planted>,
}

/// The line that events go over, one at a time.
#[derive(Clone)]
struct Line(Arc<Mutex<File>>);

impl Line {
    fn open() -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(EVENTS)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    fn tell(&self, event: &Event) -> io::Result<()> {
        self.pass_on(&serde_json::to_string(event)?)
    }

    fn pass_on(&self, line: &str) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Whether this machine is a guest: this program is its first process, and has found orders.
#[must_use]
pub fn is_guest() -> bool {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    let first = program("1");
    first.is_some() && first == program("self") && Path::new(ORDERS).exists()
}

/// Does the work of a guest, if this is one: it is the first process, and there are orders. Does not return then.
#[must_use]
pub fn obey() -> Option<ExitCode> {
    let first = nix::unistd::getpid().as_raw() == 1 && Path::new(ORDERS).exists();
    first.then(|| match serve() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("guest: {error}");
            // The machine ends, without a verdict: nobody can take that for a pass.
            let _ = reboot(RebootMode::RB_AUTOBOOT);
            ExitCode::FAILURE
        }
    })
}

fn serve() -> io::Result<Infallible> {
    mount_all()?;
    let mut told = console()?;
    for module in modules()? {
        if let Err(error) = finit_module(&File::open(&module)?, c"", ModuleInitFlags::empty()) {
            writeln!(told, "guest: loading {}: {error}", module.display())?;
        }
    }
    tell_days(told)?;
    let line = Line::open()?;
    let (log, more) = Log::open()?;
    let log = Arc::new(Mutex::new(log));
    let (of_kernel, its_log) = (line.clone(), Arc::clone(&log));
    thread::Builder::new()
        .name("kernel".to_owned())
        .spawn(move || {
            while log::wait_for_more(&more).is_ok() && tell_rest(&its_log, &of_kernel).is_ok() {}
        })?;
    let orders: Orders = serde_json::from_slice(&fs::read(ORDERS)?)?;
    if orders.words.is_empty() {
        return end(&line, Some(0));
    }
    let (mut suite, events) = start(&orders.words)?;
    let (mut started, mut cases) = (0, usize::MAX);
    for event in BufReader::new(events).lines() {
        let event = event?;
        line.pass_on(&event)?;
        let Some(planted) = orders.planted else {
            continue;
        };
        match serde_json::from_str(&event) {
            Ok(Event::Begin(begin)) => cases = begin.cases,
            Ok(Event::Started { .. }) => {
                started += 1;
                if Planted::is_due(started, cases) {
                    planted.happen(&suite)?;
                }
            }
            _ => {}
        }
    }
    let status = suite.wait()?;
    // What the kernel has said while the last case ended may not have been heard yet.
    tell_rest(&log, &line)?;
    for (path, bytes) in kept(Path::new(KEPT))? {
        line.tell(&Event::File {
            path,
            base64: BASE64.encode(bytes),
        })?;
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let code = match orders.planted {
        Some(Planted::Exit) => Some(Planted::WRONG),
        _ => code,
    };
    end(&line, code)
}

/// Tells how the suite ended, and ends the machine.
fn end(line: &Line, code: Option<u8>) -> io::Result<Infallible> {
    let taint = taint()?;
    line.tell(&Event::GuestEnded { code, taint })?;
    // The machine is started with the order not to begin anew.
    reboot(RebootMode::RB_AUTOBOOT).map_err(io::Error::from)
}

/// The files below a folder, with their paths in it, in the order of these; as many as fit into what is brought out.
fn kept(folder: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => paths.push(path),
            }
        }
    }
    paths.sort();
    let mut left = MOST_KEPT;
    let mut files = Vec::new();
    for path in paths {
        let bytes = fs::read(&path)?;
        let Some(rest) = left.checked_sub(bytes.len()) else {
            continue;
        };
        left = rest;
        let name = path.strip_prefix(folder).unwrap_or(&path);
        files.push((name.display().to_string(), bytes));
    }
    Ok(files)
}

fn mount_all() -> io::Result<()> {
    let at = |kind: &str, place: &str| {
        let kind = Some(kind);
        mount(kind, place, kind, MsFlags::empty(), None::<&str>)
    };
    at("proc", "/proc")?;
    at("sysfs", "/sys")?;
    at("devtmpfs", "/dev")?;
    at("tmpfs", "/tmp")?;
    at("tmpfs", "/run")?;
    // Some cases need it; where the kernel has none, they say so.
    let _ = at("cgroup2", "/sys/fs/cgroup");
    Ok(())
}

fn console() -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open("/dev/console")
}

/// Says each day that it is over, for as long as a case may take: where time leaps over weeks in which nothing happens, nobody shall
/// think that the machine hangs.
fn tell_days(mut console: File) -> io::Result<()> {
    let days = move || {
        (1..=BOUND.as_secs() / DAY.as_secs()).try_for_each(|day| {
            thread::sleep(DAY);
            writeln!(console, "guest: day {day} is over")
        })
    };
    let thread = thread::Builder::new().name("days".to_owned());
    thread.spawn(days).map(drop)
}

/// Starts the suite; its events can be read until it has ended.
fn start(words: &[String]) -> io::Result<(Child, PipeReader)> {
    let (events, end) = io::pipe()?;
    let mut command = Command::new("/proc/self/exe");
    command
        .args(words)
        // It has no use for an input.
        .args(["--events", "/proc/self/fd/0"])
        .stdin(end)
        .stdout(console()?)
        .stderr(console()?)
        .env("HOME", "/tmp")
        .env("TERM", "dumb")
        .current_dir("/tmp");
    // What holds the writing end is gone when this returns, or there would be no end of the events.
    Ok((command.spawn()?, events))
}

fn modules() -> io::Result<Vec<PathBuf>> {
    if !Path::new(MODULES).exists() {
        return Ok(Vec::new());
    }
    let paths = fs::read_dir(MODULES)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn taint() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/sys/kernel/tainted")?;
    let taint: u64 = text.trim().parse().map_err(io::Error::other)?;
    Ok(taint & !OUR_TAINT)
}

/// Tells what the kernel has said since it was told last.
fn tell_rest(log: &Mutex<Log<File>>, line: &Line) -> io::Result<()> {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.rest(|level, text| {
        let text = text.to_owned();
        // Where the line cannot be written to, nobody can be told that.
        let _ = line.tell(&Event::Kernel { level, text });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_no_guest() {
        assert!(obey().is_none() && !is_guest());
    }
}
