//! Notes on real connections: what the kernel does is called what it is.

use crate::Case;
use lab::wire::{Matcher, Verdict};
use lab::{Capture, Family, Note, Pair, wait};
use libtest_mimic::Failed;
use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("notes/a_hole_and_a_copy", a_hole_and_a_copy),
    ("notes/a_window_that_closes", a_window_that_closes),
    ("notes/an_idle_peer_is_asked", an_idle_peer_is_asked),
];

/// A bound against hanging, not an expectation.
const LONG: Duration = Duration::from_secs(20);
/// The payload of a full segment over IPv4 with timestamps.
const FULL: u32 = 1448;

/// Waits until the capture has a segment with such a note.
fn until_noted(capture: &Capture, what: &str, wanted: fn(&Note) -> bool) -> Result<(), Failed> {
    let mut failure = None;
    wait::until(what, LONG, || match capture.trace() {
        Ok(trace) => trace
            .annotated()
            .iter()
            .any(|it| it.notes.iter().any(wanted)),
        Err(error) => {
            failure = Some(error);
            true
        }
    })?;
    Ok(failure.map_or(Ok(()), Err)?)
}

/// The second segment is held until the third has been answered, and the fourth goes on twice.
fn a_hole_and_a_copy() -> Result<(), Failed> {
    let pair = Pair::with_wire()?;
    let capture = pair.a().capture()?;
    let connection = pair.connection(Family::V4).open()?;
    // By their bytes, because what is held may be sent again.
    let data = |nth| {
        let bytes = Matcher::bytes(1 + (nth - 1) * FULL..1 + nth * FULL);
        Matcher::flow(connection.flow()).and(bytes)
    };
    pair.wire().hold(data(2))?;
    let _copy = pair.wire().rule(data(4).then(Verdict::Duplicate))?;
    let (mut client, mut server) = connection.into_peers();
    client.send(u64::from(3 * FULL))?;
    until_noted(&capture, "a SACK", |it| matches!(it, Note::Sack { .. }))?;
    pair.wire().release()?;
    server.receive(u64::from(3 * FULL))?;
    pair.wire().until_quiet()?;
    client.send(u64::from(FULL))?;
    server.receive(u64::from(FULL))?;
    pair.wire().until_quiet()?;

    let trace = capture.trace()?;
    let annotated = trace.annotated();
    let sent = annotated.filter(|it| it.segment.payload_len > 0);
    let number = |first: u32| {
        let it = sent.first(|it| it.seq == first);
        it.map(|it| it.number).ok_or("the segment was sent")
    };
    // On a busy machine a timer may have sent it again meanwhile.
    let third = number(1 + 2 * FULL)?;
    let hole = annotated.first(|it| {
        it.notes.iter().any(|note| {
            matches!(note, Note::Sack { left, right, packets }
                if (*left, *right) == (1 + 2 * FULL, 1 + 3 * FULL) && packets.contains(&third))
        })
    });
    assert!(hole.is_some(), "{trace}");
    let last = sent.iter().last().ok_or("data")?;
    let copy = annotated.first(|it| {
        let twice = |note: &Note| {
            matches!(note, Note::DuplicateSack { right, packets, .. }
                if *right == 1 + 4 * FULL && packets.contains(&last.number))
        };
        it.notes.iter().any(twice)
    });
    assert!(copy.is_some(), "{trace}");
    assert!(annotated.dup_acks().count() > 0, "{trace}");
    Ok(())
}

fn a_window_that_closes() -> Result<(), Failed> {
    let pair = Pair::with_wire()?;
    let capture = pair.a().capture()?;
    let (mut client, mut server) = pair.connection(Family::V6).open()?.into_peers();
    let sent = client.fill()?;
    until_noted(&capture, "a window probe", |it| *it == Note::WindowProbe)?;
    server.receive(sent)?;
    pair.wire().until_quiet()?;

    let trace = capture.trace()?;
    let annotated = trace.annotated();
    let noted = |note: Note| annotated.filter(|it| it.is(&note));
    let (closed, probes) = (noted(Note::ZeroWindow), noted(Note::WindowProbe));
    let opened = noted(Note::WindowUpdate);
    let closed = closed.iter().next().ok_or("a closed window")?;
    let probe = probes.iter().next().ok_or("a probe")?;
    let opened = opened.iter().last().ok_or("a window update")?;
    assert!(closed.number < probe.number, "{trace}");
    assert!(probe.number < opened.number, "{trace}");
    assert_eq!(closed.segment.flow, opened.segment.flow);
    assert_eq!(probe.segment.flow, closed.segment.flow.reversed());
    Ok(())
}

fn an_idle_peer_is_asked() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let connection = pair.connection(Family::V4).open()?;
    let (mut client, mut server) = connection.into_peers();
    client.transfer(&mut server, 100)?;
    let capture = pair.a().capture()?;
    server.transfer(&mut client, 100)?;
    client.transfer(&mut server, 100)?;
    let often = TcpKeepalive::new().with_time(Duration::from_secs(1));
    SockRef::from(client.socket()).set_tcp_keepalive(&often)?;
    until_noted(&capture, "a keepalive", |it| *it == Note::KeepAlive)?;
    let trace = capture.trace()?;
    let asked = trace.annotated().filter(|it| it.is(&Note::KeepAlive));
    assert!(
        asked.iter().all(|it| it.segment.payload_len == 0),
        "{trace}"
    );
    assert_eq!(asked.retransmissions().count(), 0, "{trace}");
    Ok(())
}
