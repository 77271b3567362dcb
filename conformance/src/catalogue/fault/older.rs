//! Kernels that lack something: a save and a restore do without it, or say what is missing.
//!
//! The kernel is the one that is here; the calls that are about what it shall lack fail, each time, as an older one lets them.

use super::{expect_as_good, prepared};
use crate::case::{Case, Need};
use crate::catalogue::restore::expect_refusal;
use crate::context::Context;
use crate::journey::{Ending, Plan, Receive, Send};
use crate::oracle::state::KernelView;
use crate::oracle::table::expect_sockets;
use crate::oracle::wire::Probes;
use crate::verdict::{Verdict, expect, expect_eq};
use lab::Family;
use soccr::faults::{Lack, lacking};
use soccr::raw;
use soccr::{ErrorKind, Snapshot, Unsupported};

/// What a kernel lacks, and what is then missing from a snapshot.
struct Older {
    name: &'static str,
    guide: &'static [&'static str],
    lack: Lack,
    forget: fn(&mut Snapshot),
}

const PLAN: Plan = Plan {
    family: Family::V4,
    receive: Receive::Small,
    send: Send::Unacked,
    ending: Ending::None,
    ..Plan::PLAIN
};

const WITHOUT: [Older; 5] = [
    // Before 4.13.
    Older {
        name: "upper-layers",
        guide: &["D12"],
        lack: |call, _| (call == "getsockopt(TCP_ULP)").then_some(libc::ENOPROTOOPT),
        forget: |_| {},
    },
    // Before 5.15.
    Older {
        name: "buffer-locks",
        guide: &["C14"],
        lack: |call, _| call.contains("SO_BUF_LOCK").then_some(libc::ENOPROTOOPT),
        forget: |snapshot| snapshot.buffers.locks = None,
    },
    // Before 6.7.
    Older {
        name: "authentication",
        guide: &["D11"],
        lack: |call, _| (call == "getsockopt(TCP_AO_INFO)").then_some(libc::ENOPROTOOPT),
        forget: |_| {},
    },
    // Before 6.9.
    Older {
        name: "peek-offset",
        guide: &["A28"],
        lack: |call, _| call.contains("SO_PEEK_OFF").then_some(libc::EOPNOTSUPP),
        forget: |_| {},
    },
    // Before 4.19.
    Older {
        name: "quiet-off",
        guide: &["A4"],
        lack: quiet_off,
        forget: |_| {},
    },
];

fn quiet_off(call: &str, bytes: &[u8]) -> Option<i32> {
    let quietly = bytes == raw::TCP_REPAIR_OFF_NO_WP.to_ne_bytes();
    (call == "setsockopt(TCP_REPAIR)" && quietly).then_some(libc::EINVAL)
}

const WINDOW: &str = "getsockopt(TCP_REPAIR_WINDOW)";

fn repair_window(call: &str, _: &[u8]) -> Option<i32> {
    call.contains("TCP_REPAIR_WINDOW")
        .then_some(libc::ENOPROTOOPT)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = WITHOUT
        .iter()
        .map(|older| {
            Case::new(
                format!("fault/older-kernel/{}/v4", older.name),
                "a connection moves whole on a kernel that does not have what a save or a restore asks it for",
                older.guide,
                move |ctx| without(ctx, older),
            )
        })
        .collect();
    cases.push(
        Case::new(
            "fault/older-kernel/repair-window/v4",
            "on a kernel that does not tell the windows, a connection is saved without them, and restored",
            &["A53"],
            no_windows,
        )
        .needs(&[Need::RepairWindow]),
    );
    cases.push(
        Case::new(
            "fault/older-kernel/quiet-off/behind",
            "a connection that is not to send a probe sends one where the kernel cannot leave it out, and lives",
            &["A4"],
            behind,
        )
        .needs(&[Need::QuietOff]),
    );
    for (name, lack) in [
        ("quiet-off", quiet_off as Lack),
        ("repair-window", repair_window),
    ] {
        cases.push(
            Case::new(
                format!("fault/older-kernel/{name}/tail"),
                "where the kernel cannot hold a tail that was never sent, a restore is refused by name, and leaves nothing",
                &["G16", "E13"],
                move |ctx| tail(ctx, lack),
            )
            .needs(&[Need::QuietOff]),
        );
    }
    cases
}

fn without(ctx: &Context, older: &Older) -> Verdict {
    let mut traveller = prepared(ctx, PLAN)?;
    let (host, subject) = (traveller.pair.a(), &traveller.subject);
    let mut clean = host.enter(|| soccr::save(subject))??;
    (older.forget)(&mut clean);
    let (saved, in_save) = host.enter(|| lacking(older.lack, || soccr::save(subject)))?;
    expect_as_good(&format!("a save without {}", older.name), &saved?, &clean)?;
    let repair = raw::get_int(subject, raw::Opt::TCP_REPAIR)?;
    expect_eq("TCP_REPAIR after it", repair, 0)?;
    let saved = traveller.save()?;
    let restore = || lacking(older.lack, || saved.snapshot.restore());
    let (restored, in_restore) = traveller.pair.a().enter(restore)?;
    let restored = restored?;
    traveller.expect_view(&saved, &KernelView::read(&restored)?)?;
    traveller.about_to_resume()?;
    let resume = || lacking(older.lack, || restored.resume());
    let (restored, in_resume) = traveller.pair.a().enter(resume)?;
    expect_asked(in_save + in_restore + in_resume)?;
    let restored = restored?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// More waits to be read than the peer knows of room.
fn behind(ctx: &Context) -> Verdict {
    let plan = Plan {
        receive: Receive::Full,
        send: Send::Empty,
        ..PLAN
    };
    let mut traveller = prepared(ctx, plan)?;
    let saved = traveller.save()?;
    let restored = traveller.pair.a().enter(|| saved.snapshot.restore())??;
    traveller.about_to_resume()?;
    let resume = || lacking(quiet_off, || restored.resume());
    let (restored, asked) = traveller.pair.a().enter(resume)?;
    expect_asked(asked)?;
    traveller.conclude(ctx, &saved, &restored?, Probes::One)
}

fn no_windows(ctx: &Context) -> Verdict {
    let mut traveller = prepared(ctx, PLAN)?;
    let (host, subject) = (traveller.pair.a(), &traveller.subject);
    let mut clean = host.enter(|| soccr::save(subject))??;
    clean.window = None;
    let (without, in_save) = host.enter(|| lacking(repair_window, || soccr::save(subject)))?;
    expect_asked(in_save)?;
    let without = without?;
    expect_as_good("a save without the windows", &without, &clean)?;
    let saved = traveller.save()?;
    let restore = || lacking(repair_window, || without.restore());
    let (restored, in_restore) = traveller.pair.a().enter(restore)?;
    expect_asked(in_restore)?;
    drop(restored?);
    // What becomes of it there, this kernel cannot show: it goes on with what it tells.
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// Without a call that is about it, nothing was lacking.
fn expect_asked(calls: usize) -> Verdict {
    expect("calls that are about it", "some", calls, calls > 0)
}

fn tail(ctx: &Context, lack: Lack) -> Verdict {
    let plan = Plan {
        send: Send::Both,
        ..PLAN
    };
    let mut traveller = prepared(ctx, plan)?;
    let mut saved = traveller.save()?;
    let host = traveller.pair.a();
    let used = host.socket_counts()?.used;
    let mut snapshot = saved.snapshot.clone();
    if lack(WINDOW, &[]).is_some() {
        snapshot.window = None;
    }
    let (outcome, asked) = host.enter(|| lacking(lack, || snapshot.restore()))?;
    expect_asked(asked)?;
    expect_refusal(outcome.map(drop), |kind| {
        matches!(kind, ErrorKind::Unsupported(Unsupported::QuietOff))
    })?;
    expect_sockets("the refusal", host, used)?;
    saved.count_from_now(&traveller)?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, plan.probes())
}
