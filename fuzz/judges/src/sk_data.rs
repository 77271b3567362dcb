//! Snapshots made from hostile `libsoccr_sk_data` structures: validated or refused, and what is validated keeps the
//! kernel's rules. The C interface, which reads the same numbers, makes the same snapshot of them, or refuses them.
//!
//! An input is the 17 numbers of the structure, little-endian; one byte that chooses the addresses; and the bytes
//! of both queues. The lengths that the structure claims need not be those of the queues: that is the point. As the structure, C is
//! given all of it: one that is longer, as a later version's, or too short.

use soccr::{
    Endpoints, ErrorKind, Fate, Finding, Seq, Snapshot, TcpState, Timestamps, Window, WindowScale,
};
use soccr_capi::SkData;
use soccr_capi::client::{self, careless, from_numbers};
use std::net::SocketAddr;

const NUMBERS: usize = 17;

/// Judges an input.
pub fn judge(input: &[u8]) {
    let read = careless::read(input);
    let Some((numbers, rest)) = input.split_at_checked(NUMBERS * 4) else {
        let fault = read.expect_err("it is too short");
        assert_eq!(fault.errno, libc::EINVAL);
        assert!(fault.message.contains("data_size"), "{fault}");
        return;
    };
    let (numbers, _) = numbers.as_chunks::<4>();
    let data: [u32; NUMBERS] = std::array::from_fn(|at| u32::from_le_bytes(numbers[at]));
    let data = from_numbers(data);
    assert_eq!(
        read.map(|read| client::numbers(&read)),
        Ok(client::numbers(&data))
    );
    let Some((&addresses, queues)) = rest.split_first() else {
        return;
    };
    let received = (data.inq_len as usize).min(queues.len());
    let (receive, send) = queues.split_at(received);
    let endpoints = endpoints(addresses);
    if let Some(snapshot) = by_hand(&data, endpoints, receive, send) {
        checked(&snapshot);
    }
    through_c(&data, endpoints, receive, send);
}

/// What the numbers say, read with no care at all.
fn by_hand(data: &SkData, endpoints: Endpoints, receive: &[u8], send: &[u8]) -> Option<Snapshot> {
    let mut snapshot = Snapshot::new(endpoints);
    snapshot.state = TcpState::from_kernel(data.state as u8)?;
    snapshot.receive.bytes = receive.to_vec();
    snapshot.receive.end = Seq(data.inq_seq);
    snapshot.send.bytes = send.to_vec();
    snapshot.send.end = Seq(data.outq_seq);
    snapshot.send.unsent = data.unsq_len;
    let negotiated = |bit: u32| data.opt_mask & bit != 0;
    snapshot.options.mss_clamp = data.mss_clamp as u16;
    snapshot.options.window_scale = negotiated(4).then_some(WindowScale {
        snd: data.snd_wscale as u8,
        rcv: data.rcv_wscale as u8,
    });
    snapshot.options.sack = negotiated(2);
    snapshot.options.timestamps = negotiated(1).then_some(Timestamps {
        value: data.timestamp,
        microseconds: negotiated(64),
    });
    snapshot.window = (data.flags & 1 != 0).then_some(Window {
        snd_wl1: Seq(data.snd_wl1),
        snd_wnd: data.snd_wnd,
        max_window: data.max_window,
        rcv_wnd: data.rcv_wnd,
        rcv_wup: Seq(data.rcv_wup),
    });
    snapshot.buffers.send = data.outq_len;
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

fn checked(snapshot: &Snapshot) {
    let untouched = snapshot.clone();
    match snapshot.validate() {
        Err(error) => match error.kind() {
            ErrorKind::Refused(refusal) => {
                assert!(!refusal.field.is_empty() && !refusal.rule.is_empty());
            }
            ErrorKind::Unsupported(_) => assert!(!snapshot.state.is_carried()),
            other => panic!("validation cannot fail with {other}"),
        },
        Ok(()) => keeps_the_rules(snapshot),
    }
    assert_eq!(*snapshot, untouched);
}

/// What `setsockopt` would check, and what it would not.
pub(crate) fn keeps_the_rules(snapshot: &Snapshot) {
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
    let refused = |finding: &Finding| finding.fate == Fate::Refused;
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

/// What the C interface makes of the same numbers.
fn through_c(data: &SkData, endpoints: Endpoints, receive: &[u8], send: &[u8]) {
    let snapshot = match data.snapshot(endpoints, receive.to_vec(), send.to_vec()) {
        Ok(snapshot) => snapshot,
        Err(fault) => {
            assert_eq!(fault.errno, libc::EINVAL);
            assert!(!fault.message.is_empty());
            return;
        }
    };
    checked(&snapshot);
    assert_eq!(snapshot.receive.bytes.len(), data.inq_len as usize);
    assert_eq!(snapshot.send.bytes.len(), data.outq_len as usize);
    // Sequence numbers are counted with their FINs in C, and without them in Rust.
    assert_eq!(snapshot.rcv_nxt(), Seq(data.inq_seq));
    assert_eq!(snapshot.write_seq(), Seq(data.outq_seq));
    let plain = by_hand(data, endpoints, receive, send).expect("a state that C takes is one");
    let synchronized = snapshot.state.is_synchronized();
    assert_eq!(snapshot.state, plain.state);
    assert_eq!(snapshot.options, plain.options);
    assert_eq!(snapshot.window, plain.window.filter(|_| synchronized));
    if snapshot.validate().is_err() || !synchronized {
        return;
    }
    // What was validated comes back from its numbers, but for a clock whose bit 0 is put right.
    let again = SkData::of(&snapshot, data.opt_mask as u8);
    let clock = again.timestamp.wrapping_sub(data.timestamp);
    assert!(clock <= 1 || snapshot.options.timestamps.is_none());
    let back = again.snapshot(endpoints, receive.to_vec(), send.to_vec());
    let mut expected = snapshot.clone();
    if let Some(timestamps) = &mut expected.options.timestamps {
        timestamps.value = again.timestamp;
    }
    assert_eq!(back, Ok(expected));
}
