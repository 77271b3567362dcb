//! The examples of a package as tests.

use super::requirement::Requirement;
use crate::sandbox;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs, io};

/// A test program that runs the examples of a package, each to its end and as whoever runs the tests.
///
/// `package` is the folder of the package. Whatever is in its folder `examples` is run without being listed anywhere,
/// unless `not_run` names it, with the reason. An example fails that does not end well, or that prints nothing: one
/// that shows nothing is none. Where namespaces cannot be had, the examples are ignored, or fail, as the tests of
/// [`main!`](crate::main) do.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     lab::harness::examples(env!("CARGO_MANIFEST_DIR"), &[("forever", "it does not end")])
/// }
/// ```
///
/// `cargo test` and nextest build the examples of a package before its tests.
#[must_use]
pub fn examples(package: &str, not_run: &[(&str, &str)]) -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = trials(Path::new(package), not_run).unwrap_or_else(|error| {
        let failed = format!("the examples of {package}: {error}");
        vec![Trial::test("examples", move || Err(failed.into()))]
    });
    if let Err(error) = sandbox::available() {
        trials = Requirement::unmet(&error).judge_all(trials);
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// One test for each example, the names in their order.
fn trials(package: &Path, not_run: &[(&str, &str)]) -> io::Result<Vec<Trial>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(package.join("examples"))? {
        // A file, or a folder of files.
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.push(name.strip_suffix(".rs").unwrap_or(&name).to_owned());
    }
    names.sort();
    if let Some((gone, _)) = not_run
        .iter()
        .find(|(it, _)| names.iter().all(|name| name != it))
    {
        return Err(io::Error::other(format!("there is no example {gone}")));
    }
    let trial = |name: String| {
        let reason = not_run.iter().find(|(it, _)| name == *it);
        let program = program(&name)?;
        Ok(match reason.map(|(_, reason)| (*reason).to_owned()) {
            Some(reason) => {
                Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)))
            }
            None => Trial::test(name, move || run(Command::new(program))),
        })
    };
    names.into_iter().map(trial).collect()
}

/// Where cargo has put an example: beside the folder that this program is in.
fn program(example: &str) -> io::Result<PathBuf> {
    let this = env::current_exe()?;
    let profile = this.ancestors().nth(2).unwrap_or(Path::new("/"));
    Ok(profile.join("examples").join(example))
}

/// Runs an example to its end.
fn run(mut example: Command) -> Result<(), Failed> {
    // A shell that has nothing to read ends at once.
    example.env("SHELL", "/bin/sh").stdin(Stdio::null());
    let output = example
        .output()
        .map_err(|error| format!("{example:?}: {error} (cargo build --examples)"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if !output.status.success() {
        return Err(format!("{}\n{said}", output.status).into());
    }
    match said.lines().count() {
        0 => Err("it prints nothing".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command).map_err(|failed| failed.message().unwrap_or_default().to_owned())
    }

    #[test]
    fn an_example_has_to_end_well_and_to_show_something() {
        assert_eq!(shell("echo something"), Ok(()));
        assert_eq!(shell("true"), Err("it prints nothing".to_owned()));
        let failed = shell("echo why >&2; exit 3").unwrap_err();
        assert!(
            failed.contains("exit status: 3") && failed.contains("why"),
            "{failed}"
        );
        let missing = run(Command::new("/no/such/example")).unwrap_err();
        assert!(
            missing
                .message()
                .is_some_and(|it| it.contains("/no/such/example"))
        );
    }

    #[test]
    fn every_example_is_a_test_and_one_that_is_not_there_is_noticed() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let trials = trials(package, &[]).unwrap();
        let names: Vec<_> = trials.iter().map(Trial::name).collect();
        // A file, and a folder.
        assert!(
            names.contains(&"two_hosts") && names.contains(&"lab_cost"),
            "{names:?}"
        );
        let error = super::trials(package, &[("gone", "")]).err().unwrap();
        assert_eq!(error.to_string(), "there is no example gone");
    }
}
