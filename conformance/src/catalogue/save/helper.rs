//! Saves by a thread without capabilities, with a helper and without.

use crate::case::Case;
use crate::context::Context;
use crate::helper;
use crate::journey::{Privileges, Receive, Send, Traveller};
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::Family;
use soccr::raw::{self, Opt};
use soccr::{Ability, Error, ErrorKind, SaveSettings, Step};
use std::num::NonZeroUsize;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "save/helper/probe",
            "a probe without capabilities finds repair mode by a helper, and nothing else that it does not set",
            &["A1", "C27"],
            probe,
        ),
        Case::new(
            "save/helper/many",
            "many sockets are saved on several threads, all by the helper of the thread that asks for it",
            &["C27"],
            many,
        ),
    ];
    for family in [Family::V4, Family::V6, Family::V4Mapped] {
        cases.push(Case::new(
            format!("save/helper/without/{family}"),
            "without capabilities and without a helper a save and a restore are not permitted, and say so; the connection \
             runs on",
            &["A1", "C27"],
            move |ctx| without(ctx, family),
        ));
        cases.push(Case::new(
            format!("save/helper/dropped-elsewhere/{family}"),
            "a socket that a helper has paused is resumed by it, wherever its guard is dropped, and is as before",
            &["A6", "C27"],
            move |ctx| dropped_elsewhere(ctx, family),
        ));
    }
    cases
}

fn probe(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let running = helper::serve()?;
    let with = pair.a().enter(soccr::probe)?;
    let found = Privileges::helped_by(&running.helper).call(pair.a(), soccr::probe)?;
    for ability in [Ability::Repair, Ability::QuietOff, Ability::RepairWindow] {
        let what = format!("{ability:?} by a helper");
        expect_eq(what, found.has(ability), with.has(ability))?;
    }
    for ability in [
        Ability::RawIpv4,
        Ability::RawIpv6,
        Ability::Mark,
        Ability::ForceBuffers,
    ] {
        expect_eq(
            format!("{ability:?} by a helper"),
            found.has(ability),
            false,
        )?;
    }
    expect_eq("Repair with capabilities", with.has(Ability::Repair), true)?;
    expect_eq(
        "lengths of the window",
        found.window_lengths,
        with.window_lengths,
    )?;
    running.end().map(drop)
}

fn many(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let running = helper::serve()?;
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push(pair.connection(Family::V4).open()?);
    }
    let sockets: Vec<_> = connections
        .iter()
        .map(|connection| &connection.client)
        .collect();
    let threads = NonZeroUsize::MIN.saturating_add(2);
    let save = || soccr::save_many(&sockets, threads, SaveSettings::new());
    let saved = Privileges::helped_by(&running.helper).call(pair.a(), save)?;
    for (saved, socket) in saved.into_iter().zip(&sockets) {
        let (snapshot, _) = saved?;
        expect_eq(
            "the port",
            snapshot.endpoints.local.port(),
            socket.local_addr()?.port(),
        )?;
        expect_eq("TCP_REPAIR", raw::get_int(socket, Opt::TCP_REPAIR)?, 0)?;
    }
    running.end().map(drop)
}

fn without(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Small, Send::Empty)?;
    let host = traveller.pair.a();
    let nobody = Privileges::none();
    let saved = nobody.call(host, || soccr::save(&traveller.subject))?;
    expect_not_permitted("a save", saved)?;
    let snapshot = host.enter(|| soccr::save(&traveller.subject))??;
    let restored = nobody.call(host, || snapshot.restore())?;
    expect_not_permitted("a restore", restored)?;
    traveller
        .talk
        .exchange(&traveller.subject, &traveller.peer, 20_000)?;
    traveller.talk.drain(&traveller.subject, &traveller.peer)
}

fn expect_not_permitted<T>(what: &str, result: Result<T, Error>) -> Verdict {
    let Err(error) = result else {
        return Err(Failure::new(what, "EPERM", "success").into());
    };
    let typed = matches!(error.kind(), ErrorKind::System { source, .. }
        if source.raw_os_error() == Some(libc::EPERM));
    let hint = error.hint().is_some_and(|hint| hint.contains("helper"));
    let right = typed && hint && error.step() == Step::Pause;
    expect(
        what,
        "EPERM at the pause, and a hint at helpers",
        error,
        right,
    )
}

fn dropped_elsewhere(ctx: &Context, family: Family) -> Verdict {
    let traveller = Traveller::open(ctx, family)?;
    let (host, subject) = (traveller.pair.a(), &traveller.subject);
    raw::set_int(subject, Opt::SO_REUSEADDR, 1)?;
    let options = || -> Result<_, Stop> {
        let reuse = raw::get_int(subject, Opt::SO_REUSEADDR)?;
        Ok((raw::get_int(subject, Opt::TCP_REPAIR)?, reuse))
    };
    let running = helper::serve()?;
    let pause = || soccr::pause(subject);
    let paused = Privileges::helped_by(&running.helper).call(host, pause)??;
    // While it is in repair mode, SO_REUSEADDR reads 2.
    expect_eq("TCP_REPAIR and SO_REUSEADDR, paused", options()?, (1, 2))?;
    Privileges::none().call(host, || drop(paused))?;
    expect_eq("TCP_REPAIR and SO_REUSEADDR, dropped", options()?, (0, 1))?;
    running.end().map(drop)
}
