//! Connections of which the application has shut the reading side.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Plan, Receive};
use crate::oracle::wire::{self, Probes, WireRules};
use crate::verdict::{Verdict, expect_eq};
use lab::Family;
use soccr::{Settings, raw};
use std::net::Shutdown;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ending, state) in [
        (Ending::None, "established"),
        (Ending::FinWait1, "fin-wait-1"),
        (Ending::FinWait2, "fin-wait-2"),
    ] {
        for family in [Family::V4, Family::V6, Family::V4Mapped] {
            let plan = Plan {
                family,
                receive: Receive::Small,
                ending,
                settings: Settings::new(),
                ..Plan::PLAIN
            };
            cases.push(Case::new(
                format!("state/shut-reading/{state}/{family}"),
                "shutdown(SHUT_RD) is carried: after what is left to read the application reads the end, as before",
                &["D9"],
                move |ctx| stays_shut(ctx, plan),
            ).not_in_c("shutdown(SHUT_RD) is the caller's to carry"));
        }
    }
    cases
}

fn stays_shut(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    traveller.subject.shutdown(Shutdown::Read)?;
    let before = raw::poll(&traveller.subject)?;
    let saved = traveller.save()?;
    expect_eq("shutdown_read", saved.snapshot.shutdown_read, true)?;
    let restored = traveller.arrive(&saved)?;
    expect_eq(
        "poll, but for room to write",
        raw::poll(&restored)? & !libc::POLLOUT,
        before & !libc::POLLOUT,
    )?;
    let mut bytes = vec![0; saved.snapshot.receive.bytes.len() + 1];
    let count = raw::recv(&restored, &mut bytes, raw::MSG_DONTWAIT)?;
    expect_eq(
        "what is left to read",
        count,
        saved.snapshot.receive.bytes.len(),
    )?;
    expect_eq(
        "what is read then",
        raw::recv(&restored, &mut bytes, raw::MSG_DONTWAIT)?,
        0,
    )?;
    // Nobody closes here: no FIN is in order but those of before.
    traveller.capture.mark(wire::CLOSING)?;
    let rules = WireRules {
        flow: traveller.flow,
        snapshot: &saved.snapshot,
        probes: match plan.ending {
            Ending::None => Probes::One,
            _ => Probes::NoneDue,
        },
        repeated_fin: false,
        sends_again: saved.sends_again(),
    };
    rules.judge(&traveller.capture.trace()?)
}
