//! The calls of a restore: that each comes when the kernel takes it, and gives what was saved.

use super::paper::{Made, number};
use soccr::raw::{TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_REPAIR_ON, TCP_SEND_QUEUE};
use soccr::{InFlight, Seq, Settings, Snapshot, TcpState, Window};

/// Options as `TCP_REPAIR_OPTIONS` has them, by their kinds.
const MSS: u32 = 2;
const WINDOW_SCALE: u32 = 3;
const SACK_PERMITTED: u32 = 4;
const TIMESTAMPS: u32 = 8;

/// What is known of the socket after a call, and what it was given by then.
#[derive(Default)]
struct Socket {
    paused: bool,
    bound: bool,
    connected: bool,
    queue: i32,
    window: Option<Window>,
    /// The starts of both queues.
    starts: [Option<Seq>; 2],
    options: Option<Vec<[u32; 2]>>,
    clock: Option<u32>,
    received: Vec<u8>,
    sent: Vec<u8>,
    unsent: Vec<u8>,
    /// Whether a queue or a FIN has changed what the window was.
    stale: bool,
}

pub(super) fn judge(snapshot: &Snapshot, settings: Settings, calls: &[Made], resumed_at: usize) {
    let mut socket = Socket::default();
    let (restore, resume) = calls.split_at(resumed_at);
    for call in restore {
        socket.take(snapshot, call);
    }
    // Whatever is dropped up to here is gone without a packet.
    assert!(socket.paused, "left repair mode before the resume");
    match snapshot.state {
        TcpState::SynSent => attempt(&socket, snapshot),
        _ => connection(&socket, snapshot, settings),
    }
    for call in resume {
        assert!(call.name != "send", "a queue is written after the restore");
        if call.name == "setsockopt(TCP_REPAIR)" {
            socket.paused = number(&call.bytes) == TCP_REPAIR_ON.cast_unsigned();
        }
    }
    assert!(!socket.paused, "still in repair mode after the resume");
}

impl Socket {
    fn take(&mut self, snapshot: &Snapshot, call: &Made) {
        let value = number(&call.bytes);
        match call.name {
            "setsockopt(TCP_REPAIR)" => {
                self.paused = value == TCP_REPAIR_ON.cast_unsigned();
                // Entering the mode selects none (`do_tcp_setsockopt`), and outside of it the choice means nothing.
                self.queue = TCP_NO_QUEUE;
                // The mode is left for what was never sent, and then no window is open.
                let shut = self.window.is_some_and(|window| window.snd_wnd == 0);
                assert!(self.paused || shut, "left repair mode with an open window");
            }
            "setsockopt(TCP_REPAIR_QUEUE)" => self.queue = value.cast_signed(),
            "setsockopt(TCP_QUEUE_SEQ)" => {
                assert!(self.paused && !self.connected, "a start after the connect");
                let at = match self.queue {
                    TCP_RECV_QUEUE => 0,
                    TCP_SEND_QUEUE => 1,
                    other => panic!("the start of queue {other}"),
                };
                self.starts[at] = Some(Seq(value));
            }
            "bind" => {
                assert!(self.paused && !self.bound, "bound twice, or not paused");
                self.bound = true;
            }
            "connect" => {
                assert!(self.paused && self.bound && !self.connected);
                assert!(
                    snapshot.state != TcpState::SynSent,
                    "a SYN before the resume"
                );
                self.connected = true;
            }
            "setsockopt(TCP_REPAIR_OPTIONS)" => {
                assert!(self.paused && self.connected && self.written() == 0);
                let (pairs, _) = call.bytes.as_chunks::<8>();
                let pair = |pair: &[u8; 8]| [number(pair), number(&pair[4..])];
                self.options = Some(pairs.iter().map(pair).collect());
            }
            "setsockopt(TCP_TIMESTAMP)" => self.clock = Some(value),
            "setsockopt(TCP_REPAIR_WINDOW)" => {
                assert!(self.paused && self.connected);
                self.window = Some(window(&call.bytes));
                self.stale = false;
            }
            "send" => self.write(&call.bytes),
            "shutdown(SHUT_WR)" => self.stale = true,
            _ => {}
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        assert!(self.connected);
        let to = match (self.paused, self.queue) {
            (true, TCP_RECV_QUEUE) => &mut self.received,
            (true, TCP_SEND_QUEUE) => &mut self.sent,
            (false, TCP_NO_QUEUE) => &mut self.unsent,
            other => panic!("written where it does not belong: {other:?}"),
        };
        to.extend_from_slice(bytes);
        self.stale = true;
    }

    fn written(&self) -> usize {
        self.received.len() + self.sent.len() + self.unsent.len()
    }
}

fn window(bytes: &[u8]) -> Window {
    let (words, rest) = bytes.as_chunks::<4>();
    let &[snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup] = words else {
        panic!("a window of {} bytes", bytes.len());
    };
    assert!(rest.is_empty());
    let [snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup] =
        [snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup].map(u32::from_ne_bytes);
    Window {
        snd_wl1: Seq(snd_wl1),
        snd_wnd,
        max_window,
        rcv_wnd,
        rcv_wup: Seq(rcv_wup),
    }
}

/// A SYN that is still to be sent again, with its number.
fn attempt(socket: &Socket, snapshot: &Snapshot) {
    assert!(!socket.connected && socket.written() == 0);
    assert_eq!(socket.starts, [None, Some(snapshot.send.end.back(1))]);
}

/// A connection with all that it had.
fn connection(socket: &Socket, snapshot: &Snapshot, settings: Settings) {
    assert!(socket.connected);
    // A FIN that no packet brings is counted in front of the bytes.
    let fin = u32::from(snapshot.state.has_peer_fin());
    let starts = [snapshot.receive.start() + fin, snapshot.send.start()];
    assert_eq!(socket.starts, starts.map(Some));
    assert_eq!(socket.received, snapshot.receive.bytes);
    let (sent, unsent) = match settings.in_flight {
        InFlight::AsSent => (snapshot.send.sent(), snapshot.send.unsent()),
        InFlight::AsUnsent => (&[][..], &snapshot.send.bytes[..]),
    };
    assert_eq!(socket.sent, sent);
    assert_eq!(socket.unsent, unsent);
    negotiated(socket, snapshot);
    assert!(!socket.stale, "the windows are not the last");
    if let Some(window) = snapshot.window {
        let wanted = window.acceptable(snapshot.rcv_nxt());
        assert_eq!(socket.window, Some(wanted));
    }
}

fn negotiated(socket: &Socket, snapshot: &Snapshot) {
    let options = socket.options.as_ref().expect("options");
    let find = |kind| options.iter().find(|it| it[0] == kind).map(|it| it[1]);
    let saved = snapshot.options;
    assert_eq!(find(MSS), Some(saved.mss_clamp.into()));
    // Without the option windows are scaled by nothing, which is what the kernel is told (guide A47).
    let shifts = saved.window_scale.unwrap_or_default();
    let shifts = u32::from(shifts.snd) | u32::from(shifts.rcv) << 16;
    assert_eq!(find(WINDOW_SCALE), Some(shifts));
    assert_eq!(find(SACK_PERMITTED).is_some(), saved.sack);
    assert_eq!(find(TIMESTAMPS).is_some(), saved.timestamps.is_some());
    if let Some(clock) = saved.timestamps {
        let set = socket.clock.expect("a clock");
        assert!(set.wrapping_sub(clock.value) <= 2, "{set} behind {clock:?}");
        assert_eq!(set & 1 != 0, clock.microseconds);
    }
}
