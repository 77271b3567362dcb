//! Restores whose callers do a part by hand: bind and connect by standard calls, resume by their own `setsockopt`, carry the
//! settings of their socket. It is what users of the C interface do.

use super::expect_refusal;
use crate::case::{Case, Need};
use crate::context::Context;
use crate::journey::{Ending, Plan, Receive, Saved, Send, Traveller};
use crate::oracle::state::KernelView;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::Family;
use soccr::raw::{self, Opt};
use soccr::restore::{connected, create_from};
use soccr::{Error, ErrorKind, FinMode, Held, Settings, Snapshot, TcpState, Unsupported};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in Family::ALL {
        for (name, ending, send) in [
            ("established", Ending::None, Send::Both),
            ("close-wait", Ending::CloseWait, Send::Empty),
            ("fin-wait-2", Ending::FinWait2, Send::Empty),
        ] {
            let plan = Plan {
                family,
                receive: Receive::Small,
                send,
                ending,
                ..Plan::PLAIN
            };
            cases.push(Case::new(
                format!("restore/by-hand/own-resume-{name}/{family}"),
                "a connection that was handed over is whole when its caller leaves repair mode by a call of its own, and says \
                 nothing before",
                &["E1", "E4", "G16"],
                move |ctx| own_resume(ctx, plan),
            ));
            cases.push(Case::new(
                format!("restore/by-hand/standard-calls-{name}/{family}"),
                "a connection is whole whose caller has bound and connected it by standard calls",
                &["E1", "E4", "A21", "A37"],
                move |ctx| standard_calls(ctx, plan),
            ));
        }
    }
    for (name, spoil, says) in OTHERS {
        cases.push(Case::new(
            format!("restore/by-hand/not-that-connection/{name}"),
            "a socket that is not the connection so far is refused, and the error says what is wrong",
            &["A17", "A21"],
            move |ctx| not_that_connection(ctx, spoil, says),
        ));
    }
    cases.push(Case::new(
        "restore/by-hand/not-that-connection/other-network",
        "a socket of another network is refused where a packet has to put a FIN back, which would come in here",
        &["F1", "C17"],
        other_network,
    ).needs(&[Need::NetworkCookie]));
    cases.push(Case::new(
        "restore/by-hand/reuse-address/ended",
        "SO_REUSEADDR of a connection that is over is as it was once it is handed over: no resume puts it back",
        &["A6", "E7"],
        reuse_of_the_ended,
    ));
    cases.push(
        Case::new(
            "restore/by-hand/settings/v4",
            "what the caller has set on a socket of its own is as it was after a restore into it that keeps its settings",
            &["A6", "G8", "G12", "C14"],
            settings,
        )
        .needs(&[Need::BufferLock]),
    );
    cases
}

/// A new socket of the snapshot's family, as a caller has it.
fn new_socket(snapshot: &Snapshot) -> Result<OwnedFd, Stop> {
    let socket = raw::tcp_socket(snapshot.endpoints.family())?;
    if snapshot.endpoints.is_v4_mapped() {
        raw::set_int(&socket, Opt::IPV6_V6ONLY, 0)?;
    }
    Ok(socket)
}

fn hand_over(snapshot: &Snapshot, socket: OwnedFd) -> Result<(OwnedFd, Held), Error> {
    let paused = create_from(snapshot, socket)?.pause()?;
    paused.all_steps()?.hand_over()
}

fn own_resume(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    let saved = traveller.save()?;
    let snapshot = &saved.snapshot;
    let over = || -> Result<_, Stop> { Ok(hand_over(snapshot, new_socket(snapshot)?)?) };
    let (socket, _) = traveller.pair.a().enter(over)??;
    resume_and_conclude(ctx, plan, traveller, &saved, socket, |socket| {
        Ok(raw::set_int(&socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?)
    })
}

fn standard_calls(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    let saved = traveller.save()?;
    let snapshot = &saved.snapshot;
    let (socket, held) = traveller.pair.a().enter(|| by_standard_calls(snapshot))??;
    resume_and_conclude(ctx, plan, traveller, &saved, socket, |socket| {
        Ok(held.resume(&socket)?)
    })
}

fn by_standard_calls(snapshot: &Snapshot) -> Result<(OwnedFd, Held), Stop> {
    let socket = new_socket(snapshot)?;
    drop(
        create_from(snapshot, socket.try_clone()?)?
            .pause()?
            .unbound_data()?,
    );
    raw::bind(&socket, snapshot.endpoints.local)?;
    raw::connect(&socket, snapshot.endpoints.remote)?;
    Ok(connected(snapshot, socket, Settings::new())?
        .no_queue_data()?
        .queue_bytes()?
        .remaining_data()?
        .hand_over()?)
}

fn resume_and_conclude(
    ctx: &Context,
    plan: Plan,
    mut traveller: Traveller,
    saved: &Saved,
    socket: OwnedFd,
    resume: impl FnOnce(&OwnedFd) -> Verdict,
) -> Verdict {
    traveller.expect_view(saved, &KernelView::read(&socket)?)?;
    // A FIN that was put back is acknowledged while it is, not by a timer, which would choose another window.
    let acknowledgements = u32::from(saved.snapshot.state.has_peer_fin());
    let left = raw::tcp_info(&socket)?.segs_out;
    expect_eq("segments that have left", left, acknowledgements)?;
    traveller.about_to_resume()?;
    resume(&socket)?;
    let stream = TcpStream::from(socket);
    traveller.conclude(ctx, saved, &stream, plan.probes())
}

/// Does something else than it should to a socket that is in repair mode and not connected, or to the snapshot.
type Spoil = fn(&OwnedFd, &mut Snapshot) -> Result<(), Stop>;

/// Whether an error says what was done.
type Says = fn(&ErrorKind) -> bool;

const OTHERS: [(&str, Spoil, Says); 4] = [
    (
        "not-connected",
        |_, _| Ok(()),
        |kind| matches!(kind, ErrorKind::Mismatch { found, .. } if found == "CLOSED"),
    ),
    (
        "no-sequence-numbers",
        |socket, snapshot| {
            raw::bind(socket, snapshot.endpoints.local)?;
            raw::connect(socket, snapshot.endpoints.remote)?;
            snapshot.send.end = snapshot.send.end + 1;
            Ok(())
        },
        |kind| matches!(kind, ErrorKind::Mismatch { what, .. } if what.contains("send queue")),
    ),
    (
        "other-port",
        |socket, snapshot| {
            let mut local = snapshot.endpoints.local;
            local.set_port(local.port() ^ 1);
            raw::bind(socket, local)?;
            raw::connect(socket, snapshot.endpoints.remote)?;
            Ok(())
        },
        |kind| matches!(kind, ErrorKind::Mismatch { what, .. } if what.contains("local address")),
    ),
    (
        "over",
        |_, snapshot| {
            snapshot.state = TcpState::Close;
            Ok(())
        },
        |kind| {
            matches!(
                kind,
                ErrorKind::Unsupported(Unsupported::State(TcpState::Close))
            )
        },
    ),
];

fn not_that_connection(ctx: &Context, spoil: Spoil, says: Says) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    let mut saved = traveller.save()?;
    let snapshot = &mut saved.snapshot;
    let outcome = traveller.pair.a().enter(|| -> Result<_, Stop> {
        let socket = new_socket(snapshot)?;
        drop(
            create_from(snapshot, socket.try_clone()?)?
                .pause()?
                .unbound_data()?,
        );
        spoil(&socket, snapshot)?;
        Ok(connected(snapshot, socket, Settings::new()).map(drop))
    })??;
    expect_refusal(outcome, says)
}

fn other_network(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill_and_end(Receive::Small, Send::Empty, Ending::CloseWait)?;
    let saved = traveller.save()?;
    let (a, b) = (traveller.pair.a(), traveller.pair.b());
    let socket = a.enter(|| new_socket(&saved.snapshot))??;
    let inject = Settings::new().fin(FinMode::Inject);
    let outcome = b.enter(|| {
        let created = create_from(&saved.snapshot, socket)?;
        created.settings(inject).pause()?.all_steps()
    })?;
    expect_refusal(
        outcome,
        |kind| matches!(kind, ErrorKind::Mismatch { what, .. } if what.contains("network namespace")),
    )?;
    saved.expect_undisturbed(&traveller.pair)
}

fn reuse_of_the_ended(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    let mut ended = traveller.save()?.snapshot.into_ended(None);
    for reuse in [false, true] {
        ended.reuse_address = reuse;
        let over = || -> Result<_, Stop> { Ok(hand_over(&ended, new_socket(&ended)?)?) };
        let (socket, _) = traveller.pair.a().enter(over)??;
        let found = raw::get_int(&socket, Opt::SO_REUSEADDR)?;
        expect_eq("SO_REUSEADDR once handed over", found, reuse.into())?;
    }
    Ok(())
}

/// Sizes that are smaller than the queue needs, and fixed; a blocking mode and a reuse that the snapshot does not have.
fn settings(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Both)?;
    let mut saved = traveller.save()?;
    saved.snapshot.nonblocking = false;
    let mut snapshot = saved.snapshot.clone();
    let restored = traveller.pair.a().enter(|| -> Result<_, Stop> {
        let socket = new_socket(&snapshot)?;
        raw::set_int(&socket, Opt::SO_SNDBUF, 6_000)?;
        raw::set_int(&socket, Opt::SO_REUSEADDR, 1)?;
        raw::set_int(&socket, Opt::TCP_NODELAY, 1)?;
        let socket = TcpStream::from(socket);
        socket.set_nonblocking(true)?;
        snapshot.keep_settings_of(&socket)?;
        Ok(hand_over(&snapshot, socket.into())?)
    })?;
    let (socket, held) = restored?;
    traveller.expect_view(&saved, &KernelView::read(&socket)?)?;
    traveller.about_to_resume()?;
    held.resume(&socket)?;
    for (option, wanted) in [
        (Opt::SO_SNDBUF, 12_000),
        (Opt::SO_BUF_LOCK, 1),
        (Opt::SO_REUSEADDR, 1),
        (Opt::TCP_NODELAY, 1),
    ] {
        let found = raw::get_int(&socket, option)?;
        expect_eq(
            format!("{} after the resume", option.label()),
            found,
            wanted,
        )?;
    }
    let flags = nix::fcntl::fcntl(socket.as_fd(), nix::fcntl::FcntlArg::F_GETFL)
        .map_err(std::io::Error::from)?;
    expect(
        "the flags of the socket after the resume",
        "O_NONBLOCK",
        flags,
        flags & libc::O_NONBLOCK != 0,
    )?;
    traveller.conclude(ctx, &saved, &TcpStream::from(socket), Plan::PLAIN.probes())
}
