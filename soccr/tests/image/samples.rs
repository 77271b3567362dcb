//! The snapshots whose images are in `tests/golden`.

use crate::by_hand::{bytes, record, with};
use soccr::image::ImageError;
use soccr::raw::Opt;
use soccr::{
    Buffers, Endpoints, Instruction, Loss, Path, PendingError, Seq, Snapshot, SocketOption,
    TcpState, Timestamps, Window, WindowScale,
};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

/// Of nothing: what is in every image, and nothing else.
pub(crate) fn nobody() -> Snapshot {
    let nowhere = SocketAddr::from(([0; 4], 0));
    Snapshot::new(Endpoints {
        local: nowhere,
        remote: nowhere,
    })
}

/// Every state, and those that no restore brings about: an image can have them, and a restore refuses them.
pub(crate) const STATES: [(&str, TcpState); 11] = [
    ("state-established", TcpState::Established),
    ("state-syn-sent", TcpState::SynSent),
    ("state-syn-received", TcpState::SynReceived),
    ("state-fin-wait-1", TcpState::FinWait1),
    ("state-fin-wait-2", TcpState::FinWait2),
    ("state-time-wait", TcpState::TimeWait),
    ("state-close", TcpState::Close),
    ("state-close-wait", TcpState::CloseWait),
    ("state-last-ack", TcpState::LastAck),
    ("state-listen", TcpState::Listen),
    ("state-closing", TcpState::Closing),
];

/// The name of the file, and what is in it.
pub(crate) fn samples() -> Result<Vec<(&'static str, Snapshot)>, ImageError> {
    let mut samples = vec![
        ("nobody", nobody()),
        ("established-v4", established(v4())),
        ("established-v6", established(v6())),
        ("established-mapped", established(mapped())),
        ("established-link-local", everything()?),
        ("no-window", change(|it| it.window = None)),
        ("no-options", change(without_options)),
        (
            "error",
            change(|it| it.pending_error = Some(PendingError::Errno(104))),
        ),
        (
            "error-untaken",
            change(|it| it.pending_error = Some(PendingError::Untaken)),
        ),
        ("filter", change(filter)),
        ("socket-options", change(socket_options)),
        ("empty-queues", change(empty_queues)),
        ("link", linked()),
    ];
    for (name, state) in STATES {
        samples.push((name, change(|it| it.state = state)));
    }
    Ok(samples)
}

fn change(change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut snapshot = established(v4());
    change(&mut snapshot);
    snapshot
}

fn v4() -> Endpoints {
    Endpoints {
        local: SocketAddr::from(([192, 0, 2, 1], 443)),
        remote: SocketAddr::from(([198, 51, 100, 2], 50_001)),
    }
}

fn v6() -> Endpoints {
    Endpoints {
        local: SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 443)),
        remote: SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0xffff, 0xc000, 2], 50_001)),
    }
}

fn mapped() -> Endpoints {
    Endpoints {
        local: SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201], 443)),
        remote: SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0xc633, 0x6402], 50_001)),
    }
}

/// With a flow label, as the kernel has it: in network byte order.
fn link_local() -> Endpoints {
    let address = |last, port| {
        let flowinfo = u32::from_ne_bytes([0, 1, 2, 3]);
        let ip = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last);
        SocketAddrV6::new(ip, port, flowinfo, 7).into()
    };
    Endpoints {
        local: address(1, 443),
        remote: address(2, 50_001),
    }
}

/// With the name of the link.
pub(crate) fn linked() -> Snapshot {
    let mut snapshot = established(link_local());
    snapshot.link = Some("eth0".to_owned());
    snapshot
}

/// Both queues, all options, and a sequence number that is about to wrap.
fn established(endpoints: Endpoints) -> Snapshot {
    let mut snapshot = Snapshot::new(endpoints);
    snapshot.options.mss_clamp = 1460;
    snapshot.options.window_scale = Some(WindowScale { snd: 7, rcv: 9 });
    snapshot.options.sack = true;
    snapshot.options.timestamps = Some(Timestamps {
        value: 0x0102_0304,
        microseconds: true,
    });
    snapshot.window = Some(Window {
        snd_wl1: Seq(0xffff_fff0),
        snd_wnd: 64_256,
        max_window: 65_535,
        rcv_wnd: 131_072,
        rcv_wup: Seq(0xffff_fff1),
    });
    snapshot.receive.end = Seq(0xffff_fff2);
    snapshot.receive.bytes = b"received".to_vec();
    snapshot.send.end = Seq(5);
    snapshot.send.bytes = b"sent, unsent".to_vec();
    snapshot.send.unsent = 6;
    let mut buffers = Buffers::default();
    (buffers.send, buffers.receive, buffers.locks) = (87_040, 131_072, Some(2));
    snapshot.buffers = buffers;
    let mut path = Path::default();
    (path.rtt, path.rttvar, path.rto) = (12_300, 400, 212_000);
    (path.cwnd, path.ssthresh, path.mtu) = (42, 0x7fff_ffff, 1500);
    snapshot.path = path;
    snapshot
}

fn without_options(snapshot: &mut Snapshot) {
    snapshot.options.window_scale = None;
    snapshot.options.sack = false;
    snapshot.options.timestamps = None;
    snapshot.buffers.locks = None;
    snapshot.path = Path::default();
}

fn empty_queues(snapshot: &mut Snapshot) {
    snapshot.receive.bytes.clear();
    snapshot.send.bytes.clear();
    snapshot.send.unsent = 0;
}

fn filter(snapshot: &mut Snapshot) {
    let instruction = |code, jt, jf, k| Instruction { code, jt, jf, k };
    snapshot.filter.program = vec![
        instruction(0x20, 0, 0, 0xffff_f014),
        instruction(0x15, 0, 1, 0xc114),
        instruction(0x06, 0, 0, u32::MAX),
        instruction(0x06, 0, 0, 0),
    ];
    snapshot.filter.locked = true;
}

/// A number, two numbers, names, and longs.
fn socket_options(snapshot: &mut Snapshot) {
    let words = |words: &[i32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let longs = |longs: &[i64]| longs.iter().flat_map(|long| long.to_ne_bytes()).collect();
    let of = |option, value| SocketOption { option, value };
    snapshot.socket_options = vec![
        of(Opt::SO_BINDTODEVICE, b"eth0\0".to_vec()),
        of(
            Opt::TCP_CONGESTION,
            b"reno\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        ),
        of(Opt::TCP_KEEPIDLE, words(&[600])),
        of(Opt::SO_LINGER, words(&[1, 30])),
        of(Opt::SO_RCVTIMEO, longs(&[1, 500_000])),
        of(Opt::IP_OPTIONS, vec![7, 7, 4, 192, 0, 2, 1, 0]),
    ];
}

/// A snapshot in which nothing is as in another one.
fn everything() -> Result<Snapshot, ImageError> {
    let mut snapshot = established(link_local());
    snapshot.state = TcpState::FinWait1;
    snapshot.send.fin_unsent = true;
    snapshot.shutdown_read = true;
    snapshot.reuse_address = true;
    snapshot.nonblocking = true;
    snapshot.pending_error = Some(PendingError::Errno(110));
    socket_options(&mut snapshot);
    filter(&mut snapshot);
    snapshot.unsaved = losses(&[(1, "ecn"), (11, "something newer")])?;
    Ok(snapshot)
}

/// Losses, which only a save makes, and an image that was put together by hand.
pub(crate) fn losses(losses: &[(u16, &str)]) -> Result<Vec<Loss>, ImageError> {
    let mut value = (losses.len() as u64).to_le_bytes().to_vec();
    for (number, detail) in losses {
        value.extend(number.to_le_bytes());
        value.extend(bytes(detail.as_bytes()));
    }
    let image = with(&[record(13, 0, &value)]);
    Ok(Snapshot::from_image(&image)?.unsaved)
}
