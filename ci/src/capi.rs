//! Step `install-capi`: the C libraries, their headers and what pkg-config reads, put where C programs look for them.

mod archive;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf, absolute};

use serde_json::Value;

use crate::command;
use crate::context::Context;
use crate::error::{Error, While as _};
use crate::steps::Outcome;

/// The version of the interface, which is in the SONAME as well, and the release of this workspace.
const VERSION: &str = concat!(
    "2.",
    env!("CARGO_PKG_VERSION_MINOR"),
    ".",
    env!("CARGO_PKG_VERSION_PATCH")
);

/// What `cargo` has built.
#[derive(Debug, Default, PartialEq, Eq)]
struct Built {
    archive: PathBuf,
    shared: PathBuf,
    /// What a static link needs besides: "-lgcc_s -lutil …".
    system: String,
}

/// Step `install-capi`.
pub(crate) fn install(context: &Context) -> Result<Outcome, Error> {
    let Some(prefix) = &context.options.prefix else {
        return Err(Error::unfit(
            "installing the C interface",
            "--prefix is not given",
            "say where it goes: `cargo ci install-capi --prefix /usr/local`",
        ));
    };
    let prefix = absolute(prefix).doing(|| format!("looking for {}", prefix.display()))?;
    let source = context.root.join("soccr/capi");
    let symbols = symbols(&source.join("symbols.txt"))?;
    let built = match build(context)? {
        Ok(built) => built,
        Err(why) => return Ok(Outcome::failed(why)),
    };
    let exported = archive::exported(&built.shared)
        .doing(|| format!("listing the symbols of {}", built.shared.display()))?;
    if exported != symbols {
        let why = format!("the shared library has the symbols {exported:?}, and not {symbols:?}");
        return Ok(Outcome::failed(why));
    }

    let scratch = context.scratch.path();
    let (object, library) = (scratch.join("soccr.o"), scratch.join("libsoccr.a"));
    archive::pack(&built.archive, &symbols, &object, &library)
        .doing(|| format!("making {}", library.display()))?;
    let staged = scratch.join("libsoccr-staged.a");
    staged_names(&source, &scratch.join("names.o"), &staged)
        .doing(|| format!("making {}", staged.display()))?;
    let description = scratch.join("soccr.pc");
    fs::write(&description, pkg_config(&built.system))
        .doing(|| format!("writing {}", description.display()))?;

    let name = format!("libsoccr.so.{VERSION}");
    let into = |path: &str| prefix.join(path);
    let placed = [
        place(&library, into("lib/libsoccr.a"), 0o644),
        place(&staged, into("lib/libsoccr-staged.a"), 0o644),
        place(&built.shared, into("lib").join(&name), 0o755),
        link(&name, into("lib/libsoccr.so.2")),
        link("libsoccr.so.2", into("lib/libsoccr.so")),
        place(&description, into("lib/pkgconfig/soccr.pc"), 0o644),
        place(
            &source.join("include/soccr.h"),
            into("include/soccr.h"),
            0o644,
        ),
        place(
            &source.join("include/soccr-staged.h"),
            into("include/soccr-staged.h"),
            0o644,
        ),
    ];
    println!("Installed:");
    for placed in placed {
        println!("  {}", placed?);
    }
    println!(
        "A static link needs these libraries of the system, too: {}",
        built.system
    );
    Ok(Outcome::Passed)
}

/// The names of the interface, a line each.
fn symbols(path: &Path) -> Result<BTreeSet<String>, Error> {
    let text = fs::read_to_string(path).doing(|| format!("reading {}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Builds both libraries. The inner error says why that failed.
fn build(context: &Context) -> Result<Result<Built, String>, Error> {
    let words = "rustc --package soccr-capi --lib --profile capi --crate-type staticlib,cdylib --message-format json";
    let mut cargo = context.cargo(words.split(' '));
    cargo.args(["--", "--print", "native-static-libs"]);
    println!("$ {}", command::shown(&cargo));
    let path = context.scratch.path().join("cargo.json");
    let file = File::create(&path).doing(|| format!("creating {}", path.display()))?;
    let ended = command::run(cargo.stdout(file), context.limit)?;
    let said = fs::read_to_string(&path).doing(|| format!("reading {}", path.display()))?;
    let (built, remarks) = read(&said);
    eprint!("{remarks}");
    if let Err(why) = ended {
        return Ok(Err(format!("cargo {why}")));
    }
    if [&built.archive, &built.shared]
        .iter()
        .any(|it| it.as_os_str().is_empty())
        || built.system.is_empty()
    {
        return Ok(Err(format!(
            "cargo does not say what it has built: {built:?}"
        )));
    }
    Ok(Ok(built))
}

/// What cargo's messages say of the libraries, and what they have to say to people.
fn read(messages: &str) -> (Built, String) {
    let (mut built, mut remarks) = (Built::default(), String::new());
    for message in messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        if message["reason"] == "compiler-artifact" && message["target"]["name"] == "soccr_capi" {
            for file in message["filenames"].as_array().into_iter().flatten() {
                let file = PathBuf::from(file.as_str().unwrap_or_default());
                match file.extension().and_then(|it| it.to_str()) {
                    Some("a") => built.archive = file,
                    Some("so") => built.shared = file,
                    _ => (),
                }
            }
        }
        let text = message["message"]["message"].as_str().unwrap_or_default();
        match text.strip_prefix("native-static-libs: ") {
            Some(libraries) => built.system = libraries.trim().to_owned(),
            // Said before the libraries, and nothing but an introduction to them.
            None if text.starts_with("link against the following native artifacts") => (),
            None => remarks += message["message"]["rendered"].as_str().unwrap_or_default(),
        }
    }
    (built, remarks)
}

/// libsoccr-staged.a, of C: two functions.
fn staged_names(source: &Path, object: &Path, archive: &Path) -> io::Result<()> {
    let mut cc = archive::tool("cc");
    cc.args(["-O2", "-fPIC", "-Wall", "-Wextra", "-Werror", "-I"]);
    cc.arg(source.join("include"))
        .arg("-c")
        .arg(source.join("staged/names.c"));
    archive::run(cc.arg("-o").arg(object))?;
    archive::collect(&[object], archive)
}

/// What pkg-config reads. The folders are those around the file, so that all can be moved together.
fn pkg_config(system: &str) -> String {
    format!(
        "prefix=${{pcfiledir}}/../..\n\
         libdir=${{prefix}}/lib\n\
         includedir=${{prefix}}/include\n\
         \n\
         Name: soccr\n\
         Description: TCP connection checkpoint and restore for Linux\n\
         URL: {}\n\
         Version: {VERSION}\n\
         Libs: -L${{libdir}} -lsoccr\n\
         Libs.private: {system}\n\
         Cflags: -I${{includedir}}\n",
        env!("CARGO_PKG_REPOSITORY")
    )
}

/// Copies a file to its place, for everybody to read. Returns what was done.
fn place(from: &Path, to: PathBuf, mode: u32) -> Result<String, Error> {
    replace(&to, |new| {
        let size = fs::copy(from, new)?;
        fs::set_permissions(new, fs::Permissions::from_mode(mode))?;
        Ok(format!("{} ({size} bytes)", to.display()))
    })
}

/// Makes a symbolic link. Returns what was done.
fn link(target: &str, at: PathBuf) -> Result<String, Error> {
    replace(&at, |new| {
        symlink(target, new)?;
        Ok(format!("{} -> {target}", at.display()))
    })
}

/// Makes a file beside its place and moves it there: programs that run have the old one mapped.
fn replace<T>(place: &Path, make: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, Error> {
    let doing = || format!("installing {}", place.display());
    let folder = place.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).doing(doing)?;
    let room = tempfile::Builder::new()
        .prefix(".soccr.")
        .tempdir_in(folder)
        .doing(doing)?;
    let new = room.path().join("new");
    let made = make(&new).doing(doing)?;
    fs::rename(&new, place).doing(doing)?;
    Ok(made)
}

#[cfg(test)]
mod tests;
