//! Snapshots from hostile hands: an honest one, and what was changed in it.

use arbitrary::Arbitrary;
use soccr::raw::Opt;
use soccr::{
    Endpoints, Instruction, PendingError, Seq, Snapshot, SocketOption, TcpState, Timestamps,
    Window, WindowScale,
};
use std::net::SocketAddr;

/// Both hosts of the lab in each family, and what is nobody's.
pub(crate) const ADDRESSES: [&str; 14] = [
    "10.77.0.1:40001",
    "10.77.0.2:40002",
    "[fd77::1]:40003",
    "[fd77::2]:40004",
    "[::ffff:10.77.0.1]:40005",
    "[::ffff:10.77.0.2]:40006",
    "[fe80::1%1]:40007",
    "[fe80::2]:40008",
    "127.0.0.1:40009",
    "[::1]:40010",
    "224.0.0.1:40011",
    "[ff02::1]:40012",
    "0.0.0.0:0",
    "[::]:0",
];

/// Options that an image can name, of every kind of value. None waits for anything, or loads a module of a name that it is
/// given: `TCP_CONGESTION` and `SO_BUSY_POLL` are not among them.
const OPTIONS: [Opt; 24] = [
    Opt::IPV6_V6ONLY,
    Opt::IP_FREEBIND,
    Opt::IP_TRANSPARENT,
    Opt::SO_REUSEPORT,
    Opt::SO_BINDTODEVICE,
    Opt::SO_MARK,
    Opt::SO_DONTROUTE,
    Opt::IP_TOS,
    Opt::IPV6_TCLASS,
    Opt::IP_TTL,
    Opt::IP_OPTIONS,
    Opt::TCP_MAXSEG,
    Opt::TCP_USER_TIMEOUT,
    Opt::TCP_WINDOW_CLAMP,
    Opt::TCP_CORK,
    Opt::TCP_NODELAY,
    Opt::TCP_NOTSENT_LOWAT,
    Opt::TCP_DEFER_ACCEPT,
    Opt::SO_LINGER,
    Opt::SO_RCVLOWAT,
    Opt::SO_RCVTIMEO,
    Opt::SO_TIMESTAMPING,
    Opt::SO_PEEK_OFF,
    Opt::SO_OOBINLINE,
];

/// Something that is changed. Sequence numbers are relative to where they honestly are.
#[derive(Arbitrary, Clone, Debug)]
pub(crate) enum Change {
    State(u8),
    Local(u8),
    Remote(u8),
    Ports(u16, u16),
    Link(Option<String>),
    Mss(u16),
    Scale(Option<(u8, u8)>),
    Sack(bool),
    Clock(Option<(u32, bool)>),
    NoWindow,
    SndWl1(i32),
    SndWnd(u32),
    MaxWindow(u32),
    RcvWnd(u32),
    RcvWup(i32),
    ReceiveEnd(i32),
    Received(Vec<u8>),
    SendEnd(i32),
    /// The bytes, and how many of them were not sent.
    Written(Vec<u8>, u8),
    Unsent(u32),
    FinUnsent(bool),
    ShutdownRead(bool),
    Error(Option<i32>),
    ErrorUntaken,
    Buffers(u32, u32, Option<u8>),
    ReuseAddress(bool),
    NonBlocking(bool),
    Option(u8, Vec<u8>),
    Filter(Vec<(u16, u8, u8, u32)>, bool),
    Path(u32),
}

impl Change {
    /// Whether the connection is the same with it: what is known of the path, which no restore applies, and what is the
    /// application's own affair.
    pub(crate) fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::Path(_) | Self::NonBlocking(_) | Self::ReuseAddress(_)
        )
    }

    /// Changes it.
    pub(crate) fn apply(&self, snapshot: &mut Snapshot) {
        let rcv_nxt = snapshot.rcv_nxt();
        let moved = |from: Seq, by: i32| from + by.cast_unsigned();
        match self.clone() {
            Self::State(number) => {
                snapshot.state = TcpState::from_kernel(number % 13).unwrap_or(snapshot.state);
            }
            Self::Local(at) => snapshot.endpoints.local = address(at),
            Self::Remote(at) => snapshot.endpoints.remote = address(at),
            Self::Ports(local, remote) => {
                snapshot.endpoints.local.set_port(local);
                snapshot.endpoints.remote.set_port(remote);
            }
            Self::Link(name) => snapshot.link = name,
            Self::Mss(bytes) => snapshot.options.mss_clamp = bytes,
            Self::Scale(shifts) => {
                snapshot.options.window_scale = shifts.map(|(snd, rcv)| WindowScale { snd, rcv });
            }
            Self::Sack(negotiated) => snapshot.options.sack = negotiated,
            Self::Clock(clock) => {
                snapshot.options.timestamps = clock.map(|(value, microseconds)| Timestamps {
                    value,
                    microseconds,
                });
            }
            Self::NoWindow => snapshot.window = None,
            Self::SndWl1(by) => window(snapshot).snd_wl1 = moved(rcv_nxt, by),
            Self::SndWnd(bytes) => window(snapshot).snd_wnd = bytes,
            Self::MaxWindow(bytes) => window(snapshot).max_window = bytes,
            Self::RcvWnd(bytes) => window(snapshot).rcv_wnd = bytes,
            Self::RcvWup(by) => window(snapshot).rcv_wup = moved(rcv_nxt, by),
            Self::ReceiveEnd(by) => snapshot.receive.end = moved(snapshot.receive.end, by),
            Self::Received(bytes) => snapshot.receive.bytes = bytes,
            Self::SendEnd(by) => snapshot.send.end = moved(snapshot.send.end, by),
            Self::Written(bytes, unsent) => {
                snapshot.send.unsent = (bytes.len() as u32).min(unsent.into());
                snapshot.send.bytes = bytes;
            }
            Self::Unsent(bytes) => snapshot.send.unsent = bytes,
            Self::FinUnsent(unsent) => snapshot.send.fin_unsent = unsent,
            Self::ShutdownRead(shut) => snapshot.shutdown_read = shut,
            Self::Error(errno) => snapshot.pending_error = errno.map(PendingError::Errno),
            Self::ErrorUntaken => snapshot.pending_error = Some(PendingError::Untaken),
            Self::Buffers(send, receive, locks) => {
                snapshot.buffers.send = send;
                snapshot.buffers.receive = receive;
                snapshot.buffers.locks = locks;
            }
            Self::ReuseAddress(reuse) => snapshot.reuse_address = reuse,
            Self::NonBlocking(nonblocking) => snapshot.nonblocking = nonblocking,
            Self::Option(at, value) => {
                let option = OPTIONS[usize::from(at) % OPTIONS.len()];
                let option = SocketOption { option, value };
                snapshot.socket_options.push(option);
            }
            Self::Filter(program, locked) => {
                let instruction = |(code, jt, jf, k)| Instruction { code, jt, jf, k };
                snapshot.filter.program = program.into_iter().map(instruction).collect();
                snapshot.filter.locked = locked;
            }
            Self::Path(number) => {
                let path = &mut snapshot.path;
                (path.rtt, path.rttvar, path.cwnd) = (number, number >> 3, number);
                path.ssthresh = number.rotate_left(7);
            }
        }
    }
}

fn window(snapshot: &mut Snapshot) -> &mut Window {
    snapshot.window.get_or_insert_default()
}

fn address(at: u8) -> SocketAddr {
    let text = ADDRESSES[usize::from(at) % ADDRESSES.len()];
    text.parse().expect("an address")
}

/// Which honest connection a snapshot begins as.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Honest {
    V4,
    V6,
    Mapped,
}

impl Honest {
    /// A connection between both hosts, both of whose queues have something in them, in a state: with all that the state has.
    pub(crate) fn snapshot(self, state: TcpState) -> Snapshot {
        let (local, remote) = match self {
            Self::V4 => (0, 1),
            Self::V6 => (2, 3),
            Self::Mapped => (4, 5),
        };
        let mut snapshot = Snapshot::new(Endpoints {
            local: address(local),
            remote: address(remote),
        });
        snapshot.state = state;
        snapshot.options.mss_clamp = 1460;
        snapshot.options.window_scale = Some(WindowScale { snd: 7, rcv: 9 });
        snapshot.options.sack = true;
        snapshot.options.timestamps = Some(Timestamps {
            value: 0xffff_fff0,
            microseconds: false,
        });
        // Both streams wrap around inside their queues.
        (snapshot.receive.end, snapshot.send.end) = (Seq(4), Seq(2));
        if state.is_synchronized() {
            snapshot.receive.bytes = b"received".to_vec();
            snapshot.window = Some(Window {
                snd_wl1: Seq(3),
                snd_wnd: 40_000,
                max_window: 65_536,
                rcv_wnd: 65_000,
                rcv_wup: Seq(4),
            });
        }
        if state.is_synchronized() && state != TcpState::FinWait2 {
            snapshot.send.bytes = b"sent, unsent".to_vec();
            snapshot.send.unsent = 6;
            snapshot.send.fin_unsent = state.owes_fin();
        }
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_honest_is_valid_in_every_state_that_can_be_restored() {
        for honest in [Honest::V4, Honest::V6, Honest::Mapped] {
            for state in (1..=11).filter_map(TcpState::from_kernel) {
                let valid = honest.snapshot(state).validate();
                assert_eq!(valid.is_ok(), state.is_carried(), "{state}: {valid:?}");
            }
        }
    }
}
