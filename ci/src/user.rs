//! An ordinary user, from a run of root: who it is, and what it gets. How root becomes that user, see [`crate::room`].

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::context::Context;
use crate::error::{Error, While as _};
use crate::snapshot::git;
use crate::{command, processes, room};

/// Ids that systemd hands out to services for as long as they run (DynamicUser=): no account has them.
const UIDS: std::ops::RangeInclusive<u32> = 61184..=65519;

/// What of root's environment the user gets to see: looks, CI, and what cargo's idea of "up to date" depends on.
/// A name that ends with _ stands for all that begin with it; other names may be those of secrets.
const KEPT: [&str; 16] = [
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CARGO_TERM_",
    "CC",
    "CFLAGS",
    "CI",
    "CXX",
    "LANG",
    "LC_",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUST_",
    "TERM",
];

/// An ordinary user with a copy of everything.
#[derive(Debug)]
pub(crate) struct OrdinaryUser {
    uid: u32,
    copies: TempDir,
    root: PathBuf,
    target: PathBuf,
    /// What is to be seen where.
    binds: Vec<(PathBuf, PathBuf)>,
    environment: Vec<(OsString, OsString)>,
}

impl OrdinaryUser {
    /// Makes the copies.
    pub(crate) fn prepare(context: &Context) -> Result<Self, Error> {
        let target = target_directory()?;
        // In the target directory: it has the space, and `cargo clean` finds it if we are killed.
        let copies = tempfile::Builder::new()
            .prefix("ordinary-user.")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(&target)
            .doing(|| format!("creating a directory in {}", target.display()))?;
        let user = Self {
            uid: free_uid()?,
            copies,
            root: context.root.clone(),
            binds: Vec::new(),
            environment: Vec::new(),
            target,
        };
        copy_checkout(&user.root, &user.checkout_copy())?;
        copy_target(&user.target, &user.target_copy())?;
        let tmp = context.user_tmp();
        let mut chown = Command::new("chown");
        chown.args(["-R", &format!("{0}:{0}", user.uid)]);
        command::read(chown.arg(user.copies.path()).arg(&tmp))?;

        // The compiler itself: rustup would want to write into its own home.
        let sysroot = command::read(Command::new("rustc").args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(sysroot.trim());
        let cargo_home = cargo_home()?;
        let same = |path: &Path| (path.to_owned(), path.to_owned());
        let binds = vec![
            (user.checkout_copy(), user.root.clone()),
            (user.target_copy(), user.target.clone()),
            same(&sysroot),
            same(&cargo_home),
            same(context.scratch.path()),
        ];
        let path = env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(sysroot.join("bin")).chain(env::split_paths(&path));
        let path = env::join_paths(path).map_err(|error| {
            let help = "install the toolchain where the path has no colon";
            Error::unfit("making a PATH", error.to_string(), help)
        })?;
        let own = [
            ("PATH", path),
            ("HOME", tmp.clone().into()),
            ("TMPDIR", tmp.into()),
            ("CARGO_HOME", cargo_home.into()),
            ("CARGO_TARGET_DIR", user.target.clone().into()),
            ("CARGO_NET_OFFLINE", "true".into()),
        ];
        let own = own.map(|(name, value)| (name.into(), value));
        let kept = env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept));
        Ok(Self {
            binds,
            environment: kept.chain(own).collect(),
            ..user
        })
    }

    /// `cargo WORDS`, as a command of this user in its copy of the checkout.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(room::PROGRAM);
        command.args(["__room", "--uid", &self.uid.to_string(), "--dir"]);
        command.arg(&self.root);
        for (source, target) in &self.binds {
            command.arg("--bind").arg(source).arg(target);
        }
        command.args(["--", "cargo"]).args(words);
        command.env_clear().envs(self.environment.iter().cloned());
        command
    }

    fn checkout_copy(&self) -> PathBuf {
        self.copies.path().join("checkout")
    }

    fn target_copy(&self) -> PathBuf {
        self.copies.path().join("target")
    }

    /// Copies what failing tests left to where root finds it. Returns the places.
    pub(crate) fn save_evidence(&self) -> Result<Vec<PathBuf>, Error> {
        let (suite, tests) = ("conformance-failures", "tmp/conformance-failures");
        let mut saved = Vec::new();
        for (from, beside) in [
            (self.checkout_copy().join(suite), self.root.join(suite)),
            (self.target_copy().join(tests), self.target.join(tests)),
        ] {
            if from.is_dir() {
                let to = beside.join("ordinary-user");
                let _ = fs::remove_dir_all(&to);
                fs::create_dir_all(&beside).doing(|| format!("creating {}", beside.display()))?;
                command::read(Command::new("cp").arg("-r").arg(&from).arg(&to))?;
                saved.push(to);
            }
        }
        Ok(saved)
    }
}

/// The directory that we were built into: the nearest one above us that cargo has marked as its own.
pub(crate) fn target_directory() -> Result<PathBuf, Error> {
    let exe = env::current_exe().doing(|| "looking for this program's file".to_owned())?;
    let marked = |directory: &&Path| directory.join("CACHEDIR.TAG").is_file();
    let target = exe.ancestors().find(marked).map(Path::to_owned);
    target.ok_or_else(|| {
        let found = format!("no CACHEDIR.TAG above {}", exe.display());
        Error::unfit(
            "looking for cargo's target directory",
            found,
            "use `cargo ci`",
        )
    })
}

fn cargo_home() -> Result<PathBuf, Error> {
    let home = env::home_dir().unwrap_or_default().join(".cargo");
    let home = env::var_os("CARGO_HOME").map_or(home, PathBuf::from);
    home.canonicalize().doing(|| {
        let home = home.display();
        format!("looking for cargo's home {home} (set CARGO_HOME)")
    })
}

/// The first id that has neither an account nor a process.
fn free_uid() -> Result<u32, Error> {
    // A process's files in /proc belong to its user.
    let owner = |pid| fs::metadata(format!("/proc/{pid}")).map(|data| data.uid());
    let used: Vec<u32> = processes::pids().flat_map(owner).collect();
    let free = |uid: &u32| !used.contains(uid) && room::has_no_account(*uid);
    UIDS.into_iter().find(free).ok_or_else(|| {
        let found = format!("no free id between {} and {}", UIDS.start(), UIDS.end());
        Error::unfit(
            "choosing an ordinary user",
            found,
            "run `cargo ci` as one yourself",
        )
    })
}

fn is_kept(name: &str) -> bool {
    let fits = |kept: &&str| name == *kept || (kept.ends_with('_') && name.starts_with(*kept));
    KEPT.iter().any(fits)
}

/// Copies the files of the checkout that git knows or would add, as they are now, with their times: by these
/// cargo tells what is up to date.
pub(crate) fn copy_checkout(from: &Path, to: &Path) -> Result<(), Error> {
    let mut git = git(from);
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let files = command::read(&mut git)?;
    // What is deleted, but not yet in the index, is listed and not there.
    let there = |name: &&str| from.join(name).symlink_metadata().is_ok();
    let files = files.split_terminator('\0').filter(there);
    fs::create_dir(to).doing(|| format!("creating {}", to.display()))?;
    let mut cp = Command::new("cp");
    cp.args(["-a", "--parents", "-t"])
        .arg(to)
        .arg("--")
        .args(files);
    command::read(cp.current_dir(from)).map(drop)
}

/// Copies the two profiles. Not documentation, and not the state of incremental compilation, which only a
/// compiler that runs again would look at.
fn copy_target(from: &Path, to: &Path) -> Result<(), Error> {
    for profile in ["debug", "release"] {
        let (from, to) = (from.join(profile), to.join(profile));
        fs::create_dir_all(&to).doing(|| format!("creating {}", to.display()))?;
        let entries = fs::read_dir(&from).doing(|| format!("listing {}", from.display()))?;
        let entries = entries.flatten().map(|entry| entry.path());
        let mut cp = Command::new("cp");
        cp.arg("-a").arg("-t").arg(to);
        cp.args(entries.filter(|path| !path.ends_with("incremental")));
        command::read(&mut cp)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    /// Makes an empty file that is a little older than any other.
    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        File::create(path).unwrap().set_modified(time).unwrap();
    }

    fn paths(directory: &Path) -> Vec<String> {
        let found = command::read(
            Command::new("find")
                .arg(directory)
                .args(["-type", "f", "-printf", "%P %T@\n"]),
        );
        let mut found: Vec<_> = found.unwrap().lines().map(str::to_owned).collect();
        found.sort();
        found
    }

    #[test]
    fn of_the_checkout_tracked_and_new_files_are_copied_with_their_times() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        for name in [".gitignore", "gone", "ignored", "new file", "sub/tracked"] {
            write(&from.join(name));
        }
        command::read(git(&from).args(["init", "--quiet"])).unwrap();
        fs::write(from.join(".git/info/exclude"), "ignored\n").unwrap();
        command::read(git(&from).args(["add", "gone", "sub/tracked"])).unwrap();
        fs::remove_file(from.join("gone")).unwrap();
        copy_checkout(&from, &to).unwrap();
        let names = [".gitignore", "new file", "sub/tracked"];
        assert_eq!(
            paths(&to),
            names.map(|name| format!("{name} 1700000000.1234567890"))
        );
    }

    #[test]
    fn of_the_target_directory_only_what_cargo_needs_is_copied() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        for name in [
            "debug/deps/x",
            "debug/incremental/x",
            "doc/x",
            "release/x",
            "tmp/x",
        ] {
            write(&from.join(name));
        }
        copy_target(&from, &to).unwrap();
        let names = ["debug/deps/x", "release/x"];
        assert_eq!(
            paths(&to),
            names.map(|name| format!("{name} 1700000000.1234567890"))
        );
    }

    #[test]
    fn the_environment_has_no_secrets_and_whole_names_only() {
        for name in ["CI", "LC_ALL", "CARGO_PROFILE_DEV_DEBUG", "RUSTFLAGS"] {
            assert!(is_kept(name), "{name}");
        }
        for name in [
            "CI_JOB_TOKEN",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_HOME",
            "PATH",
            "LC",
        ] {
            assert!(!is_kept(name), "{name}");
        }
    }

    #[test]
    fn the_chosen_id_is_nobodys() {
        let uid = free_uid().unwrap();
        assert!(UIDS.contains(&uid));
        assert!(room::has_no_account(uid) && !room::has_no_account(0));
    }
}
