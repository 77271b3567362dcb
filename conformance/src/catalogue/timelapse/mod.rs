//! What takes minutes to weeks: clocks of a restored connection that turn, and timers that run to their end.
//!
//! These cases are asked in a machine whose time leaps over idleness only (`conformance matrix --deterministic`). They look once
//! a second at most, because each look costs the machine what a leap does not.

mod clock;
mod rest;
mod timers;

use crate::case::Case;
use crate::journey::{Saved, Traveller};
use crate::verdict::Stop;
use std::net::TcpStream;
use std::time::Duration;

const HOUR: Duration = minutes(60);
/// Longer than any of these cases takes, by the clock of the machine.
pub(crate) const BOUND: Duration = days(60);

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

pub(crate) const fn days(count: u64) -> Duration {
    minutes(24 * 60 * count)
}

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    let bounded = |cases: Vec<Case>, bound| cases.into_iter().map(move |case| case.bound(bound));
    bounded(clock::cases(), BOUND)
        .chain(bounded(timers::cases(), days(2)))
        .collect()
}

/// Saves and restores a connection, and resumes it.
fn moved(traveller: &mut Traveller) -> Result<(Saved, TcpStream), Stop> {
    let saved = traveller.save()?;
    let restored = traveller.arrive(&saved)?;
    Ok((saved, restored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts;

    #[test]
    fn every_case_has_an_id_of_its_own_and_a_fact() {
        let cases = cases();
        let ids: std::collections::HashSet<_> = cases.iter().map(|case| &case.id).collect();
        assert_eq!(ids.len(), cases.len());
        for case in &cases {
            assert!(case.id.starts_with("timelapse/"), "{}", case.id);
            for number in case.guide {
                assert!(facts::text(number).is_some(), "{}: {number}", case.id);
            }
        }
    }
}
