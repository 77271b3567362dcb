//! Does anything stay behind? The machine before the first step and after the last one, compared.
//!
//! Processes are found by descent: CI makes itself the one who adopts orphans, so that a test's process is
//! seen even when whoever started it is gone. Temporary files are found because the steps get a TMPDIR of
//! their own. What lies outside both (mounts, links, namespaces, sysctls) is compared by its state.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::command;
use crate::processes;

/// Our programs' names for what they put directly into /tmp.
const PREFIXES: [&str; 4] = ["soccr-", "soccr.", "lab-", "conformance-"];

/// What kind of thing stayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An entry of /run/netns.
    NamedNamespace,
    /// A network interface.
    Link,
    /// A mount.
    Mount,
    /// A TCP or core setting of the host's network.
    Sysctl,
    /// A process that descends from us.
    Process,
    /// A file or directory under TMPDIR or /tmp.
    Temporary,
    /// A file of the checkout that git would show as changed.
    Checkout,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NamedNamespace => "named network namespace",
            Self::Link => "network link",
            Self::Mount => "mount",
            Self::Sysctl => "sysctl",
            Self::Process => "process",
            Self::Temporary => "temporary file",
            Self::Checkout => "file in the checkout",
        })
    }
}

/// Where to look, beyond the places that are the same for every run.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Directories in which everything counts: the TMPDIRs of the steps.
    pub(crate) temporary: Vec<PathBuf>,
    /// A directory in /tmp that is ours and may stay until we end.
    pub(crate) ours: PathBuf,
    /// The checkout.
    pub(crate) checkout: PathBuf,
}

/// The things that can stay behind: how many of each (a mount can be there twice), and what to say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<(Kind, String), (usize, String)>);

/// One thing that was not there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// What it is.
    pub(crate) kind: Kind,
    /// Which one.
    pub(crate) what: String,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)
    }
}

impl Snapshot {
    /// Looks now.
    pub(crate) fn take(scope: &Scope) -> Self {
        let mut snapshot = Self::default();
        // /var/run is /run on most machines; where it is not, both count.
        for directory in ["/run/netns", "/var/run/netns"] {
            let path = Path::new(directory);
            if directory == "/run/netns"
                || path.canonicalize().ok() != Path::new("/run/netns").canonicalize().ok()
            {
                snapshot.names(Kind::NamedNamespace, path, |_| true);
            }
        }
        // Not /sys/class/net: that is the namespace in which /sys was mounted.
        let links = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
        for name in link_names(&links) {
            snapshot.add(Kind::Link, name, name);
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for mount in mounts.lines().map(mount_name) {
            snapshot.add(Kind::Mount, &mount, &mount);
        }
        for directory in ["/proc/sys/net/ipv4", "/proc/sys/net/core"] {
            snapshot.settings(Path::new(directory));
        }
        for process in processes::descendants(std::process::id()) {
            if !process.zombie {
                let namespace = processes::network_namespace(process.pid);
                let detail = format!(
                    "{} `{}` in {}",
                    process.pid,
                    process.command,
                    namespace
                        .as_deref()
                        .unwrap_or("a network namespace that we may not see")
                );
                snapshot.add(
                    Kind::Process,
                    &format!("{} {}", process.pid, process.started),
                    &detail,
                );
            }
        }
        for directory in &scope.temporary {
            snapshot.names(Kind::Temporary, directory, |_| true);
        }
        snapshot.names(Kind::Temporary, Path::new("/tmp"), |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path != scope.ours && PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        });
        snapshot.checkout(&scope.checkout);
        snapshot
    }

    /// One of each, for tests.
    #[cfg(test)]
    pub(crate) fn of(things: &[(Kind, &str)]) -> Self {
        let mut snapshot = Self::default();
        for (kind, name) in things {
            snapshot.add(*kind, name, name);
        }
        snapshot
    }

    fn add(&mut self, kind: Kind, key: &str, detail: &str) {
        let entry = self
            .0
            .entry((kind, key.to_owned()))
            .or_insert_with(|| (0, detail.to_owned()));
        entry.0 += 1;
    }

    fn names(&mut self, kind: Kind, directory: &Path, counts: impl Fn(&Path) -> bool) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if counts(&entry.path()) {
                let shown = entry.path().display().to_string();
                self.add(kind, &shown, &shown);
            }
        }
    }

    fn settings(&mut self, directory: &Path) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Ok(value) = fs::read_to_string(entry.path())
                && counts_as_setting(directory, &name)
            {
                let shown = format!("{} = {}", entry.path().display(), value.trim());
                self.add(Kind::Sysctl, &shown, &shown);
            }
        }
    }

    /// The key has the time of change: a file that was changed before and is changed again counts.
    fn checkout(&mut self, root: &Path) {
        let mut git = crate::copy::git(root);
        git.args([
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--untracked-files=all",
        ]);
        for entry in command::read(&mut git).unwrap_or_default().split('\0') {
            let Some(name) = entry.get(3..) else { continue };
            let changed = fs::symlink_metadata(root.join(name))
                .and_then(|data| data.modified())
                .ok();
            let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            self.add(Kind::Checkout, &format!("{name} {changed:?}"), name);
        }
    }

    /// What is in `after` and not, or less often, in `self`.
    pub(crate) fn left_in(&self, after: &Self) -> Vec<Left> {
        let before = |key| self.0.get(key).map_or(0, |(count, _)| *count);
        let new = after
            .0
            .iter()
            .filter(|(key, (count, _))| *count > before(key));
        new.map(|((kind, _), (_, detail))| Left {
            kind: *kind,
            what: detail.clone(),
        })
        .collect()
    }
}

/// "Inter-| …" and "face |…" are the two lines of heading of /proc/net/dev.
fn link_names(table: &str) -> impl Iterator<Item = &str> {
    table
        .lines()
        .skip(2)
        .filter_map(|line| Some(line.split_once(':')?.0.trim()))
}

/// A line of mountinfo without what differs from one reading to the next: ids, options, propagation.
fn mount_name(line: &str) -> String {
    let fields: Vec<&str> = line.split(' ').collect();
    let (root, point) = (fields.get(3).unwrap_or(&"?"), fields.get(4).unwrap_or(&"?"));
    let tail = line.split_once(" - ").map_or("? ?", |(_, tail)| tail);
    let mut tail = tail.split(' ');
    let (kind, source) = (tail.next().unwrap_or("?"), tail.next().unwrap_or("?"));
    format!("{point} ({kind} {source}, {root} of it)")
}

/// Settings that tests might turn. Not those that the kernel changes by itself, or keeps secret.
fn counts_as_setting(directory: &Path, name: &str) -> bool {
    let ours = directory.ends_with("core") || name.starts_with("tcp_") || name.starts_with("ip_");
    ours && !name.contains("available") && !name.contains("key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(directory: &Path) -> Scope {
        Scope {
            temporary: vec![directory.to_owned()],
            ours: directory.to_owned(),
            checkout: directory.join("no checkout"),
        }
    }

    #[test]
    fn the_same_or_less_than_before_is_nothing_left() {
        let before = Snapshot::of(&[(Kind::Link, "lo"), (Kind::Mount, "/x"), (Kind::Mount, "/x")]);
        assert_eq!(before.left_in(&before), []);
        assert_eq!(before.left_in(&Snapshot::of(&[(Kind::Mount, "/x")])), []);
    }

    #[test]
    fn something_new_is_left_and_so_is_a_second_mount_on_the_same_place() {
        let before = Snapshot::of(&[(Kind::Link, "lo"), (Kind::Mount, "/x")]);
        let after = Snapshot::of(&[
            (Kind::Link, "veth0"),
            (Kind::Mount, "/x"),
            (Kind::Mount, "/x"),
        ]);
        let shown: Vec<_> = before
            .left_in(&after)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["network link: veth0", "mount: /x"]);
    }

    #[test]
    fn the_same_name_of_another_kind_is_something_else() {
        let before = Snapshot::of(&[(Kind::Link, "a")]);
        assert_eq!(
            before
                .left_in(&Snapshot::of(&[(Kind::NamedNamespace, "a")]))
                .len(),
            1
        );
    }

    /// One test for both, since what one leaves the other would see.
    #[test]
    fn a_process_and_a_file_that_stay_are_convicted() {
        let directory = tempfile::tempdir().unwrap();
        let scope = scope(directory.path());
        let before = Snapshot::take(&scope);
        fs::write(directory.path().join("forgotten"), "").unwrap();
        let mut sleeper = std::process::Command::new("sleep");
        let mut child = sleeper
            .arg("86399.75")
            .stdin(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let left = before.left_in(&Snapshot::take(&scope));
        child.kill().unwrap();
        child.wait().unwrap();
        let pid = format!("{} `", child.id());
        assert!(
            left.iter()
                .any(|left| left.kind == Kind::Process && left.what.starts_with(&pid)),
            "{left:?}"
        );
        assert!(
            left.iter()
                .any(|left| left.kind == Kind::Temporary && left.what.ends_with("forgotten")),
            "{left:?}"
        );
    }

    #[test]
    fn a_file_that_appears_in_the_checkout_is_convicted() {
        let directory = tempfile::tempdir().unwrap();
        let checkout = directory.path().join("checkout");
        fs::create_dir(&checkout).unwrap();
        command::read(crate::copy::git(&checkout).args(["init", "--quiet"])).unwrap();
        fs::write(checkout.join("old"), "").unwrap();
        let scope = Scope {
            checkout: checkout.clone(),
            ..scope(directory.path())
        };
        let before = Snapshot::take(&scope);
        fs::write(checkout.join("new"), "").unwrap();
        let after = Snapshot::take(&scope);
        let left: Vec<_> = before
            .left_in(&after)
            .into_iter()
            .filter(|left| left.kind == Kind::Checkout)
            .collect();
        assert_eq!(
            left,
            [Left {
                kind: Kind::Checkout,
                what: "new".to_owned()
            }]
        );
    }

    #[test]
    fn links_and_mounts_are_named_without_what_changes() {
        let table = "Inter-| Receive\n face |bytes\n    lo: 1 2\n veth0: 3 4\n";
        assert_eq!(link_names(table).collect::<Vec<_>>(), ["lo", "veth0"]);
        let line = "36 35 0:4 net:[4026532201] /run/netns/x rw shared:7 - nsfs nsfs rw";
        assert_eq!(
            mount_name(line),
            "/run/netns/x (nsfs nsfs, net:[4026532201] of it)"
        );
        assert_eq!(mount_name("nonsense"), "? (? ?, ? of it)");
    }

    #[test]
    fn settings_that_the_kernel_changes_by_itself_do_not_count() {
        let ipv4 = Path::new("/proc/sys/net/ipv4");
        assert!(counts_as_setting(ipv4, "tcp_timestamps"));
        assert!(counts_as_setting(
            Path::new("/proc/sys/net/core"),
            "wmem_max"
        ));
        assert!(!counts_as_setting(ipv4, "tcp_available_congestion_control"));
        assert!(!counts_as_setting(ipv4, "tcp_fastopen_key"));
        assert!(!counts_as_setting(ipv4, "route"));
    }
}
