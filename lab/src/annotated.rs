//! Asking a trace what its segments mean.

use crate::note::{Judge, Note};
use crate::packet::Packet;
use crate::segment::Segment;
use crate::trace::Trace;
use std::ops::RangeBounds;

/// A segment of a trace, with relative numbers and what it means to its connection.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Which packet of the trace it is, counted from 1.
    pub number: usize,
    /// Its packet.
    pub packet: &'a Packet,
    /// The segment as it was on the link, with absolute numbers.
    pub segment: &'a Segment,
    /// Its sequence number, relative to the first one of its direction: the first byte of data has 1.
    pub seq: u32,
    /// Its acknowledgment number, relative too; `None` without ACK.
    pub ack: Option<u32>,
    /// What it means.
    pub notes: Vec<Note>,
}

impl Observed<'_> {
    /// Whether it is a retransmission, spurious or not.
    #[must_use]
    pub fn is_retransmission(&self) -> bool {
        self.notes.iter().any(Note::is_retransmission)
    }

    /// Whether it is a duplicate acknowledgment.
    #[must_use]
    pub fn is_dup_ack(&self) -> bool {
        self.notes
            .iter()
            .any(|note| matches!(note, Note::DuplicateAck { .. }))
    }

    /// Whether it has this note.
    #[must_use]
    pub fn is(&self, note: &Note) -> bool {
        self.notes.contains(note)
    }
}

/// The segments of a trace, annotated; every question that narrows it down answers with another.
#[derive(Clone, Debug)]
pub struct Annotated<'a>(Vec<Observed<'a>>);

impl Trace {
    /// Its segments with what they mean, judged from the beginning of this trace on.
    ///
    /// Cut a trace afterwards, not before: a segment is judged by what stands before it.
    #[must_use]
    pub fn annotated(&self) -> Annotated<'_> {
        let mut judge = Judge::default();
        let packets = self.packets().enumerate();
        let observed = packets.filter_map(|(at, packet)| {
            let segment = packet.segment()?;
            let judged = judge.judge(at + 1, segment);
            Some(Observed {
                number: at + 1,
                packet,
                segment,
                seq: judged.seq,
                ack: judged.ack,
                notes: judged.notes,
            })
        });
        Annotated(observed.collect())
    }
}

impl<'a> Annotated<'a> {
    /// Its segments, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Observed<'a>> {
        self.0.iter()
    }

    /// Those that `keep` chooses.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&Observed<'a>) -> bool) -> Self {
        Self(self.iter().filter(|it| keep(it)).cloned().collect())
    }

    /// The retransmissions, spurious or not.
    #[must_use]
    pub fn retransmissions(&self) -> Self {
        self.filter(Observed::is_retransmission)
    }

    /// The duplicate acknowledgments.
    #[must_use]
    pub fn dup_acks(&self) -> Self {
        self.filter(Observed::is_dup_ack)
    }

    /// Those that carry a byte of data whose relative number is in `bytes`; the first byte has number 1.
    #[must_use]
    pub fn of_bytes(&self, bytes: impl RangeBounds<u32>) -> Self {
        self.filter(|it| {
            let first = it.seq.wrapping_add(u32::from(it.segment.flags.syn()));
            (0..it.segment.payload_len).any(|at| bytes.contains(&first.wrapping_add(at)))
        })
    }

    /// The first that `wanted` chooses.
    #[must_use]
    pub fn first(&self, wanted: impl Fn(&Observed<'a>) -> bool) -> Option<&Observed<'a>> {
        self.iter().find(|it| wanted(it))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The first three-way handshake (RFC 9293, section 3.5): SYN, its answer, and the acknowledgment of that.
    #[must_use]
    pub fn handshake(&self) -> Option<[&Observed<'a>; 3]> {
        let syn = self.first(|it| it.segment.flags.syn() && !it.segment.flags.ack())?;
        let flow = syn.segment.flow;
        let mut later = self.iter().filter(|it| it.number > syn.number);
        let answer = later.find(|it| {
            it.segment.flow == flow.reversed()
                && it.segment.flags.syn()
                && it.segment.flags.ack()
                && it.segment.ack == syn.segment.end_seq()
        })?;
        let last = later.find(|it| {
            it.segment.flow == flow
                && it.segment.flags.ack()
                && it.segment.ack == answer.segment.end_seq()
        })?;
        Some([syn, answer, last])
    }
}
