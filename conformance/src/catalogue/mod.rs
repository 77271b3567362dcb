//! Every case, by area.

pub mod kernel;
pub mod restore;
pub mod save;
pub mod snapshot;

use crate::case::Case;

/// All cases, in the order in which they are listed and run.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = kernel::cases();
    cases.extend(save::cases());
    cases.extend(snapshot::cases());
    cases.extend(restore::cases());
    cases
}
