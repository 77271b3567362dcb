//! What a restored socket is like for its application: its buffers, its options, its making.

use super::expect_refusal;
use crate::case::{Case, Need};
use crate::context::Context;
use crate::forge::{Ends, forge};
use crate::journey::{Receive, Saved, Send, Traveller};
use crate::oracle::state::KernelView;
use crate::oracle::stream::End;
use crate::oracle::wire::Probes;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Family, Pair};
use soccr::raw::{self, Opt};
use soccr::restore::create_from;
use soccr::{ErrorKind, Unsupported};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

/// More than fits the buffers that a new socket has.
const LARGE_QUEUE: usize = 800_000;

/// Why some of them cannot be asked through C.
const BUFFERS: &str = "the sizes of the buffers are the caller's to carry";

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "restore/buffers/tuned/v4",
            "buffers that the kernel had tuned have their sizes again, and go on being tuned",
            &["H2", "H3", "C14"],
            tuned,
        )
        .not_in_c(BUFFERS)
        .needs(&[Need::ForceBuffers, Need::BufferLock]),
        Case::new(
            "restore/buffers/not-shrunk/v4",
            "a buffer that the kernel has grown for a restored receive queue is not shrunk again",
            &["A32", "H2", "H3"],
            not_shrunk,
        )
        .not_in_c(BUFFERS)
        .needs(&[Need::BufferLock]),
        Case::new(
            "restore/buffers/large-tail/v4",
            "a send queue is not refused before the kernel has refused it",
            &["A32", "G8"],
            large_tail,
        )
        .not_in_c(BUFFERS),
        Case::new(
            "restore/options/no-delay/v4",
            "an option that was set before the resume outlives the pushing of an unsent tail",
            &["D1", "G16"],
            no_delay,
        )
        .in_c(),
        Case::new(
            "restore/socket/own-and-bound/v4",
            "a connection is restored into a socket that the caller has made and bound",
            &["A36"],
            own_and_bound,
        ),
    ];
    for (name, socket, refused) in UNFIT {
        cases.push(Case::new(
            format!("restore/refused/{name}"),
            "a socket that cannot become the connection is refused, and the error says why",
            &["A2", "C7"],
            move |ctx| unfit(ctx, socket, refused),
        ));
    }
    for family in FAMILIES {
        for (half, peer) in [("low", 1_000_000), ("high", 3_000_000_000)] {
            cases.push(
                Case::new(
                    format!("restore/window/unknown-{half}/{family}"),
                    "a snapshot that has no window is restored, and learns the window from its peer",
                    &["A14", "A54"],
                    move |ctx| unknown_window(ctx, family, peer),
                )
                .needs(&[Need::RepairWindow])
                .in_c(),
            );
        }
    }
    cases
}

/// The largest buffer that can be had without forcing it (twice `net.core.rmem_max` or `wmem_max`), as the kernel
/// counts it.
pub(in crate::catalogue) fn largest_unforced() -> io::Result<usize> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_send_buffer_size(1 << 30)?;
    socket.set_recv_buffer_size(1 << 30)?;
    Ok(socket.send_buffer_size()?.max(socket.recv_buffer_size()?))
}

/// A connection of hosts whose buffers are of `size` bytes from the beginning, and go back to the usual for the
/// sockets that come after it.
fn roomy(ctx: &Context, size: usize) -> Result<Traveller, Stop> {
    let pair = ctx.build(Pair::builder().sysctl("net.ipv4.tcp_rmem", rmem(size, size)))?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair.connection(Family::V4).open()?;
    for host in pair.hosts() {
        host.sysctl("net.ipv4.tcp_rmem", &rmem(131_072, size))?;
    }
    Ok(Traveller::new(ctx, pair, capture, connection))
}

fn rmem(default: usize, largest: usize) -> String {
    format!("4096 {default} {largest}")
}

fn tuned(ctx: &Context) -> Verdict {
    let mut traveller = roomy(ctx, 4 * LARGE_QUEUE)?;
    traveller.write_until_stalled(End::Peer, LARGE_QUEUE)?;
    let saved = traveller.save()?;
    let restored = traveller.arrive(&saved)?;
    let size = |option| raw::get_int(&restored, option).map(i32::unsigned_abs);
    let buffers = saved.snapshot.buffers;
    expect_eq("SO_RCVBUF", size(Opt::SO_RCVBUF)?, buffers.receive)?;
    expect_eq("SO_SNDBUF", size(Opt::SO_SNDBUF)?, buffers.send)?;
    expect_eq("SO_BUF_LOCK", size(Opt::SO_BUF_LOCK)?, 0)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

fn not_shrunk(ctx: &Context) -> Verdict {
    let limit = largest_unforced()?;
    let bytes = limit + limit / 4;
    let mut traveller = roomy(ctx, 4 * limit)?;
    traveller.write_until_stalled(End::Peer, bytes)?;
    let saved = traveller.save()?;
    let queued = saved.snapshot.receive.bytes.len();
    expect_eq("bytes in the saved receive queue", queued, bytes)?;
    let restored = traveller.arrive(&saved)?;
    let size = raw::get_int(&restored, Opt::SO_RCVBUF)?.unsigned_abs() as usize;
    let wanted = format!("more than {limit}, all that may be asked for");
    expect("SO_RCVBUF", wanted, size, size > limit)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// As much as fits the largest buffer that can be had, though a careful estimate of the overhead says otherwise.
fn large_tail(ctx: &Context) -> Verdict {
    let limit = largest_unforced()?;
    let bytes = limit / 4 * 3;
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair
        .connection(Family::V4)
        .on_client(|socket| socket.set_send_buffer_size(1 << 30))
        .open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    traveller.send_unacknowledged(bytes)?;
    let saved = traveller.save()?;
    let queued = saved.snapshot.send.bytes.len();
    expect_eq("bytes in the saved send queue", queued, bytes)?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

fn no_delay(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Both)?;
    let saved = traveller.save()?;
    let restored = traveller.restore(&saved.snapshot)?;
    raw::set_int(&restored, Opt::TCP_NODELAY, 1)?;
    let restored = traveller.resume(restored)?;
    let no_delay = raw::get_int(&restored, Opt::TCP_NODELAY)?;
    expect_eq("TCP_NODELAY after the resume", no_delay, 1)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

fn own_and_bound(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Both)?;
    let saved = traveller.save()?;
    let restored = traveller.pair.a().enter(|| -> Result<_, Stop> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&saved.snapshot.endpoints.local.into())?;
        let connected = create_from(&saved.snapshot, socket)?
            .pause()?
            .unbound_data()?
            .connect()?;
        let queued = connected.no_queue_data()?.queue_bytes()?;
        Ok(queued.remaining_data()?)
    })??;
    KernelView::read(&restored)?.expect_equal(&saved.view)?;
    let restored = traveller.resume(restored)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// Makes a socket that a v4 connection cannot be restored into.
type MakeSocket = fn() -> io::Result<OwnedFd>;

/// Whether an error says what is wrong with such a socket.
type Says = fn(&ErrorKind) -> bool;

const UNFIT: [(&str, MakeSocket, Says); 4] = [
    (
        "into-udp",
        || Ok(Socket::new(Domain::IPV4, Type::DGRAM, None)?.into()),
        |kind| matches!(kind, ErrorKind::Unsupported(Unsupported::Protocol(17))),
    ),
    (
        "into-other-family",
        || Ok(Socket::new(Domain::IPV6, Type::STREAM, None)?.into()),
        |kind| matches!(kind, ErrorKind::Mismatch { wanted, found, .. } if wanted == "AF_INET" && found == "AF_INET6"),
    ),
    (
        "into-listening",
        || Ok(TcpListener::bind("127.0.0.1:0")?.into()),
        |kind| matches!(kind, ErrorKind::Mismatch { found, .. } if found == "LISTEN"),
    ),
    (
        "into-bound-elsewhere",
        || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            let elsewhere: SocketAddr = ([127, 0, 0, 1], 0).into();
            socket.bind(&elsewhere.into())?;
            Ok(socket.into())
        },
        |kind| matches!(kind, ErrorKind::Mismatch { what, .. } if what.contains("local address")),
    ),
];

fn unfit(ctx: &Context, socket: MakeSocket, says: Says) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    let snapshot = soccr::save(&traveller.subject)?;
    let outcome = traveller.pair.a().enter(|| -> Result<_, Stop> {
        Ok(create_from(&snapshot, socket()?)
            .and_then(|created| created.pause()?.unbound_data()?.connect()))
    })??;
    expect_refusal(outcome, says)
}

/// After a connect in repair mode the kernel's own window refuses itself for half of all sequence numbers.
fn unknown_window(ctx: &Context, family: Family, peer: u32) -> Verdict {
    let ends = Ends {
        peer,
        ..Ends::PLAIN
    };
    let mut traveller = forge(ctx, family, ends)?;
    traveller.fill(Receive::Small, Send::Both)?;
    let mut saved = traveller.save()?;
    saved.snapshot.window = None;
    saved.view.window = window_without(&traveller, &saved)?;
    let before = saved.snapshot.receive.end.back(1).0;
    expect_eq("snd_wl1", saved.view.window[0], before)?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// The window that a restore of the same snapshot ends up with; its socket is dropped.
fn window_without(traveller: &Traveller, saved: &Saved) -> Result<[u32; 5], Stop> {
    let restored = traveller.restore(&saved.snapshot)?;
    Ok(KernelView::read(&restored)?.window)
}
