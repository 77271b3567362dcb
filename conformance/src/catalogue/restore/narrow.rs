//! A peer whose window was never wide: no segment is larger than half of it, restored or not.

use crate::case::{Case, Need};
use crate::context::Context;
use crate::journey::{Ending, Receive, Send, Traveller};
use crate::oracle::wire::Probes;
use crate::verdict::{Verdict, expect};
use lab::Family;
use soccr::raw;

/// What the peer's receive buffer is set to: its window is less than two full segments.
const BUFFER: usize = 2_048;

/// Sizes with which the peer's window is as narrow, and scaled, since it might grow: `net.ipv4.tcp_rmem`.
const MIGHT_GROW: &str = "4096 4096 6291456";

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
        cases.push(
            Case::new(
                format!("restore/narrow/close-wait/{family}"),
                "the segment that puts a FIN back tells the narrow window of the peer at its scale: segments are as small as they \
                 were",
                &["A66", "G4"],
                move |ctx| close_wait(ctx, family),
            )
            .needs(&[Need::RepairWindow])
            .in_c(),
        );
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
    expect_small(&traveller)?;
    traveller.fill(Receive::Small, send)?;
    let probes = match send {
        Send::Empty => Probes::One,
        _ => Probes::AtLeastOne,
    };
    traveller.travel(ctx, probes)
}

fn close_wait(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    pair.b().sysctl("net.ipv4.tcp_rmem", MIGHT_GROW)?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair.connection(family).open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    expect_small(&traveller)?;
    let scale = raw::tcp_info(&traveller.subject)?.snd_wscale;
    expect("the scale of the peer's window", "some", scale, scale > 0)?;
    traveller.fill_and_end(Receive::Small, Send::Empty, Ending::CloseWait)?;
    traveller.travel(ctx, Probes::NoneDue)
}

fn expect_small(traveller: &Traveller) -> Verdict {
    let size = raw::tcp_info(&traveller.subject)?.snd_mss;
    expect(
        "segments before the save",
        "smaller than the peer's clamp lets them be",
        size,
        size < 1_200,
    )
}
