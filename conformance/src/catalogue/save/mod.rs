//! Saving without closing: what it needs, what it refuses, what it leaves as it was; and closing without saving.

mod by_hand;
mod helper;
mod interrupted;
mod left_meanwhile;
mod options;
mod probe;
mod refusals;
mod sent_by_timer;
mod silent_close;
mod traffic;
mod ways;

use crate::case::Case;

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = options::cases();
    cases.extend(traffic::cases());
    cases.extend(sent_by_timer::cases());
    cases.extend(left_meanwhile::cases());
    cases.extend(refusals::cases());
    cases.extend(ways::cases());
    cases.extend(probe::cases());
    cases.extend(silent_close::cases());
    cases.extend(helper::cases());
    cases.extend(by_hand::cases());
    cases
}
