//! What is made of a trace: a text, notes, ladders, a file.

use lab::{Packet, Trace};

/// So many frames make a trace whose ladder is not too dear to draw.
const MOST: usize = 64;

/// Whatever the packets are, they are told, drawn and written, and none of them is left out.
pub(super) fn judge(packets: Vec<Packet>) {
    if packets.is_empty() || packets.len() > MOST {
        return;
    }
    let trace = Trace::of_packets("a/veth0", packets);
    let text = trace.to_string();
    let title = format!("a/veth0: {} packets\n", trace.len());
    assert!(text.starts_with(&title), "{text}");
    // A line for each, and one for each connection where it is met first.
    assert!(text.lines().count() > trace.len(), "{text}");
    annotated(&trace);
    let ladder = trace.ladder();
    assert_eq!(ladder.lost(), 0);
    assert!(!ladder.to_string().is_empty());
    assert!(ladder.svg().contains("<svg"));
    // The two ends of a link: what one sends, the other receives, unless it is lost.
    let ladder = trace.outgoing().ladder_to(&trace.incoming());
    assert!(ladder.lost() <= trace.segments().count());
    assert!(!ladder.to_string().is_empty());
    let written = trace.write_pcapng("/dev/null");
    written.expect("nothing keeps it from being written");
}

fn annotated(trace: &Trace) {
    let notes = trace.annotated();
    assert_eq!(notes.count(), trace.segments().count());
    let mut before = 0;
    for observed in notes.iter() {
        assert!(observed.number > before && observed.number <= trace.len());
        before = observed.number;
        // What it repeats came before it.
        for note in &observed.notes {
            if let lab::Note::Retransmission { of } | lab::Note::SpuriousRetransmission { of } =
                note
            {
                assert!(*of < observed.number, "{note} in {}", observed.number);
            }
        }
    }
}
