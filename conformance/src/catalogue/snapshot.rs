//! Snapshots that no connection can be: refused by field and value, before a socket exists.

mod lint;

use crate::case::Case;
use crate::context::Context;
use crate::verdict::{Failure, Verdict, expect_eq};
use soccr::{Endpoints, ErrorKind, Snapshot, Window, WindowScale};
use std::net::SocketAddr;

/// A change that makes a good snapshot a bad one.
type Spoil = fn(&mut Snapshot);

/// Each with the field that is to be named.
const SPOILS: [(&str, &str, Spoil); 10] = [
    ("unsent-beyond-queue", "send.unsent", |snapshot| {
        snapshot.send.unsent = 4;
    }),
    ("unsent-without-queue", "send.unsent", |snapshot| {
        snapshot.send.bytes.clear();
        snapshot.send.unsent = u32::MAX;
    }),
    ("no-segment-size", "options.mss_clamp", |snapshot| {
        snapshot.options.mss_clamp = 0;
    }),
    ("send-shift", "options.window_scale.snd", |snapshot| {
        snapshot.options.window_scale = Some(WindowScale { snd: 15, rcv: 0 });
    }),
    ("receive-shift", "options.window_scale.rcv", |snapshot| {
        snapshot.options.window_scale = Some(WindowScale { snd: 0, rcv: 255 });
    }),
    ("window-above-maximum", "window.max_window", |snapshot| {
        snapshot.window = Some(Window {
            snd_wnd: 2,
            max_window: 1,
            ..Window::default()
        });
    }),
    ("window-update-far-away", "window.snd_wl1", |snapshot| {
        snapshot.window = Some(Window {
            snd_wl1: snapshot.receive.end + (1 << 31),
            ..Window::default()
        });
    }),
    ("received-after-the-end", "window.rcv_wup", |snapshot| {
        snapshot.window = Some(Window {
            rcv_wup: snapshot.receive.end + 1,
            ..Window::default()
        });
    }),
    ("two-families", "endpoints.remote", |snapshot| {
        snapshot.endpoints.remote = ([0xfd77, 0, 0, 0, 0, 0, 0, 2], 2).into();
    }),
    ("no-port", "endpoints.local", |snapshot| {
        snapshot.endpoints.local.set_port(0);
    }),
];

pub(super) fn cases() -> Vec<Case> {
    let refused = SPOILS.into_iter().map(|(name, field, spoil)| {
        Case::new(
            format!("snapshot/refused/{name}"),
            format!(
                "a snapshot whose {field} cannot be is refused by that name, and nothing is touched"
            ),
            &["G9"],
            move |ctx| refused(ctx, field, spoil),
        )
    });
    refused.chain(lint::cases()).collect()
}

/// A link-local address without its link.
fn unscoped(host: u16) -> SocketAddr {
    ([0xfe80, 0, 0, 0, 0, 0, 0, host], 40_000 + host).into()
}

fn refused(ctx: &Context, field: &str, spoil: Spoil) -> Verdict {
    let pair = ctx.pair()?;
    let mut snapshot = good(Endpoints {
        local: (pair.a().v4(), 1).into(),
        remote: (pair.b().v4(), 2).into(),
    });
    snapshot.validate()?;
    spoil(&mut snapshot);
    let Err(error) = pair.a().enter(|| snapshot.restore().map(drop))? else {
        return Err(Failure::new("the restore", "a refusal", "success").into());
    };
    match error.kind() {
        ErrorKind::Refused(refusal) => expect_eq("the field", refusal.field, field),
        _ => Err(Failure::new("the restore", format!("a refusal of {field}"), error).into()),
    }
}

fn good(endpoints: Endpoints) -> Snapshot {
    let mut snapshot = Snapshot::new(endpoints);
    snapshot.options.mss_clamp = 1_460;
    snapshot.send.bytes = b"abc".to_vec();
    snapshot
}
