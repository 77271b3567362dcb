//! Frames of one's own.

use crate::Case;
use lab::{Checksum, Connection, DecodeError, Direction, Error, Family, OptionError, Packet, Pair};
use libtest_mimic::Failed;
use std::io::{Read, Write};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("inject/a_duplicate_is_answered", a_duplicate_is_answered),
    ("inject/a_wrong_checksum_is_seen", a_wrong_checksum_is_seen),
    (
        "inject/options_are_read_strictly",
        options_are_read_strictly,
    ),
    ("inject/what_is_not_tcp_is_kept", what_is_not_tcp_is_kept),
    ("inject/a_frame_has_to_fit", a_frame_has_to_fit),
];

const LONG: Duration = Duration::from_secs(10);

/// A connection without offloads, and the frame by which its client has just sent `data`.
fn sent(family: Family, data: &[u8]) -> Result<(Pair, Connection, Vec<u8>), Failed> {
    let pair = Pair::builder().offload(false).build()?;
    let mut connection = pair.connection(family).open()?;
    let capture = pair.a().capture()?;
    connection.client.write_all(data)?;
    connection.server.read_exact(&mut vec![0; data.len()])?;
    let trace = capture.trace()?;
    let has_data = |it: &&Packet| it.segment().is_some_and(|it| it.payload == data);
    let frame = trace
        .packets()
        .find(has_data)
        .ok_or("the packet")?
        .bytes
        .clone();
    Ok((pair, connection, frame))
}

fn a_duplicate_is_answered() -> Result<(), Failed> {
    for family in Family::ALL {
        let (pair, connection, frame) = sent(family, b"twice")?;
        let capture = pair.b().capture()?;
        pair.a().inject(&frame)?;
        let flow = connection.flow();
        // RFC 9293, section 3.10.7.4: what is not acceptable is answered by an acknowledgment.
        capture.until("the acknowledgment of the duplicate", LONG, |it| {
            it.segment()
                .is_some_and(|it| it.flow == flow.reversed() && it.flags.ack())
        })?;
        let trace = capture.trace()?;
        let incoming: Vec<_> = trace
            .of(&flow)
            .incoming()
            .packets()
            .map(|it| it.bytes.clone())
            .collect();
        assert_eq!(incoming, [frame], "as it was given: {trace}");
        let trace = trace.of(&flow);
        assert!(
            trace.packets().all(|it| it.checksum == Checksum::Valid),
            "{trace}"
        );
    }
    Ok(())
}

fn a_wrong_checksum_is_seen() -> Result<(), Failed> {
    for family in [Family::V4, Family::V6] {
        let (pair, connection, mut frame) = sent(family, b"right")?;
        let captures = [pair.a().capture()?, pair.b().capture()?];
        if let Some(last) = frame.last_mut() {
            *last ^= 1;
        }
        pair.a().inject(&frame)?;
        for (capture, direction) in captures.iter().zip([Direction::Egress, Direction::Ingress]) {
            let trace = capture.trace()?.of(&connection.flow());
            let seen: Vec<_> = trace
                .packets()
                .map(|it| (it.direction, it.checksum))
                .collect();
            // The receiver has said nothing to it.
            assert_eq!(seen, [(direction, Checksum::Invalid)], "{trace}");
        }
    }
    Ok(())
}

fn options_are_read_strictly() -> Result<(), Failed> {
    let (pair, _connection, frame) = sent(Family::V4, b"x")?;
    let capture = pair.b().capture()?;
    let options = 14 + 20 + 20;
    let mut broken = Vec::new();
    for (bytes, error) in [
        (
            [8, 0],
            OptionError::TooShort {
                kind: 8,
                at: 0,
                length: 0,
            },
        ),
        (
            [8, 9],
            OptionError::WrongLength {
                kind: 8,
                at: 0,
                length: 9,
            },
        ),
        ([8, 255], OptionError::PastEnd { kind: 8, at: 0 }),
    ] {
        let mut frame = frame.clone();
        if let Some(to) = frame.get_mut(options..options + 2) {
            to.copy_from_slice(&bytes);
        }
        pair.a().inject(&frame)?;
        broken.push(DecodeError::Options(error));
    }
    let trace = capture.trace()?.incoming();
    let seen: Vec<_> = trace.packets().filter_map(Packet::malformed).collect();
    assert_eq!(seen, broken, "{trace}");
    assert_eq!(trace.segments().count(), 0);
    assert!(trace.to_string().contains("malformed"), "{trace}");
    Ok(())
}

fn what_is_not_tcp_is_kept() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.b().capture()?;
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&pair.b().mac().0);
    frame[6..12].copy_from_slice(&pair.a().mac().0);
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    pair.a().inject(&frame)?;
    let trace = capture.trace()?.incoming();
    let packet = trace
        .packets()
        .find(|it| it.bytes == frame)
        .ok_or("the frame")?;
    assert!(packet.segment().is_none() && packet.malformed().is_none());
    assert_eq!(packet.checksum, Checksum::Unknown);
    assert!(trace.to_string().contains("ARP, 60 bytes"), "{trace}");
    Ok(())
}

fn a_frame_has_to_fit() -> Result<(), Failed> {
    let pair = Pair::builder().mtu(1280).build()?;
    pair.a().inject(&[0xff; 1280 + 14])?;
    for (length, errno) in [(1280 + 14 + 100, libc::EMSGSIZE), (3, libc::EINVAL)] {
        let error = pair
            .a()
            .inject(&vec![0xff; length])
            .err()
            .ok_or("it does not fit")?;
        assert!(matches!(error, Error::Os { .. }), "{error}");
        assert_eq!(error.raw_os_error(), Some(errno), "{error}");
        assert!(
            error.to_string().contains(&format!("{length} bytes")),
            "{error}"
        );
    }
    Ok(())
}
