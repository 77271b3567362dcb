//! What the network is like: holes in the stream, other sizes of packets, addresses that hold on one link only, resets.

use crate::case::{Case, Level};
use crate::context::Context;
use crate::forge::{Ends, MSS, forge, forge_in};
use crate::journey::{Ending, Lock, PATIENCE, Privileges, Receive, Send, Traveller};
use crate::oracle::stream::{End, Talk};
use crate::oracle::wire::Probes;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Craft, Direction, Family, Flags, Flow, Host, Match, Pair, Segment, wait};
use soccr::raw::{self, Opt};
use soccr::{Loss, Lost, SaveSettings, Settings, TcpState};
use socket2::{SockRef, Socket};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Mark: the connection was reset.
const RESET: &str = "reset";

/// Addresses that mean something on one link only.
const LINK_LOCAL: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x0a4d, 1),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x0a4d, 2),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "restore/losses/ecn",
            "ECN does not come back: the loss is named, and the connection goes on without",
            &["A48", "H4"],
            ecn,
        )
        .in_c(),
    ];
    cases.push(
        Case::new(
            "restore/losses/accurate-ecn",
            "AccECN, where a save without it is allowed, does not come back: the loss is named, and the connection goes on \
             without",
            &["A48", "H4"],
            accurate_ecn,
        )
        .level(Level::Should)
        .not_in_c("there is no way to allow the loss"),
    );
    for family in Family::ALL {
        cases.push(Case::new(
            format!("restore/lost/beyond-a-hole/{family}"),
            "what had come beyond a hole, and was acknowledged selectively, is sent by the peer once more: nothing is lost",
            &["D13"],
            move |ctx| beyond_a_hole(ctx, family),
        ).in_c());
        cases.push(Case::new(
            format!("restore/reset/before-the-resume/{family}"),
            "a reset that arrives between the restore and the resume is an error for the application, not the end of the \
             stream",
            &["C3", "A9"],
            move |ctx| reset(ctx, family),
        ).in_c());
        for (name, mtu) in [("smaller", 1_300), ("larger", 9_000)] {
            cases.push(Case::new(
                format!("restore/mtu/{name}/{family}"),
                "segments fit the new host's link, and are no larger than the peer has offered to take",
                &["D15", "A46"],
                move |ctx| other_mtu(ctx, family, mtu),
            ).in_c());
        }
        cases.push(Case::new(
            format!("restore/device-bound/close-wait/{family}"),
            "a connection that is bound to a device moves, and the FIN that is put back reaches it",
            &["C17", "F1"],
            move |ctx| device_bound(ctx, family),
        ).in_c());
    }
    for (name, ending) in [
        ("established", Ending::None),
        ("close-wait", Ending::CloseWait),
    ] {
        cases.push(Case::new(
            format!("restore/link-local/{name}"),
            "a connection between link-local addresses moves, with the link that they belong to",
            &["C17", "F1"],
            move |ctx| link_local(ctx, ending),
        ).in_c());
    }
    cases
}

/// The hole stays: whatever of the peer's has the bit PSH is swallowed, and its second segment is brought by a copy without.
///
/// The peer has been restored itself, so that no timer of it is due before a second is over.
fn beyond_a_hole(ctx: &Context, family: Family) -> Verdict {
    const PART: usize = 1_000;
    let mut traveller = forge(ctx, family, Ends::PLAIN)?;
    traveller.peer.set_nodelay(true)?;
    let (inward, pushed) = (traveller.flow.reversed(), Flags::PSH);
    let (a, b) = (traveller.pair.a(), traveller.pair.b());
    let hole = a.blackhole(Direction::Ingress, Match::tcp().flow(inward).flags(pushed))?;
    for _ in 0..2 {
        traveller.talk.write(End::Peer, &traveller.peer, PART)?;
    }
    let beyond = |segment: &Segment| segment.seq == Ends::PLAIN.peer + PART as u32;
    traveller
        .capture
        .until("the second segment", PATIENCE, |packet| {
            packet.segment().is_some_and(beyond)
        })?;
    let trace = traveller.capture.trace()?.along(&inward);
    let second = trace.first(beyond).ok_or_else(|| {
        Stop::Broken("the second segment is not in the trace any more".to_owned())
    })?;
    let copy = Craft::like(b, a, second)
        .flags(Flags::ACK)
        .payload(&End::Peer.stream().bytes(PART as u64, PART));
    b.inject(&copy.frame()?)?;
    let there = || raw::tcp_info(&traveller.subject).is_ok_and(|info| info.rcv_ooopack > 0);
    wait::until("a segment is there beyond the hole", PATIENCE, there)?;
    let saved = traveller.save()?;
    let bytes = saved.snapshot.receive.bytes.len();
    expect_eq("bytes in the saved receive queue", bytes, 0)?;
    if traveller.library.is_rust() {
        let losses = saved.snapshot.losses();
        let named = losses.iter().any(|loss| loss.what == Lost::OutOfOrder);
        expect_eq("a loss of out-of-order data is named", named, true)?;
    }
    drop(hole);
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// What waits to be sent is given up with the connection; nothing of it may leave any more.
fn reset(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Small, Send::Both)?;
    let saved = traveller.save()?;
    let restored = traveller.restore(&saved.snapshot)?;
    traveller.lock = Lock::default();
    let Traveller {
        peer,
        capture,
        flow,
        ..
    } = traveller;
    SockRef::from(&peer).set_linger(Some(Duration::ZERO))?;
    drop(peer);
    let over = || raw::tcp_info(&restored).is_ok_and(|info| info.state == TcpState::Close as u8);
    wait::until("the reset has arrived", PATIENCE, over)?;
    capture.mark(RESET)?;
    let subject = restored.resume()?;
    let sent = capture.trace()?.of(&flow).after(RESET)?.outgoing();
    expect("the wire", "nothing leaves", &sent, sent.is_empty())?;
    let mut bytes = vec![0; 1 << 16];
    let read = std::iter::from_fn(
        || match raw::recv(&subject, &mut bytes, raw::MSG_DONTWAIT) {
            Ok(0) => None,
            Ok(count) => Some(Ok(count)),
            Err(error) => Some(Err(error.raw_os_error())),
        },
    );
    let read: Vec<_> = read.take(2).collect();
    expect("what is read", "an error is", format!("{read:?}"), {
        read.contains(&Err(Some(libc::ECONNRESET)))
    })
}

/// The snapshots are of a connection between links of 1500 bytes.
fn other_mtu(ctx: &Context, family: Family, mtu: u32) -> Verdict {
    const TIMESTAMPS: u32 = 12;
    let pair = ctx.build(Pair::builder().mtu(mtu).offload(false))?;
    let traveller = forge_in(ctx, pair, family, Ends::PLAIN)?;
    traveller
        .talk
        .write(End::Subject, &traveller.subject, 50_000)?;
    traveller.talk.drain(&traveller.subject, &traveller.peer)?;
    let headers = if family == Family::V6 { 60 } else { 40 };
    let fits = u32::from(MSS).min(mtu - headers) - TIMESTAMPS;
    let trace = traveller.capture.trace()?.along(&traveller.flow);
    let largest = trace.segments().map(|segment| segment.payload_len).max();
    expect_eq("the largest segment", largest, Some(fits))?;
    traveller.travel(ctx, Probes::One)
}

fn device_bound(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let device = pair.a().link().to_owned();
    let opening = pair
        .connection(family)
        .on_client(move |socket| raw::set(&**socket, Opt::SO_BINDTODEVICE, device.as_bytes()));
    let connection = opening.open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    traveller.fill_and_end(Receive::Small, Send::Empty, Ending::CloseWait)?;
    let saved = traveller.save()?;
    let restored = traveller.arrive(&saved)?;
    let mut bound = [0; 16];
    let length = raw::get(&restored, Opt::SO_BINDTODEVICE, &mut bound)?;
    let bound = String::from_utf8_lossy(&bound[..length]);
    let link = traveller.pair.a().link().to_owned();
    expect_eq("SO_BINDTODEVICE", bound.trim_end_matches('\0'), &*link)?;
    traveller.conclude(ctx, &saved, &restored, Probes::NoneDue)
}

fn link_local(ctx: &Context, ending: Ending) -> Verdict {
    let [a, b] = LINK_LOCAL;
    let pair = ctx.build(Pair::builder().extra_v6(a, b, 64))?;
    let capture = ctx.capture(pair.a())?;
    let (local, remote) = (SocketAddr::from((a, 40_001)), SocketAddr::from((b, 40_002)));
    let listener = Socket::from(pair.b().enter(|| raw::tcp_socket(soccr::Family::V6))??);
    listener.bind(&on_link_of(pair.b(), remote).into())?;
    listener.listen(1)?;
    let subject = pair.a().enter(|| raw::tcp_socket(soccr::Family::V6))??;
    raw::bind(&subject, on_link_of(pair.a(), local))?;
    raw::connect(&subject, on_link_of(pair.a(), remote))?;
    let mut traveller = Traveller {
        pair,
        capture,
        subject: subject.into(),
        peer: listener.accept()?.0.into(),
        flow: Flow::new(local, remote),
        talk: Talk::default(),
        lock: Lock::default(),
        settings: Settings::new(),
        privileges: Privileges::default(),
        library: ctx.library(),
    };
    let link = traveller.pair.a().ifindex();
    traveller.fill_and_end(Receive::Small, Send::Unacked, ending)?;
    let probes = match ending {
        Ending::None => Probes::One,
        _ => Probes::NoneDue,
    };
    let saved = traveller.save()?;
    let scope = |address| match address {
        SocketAddr::V6(v6) => v6.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let endpoints = saved.snapshot.endpoints;
    let scopes = (scope(endpoints.local), scope(endpoints.remote));
    expect_eq("the links of the saved addresses", scopes, (link, link))?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, probes)
}

/// The same address, with the link of a host.
fn on_link_of(host: &Host, address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) => {
            v6.set_scope_id(host.ifindex());
            v6.into()
        }
        v4 @ SocketAddr::V4(_) => v4,
    }
}

fn ecn(ctx: &Context) -> Verdict {
    let traveller = Traveller::open_with_ecn(ctx)?;
    without_ecn(ctx, traveller, SaveSettings::new())
}

fn accurate_ecn(ctx: &Context) -> Verdict {
    let traveller = Traveller::open_with_accurate_ecn(ctx)?;
    without_ecn(ctx, traveller, SaveSettings::new().accurate_ecn(true))
}

fn without_ecn(ctx: &Context, mut traveller: Traveller, settings: SaveSettings) -> Verdict {
    traveller.fill(Receive::Small, Send::Unacked)?;
    let saved = traveller.save_with(settings)?;
    if traveller.library.is_rust() {
        expect_named(&saved.snapshot.losses(), settings.accurate_ecn)?;
    }
    let restored = traveller.restore(&saved.snapshot)?;
    if let Some(losses) = restored.losses() {
        expect_named(losses, settings.accurate_ecn)?;
    }
    let restored = traveller.resume(restored)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// Fails unless ECN is among them, as the kind that it was.
fn expect_named(losses: &[Loss], accurate: bool) -> Verdict {
    let named = |loss: &Loss| loss.what == Lost::Ecn && loss.detail.contains("AccECN") == accurate;
    let kind = if accurate { "AccECN" } else { "classic ECN" };
    expect(
        format!("a loss of {kind}"),
        "is named",
        format!("{losses:?}"),
        losses.iter().any(named),
    )
}
