//! What both test programs need: the libraries that cargo has built, and the compilers.

#[path = "../../../../ci/src/capi/archive.rs"]
pub(crate) mod archive;

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package.
pub(crate) const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// A library of this package as cargo has built it for its tests: beside the test program.
///
/// # Errors
/// Where the system does not tell where this program is.
pub(crate) fn library(extension: &str) -> io::Result<PathBuf> {
    let library = env::current_exe()?.with_file_name("libsoccr_capi");
    Ok(library.with_extension(extension))
}

/// The committed list of the interface's symbols.
pub(crate) fn symbols() -> BTreeSet<String> {
    let lines = include_str!("../../symbols.txt").lines();
    lines.map(str::to_owned).collect()
}

/// A compiler (`cc`, `c++`, or what `CC` and `CXX` say) that takes nothing for granted and finds the header.
pub(crate) fn compiler(cpp: bool) -> Command {
    let mut compiler = match cpp {
        true => cpp_compiler(),
        false => archive::tool("cc"),
    };
    compiler.args(["-Wall", "-Wextra", "-Werror", "-I"]);
    compiler.arg(Path::new(PACKAGE).join("include"));
    compiler
}

/// Why there can be no programs in C++ here.
pub(crate) fn lacks_cpp() -> Option<&'static str> {
    let found = cpp_compiler().arg("--version").output().is_ok();
    (!found).then_some("there is no C++ compiler here: apt-get install g++")
}

fn cpp_compiler() -> Command {
    let said = env::var_os("CXX").filter(|said| !said.is_empty());
    Command::new(said.unwrap_or_else(|| "c++".into()))
}

/// A file of tests/c.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(PACKAGE).join("tests/c").join(name)
}
