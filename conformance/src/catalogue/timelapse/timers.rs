//! Timers of a restored connection that run to their end.

use super::{HOUR, minutes, moved};
use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Plan, Send, Traveller};
use crate::oracle::stream::End;
use crate::oracle::table::{expect_absent, expect_over};
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Family, Segment, wait};
use soccr::raw::{self, Opt};
use soccr::{FinMode, Settings, TcpState};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// How long `FIN-WAIT-2` lasts without an application, and `TIME-WAIT` (`TCP_TIMEWAIT_LEN`): of the baseline.
const LINGER: Duration = minutes(1);
/// How long a connection is kept whose peer says nothing: as long as fifteen retries (`tcp_retries2`) take that begin at 200 ms
/// and end at 120 s (`tcp_model_timeout`).
const KEPT: Duration = Duration::from_millis(924_600);
/// The longest time between two retries (`TCP_RTO_MAX`).
const LONGEST: Duration = minutes(2);
/// Mark: what is waited for begins.
const WAITING: &str = "waiting";
/// What the idle time of a keepalive is, unless it is set.
const IDLE: Duration = minutes(120);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [Family::V4, Family::V6] {
        for (name, statement, guide, run) in [
            (
                "keepalive/two-hours",
                "a restored connection that is idle asks whether its peer lives when its time has come, and not before",
                &["D2"][..],
                keepalive as fn(&Context, Family) -> Verdict,
            ),
            (
                "user-timeout/ends",
                "a restored connection whose peer is gone is given up after its TCP_USER_TIMEOUT",
                &["D4"],
                user_timeout,
            ),
            (
                "rto/to-the-end",
                "a restored connection whose peer is gone sends again ever later, and is given up when any other would be",
                &["D14"],
                to_the_end,
            ),
            (
                "window-probes/six-hours",
                "a restored connection whose peer has no room asks for it for hours, never gives up, and loses nothing",
                &["A9"],
                window_probes,
            ),
            (
                "fin-wait-2/ends",
                "a connection restored in FIN-WAIT-2 that nobody has any more is gone after a minute",
                &["E3"],
                fin_wait_2,
            ),
            (
                "time-wait/ends",
                "a restored connection that closes first waits in TIME-WAIT, and is gone after a minute",
                &["E8"],
                time_wait,
            ),
        ] {
            cases.push(Case::new(
                format!("timelapse/{name}/{family}"),
                statement,
                guide,
                move |ctx| run(ctx, family),
            ));
        }
    }
    cases
}

/// Waits until something holds; looks once a second.
fn until(what: &str, most: Duration, holds: impl Fn() -> bool) -> Verdict {
    for _ in 0..most.as_secs() {
        if holds() {
            return Ok(());
        }
        thread::sleep(Duration::from_secs(1));
    }
    expect(what.to_owned(), "it comes to that", "it does not", holds())
}

/// What the subject has sent since the wait began: when, in seconds since the first of it, and what.
fn sent(traveller: &Traveller) -> Result<Vec<(f64, Segment)>, Stop> {
    let trace = traveller.capture.trace()?.of(&traveller.flow);
    let start = trace.marks().find(|mark| mark.text == WAITING);
    let start = start.map_or(0, |mark| mark.time);
    let trace = trace.after(WAITING)?.outgoing();
    let packets = trace.packets();
    let sent = packets.filter_map(|packet| {
        let seconds = packet.time.saturating_sub(start) as f64 / 1e9;
        Some((seconds, packet.segment()?.clone()))
    });
    Ok(sent.collect())
}

fn keepalive(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    raw::set_int(&traveller.subject, Opt::SO_KEEPALIVE, 1)?;
    let (_saved, restored) = moved(&mut traveller)?;
    let idle = raw::get_int(&restored, Opt::TCP_KEEPIDLE)?;
    expect_eq("TCP_KEEPIDLE", idle as u64, IDLE.as_secs())?;
    traveller.talk.exchange(&restored, &traveller.peer, 1000)?;
    traveller.capture.mark(WAITING)?;
    // The wheel that timers hang on is coarser the later they end, by up to an eighth.
    let latest = IDLE + IDLE / 8;
    thread::sleep(latest);
    let sent = sent(&traveller)?;
    let probes: Vec<_> = sent
        .iter()
        .filter(|(_, it)| it.payload_len == 0)
        .map(|(at, _)| *at as u64)
        .collect();
    // The acknowledgement of what was exchanged may come behind the mark.
    let late: Vec<_> = probes.iter().filter(|at| **at > 1).collect();
    expect(
        "keepalive probes, seconds after the last segment",
        "one, 7200 to 8100 s after it",
        format!("{probes:?}"),
        matches!(late[..], [at] if (7199..=latest.as_secs()).contains(at)),
    )?;
    traveller.talk.exchange(&restored, &traveller.peer, 1000)?;
    traveller.talk.close(&restored, &traveller.peer)
}

fn user_timeout(ctx: &Context, family: Family) -> Verdict {
    const TIMEOUT: i32 = 30_000;
    let mut traveller = Traveller::open(ctx, family)?;
    raw::set_int(&traveller.subject, Opt::TCP_USER_TIMEOUT, TIMEOUT)?;
    let (_saved, restored) = moved(&mut traveller)?;
    given_up(&mut traveller, &restored, minutes(2))?;
    let last = sent(&traveller)?.last().map_or(0.0, |(at, _)| *at);
    expect(
        "the last segment, seconds after the first",
        "before the timeout of 30 s",
        last,
        last < 30.0,
    )
}

fn to_the_end(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    let (_saved, restored) = moved(&mut traveller)?;
    let start = Instant::now();
    given_up(&mut traveller, &restored, HOUR)?;
    let kept = start.elapsed();
    let sent = sent(&traveller)?;
    let times: Vec<_> = sent.iter().map(|(at, _)| *at).collect();
    ctx.note("sent at, seconds", format!("{times:.1?}"));
    let gaps: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
    expect(
        "how long it was kept, seconds",
        "924.6, and until the next retry would have been due",
        kept.as_secs_f64(),
        (KEPT..=KEPT + LONGEST + LONGEST / 8).contains(&kept),
    )?;
    expect(
        "the time between two, seconds",
        "ever longer, up to 120",
        format!("{gaps:.1?}"),
        gaps.windows(2).skip(1).all(|two| two[1] >= two[0] * 0.99)
            && gaps
                .last()
                .is_some_and(|last| (119.0..=122.0).contains(last)),
    )
}

/// The peer is gone; what is written then is never acknowledged, and the connection is given up.
fn given_up(traveller: &mut Traveller, restored: &TcpStream, most: Duration) -> Verdict {
    traveller
        .lock
        .block_arrival(&traveller.pair, traveller.flow)?;
    traveller.capture.mark(WAITING)?;
    traveller.talk.write(End::Subject, restored, 1000)?;
    let over = || raw::tcp_info(restored).is_ok_and(|info| info.state == TcpState::Close as u8);
    until("the connection is given up", most, over)?;
    let error = restored.take_error()?.and_then(|it| it.raw_os_error());
    expect_eq("SO_ERROR", error, Some(libc::ETIMEDOUT))
}

fn window_probes(ctx: &Context, family: Family) -> Verdict {
    let plan = Plan {
        family,
        send: Send::Unsent,
        ..Plan::PLAIN
    };
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    let (saved, restored) = moved(&mut traveller)?;
    traveller.capture.mark(WAITING)?;
    thread::sleep(6 * HOUR);
    let probes = sent(&traveller)?.len();
    // Ten until 120 s lie between two, and then one each 120 s, or up to an eighth more (as in `keepalive`).
    expect(
        "window probes in six hours",
        "160 to 190",
        probes,
        (160..=190).contains(&probes),
    )?;
    traveller.conclude(ctx, &saved, &restored, plan.probes())
}

fn fin_wait_2(ctx: &Context, family: Family) -> Verdict {
    let plan = Plan {
        family,
        ending: Ending::FinWait2,
        settings: Settings::new().fin(FinMode::Inject),
        ..Plan::PLAIN
    };
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    let (_saved, restored) = moved(&mut traveller)?;
    drop(restored);
    let host = traveller.pair.a();
    thread::sleep(LINGER / 2);
    let early = host.socket(&traveller.flow)?.is_some();
    expect_eq("it is there after half a minute", early, true)?;
    thread::sleep(LINGER);
    expect_absent(host, &traveller.flow)
}

fn time_wait(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    let (_saved, restored) = moved(&mut traveller)?;
    traveller.talk.end(End::Subject, &restored)?;
    let placeholder = traveller
        .pair
        .b()
        .enter(|| raw::tcp_socket(soccr::Family::V4))??;
    drop(std::mem::replace(&mut traveller.peer, placeholder.into()));
    let host = traveller.pair.a();
    let waits = || matches!(host.socket(&traveller.flow), Ok(Some(it)) if it.state == lab::TcpState::TimeWait);
    wait::until("the subject is in TIME-WAIT", LINGER, waits)?;
    drop(restored);
    thread::sleep(LINGER / 2);
    expect_over(host, &traveller.flow)?;
    expect_eq("it waits after half a minute", waits(), true)?;
    thread::sleep(LINGER);
    expect_absent(host, &traveller.flow)
}
