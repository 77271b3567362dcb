//! What a restored socket has in common with the one before: compared with that socket, not with what was saved of it.

use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::journey::{Ending, Negotiated, Plan, Receive, Send, Traveller};
use crate::oracle::wire::Probes;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Craft, Family, wait};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use soccr::raw::{self, Opt};
use soccr::{FinMode, Seq};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Instant;

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

/// What an application asks for; within what an ordinary user may have.
const BUFFERS: [usize; 2] = [70_000, 90_000];

/// How many bytes are sent as one segment, and how many of them are acknowledged.
const SEGMENT: usize = 1_000;
const ACKNOWLEDGED: u32 = 300;

/// By how much a reading of a clock of milliseconds can be off: rounded when it is set, and when it is read.
const ROUNDING: u32 = 4;

/// How far the clock is put on where a FIN was put back, milliseconds.
const PUT_ON: i32 = 150;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "restore/option/o-nonblock",
            "calls on a restored socket wait if they did before, and return at once if they did that",
            &["D4"],
            nonblocking,
        )
        .not_in_c("O_NONBLOCK is the caller's to carry"),
        Case::new(
            "restore/buffers/fixed/v4",
            "buffer sizes that the application has fixed come back, and are fixed again",
            &["H3", "C14"],
            fixed_buffers,
        )
        .needs(&[Need::BufferLock])
        .not_in_c("the buffers are the caller's to carry"),
        Case::new(
            "restore/descriptors/one",
            "a restored socket has the one descriptor that its application gets, so that it ends when that is closed",
            &["A12"],
            one_descriptor,
        )
        .not_in_c("the caller has a descriptor of his own"),
    ];
    for family in FAMILIES {
        cases.extend([
            Case::new(
                format!("restore/address/as-before/{family}"),
                "a restored socket is of the family that it was, and tells the addresses that it told",
                &["G5"],
                move |ctx| addresses(ctx, family),
            )
            .in_c(),
            Case::new(
                format!("restore/timestamps/goes-on/{family}"),
                "the clock of the timestamps goes on from where it stood: not behind that, and not ahead of the time that has \
                 passed",
                &["A51", "A52"],
                move |ctx| clock(ctx, family),
            )
            .in_c(),
            Case::new(
                format!("restore/timestamps/after-a-fin/{family}"),
                "where a FIN of the peer was put back, which the kernel acknowledges, the clock goes on 150 ms later than it stood: \
                 not behind what an attempt that failed has said",
                &["A51"],
                move |ctx| clock_after_a_fin(ctx, family),
            )
            .level(Level::Should)
            .not_in_c("by how much a clock is put on is this library's choice"),
            Case::new(
                format!("restore/options/scales-differ/{family}"),
                "where the two window scales differ, each comes back as what it was",
                &["A44"],
                move |ctx| scales(ctx, family),
            )
            .in_c(),
            Case::new(
                format!("restore/partly-acknowledged/one-segment/{family}"),
                "of a segment that is acknowledged in part, only what is not is saved, and sent again",
                &["A25", "C1"],
                move |ctx| partly_acknowledged(ctx, family),
            )
            .in_c(),
        ]);
    }
    cases
}

fn nonblocking(ctx: &Context) -> Verdict {
    for wanted in [false, true] {
        let mut traveller = Traveller::open(ctx, Family::V4)?;
        traveller.subject.set_nonblocking(wanted)?;
        let saved = traveller.save()?;
        let restored = traveller.arrive(&saved)?;
        let flags = fcntl(&restored, FcntlArg::F_GETFL).map_err(io::Error::from)?;
        let flags = OFlag::from_bits_retain(flags);
        expect_eq("O_NONBLOCK", flags.contains(OFlag::O_NONBLOCK), wanted)?;
        traveller.conclude(ctx, &saved, &restored, Probes::One)?;
    }
    Ok(())
}

fn fixed_buffers(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let [send, receive] = BUFFERS;
    let connection = pair
        .connection(Family::V4)
        .on_client(|socket| {
            socket.set_send_buffer_size(send)?;
            socket.set_recv_buffer_size(receive)
        })
        .open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    let sizes = |socket: &TcpStream| -> Result<[i32; 3], Stop> {
        let option = |option| raw::get_int(socket, option);
        Ok([
            option(Opt::SO_SNDBUF)?,
            option(Opt::SO_RCVBUF)?,
            option(Opt::SO_BUF_LOCK)?,
        ])
    };
    let before = sizes(&traveller.subject)?;
    let saved = traveller.save()?;
    let restored = traveller.arrive(&saved)?;
    expect_eq("the buffers and their locks", sizes(&restored)?, before)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

fn one_descriptor(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    let saved = traveller.save()?;
    let restored = traveller.arrive(&saved)?;
    expect_eq("descriptors of the socket", descriptors(&restored)?, 1)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// How many descriptors of this process are of the socket. Those of other cases come and go meanwhile.
fn descriptors(socket: &TcpStream) -> Result<usize, Stop> {
    let wanted = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()))?;
    let open = fs::read_dir("/proc/self/fd")?.flatten();
    let same = open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == wanted));
    Ok(same.count())
}

fn addresses(ctx: &Context, family: Family) -> Verdict {
    let told = |socket: &TcpStream| -> Result<(SocketAddr, SocketAddr), Stop> {
        Ok((socket.local_addr()?, socket.peer_addr()?))
    };
    let mut traveller = Traveller::open(ctx, family)?;
    let before = told(&traveller.subject)?;
    let saved = traveller.save()?;
    let restored = traveller.arrive(&saved)?;
    expect_eq("both addresses", told(&restored)?, before)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// The time that passes between the save and the restore is lost to the clock: what it may be ahead is what has passed since.
fn clock(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    let saved = traveller.save()?;
    let Some(timestamps) = saved.snapshot.options.timestamps else {
        return Err(Failure::new("the saved timestamps", "there are some", "none").into());
    };
    let start = Instant::now();
    let restored = traveller.restore(&saved.snapshot)?;
    let now = raw::get_int(&restored, Opt::TCP_TIMESTAMP)? as u32;
    let passed = u32::try_from(start.elapsed().as_millis()).unwrap_or(u32::MAX);
    // Bit 0 of a reading is not the clock's (guide A50).
    let ahead = Seq(now | 1) - Seq(timestamps.value);
    expect(
        "the clock after the restore",
        format!(
            "at most {passed} ms, which have passed, ahead of {}",
            timestamps.value
        ),
        format!("{now}, {ahead} ms ahead"),
        (0..=i64::from(passed) + i64::from(ROUNDING)).contains(&i64::from(ahead)),
    )?;
    let restored = traveller.resume(restored)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

fn clock_after_a_fin(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.settings = traveller.settings.fin(FinMode::Inject);
    traveller.fill_and_end(Receive::Small, Send::Empty, Ending::CloseWait)?;
    let saved = traveller.save()?;
    let Some(timestamps) = saved.snapshot.options.timestamps else {
        return Err(Failure::new("the saved timestamps", "there are some", "none").into());
    };
    let restored = traveller.arrive(&saved)?;
    let now = raw::get_int(&restored, Opt::TCP_TIMESTAMP)? as u32;
    let ahead = Seq(now | 1) - Seq(timestamps.value);
    expect(
        "the clock after the resume",
        format!("{PUT_ON} ms or more ahead of {}", timestamps.value),
        format!("{now}, {ahead} ms ahead"),
        ahead >= PUT_ON,
    )?;
    traveller.conclude(ctx, &saved, &restored, Probes::NoneDue)
}

fn scales(ctx: &Context, family: Family) -> Verdict {
    let plan = Plan {
        family,
        receive: Receive::Small,
        negotiated: Negotiated::ALL,
        ..Plan::PLAIN
    };
    let pair = ctx.build(plan.network(lab::Pair::builder()))?;
    pair.a()
        .sysctl("net.ipv4.tcp_rmem", "4096 131072 1048576")?;
    pair.b()
        .sysctl("net.ipv4.tcp_rmem", "4096 131072 33554432")?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair.connection(family).open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    let info = raw::tcp_info(&traveller.subject)?;
    if info.snd_wscale == info.rcv_wscale {
        let both = format!("both scales are {}", info.snd_wscale);
        return Err(Stop::Broken(both));
    }
    traveller.fill(plan.receive, Send::Both)?;
    traveller.travel(ctx, plan.probes())
}

/// The segment arrives, and only what the peer says of it is changed: its acknowledgement is of the first part.
fn partly_acknowledged(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.send_unacknowledged(SEGMENT)?;
    // What is sent again must not draw a second acknowledgement.
    traveller
        .lock
        .block_egress(&traveller.pair, traveller.flow)?;
    traveller.lock.unblock_ingress();
    let trace = traveller.capture.trace()?.along(&traveller.flow.reversed());
    let last = trace.segments().last();
    let whole = last.ok_or_else(|| Stop::Broken("the peer has said nothing".to_owned()))?;
    let (a, b) = (traveller.pair.a(), traveller.pair.b());
    let partly = Craft::like(b, a, whole).ack(whole.ack - (SEGMENT as u32 - ACKNOWLEDGED));
    b.inject(&partly.frame()?)?;
    let left = SEGMENT - ACKNOWLEDGED as usize;
    let taken = || raw::siocoutq(&traveller.subject).is_ok_and(|bytes| bytes == left as i32);
    wait::until("a part is acknowledged", crate::journey::PATIENCE, taken)?;
    let saved = traveller.save()?;
    expect_eq(
        "bytes in the send queue",
        saved.snapshot.send.bytes.len(),
        left,
    )?;
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}
