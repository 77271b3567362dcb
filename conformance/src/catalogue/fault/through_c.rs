//! Each system call of a save through the C interface fails: what the caller is told.

use super::prepared;
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Plan, Receive, Send};
use crate::verdict::{Verdict, expect, expect_eq};
use lab::Family;
use soccr::faults::{self, Fault};
use soccr::raw::{self, Opt};
use soccr_capi::client::Library;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, library: fn() -> Library| {
        Case::new(
            format!("fault/c-save/{name}"),
            "whatever system call of a save through C fails, it returns the number of the part that has failed, errno says why, \
             and the connection runs on",
            &["G10", "G15"],
            move |ctx| numbers(ctx, library()),
        )
    };
    vec![
        case("today", Library::linked),
        case("staged", Library::linked_staged),
    ]
}

/// What libsoccr returns where these calls fail; the peeks, and what selects a queue, in their order.
const NUMBERS: [(&str, &[i32]); 6] = [
    ("getsockopt(TCP_MAXSEG)", &[-3]),
    ("getsockopt(TCP_TIMESTAMP)", &[-3]),
    ("getsockopt(TCP_REPAIR_WINDOW)", &[-4]),
    ("getsockopt(TCP_QUEUE_SEQ)", &[-5, -6]),
    ("setsockopt(TCP_REPAIR_QUEUE)", &[-5, -6]),
    ("recv", &[-5, -6]),
];

fn numbers(ctx: &Context, library: Library) -> Verdict {
    let plan = Plan {
        family: Family::V4,
        receive: Receive::Small,
        send: Send::Unacked,
        ending: Ending::None,
        ..Plan::PLAIN
    };
    let traveller = prepared(ctx, plan)?;
    let subject = &traveller.subject;
    // A paused socket is used wherever it is: only what a restore makes has to be on its host.
    let paused = || library.pause(subject.try_clone()?.into()).map_err(told);
    let mut clean = paused()?;
    let (saved, calls) = faults::record(|| clean.save());
    saved.map_err(told)?;
    clean.resume();
    let mut seen = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let mut paused = paused()?;
        let (saved, _) = faults::strike_at(number, Fault::Errno(libc::EIO), || paused.save());
        let what = format!("call {number}, {call}, of a save that fails");
        if let Err(failed) = saved {
            let allowed = NUMBERS.iter().find(|(name, _)| name == call);
            let allowed = allowed.map_or(&[-2, -5, -6][..], |(_, numbers)| numbers);
            let returned: i32 = failed.returned.parse().unwrap_or(0);
            expect(
                format!("what {what} makes it return"),
                format!("one of {allowed:?}"),
                &failed.returned,
                allowed.contains(&returned),
            )?;
            expect_eq(format!("errno after {what}"), failed.errno, libc::EIO)?;
            seen.push(returned);
            // The first two tell whether it is paused at all.
            let runs = raw::get_int(subject, Opt::TCP_REPAIR)? == 0 || number < 2;
            expect(
                format!("the connection after {what}"),
                "runs on",
                "it is paused",
                runs,
            )?;
        }
        paused.resume();
        let after = raw::get_int(subject, Opt::TCP_REPAIR)?;
        expect_eq(format!("TCP_REPAIR after {what}"), after, 0)?;
    }
    seen.sort_unstable();
    seen.dedup();
    ctx.note("system calls of a save", calls.len());
    expect_eq(
        "the numbers that were returned",
        seen,
        vec![-6, -5, -4, -3, -2],
    )
}

fn told(failed: soccr_capi::client::Failed) -> std::io::Error {
    std::io::Error::other(failed.to_string())
}
