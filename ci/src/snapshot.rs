//! The machine, as far as tests can leave something on it.
//!
//! Processes are found by descent: CI makes itself the one who adopts orphans, so that a test's process is
//! seen even when whoever started it is gone. Temporary files are found because the steps get a TMPDIR of
//! their own. What lies outside both (mounts, links, namespaces, sysctls) is compared by its state.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{command, processes};

/// What the names begin with of what programs of ours could put into /tmp, past their TMPDIR.
const PREFIXES: [&str; 3] = ["soccr", "lab", "conformance"];

/// Where to look, beyond the places that are the same for every run.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Directories in which everything counts: the TMPDIRs of the steps.
    pub(crate) temporary: Vec<PathBuf>,
    /// The checkout, if nothing else than the steps changes it.
    pub(crate) checkout: Option<PathBuf>,
}

/// One sentence for each thing that can stay behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot(pub(crate) BTreeSet<String>);

impl Snapshot {
    /// Looks now.
    pub(crate) fn take(scope: &Scope) -> Self {
        let mut all = BTreeSet::new();
        let netns = entries(Path::new("/run/netns"));
        all.extend(netns.map(|path| format!("named network namespace {}", path.display())));
        // Not /sys/class/net: that is the namespace in which /sys was mounted.
        let links = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
        all.extend(link_names(&links).map(|name| format!("network link {name}")));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        all.extend(mounts.lines().filter_map(mount));
        for directory in ["/proc/sys/net/ipv4", "/proc/sys/net/core"] {
            all.extend(entries(Path::new(directory)).filter_map(|path| setting(&path)));
        }
        let processes = processes::descendants(std::process::id());
        all.extend(processes.iter().map(|process| format!("process {process}")));
        let own = scope.temporary.iter().flat_map(|path| entries(path));
        let common = entries(Path::new("/tmp")).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        });
        let files = own.chain(common);
        all.extend(files.map(|path| format!("temporary file {}", path.display())));
        all.extend(scope.checkout.iter().flat_map(|root| changed(root)));
        Self(all)
    }

    /// What is in `after` and not in `self`.
    pub(crate) fn left_in(&self, after: &Self) -> Vec<String> {
        after.0.difference(&self.0).cloned().collect()
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// "Inter-| …" and "face |…" are the two lines of heading of /proc/net/dev.
fn link_names(table: &str) -> impl Iterator<Item = &str> {
    let lines = table.lines().skip(2);
    lines.filter_map(|line| Some(line.split_once(':')?.0.trim()))
}

/// A line of mountinfo without options. The id tells two mounts on the same place apart.
fn mount(line: &str) -> Option<String> {
    let (mount, source) = line.split_once(" - ")?;
    let fields: Vec<&str> = mount.split(' ').collect();
    let (id, place) = (fields.first()?, fields.get(4)?);
    let kind = source.split(' ').next()?;
    Some(format!("mount {place} ({kind}, mount id {id})"))
}

/// A setting that tests might turn. Not those that the kernel changes by itself, or keeps secret.
fn setting(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let ours = path.starts_with("/proc/sys/net/core")
        || ["tcp_", "ip_"].iter().any(|part| name.starts_with(part));
    if !ours || ["available", "key"].iter().any(|part| name.contains(part)) {
        return None;
    }
    let value = fs::read_to_string(path).ok()?;
    Some(format!("setting {} = {}", path.display(), value.trim()))
}

/// What git shows as changed. The time tells a file that is changed once more from one that was changed before.
fn changed(root: &Path) -> Vec<String> {
    let mut git = git(root);
    git.args(["status", "--porcelain", "-z", "--no-renames", "-uall"]);
    let status = match command::read(&mut git) {
        Ok(status) => status,
        Err(error) => return vec![format!("doubt about the checkout: {error}")],
    };
    let names = status.split('\0').filter_map(|entry| entry.get(3..));
    let line = |name| {
        let file = root.join(name);
        let time = fs::symlink_metadata(&file).map_or("gone".to_owned(), |data| {
            format!("modified at {}.{:09}", data.mtime(), data.mtime_nsec())
        });
        format!("change of {}, {time}", file.display())
    };
    names.map(line).collect()
}

/// git for `checkout`, also when that belongs to somebody else than us.
pub(crate) fn git(checkout: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "safe.directory=*", "-C"]).arg(checkout);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_is_new_is_left_and_what_is_the_same_or_gone_is_not() {
        let snapshot = |things: &[&str]| Snapshot(things.iter().map(|t| (*t).into()).collect());
        let before = snapshot(&["link lo", "mount /x"]);
        assert_eq!(before.left_in(&snapshot(&["link lo"])), [""; 0]);
        let after = snapshot(&["link lo", "link veth0", "mount /x"]);
        assert_eq!(before.left_in(&after), ["link veth0"]);
    }

    /// One test for all, since what one leaves the others would see.
    #[test]
    fn a_process_a_file_and_a_change_of_the_checkout_are_convicted() {
        let directory = tempfile::tempdir().unwrap();
        let (checkout, tmp) = (
            directory.path().join("checkout"),
            directory.path().join("tmp"),
        );
        fs::create_dir(&tmp).unwrap();
        fs::create_dir(&checkout).unwrap();
        command::read(git(&checkout).args(["init", "--quiet"])).unwrap();
        fs::write(checkout.join("old"), "").unwrap();
        let scope = Scope {
            temporary: vec![tmp.clone()],
            checkout: Some(checkout.clone()),
        };
        let before = Snapshot::take(&scope);
        fs::write(tmp.join("forgotten"), "").unwrap();
        let new = fs::File::create(checkout.join("new")).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        new.set_modified(time).unwrap();
        let mut sleeper = Command::new("sleep");
        let mut child = sleeper
            .arg("86399.75")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let left = before.left_in(&Snapshot::take(&scope));
        child.kill().unwrap();
        child.wait().unwrap();
        let process = format!("process {} `", child.id());
        for (start, end) in [
            (process.as_str(), "]"),
            ("temporary file ", "tmp/forgotten"),
            ("change of ", "new, modified at 1700000000.000000005"),
        ] {
            let told = |left: &&String| left.starts_with(start) && left.ends_with(end);
            assert_eq!(
                left.iter().filter(told).count(),
                1,
                "{start}…{end} in {left:?}"
            );
        }
    }

    #[test]
    fn links_and_mounts_are_named_without_what_changes() {
        let table = "Inter-| Receive\n face |bytes\n    lo: 1 2\n veth0: 3 4\n";
        assert_eq!(link_names(table).collect::<Vec<_>>(), ["lo", "veth0"]);
        let line = "36 35 0:4 net:[4026532201] /run/netns/x rw shared:7 - nsfs nsfs rw";
        let expected = "mount /run/netns/x (nsfs, mount id 36)";
        assert_eq!(mount(line).as_deref(), Some(expected));
    }

    #[test]
    fn settings_that_the_kernel_changes_by_itself_do_not_count() {
        let shown = |path: &str| setting(Path::new(path));
        let timestamps = shown("/proc/sys/net/ipv4/tcp_timestamps");
        assert!(timestamps.is_some_and(|line| line.contains("tcp_timestamps = ")));
        for path in [
            "tcp_available_congestion_control",
            "tcp_fastopen_key",
            "route",
        ] {
            assert_eq!(shown(&format!("/proc/sys/net/ipv4/{path}")), None);
        }
    }
}
