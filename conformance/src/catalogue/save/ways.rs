//! The ways of a save: with an ingress lock, into memory that is there, many at a time; and what a pause costs.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{PATIENCE, Receive, Traveller};
use crate::oracle::stream::End;
use crate::verdict::{Failure, Verdict, expect, expect_eq};
use lab::{Family, wait};
use soccr::raw::{self, Opt};
use soccr::{ErrorKind, Filter, Instruction, SaveSettings, Settings, TcpState, Unsupported};
use std::num::NonZeroUsize;

const LOCKED: SaveSettings = SaveSettings::new().ingress_lock(true);

/// Lets everything through: what an application may have attached.
const EVERYTHING: [Instruction; 1] = [Instruction {
    code: 6,
    jt: 0,
    jf: 0,
    k: u32::MAX,
}];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [Family::V4, Family::V6, Family::V4Mapped] {
        cases.push(Case::new(
            format!("save/ingress-lock/nothing-is-acknowledged/{family}"),
            "with the ingress lock, what arrives during a save is neither taken nor acknowledged, and comes again after \
             it",
            &["F9", "G10"],
            move |ctx| nothing_is_acknowledged(ctx, family),
        ));
        cases.push(Case::new(
            format!("save/ingress-lock/moves/{family}"),
            "a connection in CLOSE-WAIT moves behind the lock of its own sockets: the FIN that is put back passes",
            &["F9", "F1"],
            move |ctx| moves(ctx, family),
        ));
    }
    for (locked, name) in [(false, "put-back"), (true, "locked")] {
        cases.push(Case::new(
            format!("save/filter/{name}"),
            "a filter that the application has attached is as before after a save, with the ingress lock too, and comes \
             back with the connection",
            &["D8", "F9"],
            move |ctx| filter(ctx, locked),
        ));
    }
    cases.push(Case::new(
        "save/cost/minimal",
        "the system calls of a pause are as many for a short queue as for a long one, and are counted",
        &["H3"],
        cost,
    ));
    for (name, read) in [("paused", false), ("read", true)] {
        cases.push(Case::new(
            format!("save/given-up/{name}"),
            "a save that is given up after a part of it resumes the connection, with one window probe and no other packet",
            &["A14", "E13"],
            move |ctx| given_up(ctx, read),
        ));
    }
    cases.push(Case::new(
        "save/path/as-told",
        "what a connection has learned of its path is saved as the kernel tells it",
        &["D14"],
        path,
    ));
    cases.push(Case::new(
        "save/many/each-for-itself",
        "many sockets are saved on one thread or several, the results in their order; one that cannot be stops no other",
        &["C7"],
        many,
    ));
    cases
}

fn nothing_is_acknowledged(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Small, crate::journey::Send::Empty)?;
    let before = raw::siocinq(&traveller.subject)?;
    let paused = soccr::pause_with(&traveller.subject, LOCKED)?;
    traveller.talk.write(End::Peer, &traveller.peer, 10_000)?;
    // The first retransmission is the answer to a first transmission that was not taken.
    let again = || raw::tcp_info(&traveller.peer).is_ok_and(|info| info.total_retrans > 0);
    let taken = || raw::siocoutq(&traveller.peer).is_ok_and(|left| left == 0);
    wait::until(
        "the peer sends again, or has no reason to",
        PATIENCE,
        || again() || taken(),
    )?;
    expect_eq("what the peer has sent is acknowledged", taken(), false)?;
    expect_eq(
        "SIOCINQ while it is locked",
        raw::siocinq(&traveller.subject)?,
        before,
    )?;
    let snapshot = paused.read_data()?.queue_bytes()?.resume()?;
    expect_eq(
        "bytes in the snapshot",
        snapshot.receive.bytes.len() as i32,
        before,
    )?;
    traveller.talk.drain(&traveller.subject, &traveller.peer)?;
    traveller
        .talk
        .exchange(&traveller.subject, &traveller.peer, 20_000)?;
    traveller.talk.close(&traveller.subject, &traveller.peer)
}

fn moves(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.settings = Settings::new()
        .fin(soccr::FinMode::Inject)
        .ingress_lock(true);
    traveller.fill_and_end(
        Receive::Small,
        crate::journey::Send::Empty,
        crate::journey::Ending::CloseWait,
    )?;
    let saved = traveller.save()?;
    expect_eq("the state", saved.snapshot.state, TcpState::CloseWait)?;
    let restored = traveller.arrive(&saved)?;
    let filter = soccr::save(&restored)?.filter;
    expect_eq("the filter after the resume", filter, Filter::default())?;
    traveller.conclude(ctx, &saved, &restored, crate::oracle::wire::Probes::NoneDue)
}

fn filter(ctx: &Context, locked: bool) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_filter(&traveller.subject, &EVERYTHING)?;
    if locked {
        raw::set_int(&traveller.subject, Opt::SO_LOCK_FILTER, 1)?;
    }
    let wanted = Filter {
        program: EVERYTHING.to_vec(),
        locked,
    };
    let paused = soccr::pause_with(&traveller.subject, LOCKED);
    match (locked, paused) {
        (false, Ok(paused)) => {
            paused.read_data()?.queue_bytes()?.resume()?;
        }
        (true, Err(error))
            if matches!(
                error.kind(),
                ErrorKind::Unsupported(Unsupported::LockedFilter)
            ) => {}
        (_, other) => {
            let actual = format!("{:?}", other.map(|_| "success"));
            return Err(Failure::new(
                "a save with the ingress lock",
                "as the filter allows",
                actual,
            )
            .into());
        }
    }
    expect_eq(
        "TCP_REPAIR",
        raw::get_int(&traveller.subject, Opt::TCP_REPAIR)?,
        0,
    )?;
    let saved = traveller.save()?;
    expect_eq("the filter after the save", &saved.snapshot.filter, &wanted)?;
    let restored = traveller.arrive(&saved)?;
    let again = soccr::save(&restored)?.filter;
    expect_eq("the filter after the restore", again, wanted)?;
    traveller
        .talk
        .exchange(&restored, &traveller.peer, 10_000)?;
    traveller.talk.close(&restored, &traveller.peer)
}

fn path(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    traveller
        .talk
        .exchange(&traveller.subject, &traveller.peer, 100_000)?;
    let path = soccr::save(&traveller.subject)?.path;
    let info = raw::tcp_info(&traveller.subject)?;
    let saved = [
        path.rtt,
        path.rttvar,
        path.rto,
        path.cwnd,
        path.ssthresh,
        path.mtu,
    ];
    let told = [
        info.rtt,
        info.rttvar,
        info.rto,
        info.snd_cwnd,
        info.snd_ssthresh,
        info.pmtu,
    ];
    let names = "rtt, rttvar, rto, cwnd, ssthresh, mtu";
    expect_eq(names, saved, told)
}

fn cost(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    let mut snapshot = soccr::save(&traveller.subject)?;
    let mut costs = Vec::new();
    for _ in 0..2 {
        traveller.receive_more(5_000)?;
        let saving = || soccr::save_into(&traveller.subject, &mut snapshot, SaveSettings::new());
        let (report, calls) = soccr::faults::record(saving);
        let report = report?;
        let from = calls
            .iter()
            .position(|call| *call == "setsockopt(TCP_REPAIR)");
        let until = calls
            .iter()
            .rposition(|call| *call == "setsockopt(TCP_REPAIR)");
        let paused = from.zip(until).map_or(0, |(from, until)| until - from + 1);
        expect_eq(
            "system calls of the pause",
            report.system_calls,
            paused as u64,
        )?;
        expect(
            "nanoseconds of the pause",
            "more than none",
            report.nanoseconds,
            report.nanoseconds > 0,
        )?;
        expect_eq("readings", report.readings, 1)?;
        costs.push(report.system_calls);
        ctx.note("system calls of a pause", report.system_calls);
        ctx.note("microseconds of a pause", report.nanoseconds / 1_000);
    }
    expect_eq("calls for a queue twice as long", costs[1], costs[0])
}

fn given_up(ctx: &Context, read: bool) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, crate::journey::Send::Empty)?;
    raw::set_int(&traveller.subject, Opt::SO_REUSEADDR, 1)?;
    traveller.capture.mark("pausing")?;
    let paused = soccr::pause(&traveller.subject)?;
    match read {
        true => paused.read_data()?.resume()?,
        false => paused.resume()?,
    }
    traveller.capture.mark("resumed")?;
    let trace = traveller.capture.trace()?.of(&traveller.flow);
    let left = trace.between("pausing", "resumed")?.outgoing();
    expect_eq("segments that left", left.segments().count(), 1)?;
    for (option, wanted) in [(Opt::TCP_REPAIR, 0), (Opt::SO_REUSEADDR, 1)] {
        let found = raw::get_int(&traveller.subject, option)?;
        expect_eq(
            format!("{} after the resume", option.label()),
            found,
            wanted,
        )?;
    }
    let talk = &traveller.talk;
    talk.drain(&traveller.subject, &traveller.peer)?;
    talk.exchange(&traveller.subject, &traveller.peer, 10_000)?;
    talk.close(&traveller.subject, &traveller.peer)
}

fn many(ctx: &Context) -> Verdict {
    const SOCKETS: usize = 40;
    let pair = ctx.pair()?;
    let mut subjects = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..SOCKETS {
        let connection = pair.connection(Family::V4).open()?;
        subjects.push(std::os::fd::OwnedFd::from(connection.client));
        peers.push(connection.server);
    }
    // One in the middle that cannot be saved.
    subjects[SOCKETS / 2] = pair
        .a()
        .enter(|| std::net::UdpSocket::bind("0.0.0.0:0"))??
        .into();
    for threads in [1, 3] {
        let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        let saved = soccr::save_many(&subjects, threads, SaveSettings::new());
        expect_eq("results", saved.len(), SOCKETS)?;
        for (at, (result, peer)) in saved.iter().zip(&peers).enumerate() {
            match result {
                Ok((snapshot, _)) => {
                    let remote = peer.local_addr()?;
                    expect_eq("the remote address", snapshot.endpoints.remote, remote)?;
                }
                Err(error) => expect(
                    "the one that fails",
                    "the UDP socket",
                    format!("{at}: {error}"),
                    at == SOCKETS / 2,
                )?,
            }
        }
        let failed = saved.iter().filter(|result| result.is_err()).count();
        expect_eq("sockets that cannot be saved", failed, 1)?;
    }
    let saved = soccr::save_and_close_many(subjects, NonZeroUsize::MIN.saturating_add(2));
    for (at, result) in saved.into_iter().enumerate() {
        if let Ok(snapshot) = result {
            let subject = pair.a().enter(|| snapshot.restore())??.resume()?;
            raw::send(&subject, b"hello", 0)?;
            let mut bytes = [0; 8];
            let count = raw::recv(&peers[at], &mut bytes, 0)?;
            expect_eq("what the peer reads", &bytes[..count], b"hello")?;
        }
    }
    Ok(())
}
