//! A kernel that has no memory left: for a socket filter, and for the queues of all sockets together.

use super::small_target::sizes;
use super::{Before, prepared};
use crate::case::Case;
use crate::context::Context;
use crate::control_group::ControlGroup;
use crate::journey::{Plan, Receive, Saved, Send, Traveller};
use crate::machine_memory::Scarce;
use crate::oracle::stream::End;
use crate::oracle::table::expect_sockets;
use crate::oracle::wire::Probes;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use crate::victim;
use lab::{Family, Host, Pair};
use soccr::{Error, Queue, SaveSettings, Settings, Snapshot};

/// What bounds the filters of a socket, bytes.
const OPTION_MEMORY: &str = "net.core.optmem_max";

/// Less than any filter takes, bytes.
const NEARLY_NONE: &str = "8";

/// Less than the queues of the connection take, bytes: all that the sockets of the control group may have.
const TCP_MEMORY: u64 = 8 << 10;

/// More than a processor takes from what the machine has before it counts it, bytes (kernel `SK_MEMORY_PCPU_RESERVE`: 1 MiB).
const LARGE: usize = 3 << 20;

/// A buffer that holds it, whatever the kernel counts besides, bytes.
const ROOM: usize = 4 * LARGE;

/// A send queue of which nearly all was sent: what was, and what was not, bytes.
const SENT: usize = 1 << 20;
const TAIL: usize = 256 << 10;

/// More than it takes, bytes.
const PLENTY: u64 = 64 << 20;

const REFUSED: &str = "a queue for which the kernel has no memory, though its buffer is large enough, is refused for that; nothing \
     is left behind, and the snapshot can be restored where there is memory";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [Family::V4, Family::V6] {
        cases.push(Case::new(
            format!("fault/memory/filter/{family}"),
            "an ingress lock for which a socket has no memory is an error that says what to raise: the connection runs on as before, \
             or can be restored again, and nothing is left behind",
            &["E13", "A68"],
            move |ctx| filter(ctx, family),
        ));
        for (name, receive, send) in [
            ("receive", Receive::Large, Send::Empty),
            ("send", Receive::Empty, Send::Both),
        ] {
            let plan = Plan {
                family,
                receive,
                send,
                ..Plan::PLAIN
            };
            cases.push(Case::new(
                format!("fault/memory/queue/{name}/{family}"),
                REFUSED,
                &["E13", "A67"],
                move |ctx| queue(ctx, plan),
            ));
        }
        cases.push(Case::new(
            format!("fault/memory/queue/tail/{family}"),
            "a queue for whose end, which was never sent, the kernel has no memory is refused for that, though a buffer that the kernel \
             has shrunk meanwhile would be large enough for that part; nothing is left behind",
            &["E13", "A67"],
            move |ctx| tail(ctx, family),
        ));
        for (name, queue) in [("receive", Queue::Receive), ("send", Queue::Send)] {
            cases.push(Case::new(
                format!("fault/memory/machine/{name}/{family}"),
                REFUSED,
                &["E13", "A67"],
                move |ctx| machine(ctx, family, queue),
            ));
        }
    }
    cases
}

fn filter(ctx: &Context, family: Family) -> Verdict {
    let plan = Plan {
        family,
        receive: Receive::Small,
        send: Send::Unacked,
        ..Plan::PLAIN
    };
    let mut traveller = prepared(ctx, plan)?;
    let host = traveller.pair.a();
    let usual = option_memory(host)?;
    let before = Before::read(&traveller.subject)?;
    host.sysctl(OPTION_MEMORY, NEARLY_NONE)?;
    let locked = SaveSettings::new().ingress_lock(true);
    let paused = host.enter(|| soccr::pause_with(&traveller.subject, locked).map(drop))?;
    expect_no_option_memory("the save", paused)?;
    let after = Before::read(&traveller.subject)?;
    expect_eq("the socket after the save", after, before)?;
    let saved = traveller.save()?;
    let host = traveller.pair.a();
    let used = host.socket_counts()?.used;
    let locked = Settings::new().ingress_lock(true);
    let restored = saved.attempt(|| {
        let restore = || saved.snapshot.restore_with(locked).map(drop);
        host.enter(restore)
    })?;
    expect_no_option_memory("the restore", restored)?;
    expect_sockets("the error", host, used)?;
    host.sysctl(OPTION_MEMORY, &usual)?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// Skips where a network has none of its own.
fn option_memory(host: &Host) -> Result<String, Stop> {
    match host.read_sysctl(OPTION_MEMORY) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Err(Stop::Skip(format!(
            "{OPTION_MEMORY} is the whole machine's here (a network has its own since kernel 6.8)"
        ))),
        read => Ok(read?),
    }
}

fn expect_no_option_memory(what: &str, outcome: Result<(), Error>) -> Verdict {
    let error = match outcome {
        Ok(()) => return Err(Failure::new(what, "ENOMEM", "success").into()),
        Err(error) => error,
    };
    let named = error.raw_os_error() == Some(libc::ENOMEM);
    let hinted = error.hint().is_some_and(|it| it.contains(OPTION_MEMORY));
    let expected = format!("ENOMEM, and that {OPTION_MEMORY} is to be raised");
    expect(
        format!("the error of {what}"),
        expected,
        error,
        named && hinted,
    )
}

/// The sockets of a group have no memory.
fn queue(ctx: &Context, plan: Plan) -> Verdict {
    let group = ControlGroup::with_tcp_memory(TCP_MEMORY)?;
    let mut traveller = prepared(ctx, plan)?;
    let saved = traveller.save()?;
    traveller.show_attempts()?;
    let refused = refused_in(&group, &traveller, &saved, &saved.snapshot, None);
    expect("the restore", "a refusal", "success", refused?)?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, plan.probes())
}

/// The sockets of a group have memory for what was sent, and for some of what was not.
fn tail(ctx: &Context, family: Family) -> Verdict {
    let group = ControlGroup::with_tcp_memory(PLENTY)?;
    let mut traveller = roomy(ctx, family)?;
    traveller.send_unacknowledged(SENT + TAIL)?;
    let saved = traveller.save()?;
    traveller.show_attempts()?;
    // As if nearly all of it had been sent. The peer is not told: whatever is restored of this vanishes before it is resumed.
    let mut told = saved.snapshot.clone();
    told.send.unsent = TAIL as u32;
    let refused = refused_in(&group, &traveller, &saved, &told, Some(TAIL))?;
    expect(
        "the restore with memory for all",
        "success",
        "a refusal",
        !refused,
    )?;
    // A byte takes a byte at least. Of what is too much the kernel takes one packet (`__sk_mem_raise_allocated`), 64 KiB at most.
    let peak = group.peak()?;
    let room = peak.checked_sub(TAIL as u64 / 2);
    let room =
        room.ok_or_else(|| Failure::new("the memory of it", "all that was written", peak))?;
    group.limit(room)?;
    let refused = refused_in(&group, &traveller, &saved, &told, Some(TAIL))?;
    expect(
        "the restore with memory for what was sent",
        "a refusal",
        "success",
        refused,
    )?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// A connection whose buffers have room for everything.
fn roomy(ctx: &Context, family: Family) -> Result<Traveller, Stop> {
    let pair = ctx.build(sizes(Pair::builder(), &format!("4096 {ROOM} {ROOM}")))?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair.connection(family).open()?;
    Ok(Traveller::new(ctx, pair, capture, connection))
}

/// Whether a member of the group is refused the restore, for want of memory for the part of a queue that has so many bytes, or for
/// any.
fn refused_in(
    group: &ControlGroup,
    traveller: &Traveller,
    saved: &Saved,
    snapshot: &Snapshot,
    part: Option<usize>,
) -> Result<bool, Stop> {
    let host = traveller.pair.a();
    let used = host.socket_counts()?.used;
    let refused = saved.attempt(|| victim::restores_in_group(host, snapshot, group, part))?;
    expect_sockets("the attempt", host, used)?;
    Ok(refused)
}

/// The sockets of the whole machine have none: a save takes none either.
fn machine(ctx: &Context, family: Family, queue: Queue) -> Verdict {
    Scarce::possible(ctx)?;
    let mut traveller = roomy(ctx, family)?;
    match queue {
        Queue::Receive => traveller.write_until_stalled(End::Peer, LARGE)?,
        Queue::Send => traveller.send_unacknowledged(LARGE)?,
    }
    let host = traveller.pair.a();
    let before = Before::read(&traveller.subject)?;
    let scarce = Scarce::machine(ctx)?;
    host.enter(|| soccr::save(&traveller.subject).map(drop))??;
    drop(scarce);
    let after = Before::read(&traveller.subject)?;
    expect_eq("the socket after a save without memory", after, before)?;
    let saved = traveller.save()?;
    traveller.show_attempts()?;
    let host = traveller.pair.a();
    let used = host.socket_counts()?.used;
    let scarce = Scarce::machine(ctx)?;
    let restored = saved.attempt(|| host.enter(|| saved.snapshot.restore().map(drop)))?;
    drop(scarce);
    victim::expect_no_memory("the restore", restored)?;
    expect_sockets("the refusal", host, used)?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}
