//! A process that root started and that is not root any more: `ci __room … -- COMMAND`.
//!
//! It gets a mount namespace of its own, which goes when it does. There, the checkout and the target
//! directory are copies that belong to the ordinary user, mounted *at the paths of the originals*: so cargo
//! finds up to date what root has built, and every path in a message is the one the reader knows. A directory
//! that the ordinary user cannot pass (such as /root) is covered by an empty one, in which only what the build
//! needs is mounted again: the toolchain and the fetched packages, as they are, still belonging to root.
//!
//! Then it gives up everything that makes it root, checks that it did, and becomes the command.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, User, setgroups, setresgid, setresuid};

use crate::error::{Error, While as _};

/// This program, to be run again with `__room`.
pub(crate) const PROGRAM: &str = "/proc/self/exe";

/// What the room is like.
#[derive(Debug, clap::Parser)]
pub(crate) struct Room {
    /// User and group id of the ordinary user.
    #[arg(long)]
    uid: u32,
    /// Directory to run in.
    #[arg(long)]
    dir: PathBuf,
    /// Mount SOURCE so that it is seen at TARGET.
    #[arg(long, num_args = 2, value_names = ["SOURCE", "TARGET"])]
    bind: Vec<PathBuf>,
    /// What to become.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Becomes the command. Returns only if that did not work.
pub(crate) fn enter(room: &Room) -> Error {
    if let Err(error) = furnish(&room.bind).and_then(|()| give_up_root(room.uid)) {
        return error;
    }
    let (program, arguments) = match &room.command[..] {
        [program, arguments @ ..] => (program.as_str(), arguments),
        [] => ("", &[][..]),
    };
    let mut command = Command::new(program);
    let source = command.args(arguments).current_dir(&room.dir).exec();
    Error::System {
        doing: format!("starting {program} as uid {}", room.uid),
        source,
    }
}

/// Mounts what the user needs. `binds` are pairs of source and target.
fn furnish(binds: &[PathBuf]) -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWNS).doing(|| "making a mount namespace (unshare)".to_owned())?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .doing(|| "keeping our mounts to ourselves (mount --make-rprivate /)".to_owned())?;
    // Opened first: covering a directory hides what is in it.
    let mut sources: BTreeMap<&Path, File> = BTreeMap::new();
    for [source, target] in binds.as_chunks().0 {
        let handle = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_PATH)
            .open(source)
            .doing(|| format!("opening {}", source.display()))?;
        sources.insert(target, handle);
    }
    for cover in covers(sources.keys().copied(), passable) {
        let mode = Some("mode=755");
        mount(Some("ci"), &cover, Some("tmpfs"), MsFlags::empty(), mode)
            .doing(|| format!("covering {}, which is closed to others", cover.display()))?;
    }
    // A map sorted by path has /a before /a/b: what is mounted later is on top.
    for (target, source) in &sources {
        fs::create_dir_all(target).doing(|| format!("creating {}", target.display()))?;
        let from = format!("/proc/self/fd/{}", source.as_raw_fd());
        let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(
            Some(from.as_str()),
            *target,
            None::<&str>,
            bind,
            None::<&str>,
        )
        .doing(|| format!("mounting something at {}", target.display()))?;
    }
    Ok(())
}

/// For each target, the first directory above it that is not passable.
fn covers<'a>(
    targets: impl Iterator<Item = &'a Path>,
    passable: impl Fn(&Path) -> bool,
) -> BTreeSet<PathBuf> {
    let closed = |target: &'a Path| {
        target
            .ancestors()
            .skip(1)
            .filter(|path| !passable(path))
            .last()
    };
    targets.filter_map(closed).map(Path::to_owned).collect()
}

fn passable(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|data| data.permissions().mode() & 0o001 != 0)
}

fn give_up_root(uid: u32) -> Result<(), Error> {
    umask(Mode::from_bits_truncate(0o022));
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setgroups(&[]).doing(|| "giving up all groups".to_owned())?;
    setresgid(group, group, group).doing(|| format!("becoming group {uid}"))?;
    // Leaving uid 0 in all three roles empties the permitted, effective and ambient capabilities.
    setresuid(user, user, user).doing(|| format!("becoming user {uid}"))?;
    set_no_new_privs().doing(|| "making sudo powerless (no_new_privs)".to_owned())?;
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).doing(|| format!("reading {path}"))?;
    let mut remainders = remainders(&status, uid);
    if !has_no_account(uid) {
        remainders.push(format!("no account of uid {uid}"));
    }
    if remainders.is_empty() {
        eprintln!("uid {uid}: no account, no groups, no capabilities, no way to gain privileges");
        return Ok(());
    }
    Err(Error::unfit(
        format!("checking that uid {uid} is an ordinary user"),
        format!("not found: {}", remainders.join(", ").replace('\t', " ")),
        "nothing was run; this is a fault of ci/src/room.rs",
    ))
}

/// Whether `uid` is in no list of users.
pub(crate) fn has_no_account(uid: u32) -> bool {
    matches!(User::from_uid(Uid::from_raw(uid)), Ok(None))
}

/// What an ordinary user would have in its /proc/PID/status and this one has not.
fn remainders(status: &str, uid: u32) -> Vec<String> {
    let ids = [uid; 4].map(|uid| uid.to_string()).join("\t");
    let mut expected = vec![
        format!("Uid:\t{ids}"),
        format!("Gid:\t{ids}"),
        "Groups:".to_owned(),
    ];
    let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"];
    expected.extend(sets.map(|set| format!("{set}:\t{:016x}", 0)));
    expected.push("NoNewPrivs:\t1".to_owned());
    expected.retain(|expected| !status.lines().any(|line| line.trim_end() == expected));
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_closed_directory_is_covered_and_only_above_a_target() {
        let passable = |path: &Path| {
            !["/root", "/root/a", "/open/checkout"]
                .map(Path::new)
                .contains(&path)
        };
        let covers = |targets: &[&'static str]| {
            let covers = covers(targets.iter().map(Path::new), passable);
            covers
                .into_iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        let targets = [
            "/root/a/toolchain",
            "/root/b",
            "/open/checkout",
            "/open/x/y",
        ];
        assert_eq!(covers(&targets), ["/root"]);
        assert_eq!(covers(&["/open/checkout/target"]), ["/open/checkout"]);
    }

    #[test]
    fn every_remainder_of_root_is_convicted() {
        let ordinary = "Name:\tci\nUid:\t61184\t61184\t61184\t61184\nGid:\t61184\t61184\t61184\t61184\nGroups:\t \n\
            CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
            CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n";
        assert_eq!(remainders(ordinary, 61184), [""; 0]);
        for (good, bad) in [
            ("Uid:\t61184\t61184", "Uid:\t61184\t0"),
            ("Uid:\t61184\t61184\t61184", "Uid:\t61184\t61184\t0"),
            ("Gid:\t61184", "Gid:\t0"),
            ("Groups:\t ", "Groups:\t27 "),
            ("CapInh:\t0", "CapInh:\t1"),
            ("CapPrm:\t0", "CapPrm:\t1"),
            ("CapEff:\t0", "CapEff:\t8"),
            ("CapAmb:\t0", "CapAmb:\t8"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("CapEff:", "Other:"),
        ] {
            let status = ordinary.replacen(good, bad, 1);
            assert_ne!(status, ordinary);
            let name = good.split(':').next().unwrap();
            let remainders = remainders(&status, 61184);
            assert!(
                matches!(&remainders[..], [one] if one.starts_with(name)),
                "{remainders:?}"
            );
        }
    }
}
