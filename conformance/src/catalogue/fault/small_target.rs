//! A host whose buffers are smaller than a queue, and a caller who may not force them: the restore is refused by the name of
//! the queue, and can be made again where there is room.

use crate::case::Case;
use crate::catalogue::restore::largest_unforced;
use crate::context::Context;
use crate::helper;
use crate::journey::{Privileges, Traveller};
use crate::oracle::stream::End;
use crate::oracle::table::expect_sockets;
use crate::oracle::wire::Probes;
use crate::verdict::{Failure, Verdict, expect, expect_eq};
use lab::{Family, Pair, on_one_cpu};
use soccr::{Error, ErrorKind, Queue};

/// Which sizes the buffers have: `net.ipv4.tcp_rmem` or `tcp_wmem`.
const SMALL: &str = "4096 8192 16384";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, queue) in [("receive", Queue::Receive), ("send", Queue::Send)] {
        for family in [Family::V4, Family::V6] {
            cases.push(Case::new(
                format!("fault/small-target/{name}/{family}"),
                "a queue that no buffer of the host may hold is refused by its name, with what to raise; nothing is left behind, and \
                 the snapshot can be restored where there is room",
                &["E13", "G8", "H3"],
                move |ctx| on_one_cpu(|| small_target(ctx, family, queue)),
            ));
        }
    }
    cases
}

/// All of it by somebody who may set `TCP_REPAIR` and nothing else: who may force buffers has room everywhere.
fn small_target(ctx: &Context, family: Family, queue: Queue) -> Verdict {
    let limit = largest_unforced()?;
    let bytes = limit + limit / 4;
    let large = format!("4096 {0} {0}", 4 * limit);
    let pair = ctx.build(sizes(Pair::builder(), &large))?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair.connection(family).open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    let running = helper::serve()?;
    traveller.privileges = Privileges::helped_by(&running.helper);
    match queue {
        Queue::Receive => traveller.write_until_stalled(End::Peer, bytes)?,
        Queue::Send => traveller.send_unacknowledged(bytes)?,
    }
    let saved = traveller.save()?;
    let queued = match queue {
        Queue::Receive => saved.snapshot.receive.bytes.len(),
        Queue::Send => saved.snapshot.send.bytes.len(),
    };
    expect_eq("bytes in the saved queue", queued, bytes)?;
    let host = traveller.pair.a();
    let used = host.socket_counts()?.used;
    for name in NAMES {
        host.sysctl(name, SMALL)?;
    }
    let restore = || saved.snapshot.restore().map(drop);
    let outcome = saved.attempt(|| traveller.privileges.call(host, restore))?;
    expect_named(outcome, queue, bytes)?;
    expect_sockets("the refusal", host, used)?;
    for name in NAMES {
        host.sysctl(name, &large)?;
    }
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)?;
    running.end().map(drop)
}

const NAMES: [&str; 2] = ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"];

/// A network whose buffers have these sizes.
pub(super) fn sizes(pair: lab::PairBuilder, value: &str) -> lab::PairBuilder {
    NAMES
        .into_iter()
        .fold(pair, |pair, name| pair.sysctl(name, value))
}

fn expect_named(outcome: Result<(), Error>, queue: Queue, bytes: usize) -> Verdict {
    let error = match outcome {
        Ok(()) => return Err(Failure::new("the restore", "a refusal", "success").into()),
        Err(error) => error,
    };
    let raise = match queue {
        Queue::Receive => "net.core.rmem_max",
        Queue::Send => "net.core.wmem_max",
    };
    let named = matches!(
        error.kind(),
        ErrorKind::Buffer { queue: of, wanted, accepted, .. }
            if *of == queue && *wanted == bytes && accepted < wanted
    );
    let hinted = error.hint().is_some_and(|hint| hint.contains(raise));
    let expected = format!("the {queue}, its {bytes} bytes, and that {raise} is to be raised");
    expect("the refusal", expected, error, named && hinted)
}
