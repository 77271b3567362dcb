//! What every step needs to know: where things are, what was asked for.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

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
    /// soak: for how many minutes it goes on
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) minutes: u32,
    /// semver: the revision to compare with, in the place of the last release
    #[arg(long, value_name = "REV")]
    pub(crate) baseline: Option<String>,
    /// install-capi: the folder that gets `lib` and `include`
    #[arg(long, value_name = "DIR")]
    pub(crate) prefix: Option<PathBuf>,
    /// bench-report: the results.json of an earlier run, to compare with
    #[arg(long, value_name = "OLD.json")]
    pub(crate) against: Option<PathBuf>,
    /// Stop a command that takes longer than this many seconds (for fuzz, bench, soak and matrix: besides what they are to take)
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    limit: u64,
}

/// What every step needs to know.
#[derive(Debug)]
pub(crate) struct Context {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// What was asked for.
    pub(crate) options: Options,
    /// How long one command may take.
    pub(crate) limit: Duration,
    /// A directory that lives as long as the run; everybody may pass it.
    pub(crate) scratch: TempDir,
    /// The machine before the first step.
    pub(crate) before: Snapshot,
}

impl Context {
    /// Looks around.
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let Some(root) = manifest.as_deref().and_then(Path::parent) else {
            let found = "CARGO_MANIFEST_DIR is not set";
            return Err(Error::unfit(
                "looking for the checkout",
                found,
                "use `cargo ci`",
            ));
        };
        let scratch = tempfile::Builder::new()
            .prefix("cargo-ci.")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .doing(|| format!("creating a directory in {}", env::temp_dir().display()))?;
        let mut context = Self {
            root: root
                .canonicalize()
                .doing(|| format!("looking for the checkout {}", root.display()))?,
            limit: Duration::from_secs(options.limit),
            options,
            scratch,
            before: Snapshot::default(),
        };
        for directory in [context.tmp(), context.user_tmp()] {
            std::fs::create_dir(&directory)
                .doing(|| format!("creating {}", directory.display()))?;
        }
        context.before = Snapshot::take(&context.scope());
        Ok(context)
    }

    /// TMPDIR of the steps.
    fn tmp(&self) -> PathBuf {
        self.scratch.path().join("tmp")
    }

    /// TMPDIR and HOME of the ordinary user.
    pub(crate) fn user_tmp(&self) -> PathBuf {
        self.scratch.path().join("user-tmp")
    }

    /// Where things may stay behind.
    pub(crate) fn scope(&self) -> Scope {
        // Where somebody is at the keyboard, a file that changes is not the doing of the steps.
        let checkout = is_unattended().then(|| self.root.clone());
        Scope {
            temporary: vec![self.tmp(), self.user_tmp()],
            checkout,
        }
    }

    /// `cargo WORDS` in the checkout, in the environment of whoever runs us, but for TMPDIR.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("cargo");
        command
            .args(words)
            .current_dir(&self.root)
            .env("TMPDIR", self.tmp());
        command
    }

    /// Keeps what the steps have left in their TMPDIRs: tests that fail leave there what they saw.
    pub(crate) fn keep_temporary_files(&mut self) {
        let filled = |path: PathBuf| {
            path.read_dir()
                .is_ok_and(|mut files| files.next().is_some())
        };
        if filled(self.tmp()) || filled(self.user_tmp()) {
            self.scratch.disable_cleanup(true);
            let place = self.scratch.path().display();
            println!("Temporary files of this run are kept in {place}.");
        }
    }
}

/// Whether nobody watches: in continuous integration.
pub(crate) fn is_unattended() -> bool {
    env::var("CI").is_ok_and(|ci| !["", "0", "false"].contains(&ci.as_str()))
}
