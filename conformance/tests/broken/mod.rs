//! The libraries in this folder, compiled; and what a run of the suite said.

use libtest_mimic::{Completion, Failed};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// No connection can be saved without a namespace: the exit code of a harness that could not start.
const NO_SANDBOX: i32 = 3;

/// The C compiler.
pub(crate) fn compiler() -> String {
    std::env::var("CC").unwrap_or_else(|_| "cc".to_owned())
}

/// Why nothing can be compiled here, for a test that is then ignored.
pub(crate) fn no_compiler(compiler: &str) -> Option<Completion> {
    let error = Command::new(compiler).arg("--version").output().err()?;
    Some(ignored(format!("no C compiler: {compiler}: {error}")))
}

/// Why nothing can be run here, for a test that is then ignored.
pub(crate) fn no_sandbox(output: &Output) -> Option<Completion> {
    let refused = output.status.code() == Some(NO_SANDBOX) && output.stdout.is_empty();
    refused.then(|| ignored(text(output)))
}

/// Compiles one of the libraries, in front of ours.
pub(crate) fn compile(compiler: &str, source: &str, folder: &Path) -> Result<PathBuf, Failed> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = folder.join(format!("lib{source}.so"));
    let output = Command::new(compiler)
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-O1",
            "-shared",
            "-fPIC",
        ])
        .arg(format!("-DFORWARD_TO=\"{}\"", real()?.display()))
        .arg("-I")
        .arg(here.join("../soccr/capi/include"))
        .arg("-o")
        .arg(&library)
        .arg(here.join("tests/broken").join(source).with_extension("c"))
        .arg("-ldl")
        .output()?;
    match output.status.success() {
        true => Ok(library),
        false => Err(format!("{source}.c: {}", text(&output)).into()),
    }
}

/// The shared library, which cargo has built beside this program, as the one that it depends on.
fn real() -> Result<PathBuf, Failed> {
    let program = std::env::current_exe()?;
    let library = program.with_file_name("libsoccr_capi.so");
    match library.exists() {
        true => Ok(library),
        false => Err(format!("there is no {}", library.display()).into()),
    }
}

fn ignored(reason: String) -> Completion {
    eprintln!("ignored: {reason}");
    Completion::ignored_with(reason)
}

/// All that a program said.
pub(crate) fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|it| String::from_utf8_lossy(it))
        .concat()
}
