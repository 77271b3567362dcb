//! The library and the kernel together: a connection is saved, closed, restored and resumed.

mod again;
mod by_hand;
mod freebind;
mod held;
mod host;
mod kept;
mod link_local;
mod matrix;
mod narrow;
mod network;
mod privileges;
mod sequence;
mod settled;
mod socket_options;
mod squeezed;
mod window;

pub(super) use settled::largest_unforced;

use crate::case::Case;
use crate::verdict::{Failure, Verdict, expect};
use soccr::{Error, ErrorKind};

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = matrix::cases();
    cases.extend(window::cases());
    cases.extend(sequence::cases());
    cases.extend(host::cases());
    cases.extend(settled::cases());
    cases.extend(socket_options::cases());
    cases.extend(kept::cases());
    cases.extend(squeezed::cases());
    cases.extend(held::cases());
    cases.extend(narrow::cases());
    cases.extend(network::cases());
    cases.extend(again::cases());
    cases.extend(by_hand::cases());
    cases.extend(link_local::cases());
    cases.extend(freebind::cases());
    cases.extend(privileges::cases());
    cases
}

/// Fails unless the library has refused to restore, and says what is wrong.
pub(super) fn expect_refusal<T>(
    outcome: Result<T, Error>,
    says: fn(&ErrorKind) -> bool,
) -> Verdict {
    match outcome {
        Ok(_) => Err(Failure::new("the restore", "a refusal", "success").into()),
        Err(error) => {
            let held = says(error.kind());
            expect("the refusal", "what is wrong", &error, held)
        }
    }
}
