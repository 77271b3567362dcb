//! Marks: where they stand among the packets.

use crate::Case;
use lab::{Direction, Error, Family, Pair};
use libtest_mimic::Failed;
use std::fs;
use std::io::{Read, Write};

pub(crate) const CASES: &[Case] = &[
    (
        "marks/they_stand_where_they_were_made",
        they_stand_where_they_were_made,
    ),
    ("marks/both_ends_see_them", both_ends_see_them),
    ("marks/the_first_of_two_is_found", the_first_of_two_is_found),
    ("marks/a_missing_one_is_an_error", a_missing_one_is_an_error),
    ("marks/a_long_text_is_refused", a_long_text_is_refused),
    (
        "marks/a_file_has_them_as_comments",
        a_file_has_them_as_comments,
    ),
];

fn they_stand_where_they_were_made() -> Result<(), Failed> {
    const ROUNDS: u32 = 50;
    let pair = Pair::new()?;
    let captures = [pair.a().capture()?, pair.b().capture()?];
    let mut connection = pair.connection(Family::V4).open()?;
    let flow = connection.flow();
    for round in 0..ROUNDS {
        for capture in &captures {
            capture.mark(&format!("{round}"))?;
        }
        // One way and then the other, so that marks stand next to what comes as well as to what goes.
        let (from, to) = match round % 2 {
            0 => (&mut connection.client, &mut connection.server),
            _ => (&mut connection.server, &mut connection.client),
        };
        from.write_all(&vec![b'x'; 1 + round as usize])?;
        to.read_exact(&mut vec![0; 1 + round as usize])?;
    }
    for capture in &captures {
        capture.mark(&format!("{ROUNDS}"))?;
        let trace = capture.trace()?;
        for round in 0..ROUNDS {
            let along = if round % 2 == 0 {
                flow
            } else {
                flow.reversed()
            };
            let step = trace.between(&format!("{round}"), &format!("{}", round + 1))?;
            let data: Vec<_> = step
                .segments()
                .filter(|it| it.payload_len > 0)
                .map(|it| (it.flow, it.payload_len))
                .collect();
            assert_eq!(data, [(along, 1 + round)], "round {round}: {trace}");
        }
        let handshake = trace.before("0")?;
        assert_eq!(handshake.of(&flow).len(), 3, "{handshake}");
        assert!(
            trace.after(&format!("{ROUNDS}"))?.of(&flow).is_empty(),
            "{trace}"
        );
    }
    Ok(())
}

fn both_ends_see_them() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let (a, b) = (pair.a().capture()?, pair.b().capture()?);
    a.mark("first")?;
    b.mark("second: ✓")?;
    for (capture, ways) in [
        (a, [Direction::Egress, Direction::Ingress]),
        (b, [Direction::Ingress, Direction::Egress]),
    ] {
        let trace = capture.trace()?;
        let marks: Vec<_> = trace
            .marks()
            .map(|it| (it.text.as_str(), it.direction))
            .collect();
        assert_eq!(marks, [("first", ways[0]), ("second: ✓", ways[1])]);
        let times: Vec<_> = trace.marks().map(|it| it.time).collect();
        assert!(times.is_sorted(), "{times:?}");
        // What keeps the capture in order is not in it, and neither is a mark a packet.
        assert!(
            !trace
                .packets()
                .any(|it| it.bytes.get(12..14) == Some(&[0x88, 0xb5]))
        );
        let text = trace.to_string();
        assert!(
            text.contains("---- first") && text.contains("(at the other end)"),
            "{text}"
        );
    }
    Ok(())
}

/// The other end makes marks of the same name: its own come first.
fn the_first_of_two_is_found() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let (a, b) = (pair.a().capture()?, pair.b().capture()?);
    b.mark("ready")?;
    let connection = pair.connection(Family::V4).open()?;
    a.mark("ready")?;
    a.mark("ready")?;
    let flow = connection.flow();
    assert_eq!(a.trace()?.before("ready")?.of(&flow).len(), 3);
    assert_eq!(b.trace()?.after("ready")?.of(&flow).len(), 3);
    assert_eq!(a.trace()?.after("ready")?.marks().count(), 1);
    Ok(())
}

fn a_missing_one_is_an_error() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    capture.mark("paused")?;
    capture.mark("resumed")?;
    let trace = capture.trace()?;
    for (result, missing) in [
        (trace.after("stopped"), "stopped"),
        (trace.between("resumed", "paused"), "paused"),
    ] {
        match result {
            Err(Error::NoSuchMark { wanted, .. }) => assert_eq!(wanted, missing),
            other => return Err(format!("{missing}: {other:?}").into()),
        }
    }
    let text = trace
        .before("x")
        .map_or_else(|error| error.to_string(), |_| String::new());
    assert!(
        text.contains("paused") && text.contains("resumed"),
        "{text}"
    );
    Ok(())
}

fn a_long_text_is_refused() -> Result<(), Failed> {
    let pair = Pair::builder().mtu(1280).build()?;
    let capture = pair.a().capture()?;
    capture.mark(&"x".repeat(1000))?;
    let refused = capture.mark(&"x".repeat(1001));
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert_eq!(capture.trace()?.marks().count(), 1);
    Ok(())
}

fn a_file_has_them_as_comments() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let _connection = pair.connection(Family::V6).open()?;
    capture.mark("connected")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.pcapng");
    // The second replaces the first.
    for _ in 0..2 {
        capture.trace()?.write_pcapng(&path)?;
    }
    let file = fs::read(&path)?;
    assert_eq!(file.get(..4), Some(&[0x0a, 0x0d, 0x0d, 0x0a][..]));
    let count = |text: &[u8]| file.windows(text.len()).filter(|it| *it == text).count();
    assert_eq!(count(b"a/veth0"), 1);
    // In the frame, and as its comment.
    assert_eq!(count(b"connected"), 2);
    Ok(())
}
