//! A process that root started and that is not root any more: `ci __room … -- COMMAND`.
//!
//! It gets a mount namespace of its own, which goes when it does. There, the checkout and the target
//! directory are copies that belong to the ordinary user, mounted *at the paths of the originals*: so cargo
//! finds up to date what root has built, and every path in a message is the one the reader knows. A directory
//! that the ordinary user cannot pass (such as /root) is covered by an empty one, in which only what the build
//! needs is mounted again: the toolchain and the fetched packages, as they are, still belonging to root.
//!
//! Then it gives up everything that makes it root, checks that it did, and becomes the command.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::error::{Error, While as _};
use crate::ordinary::confirm_ordinary;

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
    match prepare(room) {
        Err(error) => error,
        Ok(()) => {
            let [program, arguments @ ..] = room.command.as_slice() else {
                return Error::unfit("entering the room", "no command", "name one after --");
            };
            let source = Command::new(program)
                .args(arguments)
                .current_dir(&room.dir)
                .exec();
            Error::System {
                doing: format!("starting {program} as uid {}", room.uid),
                source,
            }
        }
    }
}

fn prepare(room: &Room) -> Result<(), Error> {
    umask(Mode::from_bits_truncate(0o022));
    unshare(CloneFlags::CLONE_NEWNS).doing(|| "making a mount namespace (unshare)".to_owned())?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .doing(|| "keeping our mounts to ourselves (mount --make-rprivate /)".to_owned())?;
    let pairs: Vec<(&Path, &Path)> = room
        .bind
        .chunks_exact(2)
        .map(|pair| (pair[0].as_path(), pair[1].as_path()))
        .collect();
    furnish(&pairs)?;
    give_up_root(room.uid)?;
    let status =
        fs::read_to_string("/proc/self/status").doing(|| "reading /proc/self/status".to_owned())?;
    confirm_ordinary(&status)
}

/// Mounts what the user needs. Sources are opened first: covering a directory hides what is in it.
fn furnish(pairs: &[(&Path, &Path)]) -> Result<(), Error> {
    let mut sources: BTreeMap<&Path, File> = BTreeMap::new();
    for (source, target) in pairs {
        let handle = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_PATH | nix::libc::O_CLOEXEC)
            .open(source)
            .doing(|| format!("opening {}", source.display()))?;
        sources.insert(target, handle);
    }
    // A map sorted by path has /a before /a/b: what is mounted later is on top.
    let covers = covers(sources.keys().copied(), passable);
    for cover in &covers {
        mount(
            Some("soccr-ci"),
            cover,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("mode=755"),
        )
        .doing(|| {
            format!(
                "covering {}, which the ordinary user cannot pass",
                cover.display()
            )
        })?;
    }
    for (target, source) in &sources {
        if !target.is_dir() {
            fs::create_dir_all(target).doing(|| format!("creating {}", target.display()))?;
        }
        let from = format!("/proc/self/fd/{}", source.as_raw_fd());
        mount(
            Some(from.as_str()),
            *target,
            None::<&str>,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            None::<&str>,
        )
        .doing(|| format!("mounting something at {}", target.display()))?;
    }
    Ok(())
}

/// For each target, the first directory above it that others cannot pass.
fn covers<'a>(
    targets: impl Iterator<Item = &'a Path>,
    passable: impl Fn(&Path) -> bool,
) -> Vec<PathBuf> {
    let first = |target: &Path| {
        let mut above: Vec<&Path> = target.ancestors().skip(1).collect();
        above.reverse();
        above
            .into_iter()
            .find(|directory| !passable(directory))
            .map(Path::to_owned)
    };
    let mut covers: Vec<PathBuf> = targets.filter_map(first).collect();
    covers.sort();
    covers.dedup();
    covers
}

fn passable(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|data| data.permissions().mode() & 0o001 != 0)
}

fn give_up_root(uid: u32) -> Result<(), Error> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setgroups(&[]).doing(|| "giving up all groups".to_owned())?;
    setresgid(group, group, group).doing(|| format!("becoming group {uid}"))?;
    // Leaving uid 0 in all three roles empties the permitted, effective and ambient capabilities.
    setresuid(user, user, user).doing(|| format!("becoming user {uid}"))?;
    nix::sys::prctl::set_no_new_privs().doing(|| "making sudo powerless (no_new_privs)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_closed_directory_is_covered_and_only_above_a_target() {
        let closed = |directory: &Path| {
            !["/root", "/root/a", "/open/checkout"]
                .map(Path::new)
                .contains(&directory)
        };
        let targets = [
            "/root/a/toolchain",
            "/root/b",
            "/open/checkout",
            "/open/x/y",
        ]
        .map(Path::new);
        assert_eq!(covers(targets.into_iter(), closed), [Path::new("/root")]);
        let inside = ["/open/checkout/target"].map(Path::new);
        assert_eq!(
            covers(inside.into_iter(), closed),
            [Path::new("/open/checkout")]
        );
    }

    #[test]
    fn without_root_the_room_cannot_be_entered_and_says_what_failed() {
        if Uid::current().is_root() {
            return; // Entering would end this test process.
        }
        let room = Room {
            uid: 61184,
            dir: "/".into(),
            bind: vec![],
            command: vec!["true".to_owned()],
        };
        assert!(enter(&room).to_string().contains("mount namespace"));
    }
}
