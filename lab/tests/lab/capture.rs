//! Captures: what they say about a packet, and that they miss none.

use crate::Case;
use crate::connect::talk;
use lab::{
    Capture, CaptureOptions, Checksum, Direction, Error, Family, Flags, Pair, Segment, TcpOption,
};
use libtest_mimic::Failed;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const CASES: &[Case] = &[
    (
        "capture/a_handshake_at_either_end",
        a_handshake_at_either_end,
    ),
    (
        "capture/the_options_of_a_handshake",
        the_options_of_a_handshake,
    ),
    (
        "capture/sync_leaves_nothing_unread",
        sync_leaves_nothing_unread,
    ),
    (
        "capture/until_looks_back_and_ahead",
        until_looks_back_and_ahead,
    ),
    (
        "capture/until_names_what_did_not_come",
        until_names_what_did_not_come,
    ),
    (
        "capture/a_capture_begins_when_it_is_started",
        a_capture_begins_when_it_is_started,
    ),
    ("capture/lost_frames_are_an_error", lost_frames_are_an_error),
    (
        "capture/the_next_one_knows_nothing_of_the_last",
        the_next_one_knows_nothing_of_the_last,
    ),
    ("capture/a_predicate_may_panic", a_predicate_may_panic),
    ("capture/it_outlives_its_pair", it_outlives_its_pair),
];

const LONG: Duration = Duration::from_secs(10);

fn a_handshake_at_either_end() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let captures = [pair.a().capture()?, pair.b().capture()?];
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map(|it| it.as_nanos() as u64)
    };
    let before = now()?;
    for family in Family::ALL {
        let connection = pair.connection(family).open()?;
        for (host, capture) in pair.hosts().into_iter().zip(&captures) {
            let trace = capture.trace()?.of(&connection.flow());
            assert_eq!(trace.link(), format!("{}/veth0", host.name()));
            let seen: Vec<_> = trace
                .packets()
                .filter_map(|it| Some((it.direction, it.segment()?.flags)))
                .collect();
            let (out, back) = match host.name() {
                "a" => (Direction::Egress, Direction::Ingress),
                _ => (Direction::Ingress, Direction::Egress),
            };
            let syn_ack = Flags::SYN.and(Flags::ACK);
            assert_eq!(
                seen,
                [(out, Flags::SYN), (back, syn_ack), (out, Flags::ACK)],
                "{trace}"
            );
            for packet in trace.packets() {
                // Nobody ever fills it in on a veth pair.
                assert_eq!(packet.checksum, Checksum::Partial, "{trace}");
                assert_eq!(packet.original_len as usize, packet.bytes.len());
                assert!(!packet.gso);
            }
            // Each is the cause of the next.
            let times: Vec<_> = trace.packets().map(|it| it.time).collect();
            assert!(times.is_sorted(), "{trace}");
            assert!(
                times
                    .iter()
                    .all(|time| (before..=now().unwrap_or(0)).contains(time))
            );
        }
    }
    Ok(())
}

fn the_options_of_a_handshake() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.b().capture()?;
    for (family, mss) in [
        (Family::V4, 1460),
        (Family::V6, 1440),
        (Family::V4Mapped, 1460),
    ] {
        let connection = pair.connection(family).open()?;
        let trace = capture.trace()?.of(&connection.flow());
        let [syn, syn_ack, ack] = trace.segments().collect::<Vec<_>>()[..] else {
            return Err(format!("not three segments: {trace}").into());
        };
        for segment in [syn, syn_ack] {
            assert_eq!(segment.mss(), Some(mss));
            assert_eq!(
                segment.window_scale(),
                Some(7),
                "by the baseline's buffer sizes"
            );
            assert!(segment.sack_permitted());
            assert_eq!((segment.payload_len, segment.sequence_len()), (0, 1));
        }
        assert_eq!(syn_ack.ack, syn.end_seq());
        assert_eq!(ack.ack, syn_ack.end_seq());
        let stamps = |it: &Segment| it.timestamps().ok_or("timestamps");
        assert_eq!(stamps(syn)?.1, 0);
        assert_eq!(stamps(syn_ack)?.1, stamps(syn)?.0);
        assert_eq!(stamps(ack)?.1, stamps(syn_ack)?.0);
        assert!(
            matches!(ack.options[..], [TcpOption::Timestamps { .. }]),
            "{ack:?}"
        );
    }
    Ok(())
}

/// Also what the other host has sent, and the kernel has not handed over yet.
fn sync_leaves_nothing_unread() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let mut connection = pair.connection(Family::V6).open()?;
    let flow = connection.flow();
    for round in 1..=100 {
        connection.client.write_all(b"x")?;
        capture.sync()?;
        let sent = capture
            .trace()?
            .along(&flow)
            .count(|it| it.payload_len == 1);
        assert_eq!(sent, round);

        // From a thread, so that it comes by another processor's queue now and then.
        thread::scope(|scope| scope.spawn(|| connection.server.write_all(b"y")).join())
            .map_err(|_| "the writer panicked")??;
        let received = capture.trace()?.along(&flow.reversed());
        assert_eq!(
            received.count(|it| it.payload_len == 1),
            round,
            "{received}"
        );
    }
    Ok(())
}

fn until_looks_back_and_ahead() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.b().capture()?;
    let connection = pair.connection(Family::V4).open()?;
    let syn = |flags: Flags| flags.syn() && !flags.ack();
    let has_syn = |it: &lab::Packet| it.segment().is_some_and(|it| syn(it.flags));
    capture.until("the SYN, which has come", LONG, has_syn)?;
    thread::scope(|scope| {
        let ahead = scope.spawn(|| {
            capture.until("the FIN, which has not", LONG, |it| {
                it.segment().is_some_and(|it| it.flags.fin())
            })
        });
        talk(&connection)?;
        connection.client.shutdown(std::net::Shutdown::Write)?;
        ahead.join().map_err(|_| "the waiting thread panicked")??;
        Ok(())
    })
}

fn until_names_what_did_not_come() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let waited = capture.until("a miracle", Duration::from_millis(1), |_| false);
    let error = waited.err().ok_or("no packet is a miracle")?;
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(
        error.to_string().contains("a miracle on a/veth0"),
        "{error}"
    );
    Ok(())
}

fn a_capture_begins_when_it_is_started() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let mut connection = pair.connection(Family::V4).open()?;
    let early = pair.a().capture()?;
    talk(&connection)?;
    early.sync()?;
    let late = pair.a().capture()?;
    assert!(early.trace()?.count(|it| it.payload_len == 5) >= 2);
    assert_eq!(late.trace()?.count(|it| it.payload_len == 5), 0);
    // Two captures of one link do not take packets away from each other.
    connection.client.write_all(b"more")?;
    for capture in [early, late] {
        assert_eq!(capture.trace()?.count(|it| it.payload_len == 4), 1);
    }
    Ok(())
}

fn lost_frames_are_an_error() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture_with(CaptureOptions::default().frames(1))?;
    let other = pair.b().capture()?;
    let frame = [0xff; 60];
    pair.a().inject(&frame)?;
    // The reader cannot go on while it is being asked, and the ring has room for 64.
    let mut sent = Ok(());
    let looked = capture.until("the frame", LONG, |_| {
        sent = (0..2000).try_for_each(|_| pair.a().inject(&frame));
        true
    });
    sent?;
    for result in [
        looked,
        capture.sync(),
        capture.trace().map(|_| ()),
        capture.mark("late"),
    ] {
        assert!(
            matches!(&result, Err(Error::FramesLost { link, frames }) if link == "a/veth0" && *frames > 0),
            "{result:?}"
        );
    }
    // A ring that is large enough has them all.
    let all = other.trace()?.filter(|it| it.bytes == frame);
    assert_eq!(all.len(), 2001);
    Ok(())
}

fn the_next_one_knows_nothing_of_the_last() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let frame = [0; 60];
    let texts = |capture: &Capture| {
        let trace = capture.trace()?;
        // A new link says this and that by itself (MLD).
        assert!(trace.packets().all(|it| it.bytes != frame));
        Ok::<_, Error>(trace.marks().map(|it| it.text.clone()).collect::<Vec<_>>())
    };
    let capture = pair.a().capture()?;
    capture.mark("first")?;
    assert_eq!(texts(&capture)?, ["first"]);
    drop(capture);
    // More than its ring has room for, while nobody reads it: that is nobody's loss.
    (0..5000).try_for_each(|_| pair.a().inject(&frame))?;
    let again = pair.a().capture()?;
    again.mark("second")?;
    assert_eq!(texts(&again)?, ["second"]);
    // A second one at the same time has a ring of its own.
    let beside = pair.a().capture()?;
    again.mark("third")?;
    assert_eq!(texts(&beside)?, ["third"]);
    assert_eq!(texts(&again)?, ["second", "third"]);
    drop((again, beside));
    let last = pair.a().capture()?;
    last.mark("last")?;
    assert_eq!(texts(&last)?, ["last"]);
    Ok(())
}

fn a_predicate_may_panic() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let connection = pair.connection(Family::V4).open()?;
    let panicked = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            capture.until("anything", LONG, |_| {
                std::panic::resume_unwind(Box::new("on purpose"))
            })
        });
        asking.join().is_err()
    });
    assert!(panicked);
    talk(&connection)?;
    assert!(capture.trace()?.any(|it| it.payload_len == 5));
    Ok(())
}

/// A report is written after the case has ended, one way or another.
fn it_outlives_its_pair() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let mut connection = pair.connection(Family::V4).open()?;
    let trace = capture.trace()?;
    drop(pair);
    // Its sockets still hold the network.
    connection.client.write_all(b"still there")?;
    connection.server.read_exact(&mut [0; 11])?;
    assert!(capture.trace()?.len() > trace.len());
    drop(capture);
    assert_eq!(trace.count(|it| it.flags.syn()), 2);
    Ok(())
}
