//! Each system call of a resume fails.
//!
//! Until repair mode is left, a resume that fails leaves nothing; from then on it does not fail any more.

use super::every_call::all;
use super::plans;
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Plan, Send, Traveller};
use crate::oracle::table::expect_sockets;
use crate::verdict::{Failure, Stop, Verdict};
use soccr::{Restored, Snapshot, faults};
use std::net::TcpStream;

pub(super) fn cases() -> Vec<Case> {
    let case = |(plan, name): (Plan, String)| {
        Case::new(
            format!("fault/resume/{name}"),
            "whatever system call of a resume fails: the connection has vanished without a packet, or it lives",
            &["E13"],
            move |ctx| every_call(ctx, plan),
        )
    };
    plans()
        .into_iter()
        // What waits to be sent is sent by a resume that works, so that there is one only.
        .filter(|(plan, _)| matches!(plan.send, Send::Empty | Send::Unacked))
        .map(case)
        .collect()
}

fn every_call(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    let saved = traveller.save()?;
    traveller.lock.unblock_egress();
    let tried = resumes(&traveller, saved.snapshot.clone())?;
    ctx.note("faults in a resume", tried.0);
    let subject = restore(&traveller, &tried.1)?.resume()?;
    traveller.lock = crate::journey::Lock::default();
    traveller.talk.drain(&subject, &traveller.peer)?;
    traveller.talk.exchange(&subject, &traveller.peer, 20_000)?;
    traveller.talk.close(&subject, &traveller.peer)?;
    saved.expect_undisturbed(&traveller.pair)?;
    let trace = traveller.capture.trace()?.of(&traveller.flow);
    let since = trace.after(crate::oracle::wire::PAUSING)?;
    match since
        .segments()
        .find(|segment| segment.flags.rst() || segment.flags.syn())
    {
        Some(segment) => Err(Failure::new("the wire", "no RST, no SYN", segment).into()),
        None => Ok(()),
    }
}

/// Returns how many faults that were, and the last snapshot.
fn resumes(traveller: &Traveller, mut snapshot: Snapshot) -> Result<(usize, Snapshot), Stop> {
    let host = traveller.pair.a();
    let used = host.socket_counts()?.used;
    let restored = restore(traveller, &snapshot)?;
    let (clean, calls) = faults::record(|| restored.resume());
    snapshot = save_again(traveller, clean?)?;
    let mut tried = 0;
    for (number, call, fault) in all(&calls) {
        let told = format!("{fault:?} at call {number}, {call}, of a resume");
        let restored = restore(traveller, &snapshot)?;
        let (result, _) = faults::strike_at(number, fault, || restored.resume());
        if let Ok(stream) = result {
            snapshot = save_again(traveller, stream)?;
        }
        expect_sockets(&told, host, used)?;
        tried += 1;
    }
    Ok((tried, snapshot))
}

fn restore(traveller: &Traveller, snapshot: &Snapshot) -> Result<Restored, Stop> {
    let restore = || snapshot.restore_with(traveller.settings);
    Ok(traveller.pair.a().enter(restore)??)
}

fn save_again(traveller: &Traveller, stream: TcpStream) -> Result<Snapshot, Stop> {
    Ok(traveller
        .pair
        .a()
        .enter(|| soccr::save_and_close(stream))??)
}
