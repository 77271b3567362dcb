//! Compilers and linkers: programs of tests/c, in every way in which others compile theirs.

use crate::common::{PACKAGE, archive, compiler, lacks_cpp, library, source, symbols};
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

/// The libraries, and a folder for what is made.
pub(crate) struct Workshop {
    folder: TempDir,
    ready: OnceLock<Result<(), String>>,
}

impl Workshop {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            ready: OnceLock::new(),
        })
    }

    /// Compiles a program.
    pub(crate) fn compile(&self, program: &str, variant: Variant) -> Result<PathBuf, String> {
        self.ready
            .get_or_init(|| self.libraries().map_err(|error| error.to_string()))
            .clone()?;
        let path = self
            .folder
            .path()
            .join(format!("{program}-{}", variant.name.replace('/', "-")));
        let mut command = compiler(variant.cpp);
        command.args(["-g", "-O1"]).args(variant.arguments);
        command
            .arg(source(program).with_extension("c"))
            .args(["-x", "none", "-o"])
            .arg(&path);
        if program.ends_with("-old") {
            command.arg(self.path("libsoccr-staged.a"));
        }
        match variant.shared {
            true => {
                let folder = self.folder.path();
                command.arg("-L").arg(folder).arg("-lsoccr");
                command.arg(format!("-Wl,-rpath,{}", folder.display()));
            }
            false => drop(command.arg(self.path("libsoccr.a"))),
        }
        archive::run(&mut command).map_err(|error| error.to_string())?;
        Ok(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As `cargo ci install-capi` makes them, but for the optimization.
    fn libraries(&self) -> io::Result<()> {
        let (object, packed) = (self.path("soccr.o"), self.path("libsoccr.a"));
        archive::pack(&library("a")?, &symbols(), &object, &packed)?;
        let object = self.path("names.o");
        let mut cc = compiler(false);
        cc.args(["-O2", "-fPIC", "-c", "-o"]).arg(&object);
        archive::run(cc.arg(Path::new(PACKAGE).join("staged/names.c")))?;
        archive::collect(&[&object], &self.path("libsoccr-staged.a"))?;
        // The linker asks for the first name, and writes down the second, which the library says is its own.
        symlink(library("so")?, self.path("libsoccr.so"))?;
        symlink("libsoccr.so", self.path("libsoccr.so.2"))
    }
}
