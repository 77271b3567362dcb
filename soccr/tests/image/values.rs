//! Records whose fields cannot be read: refused by name, with the place and the value.

use crate::by_hand::{bytes, image, mandatory, record};
use crate::damaged::refused;
use soccr::image::ImageError;

/// What is wrong with the record `tag`, if this is its value and everything else is right.
fn value(tag: u16, value: &[u8]) -> ImageError {
    let mut records = mandatory();
    records.retain(|record| record[..2] != tag.to_le_bytes());
    records.push(record(tag, 1, value));
    records.sort_by_key(|record| u16::from_le_bytes([record[0], record[1]]));
    refused(&image(&records))
}

type Parts = Vec<(&'static str, Vec<u8>)>;

/// The fields of every record, each with bytes that are right for it. What has a length is two parts: the length, and
/// it.
fn records() -> Vec<(u16, Parts)> {
    let numbers = |fields: &[&'static str], size| -> Parts {
        fields.iter().map(|field| (*field, vec![1; size])).collect()
    };
    let sized = |field, length: u8, value: &[u8]| -> Parts {
        vec![
            (field, vec![length, 0, 0, 0, 0, 0, 0, 0]),
            (field, value.to_vec()),
        ]
    };
    let address = |field, family, ip: &[usize]| {
        let mut parts: Parts = vec![(field, vec![family]), (field, vec![1; 2])];
        parts.extend(ip.iter().map(|size| (field, vec![1; *size])));
        parts
    };
    let shifts = ["options.window_scale.snd", "options.window_scale.rcv"];
    let window = [
        "window.snd_wl1",
        "window.snd_wnd",
        "window.max_window",
        "window.rcv_wnd",
        "window.rcv_wup",
    ];
    let path = [
        "path.rtt",
        "path.rttvar",
        "path.rto",
        "path.cwnd",
        "path.ssthresh",
        "path.mtu",
    ];
    vec![
        (1, numbers(&["state"], 1)),
        (
            2,
            [
                address("endpoints.local", 6, &[16, 4, 4]),
                address("endpoints.remote", 4, &[4]),
            ]
            .concat(),
        ),
        (
            3,
            [
                numbers(&["options.mss_clamp"], 2),
                numbers(&["options.window_scale"], 1),
                numbers(&shifts, 1),
                numbers(&["options.sack", "options.timestamps"], 1),
                numbers(&["options.timestamps.value"], 4),
                numbers(&["options.timestamps.microseconds"], 1),
            ]
            .concat(),
        ),
        (4, numbers(&window, 4)),
        (
            5,
            [
                numbers(&["receive.end"], 4),
                sized("receive.bytes", 2, b"ab"),
            ]
            .concat(),
        ),
        (
            6,
            [
                numbers(&["send.end", "send.unsent"], 4),
                numbers(&["send.fin_unsent"], 1),
                sized("send.bytes", 2, b"ab"),
            ]
            .concat(),
        ),
        (
            7,
            [
                numbers(&["buffers.send", "buffers.receive"], 4),
                numbers(&["buffers.locks", "buffers.locks"], 1),
            ]
            .concat(),
        ),
        (
            8,
            numbers(&["shutdown_read", "reuse_address", "nonblocking"], 1),
        ),
        (
            9,
            [
                numbers(&["pending_error"], 1),
                numbers(&["pending_error"], 4),
            ]
            .concat(),
        ),
        (12, numbers(&path, 4)),
        (14, sized("link", 2, b"ab")),
    ]
}

#[test]
fn a_record_that_ends_too_early_is_refused_in_the_field_that_is_cut() {
    for (tag, parts) in records() {
        let whole: Vec<u8> = parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        // Behind the header of the image, the records before this one, and its own header.
        let before = mandatory().into_iter();
        let before = before.filter(|record| u16::from_le_bytes([record[0], record[1]]) < tag);
        let mut start = 0;
        for (wanted, bytes) in parts {
            for left in 0..bytes.len() {
                let offset = 20 + before.clone().map(|it| it.len()).sum::<usize>() + 12 + start;
                let wanted = ImageError::CutField {
                    field: wanted,
                    offset,
                    needed: bytes.len() as u64,
                    left,
                };
                assert_eq!(value(tag, &whole[..start + left]), wanted, "record {tag}");
            }
            start += bytes.len();
        }
    }
}

/// What is in lists: an element that is cut is cut before it is looked at, or while it is.
#[test]
fn a_list_that_ends_too_early_is_refused_wherever_it_ends() {
    let one = 1_u64.to_le_bytes();
    let option = [&bytes(b"A")[..], &[1], &bytes(b"ab")].concat();
    for (tag, whole) in [
        (10, [&one[..], &option].concat()),
        (11, [&[1][..], &one, &[1; 8]].concat()),
        (13, [&one[..], &[1, 0], &bytes(b"ab")].concat()),
    ] {
        for length in 0..whole.len() {
            match value(tag, &whole[..length]) {
                ImageError::CutField { needed, left, .. } => {
                    assert!(needed > left as u64, "{tag}: {length}: {needed} > {left}");
                }
                other => panic!("{tag}: {length}: {other}"),
            }
        }
    }
    // Said with its place, also behind bytes.
    let records = mandatory().concat().len();
    let name = bytes(&[b'A'; 20]);
    assert_eq!(
        value(10, &[&one[..], &name].concat()),
        ImageError::CutField {
            field: "socket_options.width",
            offset: 20 + records + 12 + 8 + 28,
            needed: 1,
            left: 0
        }
    );
}

#[test]
fn values_without_a_meaning_are_refused_by_name() {
    let endpoints = |family| [&[family][..], &[0; 26]].concat();
    let option = |name: &[u8], width: u8, value: &[u8]| {
        [
            &1_u64.to_le_bytes()[..],
            &bytes(name),
            &[width],
            &bytes(value),
        ]
        .concat()
    };
    let loss = [&1_u64.to_le_bytes()[..], &[1, 0], &bytes(&[0xff])].concat();
    let cases: [(&str, u16, Vec<u8>, &str); 15] = [
        ("state", 1, vec![0], "0"),
        ("state", 1, vec![12], "12"),
        ("endpoints.local", 2, endpoints(5), "5"),
        ("options.sack", 3, vec![0, 0, 0, 2, 0], "2"),
        ("options.window_scale", 3, vec![0, 0, 2, 0, 0], "2"),
        ("send.fin_unsent", 6, vec![9; 17], "9"),
        ("buffers.locks", 7, vec![3; 9], "3"),
        ("nonblocking", 8, vec![0, 0, 255], "255"),
        ("pending_error", 9, vec![2], "2"),
        ("filter.locked", 11, vec![2; 9], "2"),
        ("socket_options.width", 10, option(b"A", 2, b"ab"), "2"),
        (
            "socket_options.value",
            10,
            option(b"A", 4, b"ab"),
            "2 bytes",
        ),
        (
            "socket_options.option",
            10,
            option(&[b'A'; 65], 1, b""),
            "65 bytes",
        ),
        ("unsaved.detail", 13, loss, "1 bytes"),
        ("link", 14, bytes(&[0xff]), "1 bytes"),
    ];
    for (wanted, tag, bytes, wrong) in cases {
        match value(tag, &bytes) {
            ImageError::Value { field, value, .. } => assert_eq!((field, &*value), (wanted, wrong)),
            other => panic!("{wanted}: {other}"),
        }
    }
    let offset = 20 + 12;
    assert_eq!(
        value(1, &[12]).to_string(),
        format!(
            "reading state at offset {offset}: 12 must be a state that the kernel numbers 1 to 11 (the checksum is \
             right, so it was written like this: the fault is with its writer)"
        )
    );
}

#[test]
fn lengths_that_cannot_be_there_are_refused_before_there_is_room_for_them() {
    for (tag, before, field, least) in [
        (5, 4, "receive.bytes", 1),
        (6, 9, "send.bytes", 1),
        (10, 0, "socket_options", 17),
        (11, 1, "filter.program", 8),
        (13, 0, "unsaved", 10),
        (14, 0, "link", 1),
    ] {
        let room = 3;
        for claimed in [room / least + 1, 1 << 31, u64::MAX / 8, u64::MAX] {
            let mut bytes = vec![0; before];
            bytes.extend(claimed.to_le_bytes());
            bytes.extend([0; 3]);
            match value(tag, &bytes) {
                ImageError::CutField {
                    field: found,
                    needed,
                    left,
                    ..
                } => {
                    let wanted = claimed.saturating_mul(least);
                    assert_eq!((found, needed, left), (field, wanted, 3));
                }
                other => panic!("{field}: {other}"),
            }
        }
    }
}
