//! What a run of scenarios has reached: in which circumstances connections were saved, one by one and in pairs.
//!
//! That nothing failed says as much as has been tried. A [`Moment`] is one save of one end, described by one value of each
//! [dimension](DIMENSIONS); a [`Coverage`] knows which pairs of values have been there together, and which cannot.

mod unreachable;

pub use unreachable::unreachable;

use super::model::Model;
use super::setup::{Clock, Congestion};
use super::step::{Step, Who};
use crate::oracle::stream::End;
use soccr::{Snapshot, TcpState};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What a save is described by: each dimension, and its values.
pub const DIMENSIONS: [(&str, &[&str]); 13] = [
    ("how", &["checkpoint", "restore", "restore-both", "move"]),
    (
        "state",
        &[
            "established",
            "fin-wait-1",
            "fin-wait-2",
            "close-wait",
            "last-ack",
            "closing",
            "close",
            "syn-sent",
        ],
    ),
    ("family", &["v4", "v6", "mapped"]),
    ("timestamps", &["off", "ms", "us"]),
    ("sack", &["off", "on"]),
    ("scaling", &["off", "shift-0", "shift-1-7", "shift-8-14"]),
    (
        "received",
        &["empty", "below-a-segment", "segments", "window-full"],
    ),
    ("sent", &["empty", "in-flight", "unsent", "both"]),
    ("window", &["closed", "narrow", "open"]),
    ("network", &["clear", "losing", "disordered"]),
    ("numbers", &["plain", "wrapping"]),
    ("link", &["1280", "1500", "9000", "other", "changed"]),
    ("congestion", &["usual", "reno", "cubic", "bbr"]),
];

const HOW: usize = 0;
const STATE: usize = 1;
const FAMILY: usize = 2;
const TIMESTAMPS: usize = 3;
const SACK: usize = 4;
const SCALING: usize = 5;
const RECEIVED: usize = 6;
const SENT: usize = 7;
const WINDOW: usize = 8;
const NETWORK: usize = 9;
const NUMBERS: usize = 10;
const LINK: usize = 11;
const CONGESTION: usize = 12;

/// So many bytes before and behind a number that wraps, a connection can be said to be about to wrap.
const NEAR: u32 = 4 << 20;

/// One value of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    dimension: u8,
    value: u8,
}

/// Two values of different dimensions, the one of the first dimension first.
pub type Pair = (Value, Value);

/// One save of one end. A connection that is over, or not there yet, has no value of some dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment([Option<u8>; DIMENSIONS.len()]);

impl Value {
    /// The name of its dimension.
    pub(super) fn dimension(self) -> &'static str {
        DIMENSIONS[usize::from(self.dimension)].0
    }

    fn name(self) -> &'static str {
        let (_, values) = DIMENSIONS[usize::from(self.dimension)];
        values[usize::from(self.value)]
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dimension, _) = DIMENSIONS[usize::from(self.dimension)];
        write!(f, "{dimension} {}", self.name())
    }
}

/// All values.
pub fn values() -> impl Iterator<Item = Value> {
    DIMENSIONS
        .iter()
        .enumerate()
        .flat_map(|(dimension, (_, values))| {
            (0..values.len()).map(move |value| Value {
                dimension: dimension as u8,
                value: value as u8,
            })
        })
}

/// All pairs.
pub fn pairs() -> impl Iterator<Item = Pair> {
    values().flat_map(|one| {
        values()
            .filter(move |other| one.dimension < other.dimension)
            .map(move |other| (one, other))
    })
}

impl Moment {
    /// What was saved, and in which circumstances.
    pub(super) fn of(model: &Model, step: &Step, end: End, snapshot: &Snapshot) -> Self {
        let mut moment = told_by(model, step, end);
        let segment = model.setup.segment();
        let window = snapshot.window;
        moment[STATE] = Some(match snapshot.state {
            TcpState::FinWait1 => 1,
            TcpState::FinWait2 => 2,
            TcpState::CloseWait => 3,
            TcpState::LastAck => 4,
            TcpState::Closing => 5,
            TcpState::Close => 6,
            TcpState::SynSent => 7,
            _ => 0,
        });
        let scale = snapshot.options.window_scale.map(|scale| scale.rcv);
        moment[SCALING] = window.map(|_| match scale {
            None => 0,
            Some(0) => 1,
            Some(..8) => 2,
            Some(_) => 3,
        });
        moment[RECEIVED] = Some(match snapshot.receive.bytes.len() as u32 {
            0 => 0,
            _ if window.is_some_and(|window| window.rcv_wnd < segment) => 3,
            length if length < segment => 1,
            _ => 2,
        });
        let unsent = snapshot.send.unsent > 0;
        let in_flight = snapshot.send.bytes.len() > snapshot.send.unsent as usize;
        moment[SENT] = Some(match (in_flight, unsent) {
            (false, false) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (true, true) => 3,
        });
        moment[WINDOW] = window.map(|window| match window.snd_wnd {
            0 => 0,
            wnd if wnd < segment => 1,
            _ => 2,
        });
        let near =
            |number: u32| number.wrapping_add(NEAR) < 2 * NEAR || number.abs_diff(1 << 31) < NEAR;
        let clock = snapshot.options.timestamps.map_or(1 << 30, |it| it.value);
        let numbers = [snapshot.send.end.0, snapshot.receive.end.0, clock];
        let chosen = match snapshot.state {
            TcpState::Close => None,
            // The peer's are not known yet.
            TcpState::SynSent => Some(&numbers[..1]),
            _ => Some(&numbers[..]),
        };
        moment[NUMBERS] = chosen.map(|it| it.iter().copied().any(near).into());
        Self(moment)
    }

    /// Its value of each dimension.
    fn values(self) -> impl Iterator<Item = Value> {
        self.0
            .into_iter()
            .enumerate()
            .filter_map(|(dimension, value)| {
                Some(Value {
                    dimension: dimension as u8,
                    value: value?,
                })
            })
    }
}

/// What the model tells of a save, by dimension.
fn told_by(model: &Model, step: &Step, end: End) -> [Option<u8>; DIMENSIONS.len()] {
    let setup = &model.setup;
    let mut told = [None; DIMENSIONS.len()];
    told[HOW] = Some(match step {
        Step::Checkpoint(_) => 0,
        Step::Restore(Who::Both) => 2,
        Step::Move => 3,
        _ => 1,
    });
    let mapped = setup.family == lab::Family::V4Mapped && end == End::Subject;
    told[FAMILY] = Some(match setup.family {
        lab::Family::V6 => 1,
        _ if mapped => 2,
        _ => 0,
    });
    told[TIMESTAMPS] = Some(match setup.timestamps {
        Clock::Off => 0,
        // The peer's count milliseconds.
        Clock::Microseconds if end == End::Subject => 2,
        _ => 1,
    });
    told[SACK] = Some(setup.sack.into());
    told[NETWORK] = Some(match (model.is_clear(), model.disordered) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    });
    told[LINK] = Some(match (model.mtu == setup.mtu, setup.mtu) {
        (false, _) => 4,
        (true, 1280) => 0,
        (true, 1500) => 1,
        (true, 9000) => 2,
        (true, _) => 3,
    });
    told[CONGESTION] = Some(match setup.congestion {
        Congestion::Usual => 0,
        Congestion::Reno => 1,
        Congestion::Cubic => 2,
        Congestion::Bbr => 3,
    });
    told
}

fn insert_pairs(pairs: &mut BTreeSet<Pair>, values: &[Value]) {
    for (index, one) in values.iter().enumerate() {
        pairs.extend(values[index + 1..].iter().map(|other| (*one, *other)));
    }
}

/// What was reached so far, by all the scenarios of a run.
#[derive(Debug, Default)]
pub struct Coverage(Mutex<Reached>);

/// What was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// How many scenarios have run to their end.
    pub scenarios: usize,
    /// How often an end was saved.
    pub saves: usize,
    /// Which pairs of values were there.
    pub pairs: BTreeSet<Pair>,
}

impl Coverage {
    /// Takes note of the saves of one scenario that has run to its end.
    pub(super) fn add(&self, moments: &[Moment]) {
        let mut reached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reached.scenarios += 1;
        reached.saves += moments.len();
        for moment in moments {
            let values: Vec<_> = moment.values().collect();
            insert_pairs(&mut reached.pairs, &values);
        }
    }

    /// What was reached so far.
    #[must_use]
    pub fn reached(&self) -> Reached {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Reached {
    /// The pairs that could be reached and were not.
    #[must_use]
    pub fn missing(&self) -> Vec<Pair> {
        pairs()
            .filter(|pair| unreachable(*pair).is_none() && !self.pairs.contains(pair))
            .collect()
    }

    /// The share of the pairs that can be reached that was, in percent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        let all = pairs().filter(|pair| unreachable(*pair).is_none()).count();
        100.0 * (all - self.missing().len()) as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::unreachable::UNREACHABLE;
    use super::*;
    use crate::scenario::Setup;
    use lab::Family;

    #[test]
    fn every_pair_is_of_two_dimensions_and_there_once() {
        let all: Vec<_> = pairs().collect();
        let distinct: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
        assert!(
            all.iter()
                .all(|(one, other)| one.dimension < other.dimension)
        );
        let there =
            |name: &str| values().any(|it| it.to_string() == name || it.dimension() == name);
        for (one, others, _) in UNREACHABLE {
            assert!(
                there(one) && others.iter().all(|other| there(other)),
                "{one}"
            );
        }
        let cannot = |a: &str, b: &str| {
            let pair = pairs().find(|(one, other)| one.to_string() == a && other.to_string() == b);
            unreachable(pair.unwrap()).is_some()
        };
        assert!(cannot("how restore-both", "state syn-sent"));
        assert!(cannot("state close", "window narrow"));
        assert!(!cannot("timestamps us", "sack off"));
    }

    #[test]
    fn one_save_reaches_one_pair_for_each_two_dimensions() {
        let coverage = Coverage::default();
        let before = coverage.reached();
        assert!(before.pairs.is_empty() && before.percent() < 0.1);
        let model = Model::new(Setup {
            family: Family::V6,
            ..Setup::PLAIN
        });
        let endpoints = soccr::Endpoints {
            local: "[::1]:1".parse().unwrap(),
            remote: "[::1]:2".parse().unwrap(),
        };
        let mut snapshot = Snapshot::new(endpoints);
        snapshot.state = TcpState::SynSent;
        let moment = Moment::of(&model, &Step::Move, End::Subject, &snapshot);
        coverage.add(&[moment]);
        let reached = coverage.reached();
        // A SYN has no windows and no shifts.
        let dimensions = DIMENSIONS.len() - 2;
        assert_eq!(reached.pairs.len(), dimensions * (dimensions - 1) / 2);
        let text: Vec<_> = reached
            .pairs
            .iter()
            .map(|(a, b)| format!("{a} + {b}"))
            .collect();
        assert!(
            text.contains(&"how move + family v6".to_owned()),
            "{text:?}"
        );
        assert_eq!((reached.scenarios, reached.saves), (1, 1));
    }
}
