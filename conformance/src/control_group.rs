//! A control group in which all sockets together may have only so much memory.
//!
//! Only version 1 has such a limit (`memory.kmem.tcp.limit_in_bytes`). In version 2 the memory of sockets counts with that of
//! their process, which is killed where it has more than it may.

use crate::verdict::Stop;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that the sockets of a group may have.
const LIMIT: &str = "memory.kmem.tcp.limit_in_bytes";
/// The most bytes that they ever had.
const PEAK: &str = "memory.kmem.tcp.max_usage_in_bytes";

/// Tells the groups of this process apart.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A control group; gone on drop, as its processes have to be by then.
#[derive(Debug)]
pub struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Makes a group below that of this process, whose sockets may have so many bytes.
    ///
    /// # Errors
    /// [`Stop::Skip`] where there is no such limit, or this user may not set it.
    pub fn with_tcp_memory(bytes: u64) -> Result<Self, Stop> {
        let tables = ["/proc/self/cgroup", "/proc/self/mountinfo"].map(fs::read_to_string);
        let [groups, mounts] = tables;
        let parent = parent(&groups?, &mounts?).ok_or_else(|| {
            Stop::Skip(
                "no control groups of version 1 that limit memory are mounted here, and version 2 has no limit for sockets alone"
                    .to_owned(),
            )
        })?;
        Self::below(&parent, bytes).map_err(|error| {
            Stop::Skip(format!(
                "no control group with a limit for sockets can be made here: {error}"
            ))
        })
    }

    fn below(parent: &Path, bytes: u64) -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("conformance-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self(path);
        group.limit(bytes)?;
        Ok(group)
    }

    /// Lets the sockets of the group have so many bytes from now on.
    ///
    /// # Errors
    /// What the kernel says, as where they have more.
    pub fn limit(&self, bytes: u64) -> io::Result<()> {
        let file = self.0.join(LIMIT);
        let written = fs::write(&file, bytes.to_string());
        written.map_err(|error| at(&file, &format!("writing {bytes}: {error}")))
    }

    /// The most bytes that the sockets of the group ever had.
    ///
    /// # Errors
    /// What the kernel says, and where it says no number.
    pub fn peak(&self) -> io::Result<u64> {
        let file = self.0.join(PEAK);
        let text = fs::read_to_string(&file).map_err(|error| at(&file, &error))?;
        let peak = text.trim().parse();
        peak.map_err(|error| at(&file, &format!("{text:?}: {error}")))
    }

    /// The file that a process writes itself into, to be of this group.
    #[must_use]
    pub fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Nothing can be done about a failure; an empty group costs next to nothing.
        let _ = fs::remove_dir(&self.0);
    }
}

fn at(file: &Path, what: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {what}", file.display()))
}

/// The folder of the group that this process is in, by what the kernel says of groups and mounts.
fn parent(groups: &str, mounts: &str) -> Option<PathBuf> {
    let own = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        let is_memory = controllers.split(',').any(|it| it == "memory");
        is_memory.then(|| parts.next())?
    })?;
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, point) = (place.next()?, place.next()?);
        let (kind, options) = kind.split_once(' ')?;
        let is_memory = options.split([' ', ',']).any(|it| it == "memory");
        let below = Path::new(own).strip_prefix(root).ok()?;
        (kind == "cgroup" && is_memory).then(|| Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 24 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
31 24 0:28 / /sys/fs/cgroup/memory rw,relatime shared:10 - cgroup cgroup rw,memory
32 24 0:29 / /sys/fs/cgroup/unified rw,relatime shared:11 - cgroup2 cgroup2 rw
";

    #[test]
    fn the_own_group_is_found_below_where_its_hierarchy_is_mounted() {
        let groups = "5:cpu,cpuacct:/x\n4:memory:/user/a:b\n0::/\n";
        let found = parent(groups, MOUNTS).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/memory/user/a:b"));
        let inside = MOUNTS.replace("0:28 / ", "0:28 /user ");
        let found = parent(groups, &inside).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/memory/a:b"));
    }

    #[test]
    fn version_2_has_none() {
        assert_eq!(parent("0::/user.slice\n", MOUNTS), None);
        let only =
            "32 24 0:29 / /sys/fs/cgroup rw shared:11 - cgroup2 cgroup2 rw,memory_recursiveprot";
        assert_eq!(parent("4:memory:/\n0::/\n", only), None);
    }
}
