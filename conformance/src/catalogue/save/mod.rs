//! Saving without closing: what it needs, what it refuses, what it leaves as it was.

mod options;
mod probe;
mod refusals;
mod traffic;
mod ways;

use crate::case::Case;

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = options::cases();
    cases.extend(traffic::cases());
    cases.extend(refusals::cases());
    cases.extend(ways::cases());
    cases.extend(probe::cases());
    cases
}
