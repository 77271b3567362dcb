//! Hand-made segments, from several starting numbers.

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
