//! The quick start of the README, done as a stranger would: a new crate, outside of this workspace.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const README: &str = include_str!("../README.md");

/// The one block of a language in the README.
fn block(language: &str) -> Result<String> {
    let fence = format!("```{language}\n");
    let [_, rest] = &README.split(&fence).collect::<Vec<_>>()[..] else {
        return Err(format!("the README has not one block of {language}").into());
    };
    let (block, _) = rest.split_once("```").ok_or("it does not end")?;
    Ok(block.to_owned())
}

/// A new crate with what the README says, beside a clone that is a link to this checkout.
///
/// Always at the same place, so that cargo does not take it for another crate each time.
fn stranger() -> Result<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quick-start");
    let folder = beside.join("stranger");
    for folder in ["src", "tests"].map(|it| folder.join(it)) {
        fs::create_dir_all(folder)?;
    }
    let clone = beside.join("soccr");
    if !clone.is_symlink() {
        symlink(checkout.canonicalize()?, clone)?;
    }
    // The directory is below the checkout: without its last line the crate would be thought a part of the workspace.
    let package = "[package]\nname = \"stranger\"\nedition = \"2024\"\n\n[workspace]\n\n";
    fs::write(
        folder.join("Cargo.toml"),
        package.to_owned() + &block("toml")?,
    )?;
    fs::write(folder.join("src/lib.rs"), "")?;
    fs::write(folder.join("tests/network.rs"), block("rust")?)?;
    // Nothing is downloaded: the same versions as here.
    fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

fn cargo(folder: &Path, words: &str) -> Result<Output> {
    // The one that runs this, not the one that built it.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(words.split(' '))
        .arg("--offline")
        .current_dir(folder);
    // What is built here already is not built again.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    command.env("CARGO_TARGET_DIR", target.canonicalize()?);
    // As this workspace's Cargo.toml says.
    command.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    Ok(command.output()?)
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|it| String::from_utf8_lossy(it))
        .concat()
}

#[test]
fn a_stranger_has_tests_in_a_minute() -> Result {
    if let Err(reason) = lab::available() {
        // Whether that is a failure the lab's own tests say.
        eprintln!("ignored: {reason}");
        return Ok(());
    }
    let folder = stranger()?;
    let output = cargo(&folder, "test")?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("2 passed; 0 failed; 0 ignored"),
        "{}",
        said(&output)
    );

    if !cargo(&folder, "nextest --version")?.status.success() {
        eprintln!("not asked: cargo nextest is not installed");
        return Ok(());
    }
    let output = cargo(&folder, "nextest run")?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("2 passed, 0 skipped"),
        "{}",
        said(&output)
    );
    Ok(())
}
