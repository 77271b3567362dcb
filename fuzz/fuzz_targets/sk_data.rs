//! Snapshots made from hostile `libsoccr_sk_data` structures: validated or refused, and what is validated keeps the
//! kernel's rules.
//!
//! An input is the 17 numbers of the structure, little-endian; one byte that chooses the addresses; and the bytes
//! of both queues. The lengths that the structure claims need not be those of the queues: that is the point.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soccr::{Endpoints, ErrorKind, Seq, Snapshot, TcpState, Timestamps, Window, WindowScale};
use std::net::SocketAddr;

fuzz_target!(|input: &[u8]| {
    if let Some(snapshot) = decode(input) {
        judge(&snapshot);
    }
});

fn decode(input: &[u8]) -> Option<Snapshot> {
    let (words, rest) = input.split_at_checked(17 * 4)?;
    let word = |index: usize| {
        let bytes = &words[index * 4..index * 4 + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    };
    let (&addresses, queues) = rest.split_first()?;
    let mut snapshot = Snapshot::new(endpoints(addresses));
    snapshot.state = TcpState::from_kernel(word(0) as u8)?;
    let received = (word(1) as usize).min(queues.len());
    snapshot.receive.bytes = queues[..received].to_vec();
    snapshot.receive.end = Seq(word(2));
    snapshot.send.bytes = queues[received..].to_vec();
    snapshot.send.end = Seq(word(4));
    snapshot.send.unsent = word(5);
    let negotiated = |bit: u32| word(6) & bit != 0;
    snapshot.options.mss_clamp = word(7) as u16;
    snapshot.options.window_scale = negotiated(4).then_some(WindowScale {
        snd: word(8) as u8,
        rcv: word(9) as u8,
    });
    snapshot.options.sack = negotiated(2);
    snapshot.options.timestamps = negotiated(1).then_some(Timestamps {
        value: word(10),
        microseconds: negotiated(64),
    });
    snapshot.window = (word(11) & 1 != 0).then_some(Window {
        snd_wl1: Seq(word(12)),
        snd_wnd: word(13),
        max_window: word(14),
        rcv_wnd: word(15),
        rcv_wup: Seq(word(16)),
    });
    snapshot.buffers.send = word(3);
    Some(snapshot)
}

fn endpoints(choice: u8) -> Endpoints {
    const ADDRESSES: [([u16; 8], u16); 4] = [
        ([0, 0, 0, 0, 0, 0xffff, 0x0a4d, 1], 40_001),
        ([0xfd77, 0, 0, 0, 0, 0xffff, 0x0a4d, 1], 40_002),
        ([0xfd77, 0, 0, 0, 0, 0, 0, 2], 0),
        ([0; 8], 40_003),
    ];
    let address = |bits: u8| match bits & 7 {
        index @ 0..=3 => SocketAddr::from(ADDRESSES[usize::from(index)]),
        4 => SocketAddr::from(([10, 77, 0, 1], 40_001)),
        5 => SocketAddr::from(([10, 77, 0, 2], 40_002)),
        6 => SocketAddr::from(([224, 0, 0, 1], 40_003)),
        _ => SocketAddr::from(([0, 0, 0, 0], 0)),
    };
    Endpoints {
        local: address(choice),
        remote: address(choice >> 3),
    }
}

fn judge(snapshot: &Snapshot) {
    let untouched = snapshot.clone();
    match snapshot.validate() {
        Err(error) => match error.kind() {
            ErrorKind::Refused(refusal) => {
                assert!(!refusal.field.is_empty() && !refusal.rule.is_empty())
            }
            ErrorKind::Unsupported(_) => assert!(!snapshot.state.is_carried()),
            other => panic!("validation cannot fail with {other}"),
        },
        Ok(()) => keeps_the_rules(snapshot),
    }
    assert_eq!(*snapshot, untouched);
}

/// What `setsockopt` would check, and what it would not.
fn keeps_the_rules(snapshot: &Snapshot) {
    let (sent, unsent) = (snapshot.send.sent(), snapshot.send.unsent());
    assert_eq!([sent, unsent].concat(), snapshot.send.bytes);
    assert_eq!(unsent.len(), snapshot.send.unsent as usize);
    assert_eq!(
        snapshot.send.start() + snapshot.send.bytes.len() as u32,
        snapshot.send.end
    );
    assert_eq!(
        snapshot.receive.start() + snapshot.receive.bytes.len() as u32,
        snapshot.receive.end
    );
    let refused = |finding: &soccr::Finding| finding.fate == soccr::Fate::Refused;
    assert!(!snapshot.lint().iter().any(refused));
    let rcv_nxt = snapshot.rcv_nxt();
    assert_eq!(
        snapshot.endpoints.local.is_ipv4(),
        snapshot.endpoints.remote.is_ipv4()
    );
    // Of a connection that is over, or not there yet, windows and options mean nothing.
    if !snapshot.state.is_synchronized() {
        return;
    }
    if let Some(window) = snapshot.window.map(|window| window.acceptable(rcv_nxt)) {
        // tcp_repair_set_window() in the kernel's net/ipv4/tcp.c.
        assert!(window.max_window >= window.snd_wnd);
        assert!(!window.snd_wl1.after(rcv_nxt + window.rcv_wnd));
        assert!(!window.rcv_wup.after(rcv_nxt));
    }
    assert!(snapshot.options.mss_clamp > 0);
}
