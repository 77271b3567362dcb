//! A peer whose window was never wide: no segment is larger than half of it, restored or not.

use crate::case::{Case, Need};
use crate::context::Context;
use crate::journey::{Receive, Send, Traveller};
use crate::oracle::wire::Probes;
use crate::verdict::{Verdict, expect};
use lab::Family;
use soccr::raw;

/// What the peer's receive buffer is set to: its window is less than two full segments.
const BUFFER: usize = 2_048;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::ALL {
        for (name, send) in [
            ("empty", Send::Empty),
            ("unacked", Send::Unacked),
            ("unsent", Send::Unsent),
        ] {
            cases.push(
                Case::new(
                    format!("restore/narrow/{name}/{family}"),
                    "segments to a peer with a narrow window are as small after a restore as they were: larger ones would wait \
                     for a timer, each of them",
                    &["A66", "G2"],
                    move |ctx| narrow(ctx, family, send),
                )
                .needs(&[Need::RepairWindow])
                .in_c(),
            );
        }
    }
    cases
}

fn narrow(ctx: &Context, family: Family, send: Send) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair
        .connection(family)
        .on_server(|socket| socket.set_recv_buffer_size(BUFFER))
        .open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    let info = raw::tcp_info(&traveller.subject)?;
    expect(
        "segments before the save",
        "smaller than the peer's clamp lets them be",
        info.snd_mss,
        info.snd_mss < 1_200,
    )?;
    traveller.fill(Receive::Small, send)?;
    let probes = match send {
        Send::Empty => Probes::One,
        _ => Probes::AtLeastOne,
    };
    traveller.travel(ctx, probes)
}
