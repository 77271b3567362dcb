//! Timestamp clocks (RFC 7323, section 5) that turn while a connection is away, or says nothing.
//!
//! Half a turn further a clock looks as if it had gone back, and what it marks would be taken for old (PAWS); a whole turn
//! further it looks as if no time had passed. After so long a receiver must not compare them any more (section 5.5;
//! `tcp_paws_check`).

use super::rest::rest;
use super::{HOUR, WAITING, days, minutes, moved};
use crate::case::{Case, Need};
use crate::context::Context;
use crate::forge::{Ends, forge};
use crate::journey::{Receive, Send, Traveller};
use crate::oracle::wire::{Probes, RESTORED};
use crate::verdict::{Failure, Stop, Verdict, expect};
use lab::{Family, Packet};
use std::time::Duration;

/// How long a connection is away, or silent, and what its clock counts.
const LONG: [(&str, Duration, Clock); 5] = [
    ("an-hour", HOUR, Clock::Milliseconds),
    ("25-days", days(25), Clock::Milliseconds),
    ("50-days", days(50), Clock::Milliseconds),
    (
        "36-minutes-of-microseconds",
        minutes(36),
        Clock::Microseconds,
    ),
    (
        "72-minutes-of-microseconds",
        minutes(72),
        Clock::Microseconds,
    ),
];
/// The longest time between the clock's being read and the packet's being seen on its way out: of a loaded machine.
const APART: Duration = Duration::from_millis(100);

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
        for (name, time, clock) in LONG {
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
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

fn silent(ctx: &Context, family: Family, time: Duration, clock: Clock) -> Verdict {
    let mut traveller = clock.open(ctx, family)?;
    let (saved, restored) = moved(&mut traveller)?;
    // Each end has a timestamp of the other from then on.
    traveller.talk.exchange(&restored, &traveller.peer, 1000)?;
    rest(time)?;
    traveller.capture.mark(WAITING)?;
    traveller.talk.exchange(&restored, &traveller.peer, 1000)?;
    let trace = traveller.capture.trace()?.of(&traveller.flow).outgoing();
    let (seen, value) = read(trace.between(RESTORED, WAITING)?.packets().last())?;
    let (seen_then, then) = read(trace.after(WAITING)?.packets().next())?;
    let passed = seen_then.saturating_sub(seen);
    // It has 32 bits.
    let wanted = clock.ticks(passed) as u32;
    let apart = then.wrapping_sub(value).wrapping_sub(wanted).cast_signed();
    expect(
        format!("the timestamp clock after {passed:?}"),
        format!("{wanted} ticks on from {value}"),
        then,
        u128::from(apart.unsigned_abs()) <= clock.ticks(APART),
    )?;
    traveller.talk.close(&restored, &traveller.peer)?;
    saved.expect_undisturbed(&traveller.pair)
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
    fn a_clock_turns_by_half_and_by_a_whole() {
        let (half, whole) = (1 << 31, 1 << 32);
        for (name, time, clock) in LONG {
            let ticks = clock.ticks(time);
            let wanted = match name.split('-').next() {
                Some("an") => 0..half,
                Some("25" | "36") => half..whole,
                _ => whole..whole + half,
            };
            assert!(wanted.contains(&ticks), "{name}: {ticks}");
        }
    }
}
