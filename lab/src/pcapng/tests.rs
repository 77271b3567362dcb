//! A file is read back by the draft alone.

use super::*;
use crate::address::Flow;
use crate::flags::Flags;
use crate::link::Mac;
use crate::mark::{Mark, Message};
use crate::options::TcpOption;
use crate::packet::Content;
use crate::segment::Segment;
use std::sync::Arc;

type Options = Vec<(u16, Vec<u8>)>;

/// Reads a file back by the draft alone: the kind, the fixed part and the options of each block.
fn parse(mut file: &[u8]) -> Vec<(u32, Vec<u8>, Options)> {
    let u32_at =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut blocks = Vec::new();
    while !file.is_empty() {
        let (kind, length) = (u32_at(file, 0), u32_at(file, 4) as usize);
        assert_eq!(length % 4, 0);
        assert_eq!(
            u32_at(file, length - 4) as usize,
            length,
            "the length at the end"
        );
        let body = &file[8..length - 4];
        let fixed = match kind {
            0x0a0d_0d0a => 16,
            1 => 8,
            6 => 20 + (u32_at(body, 12) as usize).div_ceil(4) * 4,
            other => panic!("block {other:#x}"),
        };
        let (fixed, mut rest) = body.split_at(fixed);
        let mut options = Vec::new();
        loop {
            let code = u16::from_le_bytes([rest[0], rest[1]]);
            let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
            if code == 0 {
                assert_eq!(
                    (length, rest.len()),
                    (0, 4),
                    "nothing follows the end of the options"
                );
                break;
            }
            options.push((code, rest[4..4 + length].to_vec()));
            rest = &rest[4 + length.div_ceil(4) * 4..];
        }
        blocks.push((kind, fixed.to_vec(), options));
        file = &file[length..];
    }
    blocks
}

fn written(items: Vec<Item>) -> Vec<(u32, Vec<u8>, Options)> {
    let mut file = Vec::new();
    write_blocks(&[&Trace::new("a/veth0".into(), items)], &mut file).unwrap();
    parse(&file)
}

fn packet(direction: Direction, checksum: Checksum, gso: bool, bytes: &[u8]) -> Item {
    Item::Packet(Arc::new(Packet {
        time: 0x1122_3344_5566_7788,
        direction,
        original_len: 70_000,
        bytes: bytes.to_vec(),
        checksum,
        gso,
        content: Content::Other,
    }))
}

#[test]
fn the_file_says_how_to_read_it() {
    let blocks = written(Vec::new());
    let [(0x0a0d_0d0a, section, about), (1, interface, options)] = &blocks[..] else {
        panic!("{blocks:?}");
    };
    assert_eq!(section[..4], [0x4d, 0x3c, 0x2b, 0x1a]);
    assert_eq!(section[4..8], [1, 0, 0, 0]);
    assert_eq!(section[8..], [0xff; 8]);
    assert_eq!(about, &[(4, b"lab".to_vec())]);
    assert_eq!(interface[..], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(options, &[(2, b"a/veth0".to_vec()), (9, vec![9])]);
}

#[test]
fn a_packet_keeps_its_time_its_lengths_and_its_bytes() {
    for length in 0..9 {
        let bytes: Vec<u8> = (1..=length).collect();
        let blocks = written(vec![packet(
            Direction::Egress,
            Checksum::Unknown,
            false,
            &bytes,
        )]);
        let (6, fixed, _) = &blocks[2] else {
            panic!("{blocks:?}");
        };
        assert_eq!(fixed[..4], [0; 4], "the interface");
        assert_eq!(
            fixed[4..12],
            [0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55]
        );
        assert_eq!(fixed[12..16], [length, 0, 0, 0]);
        assert_eq!(fixed[16..20], 70_000u32.to_le_bytes());
        assert_eq!(fixed[20..20 + bytes.len()], bytes);
        assert!(
            fixed[20 + bytes.len()..]
                .iter()
                .all(|&padding| padding == 0)
        );
    }
}

#[test]
fn flags_tell_direction_and_offloads() {
    for (direction, checksum, gso, flags) in [
        (Direction::Ingress, Checksum::Unknown, false, 0b01),
        (Direction::Egress, Checksum::Invalid, false, 0b10),
        (
            Direction::Egress,
            Checksum::Partial,
            true,
            0b1010_0000_0010_u32,
        ),
        (Direction::Ingress, Checksum::Valid, false, 0b0100_0000_0001),
    ] {
        let blocks = written(vec![packet(direction, checksum, gso, b"frame")]);
        assert_eq!(blocks[2].2, [(2, flags.to_le_bytes().to_vec())]);
    }
}

#[test]
fn a_mark_is_a_frame_with_a_comment() {
    for text in ["", "restored", "wiederhergestellt: ✓"] {
        let item = mark(text);
        let Item::Mark(mark) = &item else {
            panic!("a mark");
        };
        let (bytes, length) = (mark.bytes.clone(), mark.bytes.len() as u32);
        let blocks = written(vec![item]);
        let (6, fixed, options) = &blocks[2] else {
            panic!("{blocks:?}");
        };
        assert_eq!(fixed[12..16], length.to_le_bytes());
        assert_eq!(fixed[16..20], length.to_le_bytes());
        assert_eq!(fixed[20..20 + bytes.len()], bytes);
        assert_eq!(
            options[..],
            [(1, text.as_bytes().to_vec()), (2, vec![2, 0, 0, 0])]
        );
    }
}

fn mark(text: &str) -> Item {
    Item::Mark(Arc::new(Mark {
        text: text.to_owned(),
        time: 1,
        direction: Direction::Egress,
        bytes: Message::Text(text.to_owned()).frame(Mac([2, 0, 0, 0, 0, 1])),
    }))
}

/// A reader counts marks as well, which are frames to it.
#[test]
fn what_a_segment_means_is_its_comment_and_names_frames_of_the_file() {
    let Item::Packet(packet) = packet(Direction::Egress, Checksum::Valid, false, b"") else {
        panic!("a packet");
    };
    let flow = Flow::new("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let data = Item::Packet(Arc::new(Packet {
        content: Content::Segment(Segment {
            flow,
            seq: 1,
            ack: 1,
            flags: Flags::ACK,
            window: 0,
            options: Vec::new(),
            payload_len: 1,
            payload: vec![0],
        }),
        ..(*packet).clone()
    }));
    let blocks = written(vec![mark("first"), data.clone(), mark("again"), data]);
    let comment = String::from_utf8(blocks[5].2[0].1.clone()).unwrap();
    assert_eq!(comment, "retransmission of packet 2, zero window");
}

/// A block that is acknowledged selectively names all packets that it covers.
#[test]
fn a_comment_that_is_too_long_is_cut_and_the_file_stays_whole() {
    assert_eq!(shortened("short"), "short");
    // The limit lies within a letter of two bytes.
    let cut = shortened(&"é".repeat(LONGEST_OPTION)).len();
    assert_eq!(cut, LONGEST_OPTION - 1);

    let flow = Flow::new("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let packet = |segment| Packet {
        time: 1,
        direction: Direction::Egress,
        original_len: 0,
        bytes: Vec::new(),
        checksum: Checksum::Unknown,
        gso: false,
        content: Content::Segment(segment),
    };
    let data = |seq| Segment {
        flow,
        seq,
        ack: 1,
        flags: Flags::ACK,
        window: 9,
        options: Vec::new(),
        payload_len: 1,
        payload: vec![0],
    };
    const PACKETS: u32 = 12_000;
    let ack = Segment {
        flow: flow.reversed(),
        seq: 1,
        ack: 1,
        options: vec![TcpOption::Sack(vec![(2, PACKETS)])],
        payload_len: 0,
        payload: Vec::new(),
        ..data(0)
    };
    let segments = (1..PACKETS).map(data).chain([ack]);
    let trace = Trace::of_packets("a/veth0", segments.map(packet));
    let mut file = Vec::new();
    write_blocks(&[&trace], &mut file).unwrap();
    let blocks = parse(&file);
    assert_eq!(blocks.len(), 2 + PACKETS as usize);
    let (comment, text) = &blocks[1 + PACKETS as usize].2[0];
    assert_eq!((*comment, text.len()), (OPT_COMMENT, LONGEST_OPTION));
}

/// Frame numbers count all of the file; who shares a time stays in the order of the traces.
#[test]
fn several_traces_are_interfaces_of_one_file_in_the_order_of_time() {
    let at = |time, bytes: &[u8]| {
        let Item::Packet(it) = packet(Direction::Egress, Checksum::Valid, false, bytes) else {
            panic!("a packet");
        };
        Item::Packet(Arc::new(Packet {
            time,
            ..(*it).clone()
        }))
    };
    let a = Trace::new("a/veth0".into(), vec![at(1, b"1"), at(9, b"5")]);
    // Not in the order of its times: that of the link counts.
    let b = Trace::new(
        "b/veth0".into(),
        vec![at(1, b"2"), at(5, b"3"), at(4, b"4")],
    );
    let mut file = Vec::new();
    write_blocks(&[&a, &b], &mut file).unwrap();
    let blocks = parse(&file);
    let names: Vec<_> = blocks[1..3].iter().map(|it| &it.2[0].1[..]).collect();
    assert_eq!(names, [b"a/veth0", b"b/veth0"]);
    let frames = blocks[3..]
        .iter()
        .map(|(_, fixed, _)| (fixed[0], fixed[20]));
    assert_eq!(
        frames.collect::<Vec<_>>(),
        [(0, b'1'), (1, b'2'), (1, b'3'), (1, b'4'), (0, b'5')]
    );
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let trace = Trace::new("a/veth0".into(), Vec::new());
    let error = trace
        .write_pcapng("/proc/nowhere/x.pcapng")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/proc/nowhere/x.pcapng") && error.contains("a/veth0"),
        "{error}"
    );
}
