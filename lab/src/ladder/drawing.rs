//! Making a diagram out of traces.

use super::layout::{self, Event, Happening, Row};
use super::matching::{self, Fate, Sighting};
use super::{Arrow, End, Kind, Ladder};
use crate::note::{Judge, Judged, Note};
use crate::options::{TcpOption, printed};
use crate::packet::{Checksum, Direction};
use crate::print::Connections;
use crate::segment::Segment;
use crate::trace::{Item, Trace};
use std::collections::HashMap;
use std::sync::Arc;

/// A diagram in the making.
#[derive(Default)]
pub(super) struct Drawing {
    judge: Judge,
    connections: Connections,
    arrows: Vec<Arrow>,
    left: History,
    right: History,
}

/// What happened at a host, with its places in the host's trace.
type History = Vec<(usize, Event)>;

impl Drawing {
    /// The diagram of one capture.
    pub(super) fn of_one(trace: &Trace) -> Ladder {
        let mut drawing = Self::default();
        let (mut rows, mut number) = (Vec::new(), 0);
        for item in trace.items() {
            match item {
                Item::Mark(mark) => rows.push(Row::Mark(source(mark.direction), Arc::clone(mark))),
                Item::Packet(packet) => {
                    number += 1;
                    if let Some(segment) = packet.segment() {
                        let mut arrow = drawing.arrow(source(packet.direction), number, segment);
                        match arrow.from {
                            End::Left => arrow.sent = Some(packet.time),
                            End::Right => arrow.arrived = Some(packet.time),
                        }
                        rows.push(Row::Across(drawing.arrows.len()));
                        drawing.arrows.push(arrow);
                    }
                }
            }
        }
        drawing.ladder(trace, None, rows)
    }

    /// The diagram of two captures.
    pub(super) fn of_two(left: &Trace, right: &Trace) -> Ladder {
        let mut drawing = Self::default();
        let from = |end| move |fate| (end, fate);
        let mut fates = Vec::new();
        fates.extend(matching::fates(left, right).map(from(End::Left)));
        fates.extend(matching::fates(right, left).map(from(End::Right)));
        // Whatever is judged by what was sent before has to be judged in the order of sending.
        fates.sort_by_key(|(_, fate)| (fate.first().packet.time, fate.first().item));
        // By their place in the sender's trace, the arrows of what left there.
        let mut leaving = HashMap::new();
        let mut number = 0;
        for (from, fate) in fates {
            let at = drawing.arrows.len();
            let original = match fate {
                Fate::Copy { sent, .. } => leaving.get(&(from, sent.item)),
                _ => None,
            };
            let original = original.and_then(|&at: &usize| drawing.arrows.get(at));
            let mut arrow = original.map(Arrow::copy).unwrap_or_else(|| {
                number += 1;
                drawing.arrow(from, number, fate.first().segment)
            });
            if let Fate::Arrived { sent, arrived } = fate {
                arrow.notes.extend(changes(sent, arrived));
            }
            if let Some(sent) = fate.sent() {
                arrow.sent = Some(sent.packet.time);
                leaving.insert((from, sent.item), at);
            }
            arrow.arrived = fate.arrived().map(|it| it.packet.time);
            drawing.happen(from, at, fate);
            drawing.arrows.push(arrow);
        }
        drawing.left.extend(marks(left));
        drawing.right.extend(marks(right));
        let histories = [&mut drawing.left, &mut drawing.right].map(std::mem::take);
        let [at_left, at_right] = histories.map(in_order);
        drawing.ladder(left, Some(right), layout::rows(at_left, at_right))
    }

    /// The next segment, as an arrow that has neither left nor arrived yet.
    fn arrow(&mut self, from: End, number: usize, segment: &Segment) -> Arrow {
        let judged = self.judge.judge(number, segment);
        Arrow {
            from,
            number,
            connection: self.connections.number(&segment.flow),
            label: label(segment, &judged),
            kind: kind(&judged.notes),
            notes: judged.notes.iter().map(ToString::to_string).collect(),
            sent: None,
            arrived: None,
        }
    }

    /// Takes down what became of an arrow, at both hosts.
    fn happen(&mut self, from: End, arrow: usize, fate: Fate<'_>) {
        let (here, there) = match from {
            End::Left => (&mut self.left, &mut self.right),
            End::Right => (&mut self.right, &mut self.left),
        };
        let event = |sighting: Sighting<'_>, happening| {
            let time = sighting.packet.time;
            (sighting.item, Event { time, happening })
        };
        match fate {
            Fate::Lost(sent) => here.push(event(sent, Happening::Lost(arrow))),
            Fate::Arrived { sent, arrived } => {
                here.push(event(sent, Happening::Sent(arrow)));
                there.push(event(arrived, Happening::Arrived(arrow)));
            }
            Fate::Copy { arrived, .. } | Fate::Appeared(arrived) => {
                there.push(event(arrived, Happening::Appeared(arrow)));
            }
        }
    }

    fn ladder(self, left: &Trace, right: Option<&Trace>, rows: Vec<Row>) -> Ladder {
        let items = [Some(left), right].into_iter().flatten();
        let start = items.flat_map(Trace::items).map(Item::time).min();
        Ladder {
            start: start.unwrap_or(0),
            left: left.link().to_owned(),
            right: right.map(|it| it.link().to_owned()),
            connections: self.connections.into_flows(),
            arrows: self.arrows,
            rows,
        }
    }
}

impl Arrow {
    /// The same once more.
    fn copy(&self) -> Self {
        Self {
            notes: vec!["once more".to_owned()],
            sent: None,
            arrived: None,
            ..self.clone()
        }
    }
}

/// The end that a packet comes from which went this way at the left one.
fn source(direction: Direction) -> End {
    match direction {
        Direction::Egress => End::Left,
        Direction::Ingress => End::Right,
    }
}

/// The remarks that were made where this trace comes from.
fn marks(trace: &Trace) -> impl Iterator<Item = (usize, Event)> {
    trace.items().enumerate().filter_map(|(at, it)| match it {
        Item::Mark(mark) if mark.direction == Direction::Egress => {
            let time = mark.time;
            let happening = Happening::Mark(Arc::clone(mark));
            Some((at, Event { time, happening }))
        }
        _ => None,
    })
}

fn in_order(mut history: History) -> Vec<Event> {
    history.sort_by_key(|(place, _)| *place);
    history.into_iter().map(|(_, event)| event).collect()
}

/// What a segment is, in one line.
fn label(segment: &Segment, judged: &Judged) -> String {
    // Blocks are among the notes, with relative numbers; timestamps would fill the line and tell little.
    let told = |it: &&TcpOption| !matches!(it, TcpOption::Timestamps { .. } | TcpOption::Sack(_));
    let options = printed(segment.options.iter().filter(told));
    format!("{} {}{options}", segment.flags, judged.numbers(segment))
}

fn kind(notes: &[Note]) -> Kind {
    let has = |wanted: fn(&Note) -> bool| notes.iter().any(wanted);
    if has(|it| matches!(it, Note::Reset)) {
        Kind::Reset
    } else if has(Note::is_retransmission) {
        Kind::Retransmission
    } else {
        Kind::Ordinary
    }
}

/// What the network did to a segment.
fn changes(sent: Sighting<'_>, arrived: Sighting<'_>) -> Option<String> {
    let wrong = |it: Sighting<'_>| it.packet.checksum == Checksum::Invalid;
    let said = if wrong(arrived) && !wrong(sent) {
        "damaged on the way"
    } else if matching::differ(sent, arrived) {
        "changed on the way"
    } else {
        return None;
    };
    Some(said.to_owned())
}
