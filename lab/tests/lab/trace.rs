//! Traces: asking them, cutting them, printing them.

use crate::Case;
use crate::connect::talk;
use lab::{Direction, Family, Match, Note, Pair};
use libtest_mimic::Failed;
use std::io::{Read, Write};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("trace/questions_have_answers", questions_have_answers),
    ("trace/it_reads_like_packetdrill", it_reads_like_packetdrill),
    (
        "trace/a_lost_segment_is_seen_again",
        a_lost_segment_is_seen_again,
    ),
];

fn questions_have_answers() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let first = pair.connection(Family::V4).open()?;
    let second = pair.connection(Family::V6).open()?;
    talk(&first)?;
    let trace = capture.trace()?;
    let (flow, other) = (first.flow(), second.flow());

    assert_eq!(trace.of(&other).len(), 3);
    assert_eq!(trace.of(&flow.reversed()).len(), trace.of(&flow).len());
    let (along, back) = (trace.along(&flow), trace.along(&flow.reversed()));
    assert_eq!(along.len() + back.len(), trace.of(&flow).len());
    assert_eq!(along.len(), trace.of(&flow).outgoing().len());
    assert_eq!(back.len(), trace.of(&flow).incoming().len());

    let syn = trace.first_syn(&flow).ok_or("a SYN")?;
    assert_eq!(
        trace.first_syn(&flow.reversed()),
        None,
        "the answer to a SYN is not one"
    );
    let data = along.first(|it| it.payload_len > 0).ok_or("data")?;
    assert_eq!(data.seq, syn.end_seq());
    assert_eq!(data.payload, b"hello");
    assert_eq!(along.count(|it| it.payload_len > 0), 1);
    assert_eq!(along.last(|it| it.payload_len > 0), Some(data));
    assert!(!trace.any(|it| it.flags.rst()));
    assert!(trace.filter(|_| false).is_empty());
    Ok(())
}

fn it_reads_like_packetdrill() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let connection = pair
        .connection(Family::V4)
        .client_port(4000)
        .server_port(80)
        .open()?;
    capture.mark("connected")?;
    talk(&connection)?;
    let text = capture.trace()?.of(&connection.flow()).to_string();
    let mut lines = text.lines();
    for wanted in [
        &["a/veth0"][..],
        &["[1] is 10.77.0.1:4000 > 10.77.0.2:80"],
        &[
            "0.000000 > [1] S",
            "0:0(0)",
            "<mss 1460,sackOK,TS val ",
            " ecr 0,",
            "wscale 7>",
        ],
        &[" < [1] S.", " ack 1 "],
        &[" > [1] .", " ack 1 "],
        &["---- connected ----"],
        &[" > [1] P.", "1:6(5) ack 1 "],
    ] {
        let line = lines.next().ok_or("more lines")?;
        assert!(
            wanted.iter().all(|it| line.contains(it)),
            "{wanted:?} in {line}\n{text}"
        );
    }
    Ok(())
}

/// The blackhole at the receiver swallows what the capture at the sender has seen leave.
fn a_lost_segment_is_seen_again() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let mut connection = pair.connection(Family::V4).open()?;
    let flow = connection.flow();
    let blackhole = pair
        .b()
        .blackhole(Direction::Ingress, Match::tcp().flow(flow))?;
    connection.client.write_all(b"hello")?;
    let mut sent = 0;
    capture.until("a retransmission", Duration::from_secs(10), |packet| {
        let of_flow = packet.segment().filter(|it| it.flow == flow);
        sent += usize::from(of_flow.is_some_and(|it| it.payload_len > 0));
        sent == 2
    })?;
    drop(blackhole);
    connection.server.read_exact(&mut [0; 5])?;
    let trace = capture.trace()?.of(&flow);
    let annotated = trace.annotated();

    let [syn, answer, ack] = annotated.handshake().ok_or("a handshake")?;
    assert_eq!((syn.number, answer.number, ack.number), (1, 2, 3));
    let again = annotated.retransmissions().of_bytes(1..6);
    assert!(again.count() > 0, "{trace}");
    assert_eq!(annotated.retransmissions().of_bytes(6..).count(), 0);
    let first = again.first(|_| true).ok_or("a retransmission")?;
    assert!(first.is(&Note::Retransmission { of: 4 }), "{trace}");
    assert!(trace.to_string().contains(" # retransmission of packet 4"));
    Ok(())
}
