//! Timestamp clocks (RFC 7323, section 5) that turn while a connection is away, or says nothing.
//!
//! Half a turn further a clock looks as if it had gone back, and what it marks would be taken for old (PAWS); a whole turn
//! further it looks as if no time had passed. After so long a receiver must not compare them any more (section 5.5;
//! `tcp_paws_check`).
//!
//! The clock of a connection that is away stands still (guide A52), and its peer's goes on, in milliseconds. That of one that is
//! silent goes on, and so does its peer's.

use super::rest::rest;
use super::{HOUR, days, minutes, moved};
use crate::case::{Case, Need};
use crate::context::Context;
use crate::forge::{Ends, forge};
use crate::journey::{Receive, Send, Traveller};
use crate::oracle::wire::{Probes, RESTORED};
use crate::verdict::{Failure, Stop, Verdict, expect};
use lab::{Family, Packet};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection is away, or silent, what its clock counts, and how far that has turned then.
const LONG: [(&str, Duration, Clock, Turn); 5] = [
    ("an-hour", HOUR, Clock::Milliseconds, Turn::Little),
    ("25-days", days(25), Clock::Milliseconds, Turn::Half),
    ("50-days", days(50), Clock::Milliseconds, Turn::Whole),
    (
        "36-minutes-of-microseconds",
        minutes(36),
        Clock::Microseconds,
        Turn::Half,
    ),
    (
        "72-minutes-of-microseconds",
        minutes(72),
        Clock::Microseconds,
        Turn::Whole,
    ),
];
/// Mark: the silence is over.
const BROKEN: &str = "silence broken";
/// How late something may be that takes no time: of a loaded machine.
const APART: Duration = Duration::from_secs(1);

/// How far a clock has turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Little,
    /// By half and more: it seems to have gone back.
    Half,
    /// By a whole and a little.
    Whole,
}

/// What a clock counts.
#[derive(Clone, Copy)]
enum Clock {
    Milliseconds,
    /// Kernel 6.7.
    Microseconds,
}

impl Clock {
    fn ticks(self, time: Duration) -> u128 {
        match self {
            Self::Milliseconds => time.as_millis(),
            Self::Microseconds => time.as_micros(),
        }
    }

    fn needs(self) -> &'static [Need] {
        match self {
            Self::Milliseconds => &[],
            Self::Microseconds => &[Need::MicrosecondTimestamps],
        }
    }

    /// A connection whose subject has such a clock.
    fn open(self, ctx: &Context, family: Family) -> Result<Traveller, Stop> {
        match self {
            Self::Milliseconds => Traveller::open(ctx, family),
            Self::Microseconds => {
                let ends = Ends {
                    microseconds: true,
                    ..Ends::PLAIN
                };
                forge(ctx, family, ends)
            }
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [Family::V4, Family::V6] {
        for (name, time, clock, _) in LONG {
            let away = Case::new(
                format!("timelapse/restore/after-{name}/{family}"),
                "a connection that was away for long goes on as one that was away for a moment",
                &["A51", "A52"],
                move |ctx| away(ctx, family, time, clock),
            );
            let silent = Case::new(
                format!("timelapse/silence/{name}/{family}"),
                "a restored connection that was silent for long goes on: so has its clock, and nothing is taken for old",
                &["A50", "A52"],
                move |ctx| silent(ctx, family, time, clock),
            );
            cases.extend([away, silent].map(|case| case.needs(clock.needs())));
        }
    }
    cases
}

fn away(ctx: &Context, family: Family, time: Duration, clock: Clock) -> Verdict {
    let mut traveller = clock.open(ctx, family)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    let saved = traveller.save()?;
    rest(time)?;
    let restored = traveller.arrive(&saved)?;
    let (capture, flow) = (Arc::clone(&traveller.capture), traveller.flow);
    traveller.conclude(ctx, &saved, &restored, Probes::One)?;
    let trace = capture.trace()?.of(&flow).outgoing();
    let (_, value) = read(trace.after(RESTORED)?.packets().next())?;
    let stood = saved.snapshot.options.timestamps.map(|it| it.value);
    let stood =
        stood.ok_or_else(|| Failure::new("the saved timestamps", "there are some", "none"))?;
    expect_clock("while it was away", value, stood, clock)
}

fn silent(ctx: &Context, family: Family, time: Duration, clock: Clock) -> Verdict {
    let mut traveller = clock.open(ctx, family)?;
    let (saved, restored) = moved(&mut traveller)?;
    // Each end has a timestamp of the other from then on.
    traveller.talk.exchange(&restored, &traveller.peer, 1000)?;
    rest(time)?;
    traveller.capture.mark(BROKEN)?;
    traveller.talk.exchange(&restored, &traveller.peer, 1000)?;
    let trace = traveller.capture.trace()?.of(&traveller.flow).outgoing();
    let (seen, value) = read(trace.between(RESTORED, BROKEN)?.packets().last())?;
    let (seen_then, then) = read(trace.after(BROKEN)?.packets().next())?;
    let passed = seen_then.saturating_sub(seen);
    // The last acknowledgement may come while it is silent already.
    expect(
        "the silence",
        format!("{time:?}"),
        format!("{passed:?}"),
        passed + APART >= time,
    )?;
    // A clock has 32 bits.
    let wanted = value.wrapping_add(clock.ticks(passed) as u32);
    expect_clock(&format!("after {passed:?}"), then, wanted, clock)?;
    traveller.talk.close(&restored, &traveller.peer)?;
    saved.expect_undisturbed(&traveller.pair)
}

/// Fails where a clock is not what it should be.
fn expect_clock(when: &str, value: u32, wanted: u32, clock: Clock) -> Verdict {
    let apart = value.wrapping_sub(wanted).cast_signed().unsigned_abs();
    let most = clock.ticks(APART);
    expect(
        format!("the timestamp clock {when}"),
        format!("{wanted}, or {most} ticks more or less"),
        value,
        u128::from(apart) <= most,
    )
}

/// When a packet was seen, and the timestamp in it.
fn read(packet: Option<&Packet>) -> Result<(Duration, u32), Stop> {
    let segment = packet.and_then(|packet| Some((packet, packet.segment()?)));
    segment
        .and_then(|(packet, segment)| {
            Some((Duration::from_nanos(packet.time), segment.timestamps()?.0))
        })
        .ok_or_else(|| Failure::new("the wire", "a segment with a timestamp", "none").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_clock_turns_as_far_as_is_said() {
        const HALF: u128 = 1 << 31;
        for (name, time, clock, turn) in LONG {
            let turned = match clock.ticks(time) / HALF {
                0 => Turn::Little,
                1 => Turn::Half,
                _ => Turn::Whole,
            };
            assert_eq!(turned, turn, "{name}");
        }
    }
}
