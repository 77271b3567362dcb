//! Running commands as an ordinary user, from a run of root. What that user gets, see [`crate::room`].

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::command::{self, Ended};
use crate::context::Context;
use crate::copy::{self, Owner};
use crate::environment::{cargo_home, environment, sysroot};
use crate::error::{Error, While as _};
use crate::ordinary::NO_NAMESPACES;
use crate::uid::free_uid;

/// Directories in which a failing test leaves what it saw. They survive the room.
const EVIDENCE: [&str; 1] = ["conformance-failures"];

/// An ordinary user with a copy of everything.
#[derive(Debug)]
pub(crate) struct OrdinaryUser {
    uid: u32,
    copies: TempDir,
    checkout: PathBuf,
    binds: Vec<(PathBuf, PathBuf)>,
    environment: Vec<(OsString, OsString)>,
    /// Whether this user may make user namespaces, without which there is no lab.
    pub(crate) namespaces: bool,
}

impl OrdinaryUser {
    /// Makes the copies, and lets the user prove that it is an ordinary one.
    pub(crate) fn prepare(context: &Context) -> Result<Self, Error> {
        let uid = free_uid()?;
        let owner = Owner { uid, gid: uid };
        let copies = copies_directory(&context.target)?;
        let (checkout, target, cargo) = (
            copies.path().join("checkout"),
            copies.path().join("target"),
            copies.path().join("cargo"),
        );

        copy::files(
            &context.root,
            &checkout,
            &copy::known_files(&context.root)?,
            owner,
        )?;
        copy_target(&context.target, &target, owner)?;
        let cargo_home = cargo_home()?;
        for name in ["registry/index", "registry/cache", "registry/src"] {
            let place = cargo.join(name);
            fs::create_dir_all(&place).doing(|| format!("creating {}", place.display()))?;
        }
        // A mirror instead of crates.io changes where packages are looked for. Credentials stay where they are.
        for name in ["config.toml", "config"] {
            if cargo_home.join(name).is_file() {
                fs::copy(cargo_home.join(name), cargo.join(name))
                    .doing(|| format!("copying cargo's {name}"))?;
            }
        }
        let (home, tmp) = (context.scratch.path().join("home"), context.user_tmp());
        for directory in [&home, &tmp, &cargo, &cargo.join("registry")] {
            fs::create_dir_all(directory).doing(|| format!("creating {}", directory.display()))?;
            chown(directory, Some(uid), Some(uid))
                .doing(|| format!("giving {} to uid {uid}", directory.display()))?;
        }

        let sysroot = sysroot(context)?;
        let mut binds = vec![
            (checkout.clone(), context.root.clone()),
            (cargo, cargo_home.clone()),
        ];
        if context.target.starts_with(&context.root) {
            let inner = checkout.join(
                context
                    .target
                    .strip_prefix(&context.root)
                    .unwrap_or(Path::new("target")),
            );
            fs::create_dir_all(&inner).doing(|| format!("creating {}", inner.display()))?;
        }
        binds.push((target, context.target.clone()));
        for place in [sysroot.clone(), context.scratch.path().to_owned()] {
            binds.push((place.clone(), place));
        }
        for name in ["index", "cache", "src"] {
            let place = cargo_home.join("registry").join(name);
            if place.is_dir() {
                binds.push((place.clone(), place));
            }
        }
        let environment = environment(&sysroot, &cargo_home, &context.target, &home, &tmp)?;
        let mut user = Self {
            uid,
            copies,
            checkout: context.root.clone(),
            binds,
            environment,
            namespaces: false,
        };
        user.namespaces = user.prove_ordinary(context)?;
        Ok(user)
    }

    fn prove_ordinary(&self, context: &Context) -> Result<bool, Error> {
        match self.run(context, &mut self.command(["/proc/self/exe", "__whoami"]))? {
            Ended::Exited(status) if status.success() => Ok(true),
            Ended::Exited(status) if status.code() == Some(NO_NAMESPACES) => Ok(false),
            ended => Err(Error::unfit(
                format!("proving that uid {} is an ordinary user", self.uid),
                format!("{ended:?}"),
                "its message is above",
            )),
        }
    }

    /// `words`, as a command of this user in its copy of the checkout.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("__room")
            .arg("--uid")
            .arg(self.uid.to_string())
            .arg("--dir")
            .arg(&self.checkout);
        for (source, target) in &self.binds {
            command.arg("--bind").arg(source).arg(target);
        }
        command.arg("--").args(words);
        command.env_clear().envs(self.environment.iter().cloned());
        command
    }

    /// Runs one of [`Self::command`].
    pub(crate) fn run(&self, context: &Context, command: &mut Command) -> Result<Ended, Error> {
        command::run(command, context.options.limit())
    }

    /// Copies what failing tests left, into the checkout. Returns where it is.
    pub(crate) fn save_evidence(&self) -> Result<Vec<PathBuf>, Error> {
        let root = Owner { uid: 0, gid: 0 };
        let mut saved = Vec::new();
        for name in EVIDENCE {
            let from = self.copies.path().join("checkout").join(name);
            if from.is_dir() {
                let to = self.checkout.join(name).join("ordinary-user");
                if to.exists() {
                    fs::remove_dir_all(&to)
                        .doing(|| format!("removing the earlier {}", to.display()))?;
                }
                copy::tree(&from, &to, root, &[])?;
                saved.push(to);
            }
        }
        Ok(saved)
    }
}

/// In the target directory: it has the space, and `cargo clean` finds it if we are killed.
fn copies_directory(target: &Path) -> Result<TempDir, Error> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let mut builder = tempfile::Builder::new();
    builder.prefix("ordinary-user.").permissions(mode);
    builder
        .tempdir_in(target)
        .doing(|| format!("creating a directory in {}", target.display()))
}

/// The two profiles, and what cargo writes beside them. Not documentation, and not the state of incremental
/// compilation, which only a compiler that runs again would look at.
fn copy_target(from: &Path, to: &Path, owner: Owner) -> Result<(), Error> {
    fs::create_dir(to).doing(|| format!("creating {}", to.display()))?;
    chown(to, Some(owner.uid), Some(owner.gid))
        .doing(|| format!("giving {} to uid {}", to.display(), owner.uid))?;
    for profile in ["debug", "release"] {
        if from.join(profile).is_dir() {
            copy::tree(
                &from.join(profile),
                &to.join(profile),
                owner,
                &["incremental"],
            )?;
        }
    }
    let beside = [".rustc_info.json", "CACHEDIR.TAG"].map(PathBuf::from);
    let beside: Vec<_> = beside
        .into_iter()
        .filter(|name| from.join(name).is_file())
        .collect();
    copy::files(from, to, &beside, owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_target_directory_only_what_cargo_needs_is_copied() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        for name in [
            "debug/deps/tmp",
            "debug/incremental/x",
            "release",
            "doc",
            "ordinary-user.x",
        ] {
            fs::create_dir_all(from.join(name)).unwrap();
        }
        fs::write(from.join(".rustc_info.json"), "{}").unwrap();
        let me = Owner {
            uid: nix::unistd::getuid().as_raw(),
            gid: nix::unistd::getgid().as_raw(),
        };
        copy_target(&from, &to, me).unwrap();
        for (name, copied) in [
            ("debug/deps/tmp", true),
            ("release", true),
            (".rustc_info.json", true),
        ]
        .into_iter()
        .chain([
            ("debug/incremental", false),
            ("doc", false),
            ("ordinary-user.x", false),
            ("CACHEDIR.TAG", false),
        ]) {
            assert_eq!(to.join(name).exists(), copied, "{name}");
        }
    }
}
