//! Every kind of receive queue with every kind of send queue, every set of options and every family.

use crate::case::Case;
use crate::journey::{Negotiated, Plan, Receive, Send};
use lab::Family;

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];
const RECEIVE: [(Receive, &str); 4] = [
    (Receive::Empty, "empty"),
    (Receive::Small, "small"),
    (Receive::Large, "large"),
    (Receive::Full, "full"),
];
const SEND: [(Send, &str); 4] = [
    (Send::Empty, "empty"),
    (Send::Unacked, "unacked"),
    (Send::Unsent, "unsent"),
    (Send::Both, "both"),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        for (receive, receive_name) in RECEIVE {
            for (send, send_name) in SEND {
                for negotiated in every_negotiation() {
                    let plan = Plan {
                        family,
                        receive,
                        send,
                        negotiated,
                        ..Plan::PLAIN
                    };
                    let options = name(negotiated);
                    let case = Case::new(
                        format!("restore/{receive_name}-{send_name}/{options}/{family}"),
                        format!(
                            "a connection with its receive queue {receive_name} and its send queue {send_name} \
                             ({options}) moves whole, and its peer notices nothing"
                        ),
                        &["E1", "A22", "A37", "A40", "A42", "A44", "A53"],
                        move |ctx| plan.run(ctx),
                    );
                    cases.push(case.in_c());
                }
            }
        }
    }
    cases
}

fn every_negotiation() -> impl Iterator<Item = Negotiated> {
    (0..8).map(|bits| Negotiated {
        timestamps: bits & 1 == 0,
        sack: bits & 2 == 0,
        window_scaling: bits & 4 == 0,
    })
}

/// Such as `ts-sack-wscale`, `sack` or `plain`.
fn name(negotiated: Negotiated) -> String {
    let names: Vec<_> = [
        (negotiated.timestamps, "ts"),
        (negotiated.sack, "sack"),
        (negotiated.window_scaling, "wscale"),
    ]
    .into_iter()
    .filter_map(|(on, name)| on.then_some(name))
    .collect();
    if names.is_empty() {
        "plain".to_owned()
    } else {
        names.join("-")
    }
}
