//! `conformance repro`: a scenario as a program that stands alone, to be read, traced, changed and sent to others.

mod c;
mod rust;

use crate::oracle::stream::End;
use crate::scenario::{Congestion, Opening, Scenario};
use std::fmt;

/// What a program is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Against `lab` and `soccr`: all that a scenario can be, but for a SYN that is lost at its beginning
    Rust,
    /// Against nothing but libc and the kernel: what one host can do by itself
    C,
}

/// A scenario that a program cannot be written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inexpressible {
    /// The number of the step, from 1; 0 is the start.
    pub step: usize,
    /// The step, as it is written down.
    pub text: String,
    /// Why not.
    pub why: &'static str,
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, text, why } = self;
        match step {
            0 => write!(f, "the start (`{text}`): {why}"),
            step => write!(f, "step {step} (`{text}`): {why}"),
        }
    }
}

impl std::error::Error for Inexpressible {}

/// Writes the program: it carries out the steps one after the other, prints "ok" where every byte has arrived, and otherwise
/// what differs.
///
/// # Errors
/// [`Inexpressible`] with the first step that no program in this language can take.
pub fn emit(scenario: &Scenario, language: Language) -> Result<String, Inexpressible> {
    if let Opening::Lost { subject } = scenario.setup.opening {
        return Err(Inexpressible {
            step: 0,
            text: format!("open lost {subject}"),
            why: "a program begins with a connection that has come about",
        });
    }
    match language {
        Language::C => c::program(scenario),
        Language::Rust => Ok(rust::program(scenario)),
    }
}

/// The scenario as lines of a comment, each behind `prefix`.
fn quoted(scenario: &Scenario, prefix: &str) -> String {
    let text = scenario.to_string();
    text.lines()
        .map(|line| format!("{prefix}{line}").trim_end().to_owned() + "\n")
        .collect()
}

/// What C and Rust call an end.
fn constant(end: End) -> &'static str {
    match end {
        End::Subject => "SUBJECT",
        End::Peer => "PEER",
    }
}

/// The name of an algorithm, where it is not the kernel's default.
fn congestion(congestion: Congestion) -> Option<&'static str> {
    match congestion {
        Congestion::Usual => None,
        Congestion::Reno => Some("reno"),
        Congestion::Cubic => Some("cubic"),
        Congestion::Bbr => Some("bbr"),
    }
}

/// What becomes of a part of a template.
enum Part {
    /// It is taken as it is.
    Taken,
    /// It is left out.
    Left,
    /// This stands in its place.
    Instead(String),
}

impl Part {
    fn taken_if(wanted: bool) -> Self {
        if wanted { Self::Taken } else { Self::Left }
    }
}

/// A template without the parts that a program does not use: each begins behind a line `//- name`.
fn assemble(template: &str, choose: impl Fn(&str) -> Part) -> String {
    let mut text = String::new();
    let mut taken = true;
    for line in template.split_inclusive('\n') {
        match line.trim().strip_prefix("//- ") {
            None if taken => text += line,
            None => {}
            Some(name) => {
                let part = choose(name);
                taken = matches!(part, Part::Taken);
                if let Part::Instead(other) = part {
                    text += &other;
                }
            }
        }
    }
    text
}
