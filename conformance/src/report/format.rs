//! The formats in which a run can be told, all made of the same events.

use super::html::{self, Page};
use super::told::Run;
use super::{github, junit, ktap, listing};
use clap::ValueEnum;
use std::io::{self, Write};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text, for people
    Text,
    /// KTAP, as kselftest reads it
    Ktap,
    /// JUnit, in XML
    Junit,
    /// Annotations of GitHub Actions
    Github,
    /// The summary of a job of GitHub Actions, in Markdown
    Markdown,
    /// A page for people, which needs nothing but a browser
    Html,
}

impl Format {
    /// Writes runs.
    ///
    /// # Errors
    /// What writing returns.
    pub fn write(self, out: &mut impl Write, runs: &[Run]) -> io::Result<()> {
        match self {
            Self::Text => listing::write(out, runs),
            Self::Ktap => ktap::write(out, runs),
            Self::Junit => junit::write(out, runs),
            Self::Github => github::annotations(out, runs),
            Self::Markdown => github::markdown(out, runs),
            Self::Html => html::write(&Page::of(runs), out),
        }
    }
}
