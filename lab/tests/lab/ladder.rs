//! Ladder diagrams of real connections.

use crate::Case;
use lab::wire::{Frame, Matcher, Verdict};
use lab::{Error, Family, Ladder, Pair};
use libtest_mimic::Failed;
use std::fs;
use std::io::{Read, Write};

pub(crate) const CASES: &[Case] = &[
    (
        "ladder/what_is_lost_is_sent_again",
        what_is_lost_is_sent_again,
    ),
    ("ladder/what_a_wire_did", what_a_wire_did),
    ("ladder/nothing_is_lost_without_cause", nothing_is_lost),
    ("ladder/says_which_file_it_cannot_write", unwritable),
];

/// The payload of a full segment over IPv4 with timestamps.
const FULL: usize = 1448;

/// The numbers on the arrows of the lines that have `what` in them.
fn numbers(ladder: &str, what: &str) -> Vec<String> {
    let lines = ladder.lines().filter(|line| line.contains(what));
    let numbers = lines.filter_map(|line| {
        let words = line.split_whitespace();
        words
            .skip_while(|word| !word.ends_with("--"))
            .nth(1)
            .map(str::to_owned)
    });
    numbers.collect()
}

fn what_is_lost_is_sent_again() -> Result<(), Failed> {
    for family in [Family::V4, Family::V6] {
        let pair = Pair::with_wire()?;
        let mut connection = pair.connection(family).open()?;
        let (left, right) = (pair.a().capture()?, pair.b().capture()?);
        let third = Matcher::flow(connection.flow()).and(Matcher::nth_data(3));
        let _lost = pair.wire().rule(third.then(Verdict::Drop))?;
        connection.client.write_all(&[7; 8 * FULL])?;
        connection.server.read_exact(&mut [0; 8 * FULL])?;
        pair.wire().until_quiet()?;
        let ladder = left.trace()?.ladder_to(&right.trace()?);
        let drawn = ladder.to_string();
        assert_eq!(ladder.lost(), 1, "{drawn}");
        let [lost] = &numbers(&drawn, "-x ")[..] else {
            return Err(format!("one arrow ends in an x:\n{drawn}").into());
        };
        let again = format!("retransmission of packet {lost}");
        assert!(drawn.contains(&again), "{again}:\n{drawn}");
    }
    Ok(())
}

fn what_a_wire_did() -> Result<(), Failed> {
    let pair = Pair::with_wire()?;
    let mut connection = pair.connection(Family::V4).open()?;
    let (left, right) = (pair.a().capture()?, pair.b().capture()?);
    let data = |nth| Matcher::flow(connection.flow()).and(Matcher::nth_data(nth));
    let narrow = |frame: &Frame| {
        let mut bytes = frame.bytes.clone();
        // The window of a segment over IPv4; its checksum is wrong thereafter.
        bytes[14 + 20 + 14] ^= 1;
        Verdict::Rewrite(bytes)
    };
    let rewritten = data(3);
    let rewrite = move |frame: &Frame| match rewritten.matches(frame) {
        true => narrow(frame),
        false => Verdict::Pass,
    };
    let _rules = [
        pair.wire().rule(data(1).then(Verdict::Duplicate))?,
        pair.wire().rule(data(2).then(Verdict::Corrupt))?,
        pair.wire().rule(rewrite)?,
    ];
    // One segment after the other, each answered.
    for _ in 0..3 {
        connection.client.write_all(&[7; 100])?;
        connection.server.read_exact(&mut [0; 100])?;
        pair.wire().until_quiet()?;
    }
    let ladder = left.trace()?.ladder_to(&right.trace()?);
    let drawn = ladder.to_string();
    assert_eq!(ladder.lost(), 0, "{drawn}");
    for (said, times) in [("once more", 1), ("damaged on the way", 2)] {
        assert_eq!(drawn.matches(said).count(), times, "{said}:\n{drawn}");
    }
    Ok(())
}

/// Large frames that the kernel leaves to the link to cut, in both directions, with no wire in between.
fn nothing_is_lost() -> Result<(), Failed> {
    const LENGTH: u64 = 1 << 20;
    let pair = Pair::new()?;
    let (left, right) = (pair.a().capture()?, pair.b().capture()?);
    for family in [Family::V4, Family::V6] {
        let (mut client, mut server) = pair.connection(family).open()?.into_peers();
        client.transfer(&mut server, LENGTH)?;
        server.transfer(&mut client, LENGTH)?;
    }
    let (left, right) = (left.trace()?, right.trace()?);
    let ladder = left.ladder_to(&right);
    let drawn = ladder.to_string();
    assert_eq!(ladder.lost(), 0, "{drawn}");
    for what in ["*", "on the way", "once more"] {
        assert!(!drawn.contains(what), "{what}:\n{drawn}");
    }
    for (number, trace) in [&left, &right].into_iter().enumerate() {
        let segments = trace.segments().count();
        let across = |line: &&str| line.contains('>') || line.contains('<');
        // Two lines present the connections.
        let arrows = drawn.lines().skip(2).filter(across).count();
        assert_eq!(arrows, segments, "host {number}:\n{drawn}");
    }
    Ok(())
}

fn unwritable() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let ladder: Ladder = capture.trace()?.ladder();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ladder.svg");
    ladder.write_svg(&path)?;
    assert_eq!(fs::read_to_string(&path)?, ladder.svg());
    let nowhere = folder.path().join("none/ladder.svg");
    match ladder.write_svg(&nowhere) {
        Err(error @ Error::Os { .. }) => {
            let error = error.to_string();
            assert!(error.contains("a/veth0"), "{error}");
            assert!(error.contains("none/ladder.svg"), "{error}");
            Ok(())
        }
        other => Err(format!("{other:?}").into()),
    }
}
