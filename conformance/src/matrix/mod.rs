//! The same suite inside other kernels, side by side.
//!
//! A kernel is booted in a virtual machine, by software emulation unless a trial boot has shown that the processor can do it,
//! with this program as its first process ([`obey`]). What
//! becomes of each case comes back as [events](crate::report::events) over a serial line; how the machine ended says whether
//! they are all.

pub mod debian;
mod error;
mod guest;
mod initramfs;
mod judged;
mod kernel;
mod kvm;
mod log;
mod machine;
mod modules;
mod package;
mod planted;
mod unpack;
mod version;

pub use error::Error;
pub use guest::{is_guest, obey};
pub use judged::{Judged, Splat};
pub use kernel::Kernel;
pub use machine::{Accelerator, End, Hardware};
pub use planted::Planted;

use error::Doing;
use guest::Orders;
use initramfs::Program;
use kvm::Kvm;
use machine::Files;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
pub(crate) use version::by_version;

/// What a matrix is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kernels, in the order of the columns.
    pub kernels: Vec<Kernel>,
    /// What each machine has.
    pub hardware: Hardware,
    /// The words of the command that each guest runs.
    pub words: Vec<String>,
    /// What goes wrong in each guest, on purpose.
    pub planted: Option<Planted>,
    /// How many machines run at the same time.
    pub machines: usize,
    /// Where a folder for each kernel goes: its console, its events, what it was booted with.
    pub folder: PathBuf,
}

/// Unpacks packages below `folder`, unless that was done before, and finds the kernels in them.
///
/// # Errors
/// [`Error`] when a package cannot be unpacked, or there is no kernel in all of them.
pub fn from_packages(packages: &[PathBuf], folder: &Path) -> Result<Vec<Kernel>, Error> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let folders = in_parallel(packages, cores, |package| package::unpack(package, folder));
    let folders = folders.into_iter().collect::<Result<Vec<_>, _>>()?;
    let found = package::kernels(&folders)?;
    if found.is_empty() {
        return Err(Error::Unfit {
            doing: "boot the kernel of the packages".to_owned(),
            what: "there is no vmlinuz in them".to_owned(),
            help: "give linux-image-… or linux-binary-…, and linux-modules-… where there is one",
        });
    }
    let kernels = found.iter();
    let kernels = kernels.map(|(image, modules)| Kernel::new(image, modules.as_deref()));
    kernels.collect()
}

/// Boots every kernel, and tells `done` of each as soon as it is judged.
///
/// # Errors
/// Of a kernel, what kept it from being judged.
pub fn run(
    plan: &Plan,
    done: impl Fn(&Kernel, &Result<Judged, Error>) + Sync,
) -> Vec<(Kernel, Result<Judged, Error>)> {
    // The same in every guest.
    let program = initramfs::own_program();
    let kvm = Kvm::new(&plan.hardware);
    let judged = in_parallel(&plan.kernels, plan.machines, |kernel| {
        let judged = judge(plan, kernel, &program, &kvm);
        done(kernel, &judged);
        judged
    });
    plan.kernels.iter().cloned().zip(judged).collect()
}

/// What `work` makes of each item, in their order, so many at a time.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    at_a_time: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let waiting = Mutex::new(items.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let take = || {
        loop {
            let next = lock(&waiting).next();
            let Some((at, item)) = next else { return };
            let result = work(item);
            lock(&results).push((at, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_a_time.clamp(1, items.len().max(1)) {
            scope.spawn(take);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Boots a kernel. One that has not come as far as its first process is booted once more, which is told.
fn judge(
    plan: &Plan,
    kernel: &Kernel,
    program: &io::Result<Program>,
    kvm: &Kvm,
) -> Result<Judged, Error> {
    let folder = plan.folder.join(&kernel.release);
    fs::create_dir_all(&folder).doing(|| format!("create {}", folder.display()))?;
    let files = Files::in_folder(&folder);
    let modules = match &kernel.modules {
        Some(folder) => modules::needed(folder)?,
        None => Vec::new(),
    };
    let orders = Orders {
        words: plan.words.clone(),
        planted: plan.planted,
    };
    let program = program.as_ref().map_err(|error| Error::Io {
        doing: "read this program and what it is linked with".to_owned(),
        source: io::Error::new(error.kind(), error.to_string()),
    })?;
    initramfs::write(&files.initramfs, program, &modules, &orders)?;
    let chosen = kvm.choose(kernel, program, &modules, &plan.hardware, &folder)?;
    let mut boots = 0;
    loop {
        boots += 1;
        let end = machine::run(kernel, &files, &plan.hardware, chosen.accelerator)?;
        let events =
            fs::read(&files.events).doing(|| format!("read {}", files.events.display()))?;
        if boots == 1 && events.is_empty() && matches!(end, End::Silent(_)) {
            continue;
        }
        let events = String::from_utf8_lossy(&events);
        return Ok(Judged {
            accelerator: chosen.accelerator,
            not_by_kvm: chosen.why_not,
            ..Judged::new(end, boots, &events, folder)
        });
    }
}
