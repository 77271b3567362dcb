//! Every case, by area.

pub mod fault;
pub mod kernel;
pub mod restore;
pub mod save;
pub mod snapshot;
pub mod state;
pub mod timelapse;

use crate::case::Case;
use crate::scenario;

/// All cases, in the order in which they are listed and run.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = kernel::cases();
    cases.extend(save::cases());
    cases.extend(snapshot::cases());
    cases.extend(restore::cases());
    cases.extend(state::cases());
    cases.extend(fault::cases());
    cases.extend(scenario::known());
    cases.extend(scenario::scripted());
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts;
    use std::collections::HashSet;

    #[test]
    fn every_case_has_an_id_of_its_own_below_a_known_area() {
        let mut ids = HashSet::new();
        for case in all() {
            let parts: Vec<_> = case.id.split('/').collect();
            let known = [
                "kernel", "save", "snapshot", "restore", "state", "fault", "scenario",
            ]
            .contains(&parts[0]);
            let lower = |part: &&str| {
                part.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            assert!(
                known && parts.len() >= 3 && parts.iter().all(|part| !part.is_empty()),
                "{}",
                case.id
            );
            assert!(parts.iter().all(lower), "{}", case.id);
            assert!(ids.insert(case.id.clone()), "{} is there twice", case.id);
        }
        assert!(ids.len() >= 60, "{} cases", ids.len());
    }

    #[test]
    fn every_case_says_what_it_promises_and_where_that_stands() {
        for case in all() {
            assert!(
                !case.statement.is_empty() && !case.guide.is_empty(),
                "{}",
                case.id
            );
            for number in case.guide {
                let known = facts::text(number).is_some();
                assert!(known, "{}: {number} is not in FACTS.md", case.id);
            }
        }
    }
}
