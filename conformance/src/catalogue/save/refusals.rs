//! What cannot be saved, or closed silently, is refused by name, and left as it was.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Lock, PATIENCE, Receive, Send, Traveller};
use crate::subject::Refusal;
use crate::verdict::{Failure, Stop, Verdict, expect_eq};
use lab::{Blackhole, Direction, Family, Flags, Match, Pair, wait};
use nix::sys::socket::{MsgFlags, SockaddrStorage, send, sendto};
use soccr::raw::{self, Opt};
use soccr::{ErrorKind, TcpState, Unsupported};
use std::fmt::Display;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("save/refused/udp", "a UDP socket is refused", &["C7"], udp),
        Case::new(
            "save/refused/listen",
            "a listening socket is refused",
            &["A2", "C7"],
            listen,
        ),
        Case::new(
            "save/refused/syn-received",
            "a connection that was accepted before its handshake was over is refused, and runs on",
            &["E10"],
            syn_received,
        ),
        Case::new(
            "save/refused/mptcp",
            "an MPTCP socket is refused",
            &["A62", "C22"],
            mptcp,
        ),
        Case::new(
            "save/refused/tls",
            "a socket with TLS in the kernel on it is refused",
            &["D12"],
            tls,
        ),
        Case::new(
            "save/refused/accurate-ecn",
            "a connection with AccECN, whose peer would count marks that never were, is refused, and talks on",
            &["H4"],
            accurate_ecn,
        ),
        Case::new(
            "save/refused/ebpf-filter",
            "a socket with an eBPF filter, which cannot be read, is refused, and keeps it",
            &["D8"],
            ebpf_filter,
        ),
        Case::new(
            "save/refused/in-repair",
            "a socket that somebody else has paused is refused, and stays paused",
            &["A7"],
            in_repair,
        ),
    ];
    for (name, before, inline) in [
        ("ahead", 3, false),
        ("ahead-inline", 3, true),
        ("at-the-mark", 0, false),
        ("at-the-mark-inline", 0, true),
    ] {
        cases.push(Case::new(
            format!("save/refused/urgent-{name}"),
            "urgent data that waits is not lost silently: the save is refused and nothing is consumed",
            &["A29", "G6"],
            move |ctx| urgent(ctx, before, inline),
        ).in_c());
    }
    cases
}

fn udp(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = pair.a().enter(|| UdpSocket::bind("0.0.0.0:0"))??;
    refused(&socket, &Unsupported::Protocol(17))
}

fn listen(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = pair.a().enter(|| TcpListener::bind("0.0.0.0:0"))??;
    refused(&socket, &Unsupported::State(TcpState::Listen))
}

fn syn_received(ctx: &Context) -> Verdict {
    let half_open = HalfOpen::new(ctx)?;
    let accepted = &half_open.accepted;
    save_refused(accepted, &Unsupported::State(TcpState::SynReceived))?;
    let mut bytes = [0; 8];
    let count = raw::recv(accepted, &mut bytes, raw::MSG_DONTWAIT)?;
    expect_eq("what is read after the refusal", &bytes[..count], b"hello")
}

/// A connection that was accepted before its handshake was over.
pub(super) struct HalfOpen {
    pub(super) pair: Arc<Pair>,
    pub(super) accepted: TcpStream,
    pub(super) client: OwnedFd,
    pub(super) lost: Blackhole,
}

impl HalfOpen {
    /// Fast Open without cookies: the server accepts at the SYN, and the last acknowledgement of the handshake is lost.
    pub(super) fn new(ctx: &Context) -> Result<Self, Stop> {
        let pair = ctx.pair()?;
        for host in pair.hosts() {
            // Client and server, data in the SYN, no cookie at either.
            host.sysctl("net.ipv4.tcp_fastopen", "0x607")?;
        }
        let server = pair.b().enter(|| TcpListener::bind((pair.b().v4(), 0)))??;
        let lost = pair
            .b()
            .blackhole(Direction::Ingress, Match::tcp().flags(Flags::ACK))?;
        let client = pair.a().enter(|| raw::tcp_socket(soccr::Family::V4))??;
        let flags = MsgFlags::from_bits_retain(raw::MSG_FASTOPEN | raw::MSG_DONTWAIT);
        let to = SockaddrStorage::from(server.local_addr()?);
        sendto(client.as_raw_fd(), b"hello", &to, flags).map_err(io::Error::from)?;
        let (accepted, _) = server.accept()?;
        Ok(Self {
            pair,
            accepted,
            client,
            lost,
        })
    }
}

fn mptcp(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let protocol = Some(socket2::Protocol::from(libc::IPPROTO_MPTCP));
    let new = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, protocol);
    match pair.a().enter(new)? {
        Ok(socket) => refused(&socket, &Unsupported::Protocol(libc::IPPROTO_MPTCP)),
        Err(error) => Err(Stop::Skip(format!("no MPTCP here: {error}"))),
    }
}

fn tls(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    match raw::set(&traveller.subject, Opt::TCP_ULP, b"tls") {
        Ok(()) => refused(
            &traveller.subject,
            &Unsupported::UpperLayer("tls".to_owned()),
        ),
        Err(error) => Err(Stop::Skip(format!("no TLS in this kernel: {error}"))),
    }
}

/// Either end, while nothing of what is in flight is acknowledged.
fn accurate_ecn(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open_with_accurate_ecn(ctx)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    save_refused(&traveller.subject, &Unsupported::AccurateEcn)?;
    save_refused(&traveller.peer, &Unsupported::AccurateEcn)?;
    traveller.lock = Lock::default();
    traveller.talk.drain(&traveller.subject, &traveller.peer)
}

fn ebpf_filter(ctx: &Context) -> Verdict {
    let program = match lab::ebpf::pass_all() {
        Ok(program) => program,
        Err(error) => {
            return Err(Stop::Skip(format!(
                "no eBPF program can be loaded here: {error}"
            )));
        }
    };
    let traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::SO_ATTACH_BPF, program.as_raw_fd())?;
    save_refused(&traveller.subject, &Unsupported::EbpfFilter)
}

fn in_repair(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
    match soccr::save(&traveller.subject) {
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyInRepair) => {}
        other => return Err(Failure::new("the save", "a refusal", outcome(other)).into()),
    }
    let closed = soccr::silent_close(traveller.subject.try_clone()?).map_err(|it| it.error);
    match closed {
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyInRepair) => {}
        other => {
            return Err(Failure::new("the silent close", "a refusal", outcome(other)).into());
        }
    }
    expect_eq(
        "TCP_REPAIR after the save",
        raw::get_int(&traveller.subject, Opt::TCP_REPAIR)?,
        1,
    )
}

/// `before` ordinary bytes, the urgent one, and three more.
fn urgent(ctx: &Context, before: usize, inline: bool) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::SO_OOBINLINE, inline.into())?;
    let peer = traveller.peer.as_raw_fd();
    let message = b"abc";
    if before > 0 {
        send(peer, &message[..before], MsgFlags::empty()).map_err(io::Error::from)?;
    }
    send(peer, b"!", MsgFlags::MSG_OOB).map_err(io::Error::from)?;
    send(peer, b"def", MsgFlags::empty()).map_err(io::Error::from)?;
    let everything = before as i32 + 4;
    let all_acknowledged = || raw::siocoutq(&traveller.peer).is_ok_and(|left| left == 0);
    wait::until("everything has arrived", PATIENCE, all_acknowledged)?;
    ctx.note("bytes sent", everything);
    let saved = traveller
        .library
        .try_save(traveller.pair.a(), &traveller.subject)?;
    match saved {
        Err(Refusal::ByRust(error))
            if matches!(
                error.kind(),
                ErrorKind::Unsupported(Unsupported::UrgentData { .. })
            ) => {}
        Err(Refusal::ByC { errno, .. }) => expect_eq("errno", errno, libc::EOPNOTSUPP)?,
        other => {
            return Err(
                Failure::new("the save", "a refusal for urgent data", outcome(other)).into(),
            );
        }
    }
    untouched(&traveller.subject)?;
    let after = raw::get_int(&traveller.subject, Opt::SO_OOBINLINE)?;
    expect_eq("SO_OOBINLINE after the refusal", after, inline.into())?;
    let mut expected = [&message[..before], b"!def"].concat();
    if !inline {
        let mut byte = [0; 8];
        let count = raw::recv(&traveller.subject, &mut byte, raw::MSG_OOB)?;
        expect_eq("the urgent byte", &byte[..count], b"!")?;
        expected.retain(|byte| *byte != b'!');
    }
    expect_eq(
        "what is read after the refusal",
        read_all(&traveller.subject)?,
        expected,
    )
}

/// Everything that waits; a read ends at the urgent mark and goes on behind it.
fn read_all(socket: &impl AsFd) -> io::Result<Vec<u8>> {
    let (mut all, mut bytes) = (Vec::new(), [0; 64]);
    loop {
        match raw::recv(socket, &mut bytes, raw::MSG_DONTWAIT) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}

/// Neither is it saved, nor closed silently.
fn refused(socket: &impl AsFd, expected: &Unsupported) -> Verdict {
    save_refused(socket, expected)?;
    let closed = soccr::silent_close(socket.as_fd().try_clone_to_owned()?);
    refuses("the silent close", closed.map_err(|it| it.error), expected)?;
    untouched(socket)
}

fn save_refused(socket: &impl AsFd, expected: &Unsupported) -> Verdict {
    refuses("the save", soccr::save(socket), expected)?;
    untouched(socket)
}

fn refuses<T>(what: &str, result: Result<T, soccr::Error>, expected: &Unsupported) -> Verdict {
    match result {
        Err(error) => match error.kind() {
            ErrorKind::Unsupported(actual) => expect_eq("the reason", actual, expected),
            _ => Err(Failure::new(what, expected, error).into()),
        },
        Ok(_) => Err(Failure::new(what, expected, "success").into()),
    }
}

/// A socket that was refused is not in repair mode; one that is not TCP has no such mode.
fn untouched(socket: &impl AsFd) -> Verdict {
    match raw::get_int(socket, Opt::TCP_REPAIR) {
        Ok(repair) => expect_eq("TCP_REPAIR after the refusal", repair, 0),
        Err(_) => Ok(()),
    }
}

fn outcome<T>(result: Result<T, impl Display>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "success".to_owned())
}
