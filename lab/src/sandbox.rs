//! Entering the namespaces that everything else lives in.
//!
//! A sandbox is a private mount and network namespace, and for an ordinary user a private user namespace around
//! them. The names of the lab's network namespaces are bind mounts on a tmpfs inside that private mount namespace:
//! the host never sees them, and the kernel drops them with the last process of the sandbox, however it ends.

mod error;

use crate::sys;
use error::{At, Refusal, Step};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid, write};
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{fs, io};

pub use error::SandboxError;

/// Directories that a tmpfs may be mounted on, best first: what a test is least likely to look for.
const CANDIDATES: [&str; 7] = [
    "/run/netns",
    "/mnt",
    "/media",
    "/srv",
    "/opt",
    "/run",
    "/home",
];

static ENTERED: OnceLock<Sandbox> = OnceLock::new();
static ENTERING: Mutex<()> = Mutex::new(());

/// Proof that this process lives in a sandbox; there is one per process, and nothing leaves it.
#[derive(Clone, Debug)]
pub struct Sandbox {
    root: bool,
    names: PathBuf,
}

impl Sandbox {
    /// Enters private user (if not root), mount and network namespaces.
    ///
    /// Call it first in `main`: the kernel moves only the calling thread, and refuses a new user namespace to a
    /// process with several threads. A later call returns the same sandbox.
    ///
    /// # Errors
    /// [`SandboxError`] says what is missing; [`SandboxError::hint`] how to get it. The process may then be in some
    /// of the namespaces already: report the error and end, or go on without a lab.
    pub fn enter() -> Result<Self, SandboxError> {
        let _one_at_a_time = ENTERING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sandbox) = ENTERED.get() {
            return Ok(sandbox.clone());
        }
        let threads = fs::read_dir("/proc/self/task")
            .map_err(|source| SandboxError::Proc {
                path: "/proc/self/task",
                source,
            })?
            .count();
        if threads != 1 {
            return Err(SandboxError::MultiThreaded { threads });
        }
        let plan = Plan::new()?;
        let done = plan.carry_out().map_err(SandboxError::from)?;
        Ok(ENTERED
            .get_or_init(|| Self {
                root: done.root,
                names: plan.path(done.target),
            })
            .clone())
    }

    /// Whether the process is root outside of the sandbox too, so that nothing is refused to it.
    ///
    /// False for root inside another user namespace, such as an unprivileged container.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// The names of the network namespaces that the labs of this process hold at the moment.
    ///
    /// # Errors
    /// What reading the directory of names returns.
    pub fn namespaces(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.names)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }

    /// Where the names of the namespaces are.
    pub(crate) fn names(&self) -> &Path {
        &self.names
    }

    /// The sandbox of this process, if it has entered one.
    pub(crate) fn current() -> Option<&'static Self> {
        ENTERED.get()
    }
}

/// Finds out whether [`Sandbox::enter`] would succeed, by doing it in a child process that ends at once.
///
/// Works with several threads too: it tells what a process that enters first thing in `main` would get.
///
/// # Errors
/// What [`Sandbox::enter`] would return.
pub fn available() -> Result<(), SandboxError> {
    if Sandbox::current().is_some() {
        return Ok(());
    }
    let plan = Plan::new()?;
    // `carry_out` allocates nothing and takes no lock, as a child of a process with several threads requires.
    let answer = sys::in_child(|| match plan.carry_out() {
        Ok(_) => (Step::COUNT, 0),
        Err(refusal) => (refusal.step as u8, refusal.errno as i32),
    })
    .map_err(|source| SandboxError::Child { source })?;
    match answer {
        (Step::COUNT, _) => Ok(()),
        (step, errno) => Err(Refusal {
            step: Step::from_number(step),
            errno: Errno::from_raw(errno),
        }
        .into()),
    }
}

/// Everything that entering needs, prepared so that entering itself is system calls only.
struct Plan {
    try_without_user_namespace: bool,
    root_outside: bool,
    uid_map: CString,
    gid_map: CString,
    targets: Vec<CString>,
}

struct Done {
    root: bool,
    target: usize,
}

impl Plan {
    fn new() -> Result<Self, SandboxError> {
        let mut targets: Vec<PathBuf> = CANDIDATES
            .iter()
            .map(PathBuf::from)
            .filter(|path| path.is_dir() && !in_use(path))
            .collect();
        // An empty directory has nothing that the tmpfs could hide. The sort is stable: the best stays first.
        targets.sort_by_key(|path| !is_empty(path));
        if targets.is_empty() {
            return Err(SandboxError::NoDirectory);
        }
        let map = |id: u32| c_string(format!("0 {id} 1").into_bytes());
        Ok(Self {
            try_without_user_namespace: geteuid().is_root(),
            root_outside: geteuid().is_root() && in_initial_user_namespace(),
            uid_map: map(geteuid().as_raw()),
            gid_map: map(getegid().as_raw()),
            targets: targets
                .into_iter()
                .map(|path| c_string(path.into_os_string().as_bytes().to_vec()))
                .collect(),
        })
    }

    fn path(&self, target: usize) -> PathBuf {
        let bytes = self
            .targets
            .get(target)
            .map_or(&[][..], |path| path.as_bytes());
        PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }

    /// System calls only: no allocation, no lock.
    fn carry_out(&self) -> Result<Done, Refusal> {
        let private = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
        let without = self.try_without_user_namespace && unshare(private).is_ok();
        if !without {
            unshare(private | CloneFlags::CLONE_NEWUSER).at(Step::Unshare)?;
            // Without this the kernel refuses a group map to an ordinary user.
            write_file(c"/proc/self/setgroups", c"deny").at(Step::DenySetgroups)?;
            write_file(c"/proc/self/uid_map", &self.uid_map).at(Step::MapUser)?;
            write_file(c"/proc/self/gid_map", &self.gid_map).at(Step::MapGroup)?;
        }
        const NONE: Option<&CStr> = None;
        mount(
            NONE,
            c"/",
            NONE,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            NONE,
        )
        .at(Step::MakePrivate)?;
        let mut refused = Errno::ENOENT;
        for (target, path) in self.targets.iter().enumerate() {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            match mount(
                Some(c"lab"),
                path.as_c_str(),
                Some(c"tmpfs"),
                flags,
                Some(c"mode=0700"),
            ) {
                Ok(()) => {
                    return Ok(Done {
                        root: without && self.root_outside,
                        target,
                    });
                }
                Err(errno) => refused = errno,
            }
        }
        Err(refused).at(Step::MountTmpfs)
    }
}

/// The initial user namespace maps every id to itself.
fn in_initial_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether this process works in or was started from below `path`, which a tmpfs would hide.
fn in_use(path: &Path) -> bool {
    let below = |place: io::Result<PathBuf>| place.is_ok_and(|place| place.starts_with(path));
    below(std::env::current_dir())
        || below(std::env::current_exe())
        || std::env::temp_dir().starts_with(path)
}

/// The bytes up to the first NUL, which none of ours has.
fn c_string(mut bytes: Vec<u8>) -> CString {
    bytes.retain(|&byte| byte != 0);
    CString::new(bytes).unwrap_or_default()
}

/// Writes the whole text in one write(2), as the id maps require.
fn write_file(path: &CStr, text: &CStr) -> Result<(), Errno> {
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(&file, text.to_bytes()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_told_so() {
        // The test harness runs each test in a thread of its own.
        let error = Sandbox::enter().unwrap_err();
        assert!(
            matches!(error, SandboxError::MultiThreaded { threads } if threads > 1),
            "{error}"
        );
        assert!(error.to_string().contains("first thing in main"), "{error}");
    }

    #[test]
    fn trying_changes_nothing_here() {
        let namespaces = || {
            ["mnt", "net", "user"]
                .map(|kind| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap())
        };
        let before = namespaces();
        if let Err(error) = available() {
            eprintln!("no sandbox here: {error}");
        }
        assert_eq!(namespaces(), before);
    }
}
