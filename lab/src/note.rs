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

impl Note {
    /// Whether it says that its segment is a retransmission, spurious or not.
    #[must_use]
    pub fn is_retransmission(&self) -> bool {
        matches!(
            self,
            Self::Retransmission { .. } | Self::SpuriousRetransmission { .. }
        )
    }
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

impl Judged {
    /// The segment's numbers as packetdrill and tcpdump write them: `1:11(10) ack 7 win 502`.
    pub(crate) fn numbers(&self, segment: &Segment) -> String {
        // SYN and FIN are not counted: their letters say enough.
        let (seq, length) = (self.seq, segment.payload_len);
        let end = seq.wrapping_add(length);
        let ack = self.ack.map(|ack| format!(" ack {ack}"));
        let ack = ack.unwrap_or_default();
        format!("{seq}:{end}({length}){ack} win {}", segment.window)
    }
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
mod tests;
