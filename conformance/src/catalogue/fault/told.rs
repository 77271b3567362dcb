//! Failures that look like ones with a way round, and are not: they are told, and nothing else is done instead.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Receive, Send, Traveller};
use crate::verdict::{Stop, Verdict, expect_eq};
use lab::{Family, Host};
use soccr::faults::{self, Fault};
use soccr::{PendingError, Snapshot};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "fault/told/raw-socket",
            "a raw socket that is not to be had, and not for want of permission, is an error: the FIN is not left out for that",
            &["F1", "F6"],
            raw_socket,
        ),
        Case::new(
            "fault/told/address",
            "the address of a connection that is over, refused though it is on this host, is an error: no other one is taken",
            &["C18"],
            address,
        ),
        Case::new(
            "fault/told/refused",
            "an attempt that is to be refused once more, and fails otherwise, is an error",
            &["E7"],
            refused,
        ),
    ]
}

fn raw_socket(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill_and_end(Receive::Small, Send::Empty, Ending::CloseWait)?;
    let saved = traveller.save()?;
    expect_told(traveller.pair.a(), &saved.snapshot, "socket(SOCK_RAW)")
}

fn address(ctx: &Context) -> Verdict {
    ended(ctx, libc::ECONNRESET, "bind")
}

fn refused(ctx: &Context) -> Verdict {
    ended(ctx, libc::ECONNREFUSED, "connect")
}

fn ended(ctx: &Context, errno: i32, call: &str) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    let error = Some(PendingError::Errno(errno));
    let ended = traveller.save()?.snapshot.into_ended(error);
    expect_told(traveller.pair.a(), &ended, call)
}

/// The first call of this name fails in a restore.
fn expect_told(host: &Host, snapshot: &Snapshot, call: &str) -> Verdict {
    let restore = || host.enter(|| snapshot.restore());
    let (clean, calls) = faults::record(restore);
    drop(clean??);
    let number = calls.iter().position(|made| *made == call);
    let number = number.ok_or_else(|| Stop::Broken(format!("no {call} among {calls:?}")))?;
    let (outcome, _) = faults::strike_at(number, Fault::Errno(libc::EIO), restore);
    let errno = outcome?.err().and_then(|error| error.raw_os_error());
    expect_eq("the errno of the restore", errno, Some(libc::EIO))
}
