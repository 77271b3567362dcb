//! Saving without closing: what it needs, what it refuses, what it leaves as it was.

mod options;
mod refusals;
mod traffic;

use crate::case::Case;

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = options::cases();
    cases.extend(traffic::cases());
    cases.extend(refusals::cases());
    cases
}
