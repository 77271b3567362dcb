//! Connections that are being closed, attempted, or over: every state that can be carried comes back as it was.

mod closing;

use crate::case::Case;

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    closing::cases()
}
