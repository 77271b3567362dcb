//! Saves of a socket that its caller has paused, and resumes: as users of the C interface do.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{PATIENCE, Receive, Send, Traveller};
use crate::oracle::stream::End;
use crate::verdict::{Failure, Stop, Verdict, expect_eq};
use lab::{Family, wait};
use nix::sys::socket::{MsgFlags, send};
use soccr::raw::{self, Opt};
use soccr::{ErrorKind, Held, SaveSettings, Step, Unsupported};
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

const ONLY: SaveSettings = SaveSettings::new().connection_only(true);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "save/by-hand/options-untouched/v4",
            "between the steps of a caller that pauses by hand, only SO_REUSEADDR is not as the application has set it",
            &["A6", "A28", "A29"],
            options_untouched,
        ),
        Case::new(
            "save/by-hand/resumed/v4",
            "a connection that was paused, saved and resumed by hand goes on, with one window probe and no other packet",
            &["A14", "E1"],
            resumed,
        ),
        Case::new(
            "save/by-hand/reuse-address/v4",
            "SO_REUSEADDR is as it was after a resume by hand, or as it was set during the pause",
            &["A6", "G13"],
            reuse_address,
        ),
        Case::new(
            "save/by-hand/failure-resumes/v4",
            "a save that fails resumes a socket that was paused by hand, and the next one pauses it again",
            &["G6", "G10"],
            failure_resumes,
        ),
        Case::new(
            "save/by-hand/paused-already/v4",
            "a socket that somebody has paused already can be taken over, saved and resumed",
            &["A7"],
            paused_already,
        ),
        Case::new(
            "save/by-hand/listening/v4",
            "a listening socket cannot be paused by hand: the error is that of entering repair mode",
            &["A2"],
            listening,
        ),
        Case::new(
            "save/by-hand/same-connection/v4",
            "a save of the connection alone reads the same connection",
            &["E1"],
            same_connection,
        ),
    ]
}

fn options(traveller: &Traveller) -> io::Result<[i32; 2]> {
    let get = |option| raw::get_int(&traveller.subject, option);
    // Before kernel 6.9 there is no peek offset.
    let offset = get(Opt::SO_PEEK_OFF).unwrap_or(-1);
    Ok([get(Opt::SO_OOBINLINE)?, offset])
}

fn options_untouched(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Empty)?;
    // As far as this kernel has it.
    let _ = raw::set_int(&traveller.subject, Opt::SO_PEEK_OFF, 4);
    let before = options(&traveller)?;
    let held = Held::pause(&traveller.subject)?;
    expect_eq("options once paused", options(&traveller)?, before)?;
    let (snapshot, _) = held.save(&traveller.subject, ONLY)?;
    traveller.talk.check_received(&snapshot.receive.bytes)?;
    expect_eq("options once saved", options(&traveller)?, before)?;
    held.resume(&traveller.subject)?;
    expect_eq("options once resumed", options(&traveller)?, before)
}

fn resumed(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Empty)?;
    traveller.capture.mark("pausing")?;
    let held = Held::pause(&traveller.subject)?;
    held.save(&traveller.subject, ONLY)?;
    held.resume(&traveller.subject)?;
    traveller.capture.mark("resumed")?;
    let trace = traveller.capture.trace()?.of(&traveller.flow);
    let left = trace.between("pausing", "resumed")?.outgoing();
    expect_eq("segments that left", left.segments().count(), 1)?;
    let talk = &traveller.talk;
    talk.drain(&traveller.subject, &traveller.peer)?;
    talk.exchange(&traveller.subject, &traveller.peer, 10_000)?;
    talk.close(&traveller.subject, &traveller.peer)
}

fn reuse_address(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    let set = |reuse| raw::set_int(&traveller.subject, Opt::SO_REUSEADDR, reuse);
    for (before, meanwhile, after) in [(0, None, 0), (1, None, 1), (0, Some(1), 1), (1, Some(0), 0)]
    {
        set(before)?;
        let held = Held::pause(&traveller.subject)?;
        let told = held.reuses_address().into();
        expect_eq("SO_REUSEADDR, as told in the pause", told, before)?;
        held.save(&traveller.subject, ONLY)?;
        meanwhile.map_or(Ok(()), set)?;
        held.resume(&traveller.subject)?;
        let found = raw::get_int(&traveller.subject, Opt::SO_REUSEADDR)?;
        let what = format!("SO_REUSEADDR, {before} before the pause and {meanwhile:?} in it");
        expect_eq(what, found, after)?;
    }
    Ok(())
}

fn failure_resumes(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::SO_REUSEADDR, 1)?;
    let held = Held::pause(&traveller.subject)?;
    send(traveller.peer.as_raw_fd(), b"!", MsgFlags::MSG_OOB).map_err(io::Error::from)?;
    // Taken in repair mode, too (guide A9).
    let arrived = || raw::siocoutq(&traveller.peer).is_ok_and(|left| left == 0);
    wait::until("the urgent byte has arrived", PATIENCE, arrived)?;
    match held.save(&traveller.subject, ONLY) {
        Err(error) if is_urgent(error.kind()) => {}
        other => {
            let outcome = other.map(|_| "a snapshot");
            let failure = Failure::new(
                "the save",
                "a refusal for urgent data",
                format!("{outcome:?}"),
            );
            return Err(failure.into());
        }
    }
    let now = |option| raw::get_int(&traveller.subject, option);
    expect_eq("TCP_REPAIR after the failure", now(Opt::TCP_REPAIR)?, 0)?;
    expect_eq("SO_REUSEADDR after the failure", now(Opt::SO_REUSEADDR)?, 1)?;
    let mut byte = [0; 8];
    let count = raw::recv(&traveller.subject, &mut byte, raw::MSG_OOB)?;
    expect_eq("the urgent byte", &byte[..count], b"!")?;
    // The mark is where nothing is left to read: only what comes behind it moves on.
    traveller.talk.write(End::Peer, &traveller.peer, 100)?;
    wait::until("more has arrived", PATIENCE, arrived)?;
    let mut one = [0];
    raw::recv(&traveller.subject, &mut one, raw::MSG_DONTWAIT)?;
    let (snapshot, _) = held.save(&traveller.subject, ONLY)?;
    expect_eq("unread bytes", snapshot.receive.bytes.len(), 99)?;
    expect_eq("TCP_REPAIR after the next save", now(Opt::TCP_REPAIR)?, 1)?;
    held.resume(&traveller.subject)?;
    expect_eq("SO_REUSEADDR in the end", now(Opt::SO_REUSEADDR)?, 1)
}

fn is_urgent(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unsupported(Unsupported::UrgentData { .. }))
}

fn paused_already(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Empty)?;
    raw::set_int(&traveller.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
    let held = Held::pause(&traveller.subject)?;
    let (snapshot, _) = held.save(&traveller.subject, ONLY)?;
    traveller.talk.check_received(&snapshot.receive.bytes)?;
    held.resume(&traveller.subject)?;
    let after = raw::get_int(&traveller.subject, Opt::TCP_REPAIR)?;
    expect_eq("TCP_REPAIR after the resume", after, 0)
}

fn listening(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let listener = pair.a().enter(|| TcpListener::bind("0.0.0.0:0"))??;
    let error = Held::pause(&listener).err();
    let told = error.map(|error| (error.step(), error.raw_os_error()));
    expect_eq(
        "the step that fails, and its errno",
        told,
        Some((Step::Pause, Some(libc::EPERM))),
    )
}

fn same_connection(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    let whole = soccr::save(&traveller.subject)?;
    let held = Held::pause(&traveller.subject)?;
    let saved: Result<_, Stop> = held.save(&traveller.subject, ONLY).map_err(Stop::from);
    let (alone, info) = saved?;
    held.resume(&traveller.subject)?;
    let of = |it: &soccr::Snapshot| {
        (
            it.state,
            it.endpoints,
            it.window,
            it.receive.clone(),
            it.send.clone(),
        )
    };
    expect_eq("the connection", of(&alone), of(&whole))?;
    expect_eq(
        "what was negotiated",
        alone.options.mask(),
        whole.options.mask(),
    )?;
    expect_eq(
        "its bits in TCP_INFO",
        info.options & 7,
        alone.options.mask(),
    )?;
    expect_eq("options of the application", alone.socket_options, vec![])
}
