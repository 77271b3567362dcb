//! A Rust static library, made fit for C programs: one object with no global symbol but those of its interface.
//!
//! All of `std` is in such a library. Left as it is, a program could not link two of them, whose names collide.
//! On nothing but the standard library, since the tests of soccr/capi include this file.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// Makes `archive` of what the interface `symbols` takes from the Rust library `library`. `object` is overwritten.
///
/// # Errors
/// What the linker, `objcopy` or `ar` say; that a symbol is missing.
pub(crate) fn pack(
    library: &Path,
    symbols: &BTreeSet<String>,
    object: &Path,
    archive: &Path,
) -> io::Result<()> {
    // Groups (COMDAT) are dissolved: a linker would keep one of two libraries' personality routines, and drop the one
    // that a reference, local from now on, needs.
    let mut link = tool("ld");
    link.args(["-r", "--gc-sections", "--force-group-allocation"]);
    link.args(symbols.iter().flat_map(|symbol| ["-u", symbol]));
    run(link.arg("-o").arg(object).arg(library))?;

    let mut hide = tool("objcopy");
    hide.args(["--strip-debug", "--strip-unneeded"]);
    // What `std` has for a link-time optimization that is over. One after the other, they are not even bitcode.
    hide.args(["--remove-section=.llvmbc", "--remove-section=.llvmcmd"]);
    hide.args(
        symbols
            .iter()
            .map(|it| format!("--keep-global-symbol={it}")),
    );
    hide.args(weak(symbols).map(|it| format!("--weaken-symbol={it}")));
    run(hide.arg(object))?;

    // `ar` would keep what is in an archive that is there.
    match fs::remove_file(archive) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => collect(&[object], archive)?,
    }
    let left = exported(archive)?;
    if left != *symbols {
        let why = format!("{library:?} has the symbols {left:?}, and not {symbols:?}");
        return Err(io::Error::other(why));
    }
    Ok(())
}

/// Makes an archive of objects.
///
/// # Errors
/// What `ar` says.
pub(crate) fn collect(objects: &[&Path], archive: &Path) -> io::Result<()> {
    // D: the same objects make the same file.
    run(tool("ar").arg("rcsD").arg(archive).args(objects)).map(drop)
}

/// The symbols that `file` defines for others: of a shared library, the dynamic ones.
///
/// # Errors
/// What `nm` says.
pub(crate) fn exported(file: &Path) -> io::Result<BTreeSet<String>> {
    let mut nm = tool("nm");
    nm.args(["--defined-only", "--extern-only", "--format=posix"]);
    let shared = file.extension() != Some(OsStr::new("a"));
    let listed = run(nm.args(shared.then_some("--dynamic")).arg(file))?;
    // "name type value size"; above the symbols of a member of an archive stands "archive[member]:".
    let names = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

/// Those of today's names that the staged interface had with other arguments: libsoccr-staged.a defines them as well, and
/// goes first.
fn weak(symbols: &BTreeSet<String>) -> impl Iterator<Item = &String> {
    symbols.iter().filter(|symbol| {
        let staged = symbol.replacen("libsoccr_", "libsoccr_staged_", 1);
        staged != **symbol && symbols.contains(&staged)
    })
}

/// The C compiler or one of its binutils: what the variable of its name (`LD`, `CC`) says, as in a makefile.
pub(crate) fn tool(name: &str) -> Command {
    let said = env::var_os(name.to_ascii_uppercase()).filter(|said| !said.is_empty());
    Command::new(said.unwrap_or_else(|| name.into()))
}

/// Runs a command; returns what it printed.
///
/// # Errors
/// What it says on stderr, with the command.
pub(crate) fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output();
    let failed = |why: String| io::Error::other(format!("`{command:?}`: {why}"));
    let output = output.map_err(|error| {
        failed(format!(
            "{error} (is there a C compiler, with its binutils?)"
        ))
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
