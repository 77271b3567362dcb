//! System calls that fail: each of those that a save or a restore makes, in every state, with every errno that could come.
//!
//! A save that failed has left its connection as it was, a restore that failed has left nothing, and no packet says that
//! anything happened. The connection of each case goes through all of it, one fault after the other, and is then moved
//! and judged like any other.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Plan, Receive, Saved, Send, Traveller};
use crate::oracle::state::KernelView;
use crate::oracle::wire::Probes;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Family, Host};
use soccr::faults::{self, Fault};
use soccr::raw::{self, Opt};
use soccr::{FinMode, Settings, Snapshot};
use std::os::fd::AsFd;

const FAULTS: [Fault; 7] = [
    Fault::Errno(libc::EPERM),
    Fault::Errno(libc::ENOMEM),
    Fault::Errno(libc::EINTR),
    Fault::Errno(libc::EAGAIN),
    Fault::Errno(libc::ENOBUFS),
    Fault::Errno(libc::EIO),
    Fault::Short,
];

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ending, send, state) in [
        (Ending::None, Send::Empty, "established"),
        (Ending::None, Send::Both, "established-full"),
        (Ending::FinWait1, Send::Unacked, "fin-wait-1"),
        (Ending::FinWait1, Send::Unsent, "fin-wait-1-unsent"),
        (Ending::FinWait2, Send::Empty, "fin-wait-2"),
        (Ending::CloseWait, Send::Unsent, "close-wait"),
        (Ending::LastAck, Send::Unacked, "last-ack"),
        (Ending::Closing, Send::Empty, "closing"),
    ] {
        for fin in [FinMode::Inject, FinMode::Emulate] {
            if fin == FinMode::Emulate && matches!(ending, Ending::None | Ending::FinWait1) {
                continue;
            }
            for family in [Family::V4, Family::V6, Family::V4Mapped] {
                let plan = Plan {
                    family,
                    receive: Receive::Small,
                    send,
                    ending,
                    settings: Settings::new().fin(fin),
                    ..Plan::PLAIN
                };
                cases.push(Case::new(
                    format!("fault/every-call/{state}/{fin}/{family}"),
                    "whatever system call of a save or a restore fails, and however: the connection runs on as before, or \
                     can be restored again, nothing is left behind, and no packet tells",
                    &["E13", "G10"],
                    move |ctx| every_call(ctx, plan),
                ));
            }
        }
    }
    cases
}

fn every_call(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    // Values of the application's own, which a save sets aside.
    raw::set_int(&traveller.subject, Opt::SO_REUSEADDR, 1)?;
    raw::set_int(&traveller.subject, Opt::TCP_KEEPIDLE, 77)?;
    let tried_saves = saves(&traveller)?;
    let saved = traveller.save()?;
    traveller.unblock_egress();
    let tried_restores = restores(&traveller, &saved)?;
    ctx.note("faults in a save", tried_saves);
    ctx.note("faults in a restore", tried_restores);
    let restored = traveller.arrive(&saved)?;
    let probes = match (plan.ending, plan.send) {
        (Ending::None, Send::Unsent) => Probes::AtLeastOne,
        (Ending::None, _) => Probes::One,
        _ => Probes::NoneDue,
    };
    traveller.conclude(ctx, &saved, &restored, probes)
}

/// Lets every call of a save fail in every way; returns how many faults that were.
fn saves(traveller: &Traveller) -> Result<usize, Stop> {
    let host = traveller.pair.a();
    let subject = &traveller.subject;
    let save = || host.enter(|| soccr::save(subject));
    let (clean, calls) = faults::record(save);
    let clean = clean??;
    let before = Before::read(host, subject)?;
    let mut tried = 0;
    for (number, call, fault) in all(&calls) {
        let (result, _) = faults::strike_at(number, fault, save);
        let told = format!("{fault:?} at call {number}, {call}, of a save");
        if let Ok(snapshot) = result? {
            expect_as_good(&told, &snapshot, &clean)?;
        }
        let after = Before::read(host, subject)?;
        expect_eq(format!("the socket after {told}"), after, before.clone())?;
        tried += 1;
    }
    Ok(tried)
}

/// Lets every call of a restore fail in every way; returns how many faults that were.
fn restores(traveller: &Traveller, saved: &Saved) -> Result<usize, Stop> {
    let host = traveller.pair.a();
    let settings = traveller.settings;
    let restore = || host.enter(|| saved.snapshot.restore_with(settings));
    let used = sockets_used(host)?;
    let (clean, calls) = faults::record(restore);
    drop(clean??);
    let mut tried = 0;
    for (number, call, fault) in all(&calls) {
        let (result, _) = faults::strike_at(number, fault, restore);
        let told = format!("{fault:?} at call {number}, {call}, of a restore");
        if let Ok(restored) = result? {
            let view = KernelView::read(&restored)?;
            traveller
                .expect_view(saved, &view)
                .map_err(|stop| told_with(&told, stop))?;
        }
        expect_eq(
            format!("sockets of the host after {told}"),
            sockets_used(host)?,
            used,
        )?;
        tried += 1;
    }
    Ok(tried)
}

fn told_with(told: &str, stop: Stop) -> Stop {
    match stop {
        Stop::Fail(failure) => Stop::Fail(Failure {
            what: format!("{} after {told}", failure.what),
            ..failure
        }),
        other => other,
    }
}

/// Every fault that a call can have: only a transfer can be cut short.
fn all(calls: &[&'static str]) -> impl Iterator<Item = (usize, &'static str, Fault)> {
    let calls: Vec<_> = calls.to_vec();
    calls.into_iter().enumerate().flat_map(|(number, call)| {
        let transfer = ["send", "recv"].contains(&call);
        let faults = FAULTS
            .into_iter()
            .filter(move |fault| *fault != Fault::Short || transfer);
        faults.map(move |fault| (number, call, fault))
    })
}

/// A save that succeeded in spite of a fault has to say the same as one without, or name what it lacks.
fn expect_as_good(told: &str, snapshot: &Snapshot, clean: &Snapshot) -> Verdict {
    let (mut found, mut wanted) = (snapshot.clone(), clean.clone());
    for snapshot in [&mut found, &mut wanted] {
        // The clock goes on, and so do timers.
        if let Some(timestamps) = &mut snapshot.options.timestamps {
            timestamps.value = 0;
        }
        snapshot.path = soccr::Path::default();
    }
    if found.unsaved.len() > wanted.unsaved.len() {
        found.unsaved.clone_from(&wanted.unsaved);
        found.socket_options.clone_from(&wanted.socket_options);
    }
    let (found, wanted) = (format!("{found:#?}"), format!("{wanted:#?}"));
    let differing = |of: &str, from: &str| {
        let lines = of
            .lines()
            .filter(|line| !from.lines().any(|other| other == *line));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    };
    expect(
        format!("the snapshot after {told}"),
        differing(&wanted, &found),
        differing(&found, &wanted),
        found == wanted,
    )
}

/// What a save must leave as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Before {
    repair: i32,
    reuse_address: i32,
    inline: i32,
    peek_offset: Option<i32>,
    receive_buffer: i32,
    send_buffer: i32,
    sockets: u64,
}

impl Before {
    fn read(host: &Host, socket: &impl AsFd) -> Result<Self, Stop> {
        let option = |option| raw::get_int(socket, option);
        Ok(Self {
            repair: option(Opt::TCP_REPAIR)?,
            reuse_address: option(Opt::SO_REUSEADDR)?,
            inline: option(Opt::SO_OOBINLINE)?,
            peek_offset: option(Opt::SO_PEEK_OFF).ok(),
            receive_buffer: option(Opt::SO_RCVBUF)?,
            send_buffer: option(Opt::SO_SNDBUF)?,
            sockets: sockets_used(host)?,
        })
    }
}

/// How many sockets the host has, of whatever kind and state: one that was forgotten shows here.
fn sockets_used(host: &Host) -> Result<u64, Stop> {
    let text = host.enter(|| std::fs::read_to_string("/proc/thread-self/net/sockstat"))??;
    let used = text
        .lines()
        .find_map(|line| line.strip_prefix("sockets: used "))
        .and_then(|count| count.trim().parse().ok());
    used.ok_or_else(|| Stop::Broken(format!("no count of sockets in {text:?}")))
}
