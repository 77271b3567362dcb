//! What kernels have got wrong before: each case does what raised a warning, divided by zero or lost a connection then.

use super::repair_window::RepairWindow;
use super::subject::{
    Lone, PATIENCE, RCV_NXT, WRITE_SEQ, connect, endpoints, eventually, expect_soon,
    fresh_in_repair, pattern, queue_seq, select, set_options, state,
};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::{Blackhole, Craft, Direction, Family, Flow, Match, Segment};
use nix::sys::socket::{MsgFlags, SockaddrStorage, sendto};
use soccr::TcpState;
use soccr::raw::{
    self, MSG_DONTWAIT, MSG_PEEK, Opt, TCP_RECV_QUEUE, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP,
    TCP_SEND_QUEUE, TCPOPT_MSS,
};
use std::io;
use std::os::fd::AsRawFd;

/// Bits of `/proc/sys/kernel/tainted` (Documentation/admin-guide/tainted-kernels.rst): the kernel has oopsed, or warned.
const TROUBLE: u64 = 1 << 7 | 1 << 9;

/// What the crafted segments of the peer announce, bytes.
const WINDOW: u16 = 60_000;

/// More than the first congestion window, so that a flight of it cannot have been sent at once.
const FLIGHT: usize = 40_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "kernel/past/sent-and-unsent",
            "a send queue with a sent and an unsent part is acknowledged in pieces, after repair mode was left twice",
            &["B4", "B6", "B15"],
            sent_and_unsent,
        )
        .needs(&[Need::RepairWindow, Need::QuietOff]),
        Case::new(
            "kernel/past/one-large-write",
            "a restored write of many segments is sent again by a timer, without a warning of the kernel",
            &["B2", "B16"],
            one_large_write,
        )
        .needs(&[Need::RepairWindow]),
        Case::new(
            "kernel/past/acknowledges-in-order",
            "with its window restored a socket acknowledges from the end of a large flight, where the peer takes it",
            &["B8"],
            |ctx| acknowledges(ctx, true),
        )
        .needs(&[Need::RepairWindow, Need::QuietOff]),
        Case::new(
            "kernel/past/acknowledges-out-of-order",
            "without its window it acknowledges from the beginning of the flight, which a peer can take for old",
            &["B8"],
            |ctx| acknowledges(ctx, false),
        )
        .level(Level::Info)
        .needs(&[Need::QuietOff]),
        Case::new(
            "kernel/past/closed-window",
            "a restored connection with data in flight and a closed window lives on while the peer answers",
            &["B22"],
            closed_window,
        )
        .needs(&[Need::RepairWindow]),
        Case::new(
            "kernel/past/fast-open-before",
            "a Fast Open that was refused in repair mode leaves nothing in the queue of the connect that follows",
            &["B12", "A33"],
            fast_open_before,
        ),
        Case::new(
            "kernel/past/least-segment",
            "an absurd MSS option makes no segments of less than 48 bytes with their options",
            &["B17", "A46"],
            least_segment,
        ),
    ]
}

/// Whether the kernel has oopsed or warned since it was booted.
fn troubled() -> io::Result<bool> {
    let text = std::fs::read_to_string("/proc/sys/kernel/tainted")?;
    Ok(text
        .trim()
        .parse()
        .is_ok_and(|taint: u64| taint & TROUBLE != 0))
}

/// Fails if the kernel, which had not warned of anything before, has done so meanwhile.
fn without_a_warning(ctx: &Context, f: impl FnOnce() -> Verdict) -> Verdict {
    let before = troubled()?;
    ctx.note("the kernel had warned before", before);
    f()?;
    let after = troubled()?;
    expect(
        "the kernel",
        "no warning",
        "/proc/sys/kernel/tainted says that it has warned",
        before || !after,
    )
}

/// A socket whose peer is made of crafted segments: what it sends arrives nowhere.
struct Scripted {
    lone: Lone,
    flow: Flow,
    _nowhere: Blackhole,
}

impl Scripted {
    fn new(ctx: &Context) -> Result<Self, Stop> {
        let lone = Lone::connect(ctx, Family::V4)?;
        let flow = Flow::new(lone.endpoints.local, lone.endpoints.remote);
        let _nowhere = lone
            .pair
            .b()
            .blackhole(Direction::Ingress, Match::tcp().flow(flow))?;
        Ok(Self {
            lone,
            flow,
            _nowhere,
        })
    }

    /// A segment of the peer, with nothing in it yet.
    fn peer(&self) -> Craft {
        Craft::new(self.lone.pair.b(), self.lone.pair.a(), self.flow.reversed())
            .seq(RCV_NXT)
            .window(WINDOW)
    }

    fn says(&self, segment: &Craft) -> Verdict {
        Ok(self.lone.pair.b().inject(&segment.frame()?)?)
    }

    fn open_window(&self) -> Verdict {
        let window = RepairWindow {
            snd_wl1: RCV_NXT,
            snd_wnd: u32::from(WINDOW),
            max_window: u32::from(WINDOW),
            ..RepairWindow::get(&self.lone.socket)?
        };
        expect_ok("TCP_REPAIR_WINDOW", window.set(&self.lone.socket))
    }

    fn write(&self, bytes: &[u8]) -> Verdict {
        let written = raw::send(&self.lone.socket, bytes, MSG_DONTWAIT);
        expect_eq("bytes written", expect_ok("send", written)?, bytes.len())
    }

    fn repair(&self, value: i32) -> Verdict {
        let set = raw::set_int(&self.lone.socket, Opt::TCP_REPAIR, value);
        expect_ok(format!("TCP_REPAIR = {value}"), set)
    }
}

fn sent_and_unsent(ctx: &Context) -> Verdict {
    const PART: usize = 5_000;
    const PIECE: u32 = 1_000;
    let script = Scripted::new(ctx)?;
    let socket = &script.lone.socket;
    without_a_warning(ctx, || {
        script.open_window()?;
        select(socket, TCP_SEND_QUEUE)?;
        script.write(&pattern(PART))?;
        script.repair(TCP_REPAIR_OFF_NO_WP)?;
        script.write(&pattern(PART))?;
        script.repair(raw::TCP_REPAIR_ON)?;
        script.repair(TCP_REPAIR_OFF)?;
        let queued = 2 * PART as u32;
        expect_eq("SIOCOUTQ", raw::siocoutq(socket)?, queued as i32)?;
        for acknowledged in (PIECE..=queued).step_by(PIECE as usize) {
            script.says(&script.peer().ack(WRITE_SEQ + acknowledged))?;
            let left = (queued - acknowledged) as i32;
            let what = format!("SIOCOUTQ after {acknowledged} bytes");
            expect_soon(&what, &left.to_string(), || {
                Ok(raw::siocoutq(socket)? == left)
            })?;
        }
        let rtt = raw::tcp_info(socket)?.rtt;
        expect("tcpi_rtt", "less than a minute", rtt, rtt < 60_000_000)
    })
}

fn one_large_write(ctx: &Context) -> Verdict {
    let script = Scripted::new(ctx)?;
    without_a_warning(ctx, || {
        script.open_window()?;
        select(&script.lone.socket, TCP_SEND_QUEUE)?;
        script.write(&pattern(FLIGHT))?;
        script.repair(TCP_REPAIR_OFF)?;
        let unacked = raw::tcp_info(&script.lone.socket)?.unacked;
        expect("tcpi_unacked", "more than 1", unacked, unacked > 1)?;
        let data = |segment: &Segment| segment.payload_len > 0;
        let again = script
            .lone
            .capture
            .until("data that is sent again", PATIENCE, |packet| {
                packet.segment().is_some_and(data)
            });
        again.map_err(|error| Failure::new("the wire", "data that is sent again", error))?;
        let trace = script.lone.trace()?;
        let wanted = pattern(FLIGHT);
        for segment in trace.segments().filter(|segment| data(segment)) {
            let at = segment.seq.wrapping_sub(WRITE_SEQ) as usize;
            let part = wanted.get(at..at + segment.payload.len());
            let same = part == Some(&segment.payload[..]);
            expect(
                "what is sent again",
                "the bytes of its numbers",
                segment,
                same,
            )?;
        }
        Ok(())
    })
}

/// An old segment of the peer is acknowledged at once, and no window is read from it.
fn acknowledges(ctx: &Context, with_window: bool) -> Verdict {
    let script = Scripted::new(ctx)?;
    if with_window {
        script.open_window()?;
    }
    select(&script.lone.socket, TCP_SEND_QUEUE)?;
    script.write(&pattern(FLIGHT))?;
    script.repair(TCP_REPAIR_OFF_NO_WP)?;
    let old = script.peer().seq(RCV_NXT - 200).ack(WRITE_SEQ);
    script.says(&old.payload(&[7; 100]))?;
    let answer = |segment: &Segment| segment.payload_len == 0 && segment.ack == RCV_NXT;
    let seen = script
        .lone
        .capture
        .until("an acknowledgement", PATIENCE, |packet| {
            packet.direction == Direction::Egress && packet.segment().is_some_and(answer)
        });
    seen.map_err(|error| Failure::new("the wire", "an acknowledgement", error))?;
    let trace = script.lone.trace()?.outgoing();
    let seq = trace.first(answer).map(|segment| segment.seq);
    let wanted = match with_window {
        true => WRITE_SEQ + FLIGHT as u32,
        false => WRITE_SEQ,
    };
    expect_eq("the number of the acknowledgement", seq, Some(wanted))
}

/// What counts is when the peer was heard last, which a restored socket has to begin with the present for.
fn closed_window(ctx: &Context) -> Verdict {
    let script = Scripted::new(ctx)?;
    let socket = &script.lone.socket;
    let window = RepairWindow {
        snd_wl1: RCV_NXT,
        snd_wnd: 0,
        max_window: u32::from(WINDOW),
        ..RepairWindow::get(socket)?
    };
    expect_ok("TCP_REPAIR_WINDOW", window.set(socket))?;
    select(socket, TCP_SEND_QUEUE)?;
    script.write(&pattern(1_000))?;
    script.repair(TCP_REPAIR_OFF)?;
    let sent = |segment: &Segment| segment.payload_len > 0;
    eventually("data that is sent again", || {
        let trace = script.lone.trace().map_err(|_| io::ErrorKind::Other)?;
        Ok(trace.outgoing().any(sent))
    })?;
    expect_eq("the state", state(socket)?, Some(TcpState::Established))?;
    script.says(&script.peer().ack(WRITE_SEQ).window(0))?;
    script.says(&script.peer().ack(WRITE_SEQ + 1_000))?;
    expect_soon("the send queue", "is acknowledged", || {
        Ok(raw::siocoutq(socket)? == 0)
    })
}

fn fast_open_before(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    pair.a().sysctl("net.ipv4.tcp_fastopen", "5")?;
    let socket = fresh_in_repair(pair.a(), Family::V4)?;
    let endpoints = endpoints(&pair, Family::V4);
    let address = SockaddrStorage::from(endpoints.remote);
    let flags = MsgFlags::from_bits_retain(raw::MSG_FASTOPEN) | MsgFlags::MSG_NOSIGNAL;
    without_a_warning(ctx, || {
        let sent = sendto(socket.as_raw_fd(), b"early", &address, flags);
        expect_errno("sendto", sent.map_err(io::Error::from), libc::EPIPE)?;
        connect(&socket, endpoints, WRITE_SEQ, RCV_NXT)?;
        expect_eq("SIOCOUTQ", raw::siocoutq(&socket)?, 0)?;
        for (queue, end) in [(TCP_SEND_QUEUE, WRITE_SEQ), (TCP_RECV_QUEUE, RCV_NXT)] {
            expect_eq("the end of a queue", queue_seq(&socket, queue)?, end)?;
        }
        select(&socket, TCP_SEND_QUEUE)?;
        let peek = raw::recv(&socket, &mut [0; 8], MSG_PEEK | MSG_DONTWAIT);
        expect_eq("bytes peeked at", expect_ok("a peek", peek)?, 0)
    })
}

/// Nothing is sent with it: on a kernel that has not been told better, that is what panics.
fn least_segment(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    for mss in [0, 1, 47, 48, 65_535, 65_536] {
        let set = set_options(&lone.socket, &[(TCPOPT_MSS, mss)]);
        expect_ok(format!("the MSS option, {mss}"), set)?;
        raw::clear(&lone.socket, Opt::IP_OPTIONS)?;
        let segment = raw::tcp_info(&lone.socket)?.snd_mss;
        ctx.note(format!("tcpi_snd_mss after {mss}"), segment);
        let what = format!("tcpi_snd_mss after {mss}");
        let expected = "at least 48, less timestamps";
        expect(what, expected, segment, segment >= 48 - 12)?;
    }
    Ok(())
}
