//! The states between the first FIN and the last acknowledgement.

use crate::case::{Case, Level};
use crate::context::Context;
use crate::journey::{Ending, Plan, Receive, Send};
use crate::oracle::state::KernelView;
use crate::verdict::{Stop, Verdict, expect_eq};
use lab::{Counters, Family};
use soccr::{FinMode, Settings};

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

/// Each with the send queues that there can be in it.
const ENDINGS: [(Ending, &str, &[&str], &[Send]); 5] = [
    (
        Ending::FinWait1,
        "fin-wait-1",
        &["E2", "A26"],
        &[Send::Empty, Send::Unacked, Send::Unsent, Send::Both],
    ),
    (Ending::FinWait2, "fin-wait-2", &["E3"], &[Send::Empty]),
    (
        Ending::CloseWait,
        "close-wait",
        &["E4", "F1", "F6", "G4"],
        &[Send::Empty, Send::Unacked, Send::Unsent, Send::Both],
    ),
    (
        Ending::LastAck,
        "last-ack",
        &["E5", "F1", "F6"],
        &[Send::Empty, Send::Unacked, Send::Unsent],
    ),
    (
        Ending::Closing,
        "closing",
        &["E6", "F1", "F6"],
        &[Send::Empty, Send::Unacked, Send::Unsent],
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ending, state, guide, sends) in ENDINGS {
        for send in sends {
            for fin in modes(ending) {
                for family in FAMILIES {
                    let plan = Plan {
                        family,
                        receive: Receive::Small,
                        send: *send,
                        ending,
                        settings: Settings::new().fin(fin),
                        ..Plan::PLAIN
                    };
                    cases.push(case(plan, state, guide));
                }
            }
        }
        for family in FAMILIES.into_iter().filter(|_| ending != Ending::FinWait1) {
            let plan = Plan {
                family,
                receive: Receive::Small,
                ending,
                ..Plan::PLAIN
            };
            cases.push(
                Case::new(
                    format!("state/{state}/one-segment/{family}"),
                    "what only the peer could send is put back by one segment; a FIN is acknowledged at once",
                    guide,
                    move |ctx| one_segment(ctx, plan),
                )
                .level(Level::Should)
                .in_c(),
            );
        }
    }
    cases
}

/// A second one would draw an acknowledgement that nobody asked for.
fn one_segment(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.settings = traveller.settings.fin(FinMode::Inject);
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    let saved = traveller.save()?;
    // The FIN says the same, and it is the peer's.
    expect_eq("shutdown_read", saved.snapshot.shutdown_read, false)?;
    let counted = |counters: &Counters| {
        let (in_, out) = (counters.get("Tcp.InSegs"), counters.get("Tcp.OutSegs"));
        in_.zip(out)
            .ok_or_else(|| Stop::Broken("this kernel does not count segments".to_owned()))
    };
    let before = counted(&traveller.pair.a().counters()?)?;
    let restored = traveller.restore(&saved.snapshot)?;
    traveller.expect_view(&saved, &KernelView::read(&restored)?)?;
    let after = counted(&traveller.pair.a().counters()?)?;
    expect_eq(
        "segments that came in during the restore",
        after.0 - before.0,
        1,
    )?;
    // Left to a timer, it would leave in the middle of what comes next, or in the middle of the resumed connection.
    let due = u64::from(saved.snapshot.state.has_peer_fin());
    expect_eq(
        "segments that left during the restore",
        after.1 - before.1,
        due,
    )?;
    let restored = traveller.resume(restored)?;
    traveller.conclude(ctx, &saved, &restored, plan.probes())
}

/// Where no FIN has to be put back that the kernel would not put back by itself, there is one way only.
fn modes(ending: Ending) -> Vec<FinMode> {
    match ending {
        Ending::None | Ending::FinWait1 => vec![FinMode::Inject],
        _ => vec![FinMode::Inject, FinMode::Emulate],
    }
}

fn case(plan: Plan, state: &str, guide: &'static [&'static str]) -> Case {
    let send = match plan.send {
        Send::Empty => "empty",
        Send::Unacked => "unacked",
        Send::Unsent => "unsent",
        Send::Both => "both",
    };
    let (family, fin) = (plan.family, plan.settings.fin);
    let statement = match fin {
        FinMode::Emulate => format!(
            "a connection in the state {} moves without a packet being made up: both streams are whole, and what \
             differs is named",
            plan.ending.state()
        ),
        _ => format!(
            "a connection in the state {} moves whole: no FIN is lost, repeated or made up, and both ends close as if \
             nothing had been",
            plan.ending.state()
        ),
    };
    let case = Case::new(
        format!("state/{state}/{send}/{fin}/{family}"),
        statement,
        guide,
        move |ctx| plan.run(ctx),
    );
    match fin {
        FinMode::Inject => case.in_c(),
        _ => case.not_in_c("there is no way to choose how a FIN is put back"),
    }
}
