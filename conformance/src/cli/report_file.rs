//! Reports that go to files beside what is told on standard output.

use super::complain;
use crate::report::format::Format;
use crate::report::told::Run;
use crate::summary::Exit;
use clap::ValueEnum;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A report that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReportFile {
    format: Format,
    path: PathBuf,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, path) = text
            .split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .ok_or_else(|| "a report is FORMAT=FILE, such as junit=report.xml".to_owned())?;
        Ok(Self {
            format: Format::from_str(format, false).map_err(|_| {
                let all = Format::value_variants().iter();
                let names: Vec<_> = all
                    .filter_map(|it| Some(it.to_possible_value()?.get_name().to_owned()))
                    .collect();
                format!("`{format}` is no format: choose among {}", names.join(", "))
            })?,
            path: path.into(),
        })
    }
}

/// Creates a file that an option names.
pub(super) fn create(path: &Path, option: &str) -> Result<(PathBuf, File), String> {
    match File::create(path) {
        Ok(file) => Ok((path.to_owned(), file)),
        Err(error) => Err(format!(
            "creating the report {}: {error}\n  choose another file with {option}",
            path.display()
        )),
    }
}

/// Creates the files of reports.
pub(super) fn create_all(asked: &[ReportFile]) -> Result<Vec<(ReportFile, File)>, String> {
    let create = |it: &ReportFile| Ok((it.clone(), create(&it.path, "--report")?.1));
    asked.iter().map(create).collect()
}

/// Writes each, and says how that went.
pub(super) fn write(
    files: Vec<(ReportFile, File)>,
    runs: &[Run],
) -> Vec<(PathBuf, io::Result<()>)> {
    let write = |(asked, file): (ReportFile, File)| {
        let written = asked.format.write(&mut BufWriter::new(file), runs);
        (asked.path, written)
    };
    files.into_iter().map(write).collect()
}

/// Tells what could not be written; a run without its report is no success.
pub(super) fn exit(
    mut exit: Exit,
    written: impl IntoIterator<Item = (PathBuf, io::Result<()>)>,
) -> Exit {
    for (path, written) in written {
        if let Err(error) = written {
            if exit != Exit::Failures {
                exit = Exit::Harness;
            }
            complain(
                exit,
                format!("writing the report {}: {error}", path.display()),
            );
        }
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_its_format_and_its_file() {
        let right = ReportFile {
            format: Format::Junit,
            path: "a=b.xml".into(),
        };
        assert_eq!("junit=a=b.xml".parse(), Ok(right));
        for (text, told) in [
            ("junit", "FORMAT=FILE"),
            ("ktap=", "FORMAT=FILE"),
            ("xml=x", "choose among text, ktap, junit"),
        ] {
            let error = text.parse::<ReportFile>().unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
