//! Snapshots of nothing but what CRIU's images hold.

use proptest::collection::vec;
use proptest::prelude::*;
use soccr::raw::Opt;
use soccr::{
    Endpoints, Filter, Instruction, Seq, Snapshot, SocketOption, TcpState, Timestamps, Window,
    WindowScale,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Valid ones, in every state that is carried.
pub(crate) fn snapshots() -> impl Strategy<Value = Snapshot> {
    (states(), endpoints()).prop_flat_map(|(state, mut endpoints)| {
        let connected = state != TcpState::Close || endpoints.remote.port() % 2 == 0;
        if !connected {
            let nowhere = match endpoints.local {
                SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            endpoints.remote = SocketAddr::new(nowhere, 0);
        }
        let mut base = Snapshot::new(endpoints);
        base.state = state;
        let sockets = (socket(base), any::<bool>());
        let numbers = numbers(state, connected);
        (sockets, numbers).prop_map(move |((mut snapshot, shut), numbers)| {
            let ended = state.has_peer_fin() || (state == TcpState::Close && connected);
            snapshot.shutdown_read = shut && !ended;
            if connected {
                numbers.put_into(&mut snapshot);
            }
            snapshot
        })
    })
}

fn states() -> impl Strategy<Value = TcpState> {
    use TcpState::*;
    prop::sample::select(vec![
        Established,
        SynSent,
        FinWait1,
        FinWait2,
        Close,
        CloseWait,
        LastAck,
        Closing,
    ])
}

fn endpoints() -> impl Strategy<Value = Endpoints> {
    let v4 = any::<(u16, u16)>().prop_map(|(a, b)| {
        [a, b].map(|it| IpAddr::from(Ipv4Addr::new(10, 77, (it >> 8) as u8, it as u8)))
    });
    let mapped = any::<(u8, u8)>()
        .prop_map(|(a, b)| [a, b].map(|it| Ipv4Addr::new(10, 77, 3, it).to_ipv6_mapped().into()));
    let v6 = any::<(u64, u64)>().prop_map(|(a, b)| {
        [a, b].map(|it| Ipv6Addr::from(0xfd77_u128 << 112 | u128::from(it)).into())
    });
    (prop_oneof![v4, mapped, v6], 1..=u16::MAX, 1..=u16::MAX).prop_map(|(ips, local, remote)| {
        Endpoints {
            local: SocketAddr::new(ips[0], local),
            remote: SocketAddr::new(ips[1], remote),
        }
    })
}

/// Fills in what stands in the socket's message.
fn socket(base: Snapshot) -> impl Strategy<Value = Snapshot> {
    let v6 = base.endpoints.local.is_ipv6();
    let sizes = (1..=i32::MAX.unsigned_abs(), 1..=i32::MAX.unsigned_abs());
    let locks = prop::option::of(0..4_u8);
    (sizes, locks, any::<(bool, bool)>(), options(v6), programs()).prop_map(
        move |((send, receive), locks, (reuse, nonblocking), socket_options, program)| {
            let mut snapshot = base.clone();
            snapshot.buffers.send = send;
            snapshot.buffers.receive = receive;
            snapshot.buffers.locks = locks;
            snapshot.reuse_address = reuse;
            snapshot.nonblocking = nonblocking;
            snapshot.socket_options = socket_options;
            snapshot.filter = Filter {
                program,
                locked: false,
            };
            snapshot
        },
    )
}

fn programs() -> impl Strategy<Value = Vec<Instruction>> {
    let instruction =
        any::<(u16, u8, u8, u32)>().prop_map(|(code, jt, jf, k)| Instruction { code, jt, jf, k });
    vec(instruction, 0..4)
}

/// Options that are not as on a new socket, in the order in which they are carried.
fn options(v6: bool) -> impl Strategy<Value = Vec<SocketOption>> {
    let some = |option, value: BoxedStrategy<Vec<u8>>| {
        prop::option::of(value.prop_map(move |value| SocketOption { option, value }))
    };
    let int = |number: u32| number.to_ne_bytes().to_vec();
    let on = move |option| some(option, Just(int(1)).boxed());
    let number = move |option| some(option, (2..1000_u32).prop_map(int).boxed());
    let pair = |(on, number): (u32, u32)| [on, number].map(u32::to_ne_bytes).concat();
    let linger = (Just(1_u32), any::<u32>()).prop_map(pair).boxed();
    let time = |(seconds, micros): (i64, i64)| [seconds, micros].map(i64::to_ne_bytes).concat();
    let times = (0..i64::MAX, 1..1_000_000_i64).prop_map(time).boxed();
    let name = "[a-z]{1,15}"
        .prop_map(|name| [name.as_bytes(), &[0]].concat())
        .boxed();
    let tos = (1..64_u32).prop_map(move |tos| int(tos << 2)).boxed();
    let first = (
        on(Opt::IPV6_V6ONLY),
        on(Opt::IP_FREEBIND),
        on(Opt::SO_REUSEPORT),
        some(Opt::SO_BINDTODEVICE, name),
        number(Opt::SO_MARK),
        on(Opt::SO_DONTROUTE),
        some(Opt::IP_TOS, tos),
        number(Opt::SO_PRIORITY),
        number(Opt::IP_TTL),
        number(Opt::TCP_KEEPIDLE),
    );
    let second = (
        number(Opt::TCP_KEEPINTVL),
        number(Opt::TCP_KEEPCNT),
        on(Opt::SO_KEEPALIVE),
        on(Opt::SO_OOBINLINE),
        some(Opt::SO_LINGER, linger),
        number(Opt::SO_RCVLOWAT),
        some(Opt::SO_RCVTIMEO, times.clone()),
        some(Opt::SO_SNDTIMEO, times),
        on(Opt::TCP_CORK),
        on(Opt::TCP_NODELAY),
    );
    let packet_info = match v6 {
        true => Opt::IPV6_RECVPKTINFO,
        false => Opt::IP_PKTINFO,
    };
    let third = (on(Opt::SO_BROADCAST), on(Opt::SO_NO_CHECK), on(packet_info));
    (first, second, third).prop_map(move |(first, second, third)| {
        let (broadcast, no_check, packet_info) = third;
        let (v6only, freebind, reuseport, device, mark, dontroute, tos, priority, ttl, idle) =
            first;
        let (interval, count, keepalive, inline, linger, lowat, receive, send, cork, nodelay) =
            second;
        // The kernel has one flag for both.
        let freebind6 = freebind.clone().map(|it: SocketOption| SocketOption {
            option: Opt::IPV6_FREEBIND,
            ..it
        });
        [
            v6only.filter(|_| v6),
            freebind,
            freebind6.filter(|_| v6),
            reuseport,
            device,
            mark,
            dontroute,
            broadcast,
            no_check,
            tos.filter(|_| !v6),
            priority,
            ttl.filter(|_| !v6),
            packet_info,
            idle,
            interval,
            count,
            keepalive,
            inline,
            linger,
            lowat,
            receive,
            send,
            cork,
            nodelay,
        ]
        .into_iter()
        .flatten()
        .collect()
    })
}

/// What stands in the stream's message, and behind it.
#[derive(Clone, Debug)]
struct Numbers {
    receive: (u32, Vec<u8>),
    send: (u32, Vec<u8>),
    unsent: usize,
    mss_clamp: u16,
    window_scale: Option<WindowScale>,
    sack: bool,
    timestamps: Option<Timestamps>,
    window: Option<Window>,
}

impl Numbers {
    fn put_into(self, snapshot: &mut Snapshot) {
        let state = snapshot.state;
        snapshot.receive.end = Seq(self.receive.0);
        snapshot.receive.bytes = self.receive.1;
        snapshot.send.end = Seq(self.send.0);
        snapshot.send.bytes = self.send.1;
        snapshot.send.unsent = self.unsent as u32;
        snapshot.send.fin_unsent = state.owes_fin() && self.unsent > 0;
        snapshot.options.mss_clamp = self.mss_clamp;
        snapshot.options.window_scale = self.window_scale;
        snapshot.options.sack = self.sack;
        snapshot.options.timestamps = self.timestamps;
        let rcv_nxt = snapshot.rcv_nxt();
        snapshot.window = self.window.map(|window| Window {
            snd_wl1: rcv_nxt + window.snd_wl1.0,
            rcv_wup: rcv_nxt.back(window.rcv_wup.0),
            ..window
        });
    }
}

fn numbers(state: TcpState, connected: bool) -> impl Strategy<Value = Numbers> {
    let synchronized = state.is_synchronized();
    let reads = if synchronized || (state == TcpState::Close && connected) {
        40
    } else {
        0
    };
    let writes = if synchronized && state != TcpState::FinWait2 {
        40
    } else {
        0
    };
    let queue = |most: usize| (any::<u32>(), vec(any::<u8>(), 0..=most));
    let shifts = (0..=14_u8, 0..=14_u8).prop_map(|(snd, rcv)| WindowScale { snd, rcv });
    let clock = any::<(u32, bool)>().prop_map(|(value, microseconds)| Timestamps {
        value: value & !1 | u32::from(microseconds),
        microseconds,
    });
    let window = (
        0..1_u32 << 30,
        0..1_u32 << 30,
        0..1_u32 << 30,
        0..=1_u32 << 30,
        0..1_u32 << 30,
    )
        .prop_map(|(snd_wl1, one, other, rcv_wnd, rcv_wup)| Window {
            snd_wl1: Seq(snd_wl1),
            snd_wnd: one.min(other),
            max_window: one.max(other),
            rcv_wnd,
            rcv_wup: Seq(rcv_wup),
        });
    let negotiated = (
        1..=u16::MAX,
        prop::option::of(shifts),
        any::<bool>(),
        prop::option::of(clock),
    );
    let window = prop::option::of(window);
    (
        queue(reads),
        queue(writes),
        0..=40_usize,
        negotiated,
        window,
    )
        .prop_map(
            move |(receive, send, unsent, (mss_clamp, window_scale, sack, timestamps), window)| {
                Numbers {
                    unsent: unsent.min(send.1.len()),
                    receive,
                    send,
                    mss_clamp,
                    window_scale,
                    sack,
                    timestamps,
                    window: window.filter(|_| synchronized),
                }
            },
        )
}
