//! The wire between two hosts, and what it does on purpose.

use crate::Case;
use crate::connect::talk;
use lab::wire::{Frame, Matcher, Random, Verdict, Way};
use lab::{Connection, Error, Family, Flags, Pair, PairWithWire, TcpOption, wait};
use libtest_mimic::Failed;
use std::io::{self, Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("wire/passes_everything", passes_everything),
    ("wire/retransmits_once", retransmits_once),
    ("wire/reports_a_hole_by_sack", reports_a_hole_by_sack),
    ("wire/closes_its_window", closes_its_window),
    ("wire/closes_simultaneously", closes_simultaneously),
    (
        "wire/quiet_is_when_all_has_arrived",
        quiet_is_when_all_has_arrived,
    ),
    ("wire/cut_and_mended", cut_and_mended),
    ("wire/every_verdict", every_verdict),
    ("wire/rule_ends_with_its_guard", rule_ends_with_its_guard),
    (
        "wire/drops_what_a_link_no_longer_takes",
        drops_what_a_link_no_longer_takes,
    ),
    ("wire/chance_by_seed", chance_by_seed),
    ("wire/whole_in_spite_of_chance", whole_in_spite_of_chance),
    ("wire/says_what_it_waits_for", says_what_it_waits_for),
    ("wire/survives_no_panic", survives_no_panic),
    ("wire/tells_how_late_it_was", tells_how_late_it_was),
];

/// A bound against hanging, not an expectation.
const LONG: Duration = Duration::from_secs(20);
/// The payload of a full segment over IPv4 with timestamps.
const FULL: usize = 1448;

/// Bytes that tell their place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

/// Reads what `pattern` has written.
fn read_pattern(connection: &mut Connection, length: usize) -> Result<(), Failed> {
    let mut read = vec![0; length];
    connection.server.read_exact(&mut read)?;
    assert!(read == pattern(length), "every byte in its place");
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open connection of hosts that repeat themselves only when they are told that something is missing: on a busy
/// machine an answer can be late for a timer.
fn open() -> Result<(PairWithWire, Connection), Failed> {
    let pair = Pair::with_wire()?;
    for host in pair.hosts() {
        host.sysctl("net.ipv4.tcp_early_retrans", "0")?;
        // Before kernel 6.11 there is none, and the smallest time is 200 ms.
        let _ = host.sysctl("net.ipv4.tcp_rto_min_us", "10000000");
    }
    let connection = pair.connection(Family::V4).open()?;
    pair.wire().until_quiet()?;
    Ok((pair, connection))
}

fn drops_what_a_link_no_longer_takes() -> Result<(), Failed> {
    let (pair, mut connection) = open()?;
    let data = Matcher::flow(connection.flow()).and(Matcher::data());
    pair.wire().hold(data.clone())?;
    connection.client.write_all(&pattern(FULL))?;
    pair.wire().until_held(1, LONG)?;
    for host in pair.hosts() {
        host.set_mtu(1280)?;
        assert_eq!(host.mtu(), 1280);
    }
    let capture = pair.a().capture()?;
    pair.wire().release()?;
    pair.wire().until_quiet()?;
    let mut arrived = [0];
    connection.server.set_nonblocking(true)?;
    let read = connection
        .server
        .read(&mut arrived)
        .map_err(|error| error.kind());
    assert_eq!(
        read,
        Err(std::io::ErrorKind::WouldBlock),
        "the held segment was too large"
    );
    connection.server.set_nonblocking(false)?;
    // What is sent again fits.
    for host in pair.hosts() {
        let _ = host.sysctl("net.ipv4.tcp_rto_min_us", "200000");
    }
    connection.client.write_all(&pattern(2 * FULL)[FULL..])?;
    read_pattern(&mut connection, 2 * FULL)?;
    let trace = capture.trace()?.along(&connection.flow());
    assert!(
        trace.packets().all(|it| it.original_len <= 1280 + 14),
        "{trace}"
    );
    Ok(())
}

fn passes_everything() -> Result<(), Failed> {
    let wire = PairWithWire::builder;
    for builder in [
        wire().offload(false),
        wire(),
        wire().gso_max_size(8000).memory(8 << 20),
    ] {
        let pair = builder.build()?;
        for family in Family::ALL {
            let mut connection = pair.connection(family).open()?;
            talk(&connection)?;
            const LENGTH: usize = 4 << 20;
            let mut client = connection.client.try_clone()?;
            let writer = thread::spawn(move || client.write_all(&pattern(LENGTH)));
            read_pattern(&mut connection, LENGTH)?;
            writer.join().map_err(|_| "the writer has panicked")??;
        }
    }
    Ok(())
}

fn retransmits_once() -> Result<(), Failed> {
    let (pair, mut connection) = open()?;
    let flow = connection.flow();
    let capture = pair.a().capture()?;
    let third = Matcher::flow(flow).and(Matcher::nth_data(3));
    let _lost = pair.wire().rule(third.clone().then(Verdict::Drop))?;
    connection.client.write_all(&pattern(8 * FULL))?;
    read_pattern(&mut connection, 8 * FULL)?;
    pair.wire().until_quiet()?;
    let lost = pair.wire().until(third, LONG)?;
    let lost = lost.segment.ok_or("a segment")?;
    let trace = capture.trace()?.along(&flow);
    let sent = trace.count(|it| it.payload_len > 0 && it.seq == lost.seq);
    assert_eq!(sent, 2, "the lost segment and its like: {trace}");
    let all = trace.count(|it| it.payload_len > 0);
    assert_eq!(all, 9, "nothing else is sent twice: {trace}");
    Ok(())
}

fn reports_a_hole_by_sack() -> Result<(), Failed> {
    let (pair, mut connection) = open()?;
    let flow = connection.flow();
    let capture = pair.a().capture()?;
    let second = Matcher::flow(flow).and(Matcher::nth_data(2));
    pair.wire().hold(second)?;
    connection.client.write_all(&pattern(6 * FULL))?;
    pair.wire().until_held(1, LONG)?;
    pair.wire().until_quiet()?;
    let hole = pair.wire().held()?[0].segment.clone().ok_or("a segment")?;
    pair.wire().release()?;
    read_pattern(&mut connection, 6 * FULL)?;
    let trace = capture.trace()?.along(&flow.reversed());
    let reports = trace.count(|it| {
        it.ack == hole.seq
            && it
                .options
                .iter()
                .any(|option| matches!(option, TcpOption::Sack(_)))
    });
    assert!(
        reports >= 1,
        "a SACK block for what lies behind the hole: {trace}"
    );
    Ok(())
}

/// Nobody reads until the sender has asked whether there is room.
fn closes_its_window() -> Result<(), Failed> {
    let pair = Pair::with_wire()?;
    let connection = pair.connection(Family::V4).open()?;
    pair.wire().until_quiet()?;
    let flow = connection.flow();
    let capture = pair.a().capture()?;
    let answer = Matcher::flow(flow.reversed());
    let closed = answer.and(|it: &Frame| it.segment.as_ref().is_some_and(|it| it.window == 0));
    let data = pattern(4 << 20);
    let mut written = 0;
    connection.client.set_nonblocking(true)?;
    wait::until("the window is closed", LONG, || {
        while let Ok(more) = (&connection.client).write(&data[written..]) {
            written += more;
        }
        pair.wire().until(closed.clone(), Duration::ZERO).is_ok()
    })?;
    // This end has nothing to acknowledge.
    capture.until("a window probe", LONG, |packet| {
        let segment = packet.segment().filter(|it| it.flow == flow);
        segment.is_some_and(|it| it.payload_len == 0)
    })?;
    let mut read = vec![0; written];
    (&connection.server).read_exact(&mut read)?;
    assert!(read == data[..written], "every byte in its place");
    pair.wire().until_quiet()?;
    let trace = capture.trace()?.along(&flow.reversed());
    let last = trace.last(|_| true).ok_or("an answer")?;
    assert!(last.window > 0, "the window is open again: {trace}");
    Ok(())
}

/// Both FINs are on their way before either arrives: both ends have to go through CLOSING.
fn closes_simultaneously() -> Result<(), Failed> {
    let (pair, connection) = open()?;
    let flow = connection.flow();
    let capture = pair.a().capture()?;
    pair.wire().hold(Matcher::flags(Flags::FIN))?;
    connection.client.shutdown(Shutdown::Write)?;
    connection.server.shutdown(Shutdown::Write)?;
    pair.wire().until_held(2, LONG)?;
    pair.wire().release()?;
    for mut end in [&connection.client, &connection.server] {
        assert_eq!(end.read(&mut [0])?, 0, "the end of the stream");
    }
    pair.wire().until_quiet()?;
    let trace = capture.trace()?;
    for flow in [flow, flow.reversed()] {
        let fin = trace
            .first(|it| it.flow == flow && it.flags.fin())
            .ok_or("a FIN")?;
        let crossing = trace
            .first(|it| it.flow == flow.reversed() && it.flags.fin())
            .ok_or("a FIN")?;
        assert_eq!(
            crossing.ack, fin.seq,
            "it does not know of the other: {trace}"
        );
        let answer = |it: &lab::Segment| it.flow == flow.reversed() && it.ack == fin.end_seq();
        assert!(trace.any(answer), "it is acknowledged: {trace}");
    }
    Ok(())
}

/// No more is written than the first congestion window takes: what waits for an answer may wait for a timer.
fn quiet_is_when_all_has_arrived() -> Result<(), Failed> {
    const LENGTH: usize = 8 * FULL;
    let (pair, connection) = open()?;
    let (mut client, mut server) = (&connection.client, &connection.server);
    server.set_nonblocking(true)?;
    for round in 0..50 {
        client.write_all(&pattern(LENGTH))?;
        pair.wire().until_quiet()?;
        let mut read = vec![0; LENGTH];
        server
            .read_exact(&mut read)
            .map_err(|error| format!("round {round}: {error}"))?;
        assert!(read == pattern(LENGTH), "every byte in its place");
    }
    Ok(())
}

fn cut_and_mended() -> Result<(), Failed> {
    let pair = Pair::with_wire()?;
    let mut connection = pair.connection(Family::V4).open()?;
    pair.wire().cut()?;
    connection.client.write_all(b"lost")?;
    pair.wire().until_quiet()?;
    connection.server.set_nonblocking(true)?;
    let nothing = connection
        .server
        .read(&mut [0; 8])
        .map_err(|error| error.kind());
    assert_eq!(nothing, Err(io::ErrorKind::WouldBlock));
    connection.server.set_nonblocking(false)?;
    pair.wire().mend()?;
    let mut read = [0; 4];
    connection.server.read_exact(&mut read)?;
    assert_eq!(&read, b"lost");
    Ok(())
}

/// The stream is whole whatever becomes of its first data segment; what it was, the other end's capture tells.
fn every_verdict() -> Result<(), Failed> {
    let delay = Duration::from_millis(1);
    for (verdict, arrivals) in [
        (Verdict::Pass, 1),
        (Verdict::Drop, 1),
        (Verdict::Delay(delay), 1),
        (Verdict::Duplicate, 2),
        (Verdict::Reorder(1), 1),
        (Verdict::Corrupt, 2),
        (Verdict::Rewrite(vec![0; 60]), 1),
    ] {
        let (pair, mut connection) = open()?;
        let flow = connection.flow();
        let capture = pair.b().capture()?;
        let first = Matcher::flow(flow).and(Matcher::nth_data(1));
        let _rule = pair.wire().rule(first.clone().then(verdict.clone()))?;
        connection.client.write_all(&pattern(3 * FULL))?;
        read_pattern(&mut connection, 3 * FULL)?;
        pair.wire().until_quiet()?;
        let seq = pair
            .wire()
            .until(first, LONG)?
            .segment
            .ok_or("a segment")?
            .seq;
        let trace = capture.trace()?.along(&flow);
        let arrived = trace.count(|it| it.payload_len > 0 && it.seq == seq);
        // A sender that is not answered soon enough may repeat itself.
        assert!(arrived >= arrivals, "{verdict:?}: {trace}");
    }
    Ok(())
}

fn rule_ends_with_its_guard() -> Result<(), Failed> {
    let (pair, connection) = open()?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let guard = pair.wire().rule(move |frame: &Frame| {
        lock(&log).push(frame.way);
        Verdict::Pass
    })?;
    talk(&connection)?;
    pair.wire().until_quiet()?;
    drop(guard);
    let before = lock(&seen).clone();
    assert!(before.contains(&Way::AToB) && before.contains(&Way::BToA));
    talk(&connection)?;
    pair.wire().until_quiet()?;
    assert_eq!(*lock(&seen), before);
    Ok(())
}

/// Two wires with the same seed do the same to the same frames.
fn chance_by_seed() -> Result<(), Failed> {
    let lost = |seed| -> Result<Vec<u64>, Failed> {
        let pair = Pair::with_wire()?;
        let mut connection = pair.connection(Family::V4).open()?;
        let lost = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&lost);
        // What is sent again has higher numbers, and gets through.
        let first = |frame: &Frame| (1..=8).contains(&frame.data_number);
        let mut chance = Random::seeded(seed).among(first).loss(0.5);
        let _rule = pair.wire().rule(move |frame: &Frame| {
            let verdict = lab::wire::Rule::judge(&mut chance, frame);
            if verdict == Verdict::Drop {
                lock(&log).push(frame.data_number);
            }
            verdict
        })?;
        connection.client.write_all(&pattern(8 * FULL))?;
        read_pattern(&mut connection, 8 * FULL)?;
        let lost = lock(&lost).clone();
        Ok(lost)
    };
    assert_eq!(lost(7)?, lost(7)?);
    let others = [lost(1)?, lost(2)?, lost(3)?];
    assert!(others.iter().any(|other| *other != others[0]), "{others:?}");
    Ok(())
}

fn whole_in_spite_of_chance() -> Result<(), Failed> {
    const LENGTH: usize = 200_000;
    let pair = Pair::with_wire()?;
    let mut connection = pair.connection(Family::V4).open()?;
    let chance = Random::new()
        .loss(0.01)
        .duplication(0.02)
        .reordering(0.05)
        .delay(0.05, Duration::ZERO..=Duration::from_millis(2));
    let says = chance.to_string();
    let _rule = pair.wire().rule(chance)?;
    let mut client = connection.client.try_clone()?;
    let writer = thread::spawn(move || client.write_all(&pattern(LENGTH)));
    connection.server.set_read_timeout(Some(LONG))?;
    read_pattern(&mut connection, LENGTH).map_err(|error| format!("{says}: {error:?}"))?;
    writer.join().map_err(|_| "the writer has panicked")??;
    Ok(())
}

fn says_what_it_waits_for() -> Result<(), Failed> {
    let (pair, _connection) = open()?;
    let never = Matcher::nth_data(3).and(Matcher::way(Way::BToA));
    let Err(error) = pair.wire().until(never, Duration::ZERO) else {
        return Err("there is none".into());
    };
    let text = error.to_string();
    assert!(
        text.contains("data segment 3 and from b to a on the wire"),
        "{text}"
    );
    Ok(())
}

fn survives_no_panic() -> Result<(), Failed> {
    let (pair, connection) = open()?;
    let _rule = pair.wire().rule(|frame: &Frame| {
        assert!(frame.payload_len() == 0, "on purpose");
        Verdict::Pass
    })?;
    (&connection.client).write_all(b"x")?;
    let failed = pair.wire().until(Matcher::new("never", |_| false), LONG);
    assert!(matches!(failed, Err(Error::Wire(_))), "{failed:?}");
    assert!(pair.wire().cut().is_err());
    Ok(())
}

/// A frame that comes while the wire is busy waits for it, and how long is told once.
fn tells_how_late_it_was() -> Result<(), Failed> {
    const BUSY: Duration = Duration::from_millis(50);
    let pair = Pair::with_wire()?;
    pair.wire().take_lateness()?;
    let to = pair.b().address(Family::V4);
    let socket = pair
        .a()
        .enter(|| UdpSocket::bind((pair.a().address(Family::V4), 0)))??;
    let (meet, met) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (here, sent) = (Arc::clone(&meet), Arc::clone(&met));
    let mut first = true;
    let rule = pair.wire().rule(move |frame: &Frame| {
        if std::mem::take(&mut first) && frame.way == Way::AToB {
            here.wait();
            sent.wait();
            // What makes the next frame late, not what is waited for.
            thread::sleep(BUSY);
        }
        Verdict::Pass
    })?;
    socket.send_to(b"one", (to, 9))?;
    meet.wait();
    socket.send_to(b"two", (to, 9))?;
    met.wait();
    pair.wire().until_quiet()?;
    drop(rule);
    let late = pair.wire().take_lateness()?;
    assert!(late >= BUSY, "{late:?}");
    assert!(pair.wire().take_lateness()? < late, "it is told once");
    Ok(())
}
