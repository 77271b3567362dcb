//! Putting the events of two hosts into rows, so that each host keeps its order.

use super::End;
use crate::mark::Mark;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// What happened at one host. Arrows go by their place in the diagram's list.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// An arrow began that goes on to the other host.
    Sent(usize),
    /// One arrived that began at the other host.
    Arrived(usize),
    /// One began that nobody saw arrive.
    Lost(usize),
    /// One arrived that nobody saw leave.
    Appeared(usize),
    /// The test made a remark.
    Mark(Arc<Mark>),
}

/// When what happened.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Nanoseconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) happening: Happening,
}

/// One row of the diagram.
#[derive(Clone, Debug)]
pub(super) enum Row {
    /// An arrow from one host to the other.
    Across(usize),
    /// The beginning of an arrow whose end comes in a later row.
    Departs(usize),
    /// The end of an arrow that began in an earlier row.
    Arrives(usize),
    /// An arrow that nobody saw arrive.
    Lost(usize),
    /// An arrow that nobody saw leave.
    Appears(usize),
    /// A remark made at a host.
    Mark(End, Arc<Mark>),
}

/// The rows of two hosts' events, each in their own order.
///
/// An arrow gets one row where nothing that either host did stands in between, else two.
pub(super) fn rows(left: Vec<Event>, right: Vec<Event>) -> Vec<Row> {
    let mut ends = [
        (End::Left, VecDeque::from(left)),
        (End::Right, VecDeque::from(right)),
    ];
    let (mut rows, mut begun) = (Vec::new(), HashSet::new());
    loop {
        let [left, right] = ends.each_ref().map(|(_, events)| events.front());
        if let (Some(left), Some(right)) = (left, right)
            && let Some(arrow) = joined(&left.happening, &right.happening)
            && !begun.contains(&arrow)
        {
            rows.push(Row::Across(arrow));
            for (_, events) in &mut ends {
                events.pop_front();
            }
            continue;
        }
        // What concerns one host only may go first; of the rest, an arrow may begin before it ends.
        let rank = |event: &Event| match &event.happening {
            Happening::Lost(_) | Happening::Appeared(_) | Happening::Mark(_) => 0,
            Happening::Arrived(arrow) if begun.contains(arrow) => 0,
            Happening::Sent(_) => 1,
            // Only when the clock was set back in between.
            Happening::Arrived(_) => 2,
        };
        let waiting = ends.iter_mut();
        let next = waiting
            .filter_map(|(end, events)| {
                let first = events.front()?;
                Some(((rank(first), first.time), *end, events))
            })
            .min_by_key(|(order, _, _)| *order)
            .and_then(|(_, end, events)| Some((end, events.pop_front()?)));
        let Some((end, event)) = next else {
            return rows;
        };
        rows.push(match event.happening {
            Happening::Sent(arrow) => {
                begun.insert(arrow);
                Row::Departs(arrow)
            }
            Happening::Arrived(arrow) => {
                begun.insert(arrow);
                Row::Arrives(arrow)
            }
            Happening::Lost(arrow) => Row::Lost(arrow),
            Happening::Appeared(arrow) => Row::Appears(arrow),
            Happening::Mark(mark) => Row::Mark(end, mark),
        });
    }
}

/// The arrow that begins with one and ends with the other.
fn joined(one: &Happening, other: &Happening) -> Option<usize> {
    match (one, other) {
        (Happening::Sent(sent), Happening::Arrived(arrived))
        | (Happening::Arrived(arrived), Happening::Sent(sent)) => {
            (sent == arrived).then_some(*sent)
        }
        _ => None,
    }
}
