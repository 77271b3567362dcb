//! Sequence numbers and timestamps that wrap while they lie in a queue.

use crate::case::Case;
use crate::context::Context;
use crate::forge::{Ends, forge};
use crate::journey::{Receive, Send};
use crate::oracle::wire::Probes;
use lab::Family;

/// Less than a small queue before the wrap, so that the wrap lies within the queue.
const JUST_BEFORE_THE_WRAP: u32 = 0_u32.wrapping_sub(2_000);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [Family::V4, Family::V6] {
        for (name, ends) in [
            (
                "receive",
                Ends {
                    peer: JUST_BEFORE_THE_WRAP,
                    ..Ends::PLAIN
                },
            ),
            (
                "send",
                Ends {
                    subject: JUST_BEFORE_THE_WRAP,
                    ..Ends::PLAIN
                },
            ),
            (
                "sign",
                Ends {
                    subject: (1 << 31) - 2_000,
                    peer: (1 << 31) - 2_000,
                    ..Ends::PLAIN
                },
            ),
            (
                "timestamp",
                Ends {
                    timestamp: 0_u32.wrapping_sub(2),
                    ..Ends::PLAIN
                },
            ),
        ] {
            cases.push(
                Case::new(
                    format!("restore/wrap/{name}/{family}"),
                    format!("a connection moves whole while its {name} numbers wrap"),
                    &["A22", "A54", "A51"],
                    move |ctx| run(ctx, family, ends),
                )
                .in_c(),
            );
        }
    }
    cases
}

fn run(ctx: &Context, family: Family, ends: Ends) -> crate::verdict::Verdict {
    let mut traveller = forge(ctx, family, ends)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    traveller.travel(ctx, Probes::One)
}
