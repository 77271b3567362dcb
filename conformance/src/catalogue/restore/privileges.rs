//! Saves and restores with no more privileges than they need.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Plan, Privileges, Receive, Send};
use crate::verdict::Verdict;
use lab::Family;
use rustix::thread::CapabilitySet;
use soccr::{FinMode, Settings};

/// What lies in the queues, or how far the close has come, where a restore does more than set options.
const KINDS: [(&str, Send, Ending); 3] = [
    ("both", Send::Both, Ending::None),
    ("unsent", Send::Unsent, Ending::None),
    ("close-wait", Send::Empty, Ending::CloseWait),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, send, ending) in KINDS {
        for family in [Family::V4, Family::V6, Family::V4Mapped] {
            let plan = Plan {
                family,
                receive: Receive::Small,
                send,
                ending,
                settings: Settings::new().fin(FinMode::Emulate),
                ..Plan::PLAIN
            };
            cases.push(Case::new(
                format!("restore/net-admin-only/{kind}/{family}"),
                "CAP_NET_ADMIN is all that a save and a restore need",
                &["A1"],
                move |ctx| net_admin_only(ctx, plan),
            ));
        }
    }
    cases
}

fn net_admin_only(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.privileges = Privileges {
        only: Some(CapabilitySet::NET_ADMIN),
    };
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    traveller.travel(ctx, plan.probes())
}
