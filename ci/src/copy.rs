//! Copies of the checkout and of the target directory, for another user: same contents, same times.
//!
//! cargo decides by modification times what is up to date. A copy that keeps them, seen at the same path,
//! is as fresh as the original.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::{Error, While as _};

/// git for `checkout`, also when that belongs to somebody else than us.
pub(crate) fn git(checkout: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "safe.directory=*", "-C"]).arg(checkout);
    command
}

/// The files of the checkout that git knows or would add, as they are now. Paths relative to it.
pub(crate) fn known_files(checkout: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut git = git(checkout);
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listed = command::read(&mut git)?;
    let mut files: Vec<PathBuf> = listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect();
    files.sort();
    files.dedup();
    // Deleted, but not yet in the index: git lists it, it is not there.
    files.retain(|file| fs::symlink_metadata(checkout.join(file)).is_ok());
    Ok(files)
}

/// Who a copy belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
}

/// Copies `files` of `from` into `to`.
pub(crate) fn files(from: &Path, to: &Path, files: &[PathBuf], owner: Owner) -> Result<(), Error> {
    make_directory(to, owner)?;
    let mut directories: Vec<&Path> = files
        .iter()
        .flat_map(|file| file.ancestors().skip(1))
        .collect();
    directories.sort_unstable();
    directories.dedup();
    for directory in &directories {
        make_directory(&to.join(directory), owner)?;
    }
    for file in files {
        one(&from.join(file), &to.join(file), owner)?;
    }
    // Last: writing a file changes the time of its directory.
    for directory in directories.iter().rev() {
        keep_time(&from.join(directory), &to.join(directory))?;
    }
    Ok(())
}

/// Copies the directory `from` to `to`, without the entries that `skip` names.
pub(crate) fn tree(from: &Path, to: &Path, owner: Owner, skip: &[&str]) -> Result<(), Error> {
    make_directory(to, owner)?;
    for entry in fs::read_dir(from).doing(|| format!("listing {}", from.display()))? {
        let entry = entry.doing(|| format!("listing {}", from.display()))?;
        let kind = entry
            .file_type()
            .doing(|| format!("looking at {}", entry.path().display()))?;
        if skip.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            tree(&entry.path(), &target, owner, skip)?;
        } else {
            one(&entry.path(), &target, owner)?;
        }
    }
    keep_time(from, to)
}

fn make_directory(path: &Path, owner: Owner) -> Result<(), Error> {
    fs::create_dir_all(path).doing(|| format!("creating {}", path.display()))?;
    chown(path, Some(owner.uid), Some(owner.gid))
        .doing(|| format!("giving {} to uid {}", path.display(), owner.uid))
}

/// A file or a symbolic link. Sockets, pipes and devices are not copied.
fn one(from: &Path, to: &Path, owner: Owner) -> Result<(), Error> {
    let data = fs::symlink_metadata(from).doing(|| format!("looking at {}", from.display()))?;
    if data.is_symlink() {
        let aim = fs::read_link(from).doing(|| format!("reading the link {}", from.display()))?;
        symlink(aim, to).doing(|| format!("creating the link {}", to.display()))?;
    } else if data.is_file() {
        fs::copy(from, to).doing(|| format!("copying {} to {}", from.display(), to.display()))?;
        set_time(to, &data)?;
    } else {
        return Ok(());
    }
    lchown(to, Some(owner.uid), Some(owner.gid))
        .doing(|| format!("giving {} to uid {}", to.display(), owner.uid))
}

fn keep_time(from: &Path, to: &Path) -> Result<(), Error> {
    let data = fs::metadata(from).doing(|| format!("looking at {}", from.display()))?;
    set_time(to, &data)
}

fn set_time(path: &Path, data: &Metadata) -> Result<(), Error> {
    let time = data
        .modified()
        .doing(|| "reading a time of modification".to_owned())?;
    // Opened for reading: root and the owner may set times of a file that they may not write.
    let file = File::open(path).doing(|| format!("opening {}", path.display()))?;
    file.set_modified(time)
        .doing(|| format!("setting the time of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    fn me() -> Owner {
        Owner {
            uid: nix::unistd::getuid().as_raw(),
            gid: nix::unistd::getgid().as_raw(),
        }
    }

    fn age(path: &Path, seconds: u64) -> SystemTime {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000 + seconds, 123_456_789);
        File::open(path).unwrap().set_modified(time).unwrap();
        time
    }

    fn time(path: &Path) -> SystemTime {
        fs::metadata(path).unwrap().modified().unwrap()
    }

    #[test]
    fn a_tree_keeps_times_to_the_nanosecond_modes_and_links() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("deep/incremental")).unwrap();
        fs::write(from.join("deep/file"), "contents").unwrap();
        fs::set_permissions(from.join("deep/file"), fs::Permissions::from_mode(0o555)).unwrap();
        symlink("file", from.join("deep/link")).unwrap();
        let (file, deep) = (age(&from.join("deep/file"), 1), age(&from.join("deep"), 2));
        tree(&from, &to, me(), &["incremental"]).unwrap();
        assert_eq!(
            (time(&to.join("deep/file")), time(&to.join("deep"))),
            (file, deep)
        );
        assert_eq!(
            fs::metadata(to.join("deep/file"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o555
        );
        assert_eq!(
            fs::read_link(to.join("deep/link")).unwrap(),
            Path::new("file")
        );
        assert!(!to.join("deep/incremental").exists());
    }

    #[test]
    fn known_files_are_tracked_and_new_ones_but_not_ignored_or_deleted_ones() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        command::read(git(root).args(["init", "--quiet"])).unwrap();
        for (name, text) in [
            (".gitignore", "ignored\n"),
            ("gone", ""),
            ("ignored", ""),
            ("new file", ""),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/tracked"), "").unwrap();
        command::read(git(root).args(["add", "gone", "sub/tracked"])).unwrap();
        fs::remove_file(root.join("gone")).unwrap();
        let known = known_files(root).unwrap();
        let names: Vec<_> = known.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, [".gitignore", "new file", "sub/tracked"]);
        let to = root.join("copy");
        let stamp = age(&root.join("sub"), 3);
        files(root, &to, &known, me()).unwrap();
        assert!(to.join("sub/tracked").is_file() && to.join("new file").is_file());
        assert_eq!(time(&to.join("sub")), stamp);
    }

    #[test]
    fn no_repository_is_an_error_that_says_which_command() {
        let directory = tempfile::tempdir().unwrap();
        let error = known_files(directory.path()).unwrap_err().to_string();
        assert!(
            error.contains("git") && error.contains("ls-files"),
            "{error}"
        );
    }
}
