//! Compilers and linkers: programs of tests/c, in every way in which others compile theirs.

use crate::common::{PACKAGE, archive, compiler, lacks_cpp, library, source, symbols};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// In which language, and with which library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    cpp: bool,
    arguments: &'static [&'static str],
    shared: bool,
}

impl Variant {
    /// Why it cannot be compiled here.
    pub(crate) fn lacks(self) -> Option<&'static str> {
        self.cpp.then(lacks_cpp).flatten()
    }
}

const fn variant(
    name: &'static str,
    cpp: bool,
    arguments: &'static [&'static str],
    shared: bool,
) -> Variant {
    Variant {
        name,
        cpp,
        arguments,
        shared,
    }
}

pub(crate) const VARIANTS: [Variant; 5] = [
    variant("c/static", false, &["-std=gnu11"], false),
    variant("c/shared", false, &["-std=gnu11"], true),
    variant(
        "c99/static",
        false,
        &["-std=c99", "-pedantic", "-D_DEFAULT_SOURCE"],
        false,
    ),
    variant("c++/static", true, &["-x", "c++"], false),
    variant("c++/shared", true, &["-x", "c++"], true),
];

/// With what GCC and Clang have to find errors while a program runs.
pub(crate) const SANITIZED: Variant = variant(
    "c/sanitized",
    false,
    &[
        "-std=gnu11",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ],
    false,
);

/// The libraries, and a folder for what is made: there from the first program on.
#[derive(Default)]
pub(crate) struct Workshop(OnceLock<Result<TempDir, String>>);

impl Workshop {
    /// Compiles a program.
    pub(crate) fn compile(&self, program: &str, variant: Variant) -> Result<PathBuf, String> {
        let furnished = self
            .0
            .get_or_init(|| furnish().map_err(|error| error.to_string()));
        let folder = furnished.as_ref().map_err(String::clone)?.path();
        let path = folder.join(format!("{program}-{}", variant.name.replace('/', "-")));
        let mut command = compiler(variant.cpp);
        command.args(["-g", "-O1", "-I"]).arg(folder);
        command.args(variant.arguments);
        command.arg(source(program).with_extension("c"));
        command.args(["-x", "none", "-o"]).arg(&path);
        if program.ends_with("-old") {
            command.arg(folder.join("libsoccr-staged.a"));
        }
        match variant.shared {
            true => {
                command.arg("-L").arg(folder).arg("-lsoccr");
                command.arg(format!("-Wl,-rpath,{}", folder.display()));
            }
            false => drop(command.arg(folder.join("libsoccr.a"))),
        }
        archive::run(&mut command).map_err(|error| error.to_string())?;
        Ok(path)
    }
}

/// Makes the libraries as `cargo ci install-capi` makes them, but for the optimization.
fn furnish() -> io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    archive::pack(
        &library("a")?,
        &symbols(),
        &path("soccr.o"),
        &path("libsoccr.a"),
    )?;
    let object = path("names.o");
    let mut cc = compiler(false);
    cc.args(["-O2", "-fPIC", "-c", "-o"]).arg(&object);
    archive::run(cc.arg(Path::new(PACKAGE).join("staged/names.c")))?;
    archive::collect(&[&object], &path("libsoccr-staged.a"))?;
    fs::write(path("readme-example.h"), readme_example()?)?;
    // The linker asks for the first name, and writes down the second, which the library says is its own.
    symlink(library("so")?, path("libsoccr.so"))?;
    symlink("libsoccr.so", path("libsoccr.so.2"))?;
    Ok(folder)
}

/// The example in C of README.md, but for what a file begins with.
fn readme_example() -> io::Result<String> {
    let readme = fs::read_to_string(Path::new(PACKAGE).join("README.md"))?;
    let example = readme
        .split_once("```c\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(example, _)| example);
    let missing = || io::Error::other("README.md has no example in C");
    let lines = example.ok_or_else(missing)?.lines();
    let body = lines.filter(|line| !line.starts_with("#include"));
    Ok(body.map(|line| format!("{line}\n")).collect())
}
