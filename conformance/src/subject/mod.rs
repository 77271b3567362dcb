//! The library that is judged: the Rust one, or any with the C interface, in a process of its own for every case.

mod caller;
mod child;
mod driver;
mod library;
mod message;
mod session;

pub(crate) use driver::Breaches;

pub use child::{check, obey_check, serve};
pub use library::{Library, Paused, Refusal, Restored, Saved};

use crate::case::{Case, ThroughC};
use crate::saboteur::{self, Saboteur};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which library is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// The Rust library, called from the process of the suite.
    #[default]
    Rust,
    /// Today's C interface of ours.
    Capi,
    /// The staged C interface of ours.
    Staged,
    /// A shared library with today's interface.
    File(PathBuf),
    /// The Rust library, with a defect that is planted in the process of the suite: no other subject can be judged there.
    Saboteur(&'static Saboteur),
}

/// What the name of a subject begins with that is a saboteur.
const SABOTEUR: &str = "saboteur:";

impl Subject {
    /// The same, found from any directory.
    ///
    /// # Errors
    /// Where there is no such file.
    pub fn absolute(self) -> std::io::Result<Self> {
        match self {
            Self::File(path) => Ok(Self::File(path.canonicalize()?)),
            other => Ok(other),
        }
    }

    /// The file that is opened, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }

    /// What the head of a report says of it: nothing of the Rust library, which is the one that is meant unless another is named.
    #[must_use]
    pub fn in_a_report(&self) -> String {
        match self {
            Self::Rust => String::new(),
            other => format!(", subject {other}"),
        }
    }

    /// What has to be added to the command that runs a case again.
    #[must_use]
    pub fn in_a_command(&self) -> String {
        match self {
            Self::Rust => String::new(),
            other => format!(" --subject {other}"),
        }
    }

    /// Why a case cannot be asked of this library.
    #[must_use]
    pub fn cannot_express(&self, case: &Case) -> Option<String> {
        let reason = match (self, case.through_c()) {
            (Self::Rust | Self::Saboteur(_), _)
            | (_, ThroughC::Both)
            | (Self::Capi | Self::File(_), ThroughC::Today(_)) => {
                return None;
            }
            (Self::Staged, ThroughC::Today(reason)) | (_, ThroughC::No(reason)) => reason,
        };
        Some(format!("not expressible in C: {reason}"))
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rust" => Ok(Self::Rust),
            "capi" => Ok(Self::Capi),
            "staged" => Ok(Self::Staged),
            text if text.starts_with(SABOTEUR) => {
                let found = saboteur::by_name(&text[SABOTEUR.len()..]);
                found.map(Self::Saboteur).ok_or_else(|| {
                    "no saboteur has this name: see `conformance self-test --list`".to_owned()
                })
            }
            path if path.contains(['/', '.']) => Ok(Self::File(path.into())),
            _ => Err(
                "neither `rust`, `capi` or `staged`, nor the path of a shared library".to_owned(),
            ),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust => f.write_str("rust"),
            Self::Capi => f.write_str("capi"),
            Self::Staged => f.write_str("staged"),
            Self::File(path) => path.display().fmt(f),
            Self::Saboteur(saboteur) => write!(f, "{SABOTEUR}{}", saboteur.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_and_named() {
        for name in [
            "rust",
            "capi",
            "staged",
            "./libsoccr.so",
            "/usr/lib/libsoccr.so.2",
            "saboteur:nobody",
        ] {
            assert_eq!(name.parse::<Subject>().unwrap().to_string(), name);
        }
        assert!("capy".parse::<Subject>().is_err());
        assert!("saboteur:somebody".parse::<Subject>().is_err());
    }

    #[test]
    fn what_c_cannot_say_is_skipped_with_its_reason() {
        let case = |id: &str| Case::new(id, "x", &["A2"], |_| Ok(()));
        let file = Subject::File("a.so".into());
        let all = [Subject::Rust, Subject::Capi, Subject::Staged, file];
        let skipped = |case: &Case| all.each_ref().map(|it| it.cannot_express(case).is_some());
        assert_eq!(skipped(&case("restore/a/b")), [false, true, true, true]);
        assert_eq!(skipped(&case("restore/a/b").in_c()), [false; 4]);
        let today = case("state/a/b").in_todays_c("why");
        assert_eq!(skipped(&today), [false, false, true, false]);
        let reason = Subject::Staged.cannot_express(&today).unwrap();
        assert!(reason.ends_with("why"), "{reason}");
        let reason = Subject::Capi.cannot_express(&case("kernel/a/b")).unwrap();
        assert!(reason.contains("kernel"), "{reason}");
    }
}
