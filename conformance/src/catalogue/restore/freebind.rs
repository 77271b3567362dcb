//! Addresses that come after the connection: from another host, or out of duplicate address detection.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Left, Mover, Receive, Send, Traveller};
use crate::oracle::state::KernelView;
use crate::oracle::wire::Probes;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Family, Pair};
use soccr::raw::{self, Opt};
use soccr::{Error, FinMode, Lost, Restored, Settings, Snapshot, Step, TcpState};
use std::net::Ipv6Addr;

const FREEBIND: Settings = Settings::new().freebind(true);

/// Addresses beside those that the hosts always have, so that the route to the other stays when one goes.
const EXTRA: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0x0a4d, 1),
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0x0a4d, 2),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new(
        "restore/freebind/tentative/v6",
        "a connection is restored while its address is still tentative, and resumed once it is not",
        &["A36", "C17"],
        tentative,
    )];
    for family in Family::ALL {
        for (name, own) in [("elsewhere", 0), ("elsewhere-and-set", 1)] {
            cases.push(Case::new(
                format!("restore/freebind/{name}/{family}"),
                "a connection is restored before its address has moved to the new host, and resumed afterwards; what the \
                 application has set stays as it was",
                &["A36", "C17"],
                move |ctx| elsewhere(ctx, family, own),
            ));
        }
        cases.push(Case::new(
            format!("restore/freebind/close-wait/{family}"),
            "where the address may be missing, a FIN of the peer is put back without a packet, and not at all by one",
            &["A36", "F6"],
            move |ctx| close_wait(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/freebind/ended/{family}"),
            "a socket whose connection is over comes back with another address, which is named",
            &["A36", "C18"],
            move |ctx| ended(ctx, family),
        ));
    }
    let way = "there is no way to ask for it";
    cases.into_iter().map(|case| case.not_in_c(way)).collect()
}

/// What a restore that must not work says.
fn refused(result: Result<Restored, Error>) -> Verdict {
    let Err(error) = result else {
        return Err(Failure::new("the restore", "a refusal", "success").into());
    };
    expect_eq("the step of the error", error.step(), Step::Bind)?;
    let errno = error.raw_os_error();
    expect_eq("the errno", errno, Some(libc::EADDRNOTAVAIL))?;
    let hint = error.hint().is_some_and(|hint| hint.contains("freebind"));
    expect("the hint of the error", "freebind", &error, hint)
}

fn tentative(ctx: &Context) -> Verdict {
    let [a, b] = EXTRA;
    let pair = ctx.build(Pair::builder().extra_v6(a, b, 64))?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair.connection(Family::V6).at(a, b).open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    // Nothing in flight: a timer would send it again before the address can.
    traveller.fill(Receive::Small, Send::Empty)?;
    let saved = traveller.save()?;
    let host = traveller.pair.a();
    host.remove_address(a.into(), 64)?;
    host.sysctl("net.ipv6.conf.veth0.accept_dad", "1")?;
    // A second each.
    host.sysctl("net.ipv6.conf.veth0.dad_transmits", "3")?;
    host.add_address(a.into(), 64)?;
    refused(host.enter(|| saved.snapshot.restore())?)?;
    let restored = host.enter(|| saved.snapshot.restore_with(FREEBIND))??;
    let usable = host.enter(|| std::net::TcpListener::bind((a, 0)))?.is_ok();
    if usable {
        let reason = "the address was usable before the connection was restored";
        return Err(Stop::Broken(reason.to_owned()));
    }
    unset(&restored, 0)?;
    host.settle_address(a.into())?;
    traveller.expect_view(&saved, &KernelView::read(&restored)?)?;
    let restored = traveller.resume(restored)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// What makes it work is not left behind.
fn unset(restored: &Restored, own: i32) -> Verdict {
    for (option, wanted) in [(Opt::IP_FREEBIND, own), (Opt::IP_TRANSPARENT, 0)] {
        expect_eq(option.label(), raw::get_int(restored, option)?, wanted)?;
    }
    Ok(())
}

/// Opens a connection, of whose socket the application says whether it may be bound to any address, and saves it.
fn leave(ctx: &Context, family: Family, own: i32, state: TcpState) -> Result<(Mover, Left), Stop> {
    let mut mover = Mover::open(ctx, family)?;
    raw::set_int(&mover.subject, Opt::IP_FREEBIND, own)?;
    mover.receive()?;
    if state == TcpState::CloseWait {
        mover.end_of_peer()?;
    }
    let left = mover.leave()?;
    Ok((mover, left))
}

fn restore(mover: &Mover, snapshot: &Snapshot, settings: Settings) -> Result<Restored, Stop> {
    let new = mover.trio.new_host();
    Ok(new.enter(|| snapshot.restore_with(settings))??)
}

fn elsewhere(ctx: &Context, family: Family, own: i32) -> Verdict {
    let (mover, left) = leave(ctx, family, own, TcpState::Established)?;
    if own == 0 {
        refused(mover.trio.new_host().enter(|| left.snapshot.restore())?)?;
    }
    let restored = restore(&mover, &left.snapshot, FREEBIND)?;
    unset(&restored, own)?;
    mover.trio.move_address()?;
    mover.arrived(&left, &restored)?;
    mover.conclude(&left, restored, Probes::One)
}

fn close_wait(ctx: &Context, family: Family) -> Verdict {
    let (mover, left) = leave(ctx, family, 0, TcpState::CloseWait)?;
    let by_packet = FREEBIND.fin(FinMode::Inject);
    let new = mover.trio.new_host();
    refused(new.enter(|| left.snapshot.restore_with(by_packet))?)?;
    let restored = restore(&mover, &left.snapshot, FREEBIND)?;
    let named = restored.losses().iter().any(|it| it.what == Lost::State);
    expect_eq("a loss of the state is named", named, true)?;
    mover.trio.move_address()?;
    mover.restored()?;
    mover.conclude(&left, restored, Probes::One)
}

fn ended(ctx: &Context, family: Family) -> Verdict {
    let (mover, left) = leave(ctx, family, 0, TcpState::Established)?;
    let unread = left.snapshot.receive.bytes.len();
    let snapshot = left.snapshot.into_ended(None);
    let restored = restore(&mover, &snapshot, FREEBIND)?;
    let named = restored.losses().iter().any(|it| it.what == Lost::Address);
    expect_eq("a loss of the address is named", named, true)?;
    let stream = restored.resume()?;
    let mut bytes = vec![0; 1 << 16];
    let count = raw::recv(&stream, &mut bytes, raw::MSG_DONTWAIT)?;
    expect_eq("bytes that are left to read", count, unread)?;
    let end = raw::recv(&stream, &mut bytes, raw::MSG_DONTWAIT)?;
    expect_eq("bytes behind them", end, 0)
}
