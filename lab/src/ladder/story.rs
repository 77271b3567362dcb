//! Hand-made captures of two hosts, for the tests.

use super::{End, Ladder};
use crate::address::Flow;
use crate::flags::Flags;
use crate::mark::Mark;
use crate::packet::{Checksum, Content, Direction, Packet};
use crate::segment::Segment;
use crate::trace::{Item, Trace};
use std::sync::Arc;

/// What two captures saw, in microseconds.
#[derive(Default)]
pub(super) struct Story {
    pub(super) left: Vec<(u64, Item)>,
    pub(super) right: Vec<(u64, Item)>,
}

impl Story {
    /// A segment that left and arrived at these times, as far as it did.
    pub(super) fn segment(
        mut self,
        from: End,
        it: &Segment,
        sent: impl Into<Option<u64>>,
        arrived: impl Into<Option<u64>>,
    ) -> Self {
        let (here, there) = match from {
            End::Left => (&mut self.left, &mut self.right),
            End::Right => (&mut self.right, &mut self.left),
        };
        let sighting = |time: u64, direction| {
            (
                time,
                Item::Packet(Arc::new(Packet {
                    time: time * 1000,
                    direction,
                    original_len: 0,
                    bytes: Vec::new(),
                    checksum: Checksum::Valid,
                    gso: false,
                    content: Content::Segment(it.clone()),
                })),
            )
        };
        here.extend(sent.into().map(|time| sighting(time, Direction::Egress)));
        there.extend(
            arrived
                .into()
                .map(|time| sighting(time, Direction::Ingress)),
        );
        self
    }

    pub(super) fn mark(mut self, at: End, text: &str, time: u64) -> Self {
        let mark = |direction| {
            let (text, bytes) = (text.to_owned(), Vec::new());
            (
                time,
                Item::Mark(Arc::new(Mark {
                    text,
                    time: time * 1000,
                    direction,
                    bytes,
                })),
            )
        };
        let (left, right) = match at {
            End::Left => (Direction::Egress, Direction::Ingress),
            End::Right => (Direction::Ingress, Direction::Egress),
        };
        self.left.push(mark(left));
        self.right.push(mark(right));
        self
    }

    pub(super) fn traces(self) -> [Trace; 2] {
        [("a/veth0", self.left), ("b/veth0", self.right)].map(|(link, mut items)| {
            items.sort_by_key(|(time, _)| *time);
            Trace::new(
                link.into(),
                items.into_iter().map(|(_, item)| item).collect(),
            )
        })
    }

    pub(super) fn ladder(self) -> Ladder {
        let [left, right] = self.traces();
        left.ladder_to(&right)
    }
}

/// `len` bytes from the client, the first of which has the number `seq`.
pub(super) fn data(seq: u32, len: u32) -> Segment {
    Segment {
        flow: Flow::new("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()),
        seq: 999 + seq,
        ack: 5000,
        flags: Flags::ACK,
        window: 502,
        options: Vec::new(),
        payload_len: len,
        payload: vec![7; len as usize],
    }
}

/// An acknowledgment from the server.
pub(super) fn ack(number: u32) -> Segment {
    Segment {
        flow: data(0, 0).flow.reversed(),
        seq: 5000,
        ack: 999 + number,
        ..data(0, 0)
    }
}
