//! What every step needs to know: where things are, what was asked for.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::Uid;
use tempfile::TempDir;

use crate::command;
use crate::error::{Error, While as _};
use crate::snapshot::{Scope, Snapshot};

/// The options of the command line that concern steps.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// fuzz: how long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) seconds: u32,
    /// flakes: how often each variant runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) runs: u32,
    /// Stop a command that takes longer than this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    limit: u64,
}

impl Options {
    /// How long one command may take.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }
}

/// What every step needs to know.
#[derive(Debug)]
pub(crate) struct Context {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// cargo's target directory.
    pub(crate) target: PathBuf,
    /// A directory that lives as long as the run; everybody may pass it.
    pub(crate) scratch: TempDir,
    /// What was asked for.
    pub(crate) options: Options,
    /// Set by continuous-integration services: nobody edits files while we run.
    pub(crate) unattended: bool,
    /// The machine before the first step.
    before: Snapshot,
}

impl Context {
    /// Looks around.
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap_or(Path::new("."));
        let root = root
            .canonicalize()
            .doing(|| format!("looking for the checkout {}", root.display()))?;
        let target = target_directory(&root)?;
        let mut builder = tempfile::Builder::new();
        builder
            .prefix("soccr-ci.")
            .permissions(std::fs::Permissions::from_mode(0o755));
        let scratch = builder
            .tempdir()
            .doing(|| format!("creating a directory in {}", env::temp_dir().display()))?;
        let mut context = Self {
            root,
            target,
            scratch,
            options,
            unattended: env::var_os("CI")
                .is_some_and(|value| !value.is_empty() && value != "false"),
            before: Snapshot::default(),
        };
        std::fs::create_dir(context.tmp())
            .doing(|| format!("creating {}", context.tmp().display()))?;
        context.before = Snapshot::take(&context.scope());
        Ok(context)
    }

    /// Whether this run is one of root.
    pub(crate) fn is_root() -> bool {
        Uid::effective().is_root()
    }

    /// TMPDIR of the steps.
    fn tmp(&self) -> PathBuf {
        self.scratch.path().join("tmp")
    }

    /// TMPDIR of the ordinary user.
    pub(crate) fn user_tmp(&self) -> PathBuf {
        self.scratch.path().join("user-tmp")
    }

    /// The machine before the first step.
    pub(crate) fn before(&self) -> &Snapshot {
        &self.before
    }

    /// Where things may stay behind.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            temporary: vec![self.tmp(), self.user_tmp()],
            ours: self.scratch.path().to_owned(),
            checkout: self.root.clone(),
        }
    }

    /// Whether the steps have left something in their TMPDIRs.
    pub(crate) fn has_temporary_files(&self) -> bool {
        let filled = |path: PathBuf| {
            std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
        };
        filled(self.tmp()) || filled(self.user_tmp())
    }

    /// A command in the checkout, in the environment that the caller of `cargo ci` has, but for TMPDIR and with the
    /// target directory spelled out.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("TMPDIR", self.tmp());
        // What `cargo run` told us about ourselves is wrong for others.
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_about_us)) {
            command.env_remove(name);
        }
        if let Some(path) = env::var_os("LD_LIBRARY_PATH") {
            match library_path(&path, &self.target) {
                Some(rest) => command.env("LD_LIBRARY_PATH", rest),
                None => command.env_remove("LD_LIBRARY_PATH"),
            };
        }
        command
    }

    /// `cargo WORDS`.
    pub(crate) fn cargo(&self, words: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(words);
        command
    }
}

fn is_about_us(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"].contains(&name)
}

/// `cargo run` puts the target directory and the toolchain in front. The rest, if any, is the caller's.
fn library_path(path: &OsString, target: &Path) -> Option<OsString> {
    let added = |entry: &PathBuf| {
        entry.starts_with(target) || entry.as_os_str().is_empty() || is_toolchain(entry)
    };
    let rest: Vec<PathBuf> = env::split_paths(path)
        .filter(|entry| !added(entry))
        .collect();
    if rest.is_empty() {
        None
    } else {
        env::join_paths(rest).ok()
    }
}

fn is_toolchain(entry: &Path) -> bool {
    // lib, or lib/rustlib/TARGET/lib
    entry.ends_with("lib")
        && entry
            .ancestors()
            .skip(1)
            .take(4)
            .any(|above| above.join("bin/rustc").is_file() && !above.ends_with("usr"))
}

/// The directory that we were built into: the nearest one above us that cargo has marked as its own.
fn target_directory(root: &Path) -> Result<PathBuf, Error> {
    let exe = env::current_exe().doing(|| "looking for this program's file".to_owned())?;
    let built = exe
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file())
        .map(Path::to_owned);
    let asked = env::var_os("CARGO_TARGET_DIR").map(|target| root.join(target));
    let target = built.or(asked).unwrap_or_else(|| root.join("target"));
    target
        .canonicalize()
        .doing(|| format!("looking for cargo's target directory {}", target.display()))
}

/// The version of rustup's toolchain list that fits `version`: `1.85` fits `1.85.0-x86_64-unknown-linux-gnu`.
pub(crate) fn installed_toolchain(context: &Context, version: &str) -> Option<String> {
    let list = command::read(context.command("rustup").args(["toolchain", "list"])).ok()?;
    fitting(&list, version)
}

fn fitting(list: &str, version: &str) -> Option<String> {
    let names = list
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next());
    let fits = |name: &&str| {
        name.strip_prefix(version)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    names.filter(fits).min().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_fits_its_version_and_no_longer_one() {
        let list = "stable-x86_64 (active, default)\n1.85.1-x86_64\n1.8-x86_64\n1.850-x86_64\n";
        assert_eq!(fitting(list, "1.85").as_deref(), Some("1.85.1-x86_64"));
        assert_eq!(fitting(list, "1.8").as_deref(), Some("1.8-x86_64"));
        assert_eq!(fitting(list, "stable").as_deref(), Some("stable-x86_64"));
        assert_eq!(fitting(list, "1.86"), None);
    }

    #[test]
    fn the_callers_library_path_survives_and_cargos_does_not() {
        let path: OsString = "/t/debug/deps:/opt/mine:/t/debug".into();
        assert_eq!(
            library_path(&path, Path::new("/t")),
            Some("/opt/mine".into())
        );
        assert_eq!(library_path(&"/t/debug".into(), Path::new("/t")), None);
    }

    #[test]
    fn only_what_cargo_run_has_set_is_taken_away() {
        assert!(
            is_about_us("CARGO_PKG_NAME")
                && is_about_us("CARGO_MANIFEST_DIR")
                && is_about_us("CARGO")
        );
        assert!(
            !is_about_us("CARGO_HOME")
                && !is_about_us("CARGO_TARGET_DIR")
                && !is_about_us("CARGO_TERM_COLOR")
        );
    }
}
