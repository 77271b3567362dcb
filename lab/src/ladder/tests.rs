//! Diagrams in characters.

use super::End::{Left, Right};
use super::story::{Story, ack, data};
use super::*;
use crate::flags::Flags;
use crate::options::TcpOption;
use crate::packet::{Checksum, Content, Direction, Packet};
use crate::segment::Segment;
use crate::trace::Item;
use std::sync::Arc;

fn check(ladder: &Ladder, wanted: &str) {
    let drawn = ladder.to_string();
    assert_eq!(drawn, wanted.trim_start_matches('\n'), "drawn:\n{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn what_is_lost_ends_in_an_x_and_what_crosses_has_two_rows() {
    let ladder = Story::default()
        .segment(Left, &data(1, 100), 0, 11)
        .segment(Left, &data(101, 100), 1, None)
        .segment(Left, &data(201, 100), 2, 13)
        .segment(Right, &ack(101), 12, 21)
        .segment(Right, &ack(101), 14, 22)
        .mark(Left, "now", 30)
        .segment(Left, &data(101, 100), 31, 40)
        .segment(Right, &ack(301), 41, 50)
        .ladder();
    assert_eq!(ladder.lost(), 1);
    check(
        &ladder,
        "
10.0.0.1:1 > 10.0.0.2:2
a/veth0                                                                                      b/veth0
   0.000000 |--------------------- 1 . 0:100(100) ack 0 win 502 ---------------------->| 0.000011
   0.000001 |----------- 2 . 100:200(100) ack 0 win 502 ------------x                  |
   0.000002 |------------ 3 . 200:300(100) ack 0 win 502 ------------                  |
   0.000021 |<---------------------- 4 . 0:0(0) ack 100 win 502 -----------------------| 0.000012
            |                  -------------------------- 3 -------------------------->| 0.000013
   0.000022 |<---------------------- 5 . 0:0(0) ack 100 win 502 -----------------------| 0.000014
            |                            (duplicate ack 1)                             |
   0.000030 |== now ==                                                                 |
   0.000031 |-------------------- 6 . 100:200(100) ack 0 win 502 --------------------->| 0.000040
            |                       (retransmission of packet 2)                       |
   0.000050 |<---------------------- 7 . 0:0(0) ack 300 win 502 -----------------------| 0.000041
",
    );
}

#[test]
fn equal_segments_arrive_in_their_order_and_the_first_is_the_one_that_was_lost() {
    let again = ack(101);
    let ladder = Story::default()
        .segment(Right, &again, 0, None)
        .segment(Right, &again, 1, 10)
        .segment(Right, &again, 2, 11)
        .ladder();
    check(
        &ladder,
        "
10.0.0.2:2 > 10.0.0.1:1
a/veth0                                                                                      b/veth0
            |                  x-------------- 1 . 0:0(0) ack 0 win 502 ---------------| 0.000000
   0.000010 |<----------------------- 2 . 0:0(0) ack 0 win 502 ------------------------| 0.000001
   0.000011 |<----------------------- 3 . 0:0(0) ack 0 win 502 ------------------------| 0.000002
",
    );
}

#[test]
fn nothing_arrives_before_it_has_left() {
    let ladder = Story::default()
        .segment(Left, &data(1, 10), None, 5)
        .segment(Left, &data(1, 10), 6, None)
        .ladder();
    assert_eq!(ladder.lost(), 1);
    check(
        &ladder,
        "
10.0.0.1:1 > 10.0.0.2:2
a/veth0                                                                                      b/veth0
            |                  *------------- 1 . 0:10(10) ack 0 win 502 ------------->| 0.000000
   0.000001 |------------- 2 . 0:10(10) ack 0 win 502 --------------x                  |
            |                       (retransmission of packet 1)                       |
",
    );
}

#[test]
fn a_copy_is_no_segment_of_its_own() {
    let ladder = Story::default()
        .segment(Left, &data(1, 10), 0, 5)
        .segment(Left, &data(1, 10), None, 6)
        .segment(Right, &ack(11), 7, 8)
        .ladder();
    check(
        &ladder,
        "
10.0.0.1:1 > 10.0.0.2:2
a/veth0                                                                                      b/veth0
   0.000000 |---------------------- 1 . 0:10(10) ack 0 win 502 ----------------------->| 0.000005
            |                  *------------- 1 . 0:10(10) ack 0 win 502 ------------->| 0.000006
            |                               (once more)                                |
   0.000008 |<----------------------- 2 . 0:0(0) ack 10 win 502 -----------------------| 0.000007
",
    );
}

#[test]
fn what_is_changed_on_the_way_is_the_same_segment_still() {
    let narrow = Segment {
        window: 1,
        ..data(1, 10)
    };
    let mut story = Story::default()
        .segment(Left, &data(1, 10), 0, None)
        .segment(Left, &narrow, None, 5)
        .segment(Left, &data(11, 10), 10, 15);
    if let Some((_, Item::Packet(packet))) = story.right.last_mut() {
        *packet = Arc::new(Packet {
            checksum: Checksum::Invalid,
            ..(**packet).clone()
        });
    }
    let ladder = story.ladder();
    assert_eq!(ladder.lost(), 0);
    check(
        &ladder,
        "
10.0.0.1:1 > 10.0.0.2:2
a/veth0                                                                                      b/veth0
   0.000000 |---------------------- 1 . 0:10(10) ack 0 win 502 ----------------------->| 0.000005
            |                           (changed on the way)                           |
   0.000010 |---------------------- 2 . 10:20(10) ack 0 win 502 ---------------------->| 0.000015
            |                           (damaged on the way)                           |
",
    );
}

#[test]
fn a_frame_that_one_capture_cut_short_is_not_changed() {
    let short = Segment {
        payload: vec![7; 3],
        ..data(1, 10)
    };
    let ladder = Story::default()
        .segment(Left, &data(1, 10), 0, None)
        .segment(Left, &short, None, 5)
        .ladder();
    check(
        &ladder,
        "
10.0.0.1:1 > 10.0.0.2:2
a/veth0                                                                                      b/veth0
   0.000000 |---------------------- 1 . 0:10(10) ack 0 win 502 ----------------------->| 0.000005
",
    );
}

#[test]
fn the_identification_tells_a_retransmission_from_what_it_repeats() {
    // The first is held, and arrives behind the second.
    let story =
        Story::default()
            .segment(Left, &data(1, 10), 0, 30)
            .segment(Left, &data(1, 10), 10, 20);
    let [left, right] = story.traces();
    let identified = |trace: Trace, numbers: [u8; 2]| {
        let link = trace.link().into();
        let items = trace.items().zip(numbers).map(|(item, number)| match item {
            Item::Packet(packet) => {
                let mut bytes = vec![0; 34];
                bytes[12] = 8;
                bytes[14] = 0x45;
                bytes[19] = number;
                Item::Packet(Arc::new(Packet {
                    bytes,
                    ..(**packet).clone()
                }))
            }
            Item::Mark(_) => item.clone(),
        });
        Trace::new(link, items.collect())
    };
    let (left, right) = (identified(left, [1, 2]), identified(right, [2, 1]));
    check(
        &left.ladder_to(&right),
        "
10.0.0.1:1 > 10.0.0.2:2
a/veth0                                                                                      b/veth0
   0.000000 |-------------- 1 . 0:10(10) ack 0 win 502 --------------                  |
   0.000010 |---------------------- 2 . 0:10(10) ack 0 win 502 ----------------------->| 0.000020
            |                       (retransmission of packet 1)                       |
            |                  -------------------------- 1 -------------------------->| 0.000030
",
    );
}

#[test]
fn one_capture_numbers_its_packets_as_its_printout_does() {
    let mut story = Story::default().mark(Right, "there", 0);
    story.left.push((
        1,
        Item::Packet(Arc::new(Packet {
            time: 1000,
            direction: Direction::Egress,
            original_len: 60,
            bytes: Vec::new(),
            checksum: Checksum::Unknown,
            gso: false,
            content: Content::Other,
        })),
    ));
    let [left, _] = story
        .segment(Left, &data(1, 10), 2, 3)
        .segment(Right, &ack(11), 4, 5)
        .segment(Left, &data(1, 10), 6, 7)
        .traces();
    let ladder = left.ladder();
    assert_eq!(ladder.lost(), 0);
    check(
        &ladder,
        "
10.0.0.1:1 > 10.0.0.2:2
a/veth0                                                                               (not captured)
            |                                                               == there ==| 0.000000
   0.000002 |---------------------- 2 . 0:10(10) ack 0 win 502 ----------------------->|
   0.000005 |<----------------------- 3 . 0:0(0) ack 10 win 502 -----------------------|
   0.000006 |---------------------- 4 . 0:10(10) ack 0 win 502 ----------------------->|
            |                  (spurious retransmission of packet 2)                   |
",
    );
    let printed = left.to_string();
    assert!(
        printed.ends_with("# spurious retransmission of packet 2\n"),
        "{printed}"
    );
}

#[test]
fn several_connections_and_whatever_is_long_fit_into_the_lines() {
    let options = vec![
        TcpOption::Mss(1460),
        TcpOption::SackPermitted,
        TcpOption::Timestamps {
            value: 1,
            echo_reply: 0,
        },
        TcpOption::WindowScale(7),
        TcpOption::Unknown {
            kind: 254,
            data: vec![0xf9; 12],
        },
    ];
    let syn = Segment {
        flags: Flags::SYN,
        options,
        ..data(1, 0)
    };
    let other = Flow::new("10.0.0.1:2".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let mut story = Story::default().segment(Left, &syn, 0, 10);
    for at in 0..16 {
        let it = Segment {
            flow: other,
            ..data(1 + 10 * at, 10)
        };
        story = story.segment(Left, &it, u64::from(20 + at), None);
    }
    let far = Segment {
        flow: other.reversed(),
        options: vec![TcpOption::Sack(vec![(1010, 1160)])],
        ..ack(1)
    };
    let ladder = story
        .segment(Right, &far, 999_999_999, 1_000_000_000)
        .mark(Right, &"long\n".repeat(30), 1_000_000_001)
        .ladder();
    check(
        &ladder,
        "
[1] is 10.0.0.1:1 > 10.0.0.2:2
[2] is 10.0.0.1:2 > 10.0.0.2:2
a/veth0                                                                                      b/veth0
   0.000000 |- 1 [1] S 0:0(0) win 502 <mss 1460,sackOK,wscale 7,kind 254 (12 bytes)> ->| 0.000010
   0.000020 |----------- 2 [2] . 0:10(10) ack 0 win 502 ------------x                  |
   0.000021 |----------- 3 [2] . 10:20(10) ack 0 win 502 -----------x                  |
   0.000022 |----------- 4 [2] . 20:30(10) ack 0 win 502 -----------x                  |
   0.000023 |----------- 5 [2] . 30:40(10) ack 0 win 502 -----------x                  |
   0.000024 |----------- 6 [2] . 40:50(10) ack 0 win 502 -----------x                  |
   0.000025 |----------- 7 [2] . 50:60(10) ack 0 win 502 -----------x                  |
   0.000026 |----------- 8 [2] . 60:70(10) ack 0 win 502 -----------x                  |
   0.000027 |----------- 9 [2] . 70:80(10) ack 0 win 502 -----------x                  |
   0.000028 |---------- 10 [2] . 80:90(10) ack 0 win 502 -----------x                  |
   0.000029 |---------- 11 [2] . 90:100(10) ack 0 win 502 ----------x                  |
   0.000030 |--------- 12 [2] . 100:110(10) ack 0 win 502 ----------x                  |
   0.000031 |--------- 13 [2] . 110:120(10) ack 0 win 502 ----------x                  |
   0.000032 |--------- 14 [2] . 120:130(10) ack 0 win 502 ----------x                  |
   0.000033 |--------- 15 [2] . 130:140(10) ack 0 win 502 ----------x                  |
   0.000034 |--------- 16 [2] . 140:150(10) ack 0 win 502 ----------x                  |
   0.000035 |--------- 17 [2] . 150:160(10) ack 0 win 502 ----------x                  |
1000.000000 |<--------------------- 18 [2] . 0:0(0) ack 0 win 502 ---------------------| 999.999999
            |  (sack 10:160 (packets 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,  |
            |                                   17))                                   |
            |  == long�long�long�long�long�long�long�long�long�long�long�long�long.. ==| 1000.000001
",
    );
}

#[test]
fn a_clock_that_was_set_back_loses_no_event() {
    // At either host the segment of the other comes first: each would wait for the other for ever.
    let [left, right] = Story::default()
        .segment(Left, &data(1, 10), 5, 5)
        .segment(Right, &ack(1), 5, 5)
        .traces();
    let mut items: Vec<_> = left.items().cloned().collect();
    items.reverse();
    let left = Trace::new(left.link().into(), items);
    check(
        &left.ladder_to(&right),
        "
10.0.0.1:1 > 10.0.0.2:2
a/veth0                                                                                      b/veth0
   0.000000 |<-------------------------- 2 --------------------------                  |
   0.000000 |---------------------- 1 . 0:10(10) ack 0 win 502 ----------------------->| 0.000000
            |                  --------------- 2 . 0:0(0) ack 0 win 502 ---------------| 0.000000
",
    );
}
