//! What a segment means to its connection, judged by what was captured before it.
//!
//! The rules are those of RFC 9293 (numbers, windows, probes), RFC 5681 (duplicate acknowledgments), RFC 2018 (SACK)
//! and RFC 2883 (D-SACK). A capture knows only what passed it: behind a loss, the retransmission of what was lost
//! before the capture is out of order, not repeated.

use crate::address::Flow;
use crate::options::TcpOption;
use crate::segment::Segment;
use std::collections::HashMap;
use std::fmt;

/// One remark about a segment. Packets are counted from 1; sequence numbers are relative.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Note {
    /// It sends again what an earlier packet carried.
    Retransmission {
        /// The last packet that carried some of it.
        of: usize,
    },
    /// It sends again what had all been acknowledged by then, cumulatively or selectively.
    SpuriousRetransmission {
        /// The last packet that carried some of it.
        of: usize,
    },
    /// Its data precede what was seen before, and were not seen themselves.
    OutOfOrder,
    /// It acknowledges the same once more, while data are outstanding (RFC 5681, section 2).
    DuplicateAck {
        /// Which one it is, counted from 1.
        nth: usize,
    },
    /// A block that arrived behind a hole (RFC 2018).
    Sack {
        /// Its first byte.
        left: u32,
        /// The byte behind its last one.
        right: u32,
        /// The packets that lie in it wholly.
        packets: Vec<usize>,
    },
    /// A block that arrived twice (RFC 2883).
    DuplicateSack {
        /// Its first byte.
        left: u32,
        /// The byte behind its last one.
        right: u32,
        /// The packets that lie in it wholly.
        packets: Vec<usize>,
    },
    /// It says nothing new but a window.
    WindowUpdate,
    /// It closes the window.
    ZeroWindow,
    /// It asks a peer whose window is closed for another (RFC 9293, section 3.8.6.1).
    WindowProbe,
    /// It asks an idle peer whether it is there (RFC 9293, section 3.8.4).
    KeepAlive,
    /// It ends the connection at once.
    Reset,
    /// It ends the data of its sender.
    Fin,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retransmission { of } => write!(f, "retransmission of packet {of}"),
            Self::SpuriousRetransmission { of } => {
                write!(f, "spurious retransmission of packet {of}")
            }
            Self::OutOfOrder => f.write_str("out of order"),
            Self::DuplicateAck { nth } => write!(f, "duplicate ack {nth}"),
            Self::Sack {
                left,
                right,
                packets,
            } => write_block(f, "sack", *left, *right, packets),
            Self::DuplicateSack {
                left,
                right,
                packets,
            } => write_block(f, "d-sack", *left, *right, packets),
            Self::WindowUpdate => f.write_str("window update"),
            Self::ZeroWindow => f.write_str("zero window"),
            Self::WindowProbe => f.write_str("window probe"),
            Self::KeepAlive => f.write_str("keepalive"),
            Self::Reset => f.write_str("reset"),
            Self::Fin => f.write_str("fin"),
        }
    }
}

fn write_block(
    f: &mut fmt::Formatter<'_>,
    kind: &str,
    left: u32,
    right: u32,
    packets: &[usize],
) -> fmt::Result {
    write!(f, "{kind} {left}:{right}")?;
    match packets {
        [] => Ok(()),
        [one] => write!(f, " (packet {one})"),
        many => {
            let many: Vec<_> = many.iter().map(ToString::to_string).collect();
            write!(f, " (packets {})", many.join(", "))
        }
    }
}

/// A segment's numbers and notes.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) seq: u32,
    pub(crate) ack: Option<u32>,
    pub(crate) notes: Vec<Note>,
}

/// Judges the segments of any number of connections, in order.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    sides: HashMap<Flow, Side>,
}

/// What one end has sent so far.
#[derive(Debug, Default)]
struct Side {
    first: Option<u32>,
    /// Behind the last byte sent.
    next: Option<u32>,
    sent: Vec<Sent>,
    /// What it acknowledged, with which window, and how often again.
    ack: Option<u32>,
    window: Option<u16>,
    duplicates: usize,
    /// The blocks that it acknowledged selectively.
    sacked: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Sent {
    seq: u32,
    end: u32,
    packet: usize,
}

/// Whether `a` precedes `b` (RFC 9293, section 3.4): less than half of the number space lies between them.
fn precedes(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

/// Whether `inner` lies within `outer`.
fn within(inner: (u32, u32), outer: (u32, u32)) -> bool {
    !precedes(inner.0, outer.0) && !precedes(outer.1, inner.1)
}

impl Judge {
    /// Judges the next segment; `packet` is the number of its packet.
    pub(crate) fn judge(&mut self, packet: usize, segment: &Segment) -> Judged {
        let flow = segment.flow;
        let mut own = self.sides.remove(&flow).unwrap_or_default();
        let mut peer = self.sides.remove(&flow.reversed()).unwrap_or_default();
        if segment.flags.syn() && own.first.is_some_and(|first| first != segment.seq) {
            // The same ports once more.
            own = Side::default();
            if !segment.flags.ack() {
                peer = Side::default();
            }
        }
        let first = *own.first.get_or_insert(segment.seq);
        let acknowledges = segment.flags.ack();
        let judged = Judged {
            seq: segment.seq.wrapping_sub(first),
            ack: acknowledges.then(|| {
                let first = *peer.first.get_or_insert(segment.ack);
                segment.ack.wrapping_sub(first)
            }),
            notes: if segment.flags.rst() {
                vec![Note::Reset]
            } else {
                let mut notes = own.data(&peer, packet, segment);
                if acknowledges {
                    notes.extend(own.acknowledgment(&peer, segment));
                }
                notes
            },
        };
        self.sides.insert(flow, own);
        self.sides.insert(flow.reversed(), peer);
        judged
    }
}

impl Side {
    fn data(&mut self, peer: &Self, packet: usize, segment: &Segment) -> Vec<Note> {
        let (seq, end) = (segment.seq, segment.end_seq());
        let mut notes = Vec::new();
        if segment.flags.fin() {
            notes.push(Note::Fin);
        }
        if let Some(probe) = self.probe(peer, segment) {
            notes.push(probe);
        } else if seq != end && self.next.is_some_and(|next| precedes(seq, next)) {
            let earlier = self.sent.iter().rev();
            let mut overlapping =
                earlier.filter(|it| precedes(it.seq, end) && precedes(seq, it.end));
            notes.push(match overlapping.next() {
                Some(it) if peer.has(seq, end) => Note::SpuriousRetransmission { of: it.packet },
                Some(it) => Note::Retransmission { of: it.packet },
                None => Note::OutOfOrder,
            });
        }
        if seq != end {
            self.sent.push(Sent { seq, end, packet });
        }
        if self.next.is_none_or(|next| precedes(next, end)) {
            self.next = Some(end);
        }
        notes
    }

    /// Whether it is a probe: one byte below what the peer waits for, or one byte into a closed window.
    fn probe(&self, peer: &Self, segment: &Segment) -> Option<Note> {
        if segment.flags.syn() || segment.flags.fin() || segment.payload_len > 1 {
            return None;
        }
        let closed = peer.window == Some(0);
        let below = peer.ack == Some(segment.seq.wrapping_add(1));
        let into = segment.payload_len == 1 && closed && peer.ack == Some(segment.seq);
        match (below, into, closed) {
            (true, _, true) | (_, true, _) => Some(Note::WindowProbe),
            (true, _, false) => Some(Note::KeepAlive),
            _ => None,
        }
    }

    /// Whether it has acknowledged all from `seq` to `end`.
    fn has(&self, seq: u32, end: u32) -> bool {
        self.ack.is_some_and(|ack| !precedes(ack, end))
            || self.sacked.iter().any(|&block| within((seq, end), block))
    }

    fn acknowledgment(&mut self, peer: &Self, segment: &Segment) -> Vec<Note> {
        let mut notes = Vec::new();
        let (mut blocks, news) = self.sack(peer, segment);
        // The window of a SYN is never scaled (RFC 7323, section 2.2): it compares with no other.
        let window = (!segment.flags.syn()).then_some(segment.window);
        let pure = segment.sequence_len() == 0 && self.next == Some(segment.seq);
        if self.ack.is_none_or(|ack| precedes(ack, segment.ack)) {
            self.duplicates = 0;
            self.ack = Some(segment.ack);
        } else if pure && self.ack == Some(segment.ack) {
            let outstanding = peer.next.is_some_and(|next| precedes(segment.ack, next));
            let same = self.window.is_none() || window == self.window;
            if outstanding && window != Some(0) && (same || news) {
                self.duplicates += 1;
                notes.push(Note::DuplicateAck {
                    nth: self.duplicates,
                });
            } else if !same && window != Some(0) {
                notes.push(Note::WindowUpdate);
            }
        }
        if window == Some(0) {
            notes.push(Note::ZeroWindow);
        }
        self.window = window;
        notes.append(&mut blocks);
        notes
    }

    /// The blocks of a segment, and whether one says something new.
    fn sack(&mut self, peer: &Self, segment: &Segment) -> (Vec<Note>, bool) {
        let blocks = segment.options.iter().find_map(|option| match option {
            TcpOption::Sack(blocks) => Some(blocks.as_slice()),
            _ => None,
        });
        let blocks = blocks.unwrap_or_default();
        let first = peer.first.unwrap_or(segment.ack);
        let (mut notes, mut news) = (Vec::new(), false);
        for (at, &block) in blocks.iter().enumerate() {
            let lie_in = |it: &&Sent| within((it.seq, it.end), block);
            let packets = peer
                .sent
                .iter()
                .filter(lie_in)
                .map(|it| it.packet)
                .collect();
            let (left, right) = (block.0.wrapping_sub(first), block.1.wrapping_sub(first));
            // RFC 2883, section 4: the first block, below the acknowledgment or within the second block.
            let again = at == 0
                && (!precedes(segment.ack, block.1)
                    || blocks.get(1).is_some_and(|&second| within(block, second)));
            if again {
                notes.push(Note::DuplicateSack {
                    left,
                    right,
                    packets,
                });
                continue;
            }
            notes.push(Note::Sack {
                left,
                right,
                packets,
            });
            if !self.sacked.iter().any(|&known| within(block, known)) {
                news = true;
                self.sacked.push(block);
            }
        }
        (notes, news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Flags;

    /// Sequence numbers that wrap early, in the middle and not at all.
    const STARTS: [u32; 5] = [0, 7, u32::MAX - 150, u32::MAX, 1 << 31];

    /// Out of the client, or into it: relative numbers, of which `start` is the first on both sides.
    struct Script(u32, Vec<Segment>);

    impl Script {
        fn new(start: u32) -> Self {
            let mut script = Self(start, Vec::new());
            script.add(true, Flags::SYN, 0, 0, 0, 500);
            script.add(false, Flags::SYN.and(Flags::ACK), 0, 0, 1, 500);
            script.add(true, Flags::ACK, 1, 0, 1, 500);
            script
        }

        fn add(&mut self, out: bool, flags: Flags, seq: u32, len: u32, ack: u32, window: u16) {
            let flow = Flow::new("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
            self.1.push(Segment {
                flow: if out { flow } else { flow.reversed() },
                seq: self.0.wrapping_add(seq),
                ack: self.0.wrapping_add(ack),
                flags,
                window,
                options: Vec::new(),
                payload_len: len,
                payload: Vec::new(),
            });
        }

        fn data(mut self, seq: u32, len: u32) -> Self {
            self.add(true, Flags::ACK, seq, len, 1, 500);
            self
        }

        fn ack(mut self, ack: u32, window: u16, blocks: &[(u32, u32)]) -> Self {
            self.add(false, Flags::ACK, 1, 0, ack, window);
            let start = self.0;
            let absolute =
                |&(left, right): &(u32, u32)| (start.wrapping_add(left), start.wrapping_add(right));
            if let (Some(last), false) = (self.1.last_mut(), blocks.is_empty()) {
                last.options = vec![TcpOption::Sack(blocks.iter().map(absolute).collect())];
            }
            self
        }

        fn flags(mut self, flags: Flags, seq: u32) -> Self {
            self.add(true, flags, seq, 0, 1, 500);
            self
        }

        /// The notes of the last segment.
        fn last(&self) -> Vec<String> {
            let mut judge = Judge::default();
            let judged = self.1.iter().enumerate();
            let last = judged.map(|(at, it)| judge.judge(at + 1, it)).last();
            last.unwrap()
                .notes
                .iter()
                .map(ToString::to_string)
                .collect()
        }
    }

    /// The same for every start: only differences of sequence numbers mean something.
    fn check(script: impl Fn(Script) -> Script, wanted: &[&str]) {
        for start in STARTS {
            assert_eq!(script(Script::new(start)).last(), wanted, "from {start}");
        }
    }

    #[test]
    fn the_ordinary_is_not_worth_a_note() {
        check(|it| it, &[]);
        check(|it| it.data(1, 100), &[]);
        check(|it| it.data(1, 100).data(101, 100), &[]);
        check(|it| it.data(1, 100).ack(101, 500, &[]), &[]);
    }

    #[test]
    fn what_is_sent_again_is_a_retransmission() {
        check(
            |it| it.data(1, 100).data(101, 100).data(1, 100),
            &["retransmission of packet 4"],
        );
        check(
            |it| it.data(1, 100).data(101, 100).data(1, 200),
            &["retransmission of packet 5"],
        );
        check(
            |it| it.data(1, 100).data(1, 100).data(1, 100),
            &["retransmission of packet 5"],
        );
    }

    #[test]
    fn what_was_acknowledged_is_sent_again_in_vain() {
        let again = &["spurious retransmission of packet 4"];
        check(|it| it.data(1, 100).ack(101, 500, &[]).data(1, 100), again);
        let sacked = |it: Script| it.data(101, 100).ack(1, 500, &[(101, 201)]);
        check(|it| sacked(it).data(101, 100), again);
        check(
            |it| it.data(1, 100).ack(51, 500, &[]).data(1, 100),
            &["retransmission of packet 4"],
        );
    }

    #[test]
    fn a_syn_that_was_answered_is_sent_again_in_vain() {
        let again = &["spurious retransmission of packet 1"];
        check(|it| it.flags(Flags::SYN, 0), again);
    }

    #[test]
    fn what_comes_late_is_out_of_order() {
        check(|it| it.data(101, 100).data(1, 100), &["out of order"]);
    }

    #[test]
    fn duplicate_acks_are_counted_until_one_says_more() {
        let one = |it: Script| it.data(1, 100).data(101, 100).ack(1, 500, &[]);
        check(one, &["duplicate ack 1"]);
        check(|it| one(it).ack(1, 500, &[]), &["duplicate ack 2"]);
        let more = |it: Script| one(it).ack(101, 500, &[]);
        check(more, &[]);
        check(|it| more(it).ack(101, 500, &[]), &["duplicate ack 1"]);
        // Nothing is outstanding.
        check(
            |it| it.data(1, 100).ack(101, 500, &[]).ack(101, 500, &[]),
            &[],
        );
    }

    #[test]
    fn sack_blocks_name_what_they_cover() {
        let sent = |it: Script| it.data(1, 100).data(101, 100).data(201, 100);
        check(
            |it| sent(it).ack(1, 400, &[(101, 301)]),
            &["duplicate ack 1", "sack 101:301 (packets 5, 6)"],
        );
        check(
            |it| sent(it).ack(1, 500, &[(201, 301)]),
            &["duplicate ack 1", "sack 201:301 (packet 6)"],
        );
    }

    #[test]
    fn a_block_that_came_twice_is_a_d_sack() {
        check(
            |it| it.data(1, 100).ack(101, 500, &[(1, 101)]),
            &["d-sack 1:101 (packet 4)"],
        );
        check(
            |it| {
                it.data(101, 100)
                    .data(201, 100)
                    .ack(1, 500, &[(101, 201), (101, 301)])
            },
            &[
                "duplicate ack 1",
                "d-sack 101:201 (packet 4)",
                "sack 101:301 (packets 4, 5)",
            ],
        );
    }

    #[test]
    fn windows_close_are_probed_and_open() {
        let closed = |it: Script| it.data(1, 100).ack(101, 0, &[]);
        check(closed, &["zero window"]);
        check(|it| closed(it).data(100, 0), &["window probe"]);
        check(|it| closed(it).data(101, 1), &["window probe"]);
        check(|it| closed(it).ack(101, 300, &[]), &["window update"]);
        check(
            |it| it.data(1, 100).ack(101, 500, &[]).data(100, 0),
            &["keepalive"],
        );
    }

    #[test]
    fn ends_are_named() {
        check(|it| it.flags(Flags::FIN.and(Flags::ACK), 1), &["fin"]);
        check(|it| it.flags(Flags::RST.and(Flags::ACK), 1), &["reset"]);
    }
}
