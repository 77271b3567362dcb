//! Every example, run to its end as whoever runs the tests.
//!
//! `cargo test` and nextest build the examples of a package before its tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// Examples that are not run, and why.
const NOT_RUN: [(&str, &str); 2] = [
    (
        "lab_cost",
        "it measures, and wants a release build and a quiet machine",
    ),
    ("many_labs", "it takes minutes"),
];

/// The examples, by what is in their folder: a new one is run without being listed anywhere.
fn examples() -> io::Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names = fs::read_dir(folder)?.map(|entry| {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A file, or a folder of files.
        Ok(name.strip_suffix(".rs").unwrap_or(&name).to_owned())
    });
    names.collect()
}

/// Where cargo has put it: beside the folder that this program is in.
fn program(example: &str) -> io::Result<PathBuf> {
    let this = env::current_exe()?;
    let profile = this.ancestors().nth(2).unwrap_or(Path::new("/"));
    Ok(profile.join("examples").join(example))
}

#[test]
fn every_example_that_ends_by_itself_ends_well() {
    if let Err(reason) = lab::available() {
        // Whether that is a failure the lab's own tests say.
        eprintln!("ignored: {reason}");
        return;
    }
    let examples = examples().unwrap();
    for (name, _) in NOT_RUN {
        assert!(
            examples.iter().any(|it| it == name),
            "there is no example {name}"
        );
    }
    let is_run = |name: &&String| NOT_RUN.iter().all(|(it, _)| name != it);
    for name in examples.iter().filter(is_run) {
        // A shell that has nothing to read ends at once.
        let output = Command::new(program(name).unwrap())
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::null())
            .output();
        let output = output
            .unwrap_or_else(|error| panic!("{name}: {error} (cargo build -p lab --examples)"));
        let said =
            [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it).into_owned());
        assert!(
            output.status.success(),
            "{name}: {}\n{}",
            output.status,
            said.concat()
        );
        // An example that shows nothing is none.
        assert!(said.concat().lines().count() > 0, "{name} prints nothing");
    }
}
