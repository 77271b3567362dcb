//! Every committed seed, and every crash of the past, before its judge: `fuzz/seeds/<target>/<what it is>`.
//!
//! One test for each target, one after the other: judges count descriptors and memory of the whole process.

use judges::{TARGETS, Target, world};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io, panic};

fn main() -> ExitCode {
    // First of all: before there are threads.
    let world = world::enter();
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mut tests: Vec<_> = TARGETS
        .iter()
        .map(|target| test(*target, world.clone()))
        .collect();
    // Without the feature one is missing.
    if cfg!(feature = "scenario") {
        tests.push(Trial::test("every_folder_of_seeds_has_a_target", folders));
        tests.push(Trial::test("every_target_is_a_program", programs));
    }
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn test(target: Target, world: Result<(), String>) -> Trial {
    Trial::ignorable_test(target.name, move || {
        if let (true, Err(why)) = (target.needs_world, world) {
            return missing(why);
        }
        let seeds = files(&fuzz().join("seeds").join(target.name))?;
        if seeds.is_empty() {
            return Err("no seeds".into());
        }
        for seed in seeds {
            let bytes = fs::read(&seed)?;
            let judged = panic::catch_unwind(|| (target.judge)(&bytes));
            judged.map_err(|_| format!("see above what is wrong with {}", seed.display()))?;
        }
        Ok(Completion::Completed)
    })
}

/// In continuous integration, a test that silently does not run is a hole.
fn missing(why: String) -> Result<Completion, Failed> {
    let ci = std::env::var("CI").is_ok_and(|ci| !["", "0", "false"].contains(&&*ci));
    match ci {
        true => Err(why.into()),
        false => Ok(Completion::ignored_with(why)),
    }
}

/// The folder of the fuzz targets.
fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()?;
    files.sort();
    Ok(files)
}

fn names(files: Vec<PathBuf>) -> Vec<String> {
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    files.into_iter().filter_map(stem).collect()
}

/// A folder without a target is never looked into.
fn folders() -> Result<(), Failed> {
    let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names(files(&fuzz().join("seeds"))?), targets);
    for dictionary in names(files(&fuzz().join("dictionaries"))?) {
        assert!(targets.contains(&&*dictionary), "{dictionary}");
    }
    Ok(())
}

/// A judge without a program is never given anything new.
fn programs() -> Result<(), Failed> {
    let programs = names(files(&fuzz().join("fuzz_targets"))?);
    let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(programs, targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml"))?;
    for name in programs {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    Ok(())
}
