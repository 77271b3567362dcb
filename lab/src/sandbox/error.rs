//! Why a sandbox cannot be entered, and what to do about it.
//!
//! The kernel itself only says `EPERM` or `ENOSPC`; the reason has to be looked up.

use super::CANDIDATES;
use nix::errno::Errno;
use std::{fmt, fs, io};

/// One step of entering; the order is that of `Plan::carry_out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Unshare,
    DenySetgroups,
    MapUser,
    MapGroup,
    MakePrivate,
    MountTmpfs,
}

impl Step {
    pub(super) const ALL: [Self; 6] = [
        Self::Unshare,
        Self::DenySetgroups,
        Self::MapUser,
        Self::MapGroup,
        Self::MakePrivate,
        Self::MountTmpfs,
    ];
    pub(super) const COUNT: u8 = Self::ALL.len() as u8;

    pub(super) fn from_number(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Unshare)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Unshare => "unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)",
            Self::DenySetgroups => "writing \"deny\" to /proc/self/setgroups",
            Self::MapUser => "writing /proc/self/uid_map",
            Self::MapGroup => "writing /proc/self/gid_map",
            Self::MakePrivate => "making the mounts private",
            Self::MountTmpfs => "mounting a tmpfs",
        }
    }
}

/// The step that the kernel refused.
pub(super) struct Refusal {
    pub(super) step: Step,
    pub(super) errno: Errno,
}

/// Says at which step a system call failed.
pub(super) trait At<T> {
    fn at(self, step: Step) -> Result<T, Refusal>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: Step) -> Result<T, Refusal> {
        self.map_err(|errno| Refusal { step, errno })
    }
}

/// Why no sandbox can be entered here.
#[derive(Debug)]
#[non_exhaustive]
pub enum SandboxError {
    /// The process has started threads already.
    MultiThreaded {
        /// How many threads it has.
        threads: usize,
    },
    /// AppArmor takes the capabilities away inside user namespaces (Ubuntu 23.10 and later).
    AppArmor {
        /// What was refused.
        refused: &'static str,
        /// With which error.
        source: io::Error,
    },
    /// The limit on user namespaces is zero.
    NoUserNamespaces {
        /// With which error the kernel said so.
        source: io::Error,
    },
    /// A limit on namespaces is reached: that of this user, or one further out.
    TooManyNamespaces {
        /// With which error the kernel said so.
        source: io::Error,
    },
    /// User namespaces are reserved to root (Debian's kernel up to 10, some hardened kernels).
    UnprivilegedCloneDisabled {
        /// With which error the kernel said so.
        source: io::Error,
    },
    /// A system call filter forbids namespaces, as in most containers.
    Filtered {
        /// What was refused.
        refused: &'static str,
        /// With which error.
        source: io::Error,
    },
    /// The kernel refused, and none of the known reasons applies.
    Refused {
        /// What was refused.
        refused: &'static str,
        /// With which error.
        source: io::Error,
    },
    /// There is no directory to mount the names of the namespaces on.
    NoDirectory,
    /// /proc could not be read.
    Proc {
        /// Which file.
        path: &'static str,
        /// With which error.
        source: io::Error,
    },
    /// The child process that tries could not be started, or did not answer.
    Child {
        /// With which error.
        source: io::Error,
    },
}

impl SandboxError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::MultiThreaded { .. } => {
                "call lab::Sandbox::enter() first thing in main; in tests use `harness = false` and libtest-mimic"
            }
            Self::AppArmor { .. } => {
                "run as root, or `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
            }
            Self::NoUserNamespaces { .. } => {
                "run as root, or `sysctl -w user.max_user_namespaces=10000`"
            }
            Self::TooManyNamespaces { .. } => {
                "raise the max_*_namespaces in /proc/sys/user, here and outside of the container, \
                 or end what holds so many"
            }
            Self::UnprivilegedCloneDisabled { .. } => {
                "run as root, or `sysctl -w kernel.unprivileged_userns_clone=1`"
            }
            Self::Filtered { .. } => {
                "run outside of the container, or start it with --privileged, \
                 or with --security-opt seccomp=unconfined and --cap-add SYS_ADMIN,NET_ADMIN"
            }
            Self::Refused { .. } => {
                "run as root outside of any chroot and container; the kernel needs CONFIG_USER_NS, CONFIG_NET_NS \
                 and CONFIG_TMPFS, and the program must be readable by its user"
            }
            Self::NoDirectory => "create an empty directory /run/netns",
            Self::Proc { .. } => "mount /proc",
            Self::Child { .. } => {
                "look at the limits on processes and open files (ulimit -u, ulimit -n)"
            }
        }
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot enter a sandbox: ")?;
        match self {
            Self::MultiThreaded { threads } => {
                write!(f, "the process has {threads} threads already")
            }
            Self::AppArmor { refused, source } => {
                write!(f, "{refused}: {source}; AppArmor restricts user namespaces")
            }
            Self::NoUserNamespaces { source } => {
                write!(f, "user.max_user_namespaces is 0: {source}")
            }
            Self::TooManyNamespaces { source } => {
                write!(f, "there are as many namespaces as there may be: {source}")
            }
            Self::UnprivilegedCloneDisabled { source } => {
                write!(f, "kernel.unprivileged_userns_clone is 0: {source}")
            }
            Self::Filtered { refused, source } => {
                write!(f, "{refused}: {source}; a system call filter is in force")
            }
            Self::Refused { refused, source } => write!(f, "{refused}: {source}"),
            Self::NoDirectory => write!(f, "none of {CANDIDATES:?} is there to mount a tmpfs on"),
            Self::Proc { path, source } => write!(f, "reading {path}: {source}"),
            Self::Child { source } => write!(f, "trying it in a child process: {source}"),
        }?;
        write!(f, "; {}", self.hint())
    }
}

impl std::error::Error for SandboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::MultiThreaded { .. } | Self::NoDirectory => None,
            Self::AppArmor { source, .. }
            | Self::NoUserNamespaces { source }
            | Self::TooManyNamespaces { source }
            | Self::UnprivilegedCloneDisabled { source }
            | Self::Filtered { source, .. }
            | Self::Refused { source, .. }
            | Self::Proc { source, .. }
            | Self::Child { source } => Some(source),
        }
    }
}

impl From<Refusal> for SandboxError {
    fn from(refusal: Refusal) -> Self {
        diagnose(refusal, |path| fs::read_to_string(path).ok())
    }
}

/// Finds the reason behind a refusal; `read` returns what a file says, if it is there.
fn diagnose(
    Refusal { step, errno }: Refusal,
    read: impl Fn(&str) -> Option<String>,
) -> SandboxError {
    let refused = step.text();
    let source = io::Error::from(errno);
    let permission = errno == Errno::EPERM || errno == Errno::EACCES;
    let says = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    let unshare = step == Step::Unshare;
    if unshare && says("/proc/sys/user/max_user_namespaces", "0") {
        SandboxError::NoUserNamespaces { source }
    } else if unshare && errno == Errno::ENOSPC {
        SandboxError::TooManyNamespaces { source }
    } else if permission && says("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        SandboxError::UnprivilegedCloneDisabled { source }
    } else if permission
        && says(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        )
    {
        SandboxError::AppArmor { refused, source }
    } else if permission && read("/proc/self/status").is_some_and(|it| has_system_call_filter(&it))
    {
        SandboxError::Filtered { refused, source }
    } else {
        SandboxError::Refused { refused, source }
    }
}

/// Whether seccomp is in force, by the text of /proc/self/status: mode 2 is a filter.
fn has_system_call_filter(status: &str) -> bool {
    status
        .lines()
        .filter_map(|line| line.strip_prefix("Seccomp:"))
        .any(|mode| mode.trim() == "2")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    const NO_FILES: &[(&str, &str)] = &[];
    const NO_NAMESPACES: (&str, &str) = ("/proc/sys/user/max_user_namespaces", "0\n");
    const NO_CLONE: (&str, &str) = ("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
    const APPARMOR: (&str, &str) = (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1\n",
    );
    const SECCOMP: (&str, &str) = (
        "/proc/self/status",
        "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n",
    );

    /// What is said about a refusal on a machine where these files say this.
    fn diagnosis(step: Step, errno: Errno, files: &[(&str, &str)]) -> SandboxError {
        diagnose(Refusal { step, errno }, |path| {
            files
                .iter()
                .find(|(name, _)| *name == path)
                .map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn every_known_reason_has_its_remedy() {
        for (step, errno, files, remedy) in [
            (
                Step::Unshare,
                Errno::ENOSPC,
                &[NO_NAMESPACES][..],
                "user.max_user_namespaces=",
            ),
            (Step::Unshare, Errno::ENOSPC, NO_FILES, "/proc/sys/user"),
            (
                Step::Unshare,
                Errno::EPERM,
                &[NO_CLONE],
                "kernel.unprivileged_userns_clone=1",
            ),
            // Ubuntu lets the namespace come to be, without the right to anything in it.
            (
                Step::MapUser,
                Errno::EPERM,
                &[APPARMOR],
                "apparmor_restrict_unprivileged_userns=0",
            ),
            (
                Step::MakePrivate,
                Errno::EACCES,
                &[APPARMOR],
                "apparmor_restrict_unprivileged_userns=0",
            ),
            // Docker and Podman.
            (
                Step::Unshare,
                Errno::EPERM,
                &[SECCOMP],
                "seccomp=unconfined",
            ),
            (Step::MountTmpfs, Errno::EPERM, &[SECCOMP], "--privileged"),
            // A chroot, or a kernel without namespaces.
            (Step::Unshare, Errno::EPERM, NO_FILES, "chroot"),
            (Step::Unshare, Errno::EINVAL, NO_FILES, "CONFIG_USER_NS"),
        ] {
            let error = diagnosis(step, errno, files);
            let text = error.to_string();
            assert!(text.contains(remedy), "{text}");
            assert!(text.ends_with(error.hint()), "{text}");
            assert!(error.source().is_some(), "{text}");
        }
    }

    #[test]
    fn a_setting_that_has_nothing_to_do_with_it_is_not_blamed() {
        let all = [NO_CLONE, APPARMOR, SECCOMP];
        let error = diagnosis(Step::MountTmpfs, Errno::ENODEV, &all);
        assert!(matches!(error, SandboxError::Refused { .. }), "{error}");
        // The namespaces are there already.
        let error = diagnosis(Step::MountTmpfs, Errno::ENODEV, &[NO_NAMESPACES]);
        assert!(matches!(error, SandboxError::Refused { .. }), "{error}");
    }

    #[test]
    fn only_mode_two_is_a_filter() {
        assert!(has_system_call_filter("Seccomp:\t2\n"));
        for status in [
            "",
            "Seccomp:\t0\n",
            "Seccomp:\t1\n",
            "Seccomp_filters:\t2\n",
        ] {
            assert!(!has_system_call_filter(status), "{status:?}");
        }
    }

    #[test]
    fn every_step_survives_the_way_through_its_number() {
        for step in Step::ALL {
            assert_eq!(Step::from_number(step as u8), step);
        }
    }
}
