//! What the new host is like: its addresses, its limits, its clock, the packets it loses.

use crate::case::{Case, Need};
use crate::context::Context;
use crate::forge::{Ends, forge};
use crate::journey::{Lock, Receive, Saved, Send, Traveller};
use crate::oracle::stream::End;
use crate::oracle::wire::{Probes, RESTORED};
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Blackhole, Direction, Family, Match, Pair};
use soccr::raw::{self, Opt};
use soccr::{InFlight, Settings, TcpState};
use std::net::Ipv6Addr;

/// Shares its last three words with a v4-mapped address.
const LOOKS_MAPPED: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0xffff, 0x0a4d, 1);
/// Does not.
const LOOKS_PLAIN: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0x0a4d, 2);

/// More than the small host's buffers hold by themselves, and no more than an ordinary user may ask for where
/// `net.core.rmem_max` has its default of 212992.
const QUEUE: usize = 150_000;

/// Bytes that fit the first congestion window.
const FLIGHT: usize = 5_000;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "restore/address/looks-mapped/v6",
            "an IPv6 address that only ends like a v4-mapped one is treated as IPv6",
            &["G5"],
            looks_mapped,
        ),
        Case::new(
            "restore/address/v6-only-by-default/mapped",
            "a v4-mapped connection is restored where new sockets are for IPv6 only",
            &["G5"],
            v6_only_by_default,
        ),
        Case::new(
            "restore/timestamps/odd-value/v4",
            "an odd clock value from an older kernel does not turn microsecond timestamps on",
            &["A50", "G14"],
            odd_timestamp,
        )
        .needs(&[Need::MicrosecondTimestamps]),
        Case::new(
            "restore/timestamps/microseconds/v4",
            "a clock that counts microseconds goes on counting them",
            &["A50"],
            microseconds,
        )
        .needs(&[Need::MicrosecondTimestamps]),
    ];
    for family in [Family::V4, Family::V6, Family::V4Mapped] {
        cases.push(Case::new(
            format!("restore/lost/flight/{family}"),
            "data that was in flight and lost is sent again after the restore",
            &["G3", "H8", "E1"],
            move |ctx| lost_flight(ctx, family),
        ));
        for (name, fill) in [("receive", End::Peer), ("send", End::Subject)] {
            cases.push(Case::new(
                format!("restore/buffers/small-host-{name}/{family}"),
                format!("a {name} queue larger than the new host's buffers moves whole, and so do buffer sizes"),
                &["A32", "G8", "H3", "C14"],
                move |ctx| small_host(ctx, family, fill),
            ));
        }
    }
    let mut cases: Vec<_> = cases.into_iter().map(Case::in_c).collect();
    for family in [Family::V4, Family::V6, Family::V4Mapped] {
        let case = Case::new(
            format!("restore/lost/as-unsent/{family}"),
            "data that was in flight and lost is sent by the resume where it is restored as unsent",
            &["G3"],
            move |ctx| lost_flight_as_unsent(ctx, family),
        );
        cases.push(case.not_in_c("there is no way to choose what becomes of data in flight"));
        let case = Case::new(
            format!("restore/lost/fin-as-unsent/{family}"),
            "data and the FIN behind it that were lost are sent by the resume, in their order, where data in flight is restored as \
             unsent",
            &["G3", "E2"],
            move |ctx| lost_fin_as_unsent(ctx, family),
        );
        cases.push(case.not_in_c("there is no way to choose what becomes of data in flight"));
    }
    cases
}

fn looks_mapped(ctx: &Context) -> Verdict {
    let pair = ctx.build(Pair::builder().extra_v6(LOOKS_MAPPED, LOOKS_PLAIN, 64))?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair
        .connection(Family::V6)
        .at(LOOKS_MAPPED, LOOKS_PLAIN)
        .open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    traveller.fill(Receive::Small, Send::Both)?;
    traveller.travel(ctx, Probes::One)
}

fn v6_only_by_default(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4Mapped)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    traveller.pair.a().sysctl("net.ipv6.bindv6only", "1")?;
    traveller.travel(ctx, Probes::One)
}

fn odd_timestamp(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    let mut saved = traveller.save()?;
    match &mut saved.snapshot.options.timestamps {
        Some(timestamps) => timestamps.value |= 1,
        None => return Err(Failure::new("the saved timestamps", "there are some", "none").into()),
    }
    let restored = traveller.arrive(&saved)?;
    let options = raw::tcp_info(&restored)?.options;
    expect_eq("TCPI_OPT_USEC_TS", options & raw::TCPI_OPT_USEC_TS, 0)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

fn microseconds(ctx: &Context) -> Verdict {
    let ends = Ends {
        microseconds: true,
        ..Ends::PLAIN
    };
    let mut traveller = forge(ctx, Family::V4, ends)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    let saved = traveller.save()?;
    let restored = traveller.arrive(&saved)?;
    let options = raw::tcp_info(&restored)?.options;
    expect_eq(
        "TCPI_OPT_USEC_TS",
        options & raw::TCPI_OPT_USEC_TS,
        raw::TCPI_OPT_USEC_TS,
    )?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// The flight never reaches the peer: only the restored socket can send it again.
fn lost_flight(ctx: &Context, family: Family) -> Verdict {
    let (mut traveller, saved) = with_lost_flight(ctx, family)?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// No timer has to end: the resume sends it.
fn lost_flight_as_unsent(ctx: &Context, family: Family) -> Verdict {
    let (traveller, saved) = with_lost_flight(ctx, family)?;
    as_unsent(ctx, traveller, saved, Probes::One)
}

fn lost_fin_as_unsent(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    let hole = lose(&mut traveller)?;
    traveller.talk.end(End::Subject, &traveller.subject)?;
    traveller.reaches(TcpState::FinWait1)?;
    let saved = traveller.save()?;
    expect_eq("an unsent FIN", saved.snapshot.send.fin_unsent, false)?;
    drop(hole);
    as_unsent(ctx, traveller, saved, Probes::NoneDue)
}

fn as_unsent(ctx: &Context, mut traveller: Traveller, saved: Saved, probes: Probes) -> Verdict {
    traveller.lock.unblock_egress();
    traveller.settings = Settings::new().in_flight(InFlight::AsUnsent);
    let restored = traveller.restore(&saved.snapshot)?;
    traveller.capture.mark(RESTORED)?;
    let restored = restored.resume()?;
    let trace = traveller.capture.trace()?.of(&traveller.flow);
    let sent = trace.after(RESTORED)?.outgoing();
    let bytes: u32 = sent.segments().map(|segment| segment.payload_len).sum();
    expect_eq("bytes sent by the resume", bytes, FLIGHT as u32)?;
    let fin = sent.segments().last().is_some_and(|it| it.flags.fin());
    let ends = saved.snapshot.state.has_own_fin();
    expect_eq("the resume ends with a FIN", fin, ends)?;
    traveller.lock = Lock::default();
    traveller.conclude(ctx, &saved, &restored, probes)
}

/// A connection whose last flight never arrived, saved.
fn with_lost_flight(ctx: &Context, family: Family) -> Result<(Traveller, Saved), Stop> {
    let mut traveller = Traveller::open(ctx, family)?;
    let hole = lose(&mut traveller)?;
    let saved = traveller.save()?;
    expect_eq("bytes in flight", saved.snapshot.send.sent().len(), FLIGHT)?;
    drop(hole);
    Ok((traveller, saved))
}

/// Writes a flight that does not arrive, nor does anything else for as long as the hole is there.
fn lose(traveller: &mut Traveller) -> Result<Blackhole, Stop> {
    let outward = Match::tcp().flow(traveller.flow);
    let hole = traveller.pair.b().blackhole(Direction::Ingress, outward)?;
    traveller
        .talk
        .write(End::Subject, &traveller.subject, FLIGHT)?;
    Ok(hole)
}

/// The host that the connection comes back to has the smallest of buffers by default.
fn small_host(ctx: &Context, family: Family, filled: End) -> Verdict {
    let pair = ctx.pair()?;
    for host in pair.hosts() {
        host.sysctl("net.ipv4.tcp_rmem", "4096 1048576 4194304")?;
    }
    let capture = ctx.capture(pair.a())?;
    let connection = pair
        .connection(family)
        .on_client(|socket| socket.set_send_buffer_size(2 * QUEUE))
        .open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    match filled {
        End::Peer => traveller.receive_more(QUEUE)?,
        End::Subject => traveller.send_unacknowledged(QUEUE)?,
    }
    let saved = traveller.save()?;
    for name in ["tcp_rmem", "tcp_wmem"] {
        traveller
            .pair
            .a()
            .sysctl(&format!("net.ipv4.{name}"), "4096 8192 16384")?;
    }
    let restored = traveller.arrive(&saved)?;
    let sent = raw::get_int(&restored, Opt::SO_SNDBUF)?.unsigned_abs();
    let wanted = saved.snapshot.buffers.send;
    expect("SO_SNDBUF after the resume", wanted, sent, sent == wanted)?;
    let locks = raw::get_int(&restored, Opt::SO_BUF_LOCK).ok();
    expect_eq(
        "SO_BUF_LOCK after the resume",
        locks,
        saved.snapshot.buffers.locks.map(i32::from),
    )?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}
