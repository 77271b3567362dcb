//! The formats in which a run can be told, all made of the same events.

use super::told::Told;
use super::{github, junit, ktap};
use clap::ValueEnum;
use std::io::{self, Write};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// KTAP, as kselftest reads it
    Ktap,
    /// JUnit, in XML
    Junit,
    /// Annotations of GitHub Actions
    Github,
    /// The summary of a job of GitHub Actions, in Markdown
    Markdown,
}

impl Format {
    /// Writes runs, each with its name: a kernel, or a library.
    ///
    /// # Errors
    /// What writing returns.
    pub fn write(self, out: &mut impl Write, runs: &[(String, Told)]) -> io::Result<()> {
        match self {
            Self::Ktap => ktap::write(out, runs),
            Self::Junit => junit::write(out, runs),
            Self::Github => github::annotations(out, runs),
            Self::Markdown => github::markdown(out, runs),
        }
    }
}
