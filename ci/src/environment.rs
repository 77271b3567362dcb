//! What the ordinary user's commands see of the caller's surroundings.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::command;
use crate::context::Context;
use crate::error::{Error, While as _};

/// What of the caller's environment the ordinary user gets to see: looks, CI, and what cargo's idea of "up to
/// date" depends on. A name ends here, or goes on with `_`; but `CI_…` is where some services keep secrets.
const KEPT: [&str; 17] = [
    "LANG",
    "LC",
    "TERM",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CARGO_BUILD",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE",
    "CARGO_TERM",
    "CARGO_TARGET",
    "CC",
    "CFLAGS",
    "PROPTEST",
    "SOCCR",
];

/// cargo's home, which has the fetched packages.
pub(crate) fn cargo_home() -> Result<PathBuf, Error> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    home.canonicalize().doing(|| {
        format!(
            "looking for cargo's home {} (set CARGO_HOME)",
            home.display()
        )
    })
}

/// Where the compiler is. The room uses it directly: rustup would want to write into its own home.
pub(crate) fn sysroot(context: &Context) -> Result<PathBuf, Error> {
    let text = command::read(context.command("rustc").args(["--print", "sysroot"]))?;
    let path = PathBuf::from(text.trim());
    let path = path
        .canonicalize()
        .doing(|| format!("looking for the toolchain {}", path.display()))?;
    if path.join("bin/cargo").is_file() {
        return Ok(path);
    }
    Err(Error::unfit(
        "looking for cargo",
        format!("none in {}/bin", path.display()),
        "install cargo beside rustc",
    ))
}

/// The whole environment of the ordinary user.
pub(crate) fn environment(
    sysroot: &Path,
    cargo_home: &Path,
    target: &Path,
    home: &Path,
    tmp: &Path,
) -> Result<Vec<(OsString, OsString)>, Error> {
    let mut path = vec![sysroot.join("bin")];
    path.extend(
        [
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
            "/usr/local/sbin",
            "/usr/sbin",
            "/sbin",
        ]
        .map(PathBuf::from),
    );
    let path = env::join_paths(path).map_err(|error| {
        Error::unfit(
            "making a PATH",
            error.to_string(),
            "install the toolchain where the path has no colon",
        )
    })?;
    let mut environment: Vec<(OsString, OsString)> = env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(is_kept))
        .collect();
    environment.push(("PATH".into(), path));
    environment.push(("CARGO_NET_OFFLINE".into(), "true".into()));
    for (name, place) in [
        ("HOME", home),
        ("TMPDIR", tmp),
        ("CARGO_HOME", cargo_home),
        ("CARGO_TARGET_DIR", target),
    ] {
        environment.push((name.into(), place.into()));
    }
    Ok(environment)
}

fn is_kept(name: &str) -> bool {
    name == "CI"
        || KEPT.iter().any(|kept| {
            name.strip_prefix(kept)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_has_no_secrets_and_whole_names_only() {
        for name in [
            "CI",
            "LC_ALL",
            "CARGO_PROFILE_DEV_DEBUG",
            "RUSTFLAGS",
            "PROPTEST_CASES",
        ] {
            assert!(is_kept(name), "{name}");
        }
        for name in [
            "CIRCLE_TOKEN",
            "CI_JOB_TOKEN",
            "GITHUB_TOKEN",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_HOME",
            "PATH",
            "SUDO_USER",
            "LCX",
        ] {
            assert!(!is_kept(name), "{name}");
        }
    }
}
