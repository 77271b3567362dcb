//! Network namespaces: made, entered, left again whatever happens, and gone on drop.
//!
//! The only file that moves a thread between namespaces.

use crate::error::{Doing, Error};
use crate::proc_net::ProcNet;
use crate::sandbox::Sandbox;
use netns_rs::{Env, NetNs};
use nix::fcntl::{OFlag, open, openat};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, gettid};
use std::cell::RefCell;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells names apart: labs may be alive at once, and all share one directory of names.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The namespaces that the calling thread is in.
const OF_THIS_THREAD: &str = "/proc/thread-self/ns";

thread_local! {
    /// That directory, and whose it is: in a copy of this process it would still be that of the thread that was copied.
    static DIRECTORY: RefCell<Option<(Pid, OwnedFd)>> = const { RefCell::new(None) };
}

/// The network namespace that the calling thread is in at the moment.
fn of_this_thread() -> nix::Result<OwnedFd> {
    let net = |directory: &OwnedFd| openat(directory, "net", OFlag::O_CLOEXEC, Mode::empty());
    let directory = || {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        open(OF_THIS_THREAD, flags, Mode::empty())
    };
    // From the root of /proc on the kernel takes twice as long to find it.
    let by_directory = DIRECTORY.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        let thread = gettid();
        let known = kept.take().filter(|(whose, _)| *whose == thread);
        let (_, directory) = kept.insert(known.map_or_else(|| Ok((thread, directory()?)), Ok)?);
        net(directory)
    });
    // A thread that is on its way out keeps nothing any more.
    by_directory.unwrap_or_else(|_| net(&directory()?))
}

/// A network namespace of our own.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    /// `None` only while it is being dropped: netns-rs removes by value.
    inner: Option<NetNs<Names>>,
    file: File,
    proc_net: ProcNet,
}

/// Where netns-rs keeps its names: on the tmpfs of the sandbox.
#[derive(Clone, Debug)]
struct Names(PathBuf);

impl Env for Names {
    fn persist_dir(&self) -> PathBuf {
        self.0.clone()
    }
}

impl Namespace {
    /// Makes a new, empty network namespace; `prefix` begins its name.
    pub(crate) fn new(prefix: &str) -> Result<Self, Error> {
        let sandbox = Sandbox::current().ok_or(Error::NoSandbox)?;
        let name = format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let names = Names(sandbox.names().to_owned());
        let inner = NetNs::new_with_env(&name, names).map_err(|error| Error::Namespace {
            doing: format!("make network namespace {name}"),
            reason: error.to_string(),
        })?;
        let file = inner
            .file()
            .try_clone()
            .doing(|| format!("keep network namespace {name} open"))?;
        Ok(Self {
            name,
            inner: Some(inner),
            file,
            proc_net: ProcNet::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What a file of its `/proc/net` says now; `None` where the kernel does not have it.
    pub(crate) fn read(&self, file: &'static str) -> Result<Option<String>, Error> {
        self.proc_net.read(self, file)
    }

    /// Runs `f` with the calling thread inside this namespace.
    ///
    /// The thread is back where it was on return, and also when `f` panics; the panic then goes on.
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> Result<R, Error> {
        let home =
            of_this_thread().doing(|| format!("open {OF_THIS_THREAD}/net, to come back to it"))?;
        setns(&self.file, CloneFlags::CLONE_NEWNET)
            .doing(|| format!("enter network namespace {}", self.name))?;
        // NetNs::run would leave the thread inside when `f` panics.
        let outcome = catch_unwind(AssertUnwindSafe(f));
        let back = setns(&home, CloneFlags::CLONE_NEWNET);
        match outcome {
            Ok(value) => {
                back.doing(|| format!("leave network namespace {}", self.name))?;
                Ok(value)
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            // Nothing can be done about a failure, and little is lost: the name ends with the sandbox.
            let _ = inner.remove();
        }
    }
}
