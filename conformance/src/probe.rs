//! What is possible here, found out by doing: what cases need and a kernel, or a user, may not have.

use crate::case::{Case, Need};
use soccr::{Ability, Unavailable};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io;

/// Whether something is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Here,
    /// It is not; with the kernel's own reason.
    Missing(String),
    /// It could not be found out, which is a fault of the harness.
    Unknown(String),
}

/// The answers to what a set of cases needs, each found out once.
#[derive(Clone, Debug, Default)]
pub struct Needs(HashMap<Need, Answer>);

impl Need {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ForceBuffers,
        Self::QuietOff,
        Self::RepairWindow,
        Self::PeekOffset,
        Self::BufferLock,
        Self::MicrosecondTimestamps,
        Self::NetworkCookie,
    ];

    /// What the kernel calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.ability().name()
    }

    /// Who or what has it.
    #[must_use]
    pub fn found_with(self) -> &'static str {
        match self {
            Self::ForceBuffers => "real root only",
            Self::QuietOff => "since kernel 4.19",
            Self::RepairWindow => "since kernel 4.8",
            Self::PeekOffset => "since kernel 6.9",
            Self::BufferLock => "since kernel 5.15",
            Self::MicrosecondTimestamps => "since kernel 6.7",
            Self::NetworkCookie => "since kernel 5.14",
        }
    }

    /// Finds out whether it is here. Has to be asked inside of the sandbox, where repair mode is allowed.
    #[must_use]
    pub fn probe(self) -> Answer {
        match self.ability().attempt() {
            Ok(()) => Answer::Here,
            Err(Unavailable::Refused(error)) => {
                Answer::Missing(format!("{} ({})", reason(&error), self.found_with()))
            }
            Err(Unavailable::Unprepared(what, error)) => {
                Answer::Unknown(format!("{what}: {}", reason(&error)))
            }
        }
    }

    /// What the library calls it.
    fn ability(self) -> Ability {
        match self {
            Self::ForceBuffers => Ability::ForceBuffers,
            Self::QuietOff => Ability::QuietOff,
            Self::RepairWindow => Ability::RepairWindow,
            Self::PeekOffset => Ability::PeekOffset,
            Self::BufferLock => Ability::BufferLock,
            Self::MicrosecondTimestamps => Ability::MicrosecondTimestamps,
            Self::NetworkCookie => Ability::NetworkCookie,
        }
    }
}

impl Needs {
    /// Probes what these cases need.
    #[must_use]
    pub fn probe(cases: &[Case]) -> Self {
        let mut answers = HashMap::new();
        for &need in cases.iter().flat_map(|case| case.needs) {
            answers.entry(need).or_insert_with(|| need.probe());
        }
        Self(answers)
    }

    /// Why a case cannot run here: the first of its needs that is not met, with its name.
    #[must_use]
    pub fn unmet(&self, case: &Case) -> Option<Unmet> {
        case.needs.iter().find_map(|need| {
            let name = need.name();
            match self.0.get(need) {
                Some(Answer::Here) => None,
                Some(Answer::Missing(reason)) => {
                    Some(Unmet::Missing(format!("needs {name}: {reason}")))
                }
                Some(Answer::Unknown(error)) => Some(Unmet::Unknown(format!(
                    "cannot find out whether {name} is here: {error}"
                ))),
                None => Some(Unmet::Unknown(format!("{name} was never probed"))),
            }
        })
    }
}

impl FromIterator<(Need, Answer)> for Needs {
    fn from_iter<I: IntoIterator<Item = (Need, Answer)>>(answers: I) -> Self {
        Self(answers.into_iter().collect())
    }
}

/// Why a case cannot run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// What it needs is missing: it is skipped.
    Missing(String),
    /// Nobody knows: the harness is broken.
    Unknown(String),
}

/// A TCP socket that is neither bound nor connected.
///
/// # Errors
/// What `socket` returns.
pub(crate) fn tcp_socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM, None)
}

/// What the kernel said, without the number that says it a second time.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        Case::new("a/b", "x", &["A2"], |_| Ok(())).needs(&[Need::QuietOff, Need::ForceBuffers])
    }

    #[test]
    fn the_reason_names_the_need_and_what_the_kernel_said() {
        let refused = io::Error::from_raw_os_error(1);
        let needs = Needs::from_iter([
            (Need::QuietOff, Answer::Here),
            (
                Need::ForceBuffers,
                Answer::Missing(format!("{} (real root only)", reason(&refused))),
            ),
        ]);
        assert_eq!(
            needs.unmet(&case()),
            Some(Unmet::Missing(
                "needs SO_RCVBUFFORCE: Operation not permitted (real root only)".into()
            ))
        );
    }

    #[test]
    fn a_case_whose_needs_are_met_runs() {
        let answers = [Need::QuietOff, Need::ForceBuffers].map(|need| (need, Answer::Here));
        assert_eq!(Needs::from_iter(answers).unmet(&case()), None);
    }

    #[test]
    fn what_nobody_knows_is_not_taken_for_missing() {
        let unknown = Answer::Unknown("a TCP socket: Too many open files".into());
        let needs = Needs::from_iter([(Need::QuietOff, unknown)]);
        assert!(matches!(needs.unmet(&case()), Some(Unmet::Unknown(_))));
        assert!(matches!(
            Needs::default().unmet(&case()),
            Some(Unmet::Unknown(_))
        ));
    }

    #[test]
    fn every_need_has_its_own_name_and_is_probed_once() {
        let names: std::collections::HashSet<_> = Need::ALL.map(Need::name).into();
        assert_eq!(names.len(), Need::ALL.len());
        let needs = Needs::probe(&[case(), case()]);
        assert_eq!(needs.0.len(), 2);
    }
}
