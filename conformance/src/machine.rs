//! Where a run takes place: which kernel, and who is asking.

use nix::sys::utsname;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use std::fs;

/// The kernel that is judged, and the user who judges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The kernel's release, as `uname -r` prints it.
    pub release: String,
    /// The machine's architecture, as `uname -m` prints it.
    pub machine: String,
    /// The effective user inside of the sandbox.
    pub euid: u32,
    /// The same user outside of it; `None` where the kernel does not say.
    pub outside_uid: Option<u32>,
}

impl Machine {
    /// Looks at the running system; inside of the sandbox if one was entered.
    #[must_use]
    pub fn read() -> Self {
        let euid = geteuid().as_raw();
        // An empty string rather than an error: a report without a release is still a report.
        let (release, machine) = utsname::uname().map_or_else(
            |_| Default::default(),
            |names| {
                let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
                (text(names.release()), text(names.machine()))
            },
        );
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self {
            release,
            machine,
            euid,
            outside_uid: outside(&map, euid),
        }
    }

    /// The user, in words.
    #[must_use]
    pub fn user(&self) -> String {
        match self.outside_uid {
            Some(0) => "root".to_owned(),
            Some(uid) => format!("ordinary user {uid}"),
            None => "unknown user".to_owned(),
        }
    }
}

/// Looks up a user in the text of a `uid_map`: lines of first id inside, first id outside, count.
fn outside(map: &str, inside: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_whitespace().map(str::parse::<u32>);
        let (first, outside, count) = (
            fields.next()?.ok()?,
            fields.next()?.ok()?,
            fields.next()?.ok()?,
        );
        let offset = inside.checked_sub(first)?;
        (offset < count)
            .then(|| outside.checked_add(offset))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_outside_is_found_in_the_map() {
        let initial = "         0          0 4294967295\n";
        assert_eq!(outside(initial, 0), Some(0));
        assert_eq!(outside(initial, 1000), Some(1000));
        let sandbox = "         0      12345          1\n";
        assert_eq!(outside(sandbox, 0), Some(12345));
        assert_eq!(outside(sandbox, 1), None);
        let container = "0 1000 1\n1 100000 65536\n";
        assert_eq!(outside(container, 3), Some(100_002));
        assert_eq!(outside("", 0), None);
    }

    #[test]
    fn the_running_kernel_has_a_release() {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(Machine::read().release, release.trim());
    }
}
