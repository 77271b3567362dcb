//! A helper fails at each request of a save and of a restore, in every way.
//!
//! The library has no capability meanwhile: whatever it does by itself it can do without.

use super::{Before, prepared};
use crate::case::Case;
use crate::context::Context;
use crate::helper::{self, Manner};
use crate::journey::{Ending, Plan, Privileges, Receive, Saved, Send, Traveller};
use crate::oracle::table::expect_sockets;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::Family;
use soccr::raw::{self, Opt};
use soccr::{Error, ErrorKind, FinMode, Rescue, Settings, Step};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (send, ending, state) in [
        (Send::Both, Ending::None, "established-full"),
        (Send::Unsent, Ending::CloseWait, "close-wait"),
    ] {
        for (manner, name) in Manner::ALL {
            for family in [Family::V4, Family::V6, Family::V4Mapped] {
                let plan = Plan {
                    family,
                    receive: Receive::Small,
                    send,
                    ending,
                    settings: Settings::new().fin(FinMode::Emulate),
                    ..Plan::PLAIN
                };
                cases.push(Case::new(
                    format!("fault/helper/{state}/{name}/{family}"),
                    "whatever a helper does instead of what it is asked: the connection runs on as before, unless nobody is \
                     left who could resume it, which another helper can; what was half restored is gone without a packet, \
                     and the snapshot can be restored again",
                    &["C27", "E13"],
                    move |ctx| every_request(ctx, plan, manner),
                ));
            }
        }
    }
    cases
}

fn every_request(ctx: &Context, plan: Plan, manner: Manner) -> Verdict {
    let mut traveller = prepared(ctx, plan)?;
    let saves = saves(&traveller, manner)?;
    let mut saved = traveller.save()?;
    traveller.show_attempts()?;
    let restores = restores(&traveller, &saved, manner)?;
    ctx.note("requests of a save", saves);
    ctx.note("requests of a restore", restores);
    // What the wire has shown is judged; a reset that has never left its host is counted all the same.
    saved.count_from_now(&traveller)?;
    // At the resume too, where that does not keep the connection from living.
    let survives = !matches!(manner, Manner::EndBefore | Manner::Late);
    let last = helper::scripted(survives.then_some((restores, manner)))?;
    traveller.privileges = Privileges::helped_by(&last.helper);
    let restored = traveller.arrive(&saved)?;
    traveller.privileges = Privileges::default();
    expect_eq(
        "SO_LINGER, which hides",
        socket2::SockRef::from(&restored).linger()?,
        None,
    )?;
    last.end()?;
    traveller.conclude(ctx, &saved, &restored, plan.probes())
}

/// Lets every request of a save fail; returns how many those are.
fn saves(traveller: &Traveller, manner: Manner) -> Result<usize, Stop> {
    let (host, subject) = (traveller.pair.a(), &traveller.subject);
    let save = |by: &soccr::Helper| Privileges::helped_by(by).call(host, || soccr::save(subject));
    let before = Before::read(subject)?;
    let used = host.socket_counts()?.used;
    let rescue = Rescue::prepare(subject)?;
    let good = helper::scripted(None)?;
    save(&good.helper)??;
    let requests = good.end()?;
    for number in 0..requests {
        let told = format!("{manner:?} at request {number} of a save");
        let running = helper::scripted(Some((number, manner)))?;
        let saved = save(&running.helper)?;
        if let Err(error) = &saved {
            expect_told(&told, error, manner)?;
        }
        let stays_paused = matches!(&saved, Err(error) if error.step() == Step::Resume);
        let lives = number > 0 && manner != Manner::EndBefore && manner != Manner::Late;
        expect_eq(format!("success after {told}"), saved.is_ok(), lives)?;
        expect_eq(
            format!("the socket is still paused after {told}"),
            raw::get_int(subject, Opt::TCP_REPAIR)?,
            stays_paused.into(),
        )?;
        running.end()?;
        if manner == Manner::Late {
            let repair = raw::get_int(subject, Opt::TCP_REPAIR)?;
            expect_eq(format!("TCP_REPAIR in the end, after {told}"), repair, 0)?;
        }
        if stays_paused || manner == Manner::Late {
            let good = helper::scripted(None)?;
            Privileges::helped_by(&good.helper).call(host, || rescue.put_back(subject))??;
            good.end()?;
        }
        let after = Before::read(subject)?;
        expect_eq(format!("the socket after {told}"), after, before.clone())?;
        expect_sockets(&told, host, used)?;
    }
    Ok(requests)
}

/// Lets every request of a restore fail, and that of the resume where the connection does not live then; returns how many
/// there are before the resume.
fn restores(traveller: &Traveller, saved: &Saved, manner: Manner) -> Result<usize, Stop> {
    let (host, settings) = (traveller.pair.a(), traveller.settings);
    let snapshot = &saved.snapshot;
    let restore = |by: &soccr::Helper| {
        Privileges::helped_by(by).call(host, || snapshot.restore_with(settings))
    };
    let used = host.socket_counts()?.used;
    let good = helper::scripted(None)?;
    drop(saved.attempt(|| restore(&good.helper))??);
    let requests = good.end()?;
    for number in 0..requests {
        let told = format!("{manner:?} at request {number} of a restore");
        let running = helper::scripted(Some((number, manner)))?;
        saved.attempt(|| match restore(&running.helper)? {
            Err(error) => expect_told(&told, &error, manner),
            Ok(_) => Ok(()),
        })?;
        running.end()?;
        expect_sockets(&told, host, used)?;
    }
    if matches!(manner, Manner::EndBefore | Manner::Late) {
        let told = format!("{manner:?} at a resume");
        let running = helper::scripted(Some((requests, manner)))?;
        saved.attempt(|| {
            let restored = restore(&running.helper)??;
            match Privileges::none().call(host, || restored.resume())? {
                Err(error) => expect_told(&told, &error, manner),
                Ok(stream) => expect(told.clone(), "an error", format!("{stream:?}"), false),
            }
        })?;
        running.end()?;
        expect_sockets(&told, host, used)?;
    }
    Ok(requests)
}

/// The error says what the helper has done, and what to do.
fn expect_told(told: &str, error: &Error, manner: Manner) -> Verdict {
    use soccr::helper::Failure;
    let right = match (error.kind(), manner) {
        (ErrorKind::System { source, .. }, Manner::Refuse) => {
            source.raw_os_error() == Some(libc::EPERM)
        }
        (ErrorKind::Helper(Failure::Gone(_)), Manner::EndBefore | Manner::EndAfter) => true,
        (ErrorKind::Helper(Failure::Answer { .. }), Manner::Garbage) => true,
        (ErrorKind::Helper(Failure::Idle), Manner::Idle) => true,
        (ErrorKind::Helper(Failure::Silent(_)), Manner::Late) => true,
        _ => false,
    };
    expect(
        format!("the error after {told}"),
        format!("{manner:?}"),
        error,
        right,
    )?;
    expect_eq(format!("a hint after {told}"), error.hint().is_some(), true)
}
