//! How the connection of a scenario comes about.

use super::faults::Faults;
use super::network::{Hosts, Place};
use super::setup::{Clock, Congestion, Opening, Scaling, Setup};
use super::step::Step;
use crate::case::Need;
use crate::context::Context;
use crate::oracle::stream::End;
use crate::probe::Answer;
use crate::verdict::{Stop, Verdict};
use lab::{Family, Flow, Host};
use soccr::{Endpoints, Seq, Snapshot, Timestamps, Window, WindowScale, raw};
use socket2::Socket;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

/// The port of a subject that was forged, on hosts that nobody has used before.
pub(crate) const SUBJECT_PORT: u16 = 20_001;
/// The port of a peer that was forged, on such hosts.
pub(crate) const PEER_PORT: u16 = 20_002;

/// The clock of a peer that was forged.
const PEER_CLOCK: u32 = 100_000;

/// The window of a forged end: one that every shift can tell exactly.
const SCALED_WINDOW: u32 = 1 << 16;
/// The same where windows are not scaled.
const WINDOW: u32 = u16::MAX as u32;

/// An open connection: the sockets of subject and peer, and its flow from the subject.
pub(super) struct Open {
    pub(super) sockets: [TcpStream; 2],
    pub(super) flow: Flow,
    /// Where the peer will be accepted, if the SYN was lost.
    pub(super) listener: Option<TcpListener>,
}

/// The start, without what this kernel does not have: that is told.
pub(super) fn possible_here(ctx: &Context, setup: Setup) -> Result<Setup, Stop> {
    if setup.timestamps != Clock::Microseconds {
        return Ok(setup);
    }
    match Need::MicrosecondTimestamps.probe() {
        Answer::Here => Ok(setup),
        Answer::Missing(reason) => {
            ctx.note("timestamps of microseconds", reason);
            Ok(Setup {
                timestamps: Clock::Milliseconds,
                ..setup
            })
        }
        Answer::Unknown(error) => Err(Stop::Broken(error)),
    }
}

pub(super) fn open(
    ctx: &Context,
    hosts: &Place,
    setup: &Setup,
    faults: &mut Faults,
) -> Result<Open, Stop> {
    let open = match setup.opening {
        Opening::Handshake => by_handshake(hosts, setup)?,
        Opening::Lost { subject } => attempt(hosts, setup, subject, faults)?,
        Opening::Forged {
            subject,
            peer,
            clock,
        } => forged(hosts, setup, [subject, peer], clock)?,
    };
    // Who is accepted has what the one has that listens.
    let listeners = open.listener.iter().map(AsFd::as_fd);
    for socket in open.sockets.iter().map(AsFd::as_fd).chain(listeners) {
        // Urgent data stays where it stands in the stream.
        raw::set_int(&socket, raw::Opt::SO_OOBINLINE, 1)?;
        control(ctx, socket, setup.congestion)?;
    }
    Ok(open)
}

/// Chooses who decides how much is in flight; where the kernel does not have it, that is told, and its default stays.
fn control(ctx: &Context, socket: BorrowedFd<'_>, congestion: Congestion) -> Verdict {
    let name = match congestion {
        Congestion::Usual => return Ok(()),
        Congestion::Reno => "reno",
        Congestion::Cubic => "cubic",
        Congestion::Bbr => "bbr",
    };
    match raw::set(&socket, raw::Opt::TCP_CONGESTION, name.as_bytes()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            ctx.note(
                "congestion control",
                format!("{name} is not in this kernel"),
            );
            Ok(())
        }
        set => Ok(set?),
    }
}

fn by_handshake(hosts: &Place, setup: &Setup) -> Result<Open, Stop> {
    let (near, far) = (hosts.of(End::Subject), hosts.of(End::Peer));
    let mut connection = near.connection_to(far, setup.family);
    if let Hosts::Move(trio) = &**hosts {
        connection = connection.at(trio.address(setup.family), far.address(setup.family));
    }
    let [mine, theirs] = setup.receive_buffers;
    let buffer = |socket: &socket2::SockRef<'_>, bytes: Option<u32>| match bytes {
        Some(bytes) => socket.set_recv_buffer_size(bytes as usize),
        None => Ok(()),
    };
    let connection = connection
        .on_client(move |socket| buffer(socket, mine))
        .on_server(move |socket| {
            // What it offers in its SYN-ACK.
            if let Some(mss) = setup.mss {
                socket.set_tcp_mss(mss.into())?;
            }
            buffer(socket, theirs)
        })
        .open()?;
    let flow = connection.flow();
    Ok(Open {
        sockets: [connection.client, connection.server],
        flow,
        listener: None,
    })
}

/// Restores both ends from snapshots that were written by hand.
fn forged(hosts: &Place, setup: &Setup, first: [u32; 2], clock: u32) -> Result<Open, Stop> {
    let [mine, theirs] = addresses(hosts, setup);
    let flow = Flow::new(mine, theirs);
    let restore = |end: End, endpoints: Endpoints| {
        let snapshot = by_hand(setup, end, endpoints, first, clock);
        hosts.of(end).enter(|| snapshot.restore())
    };
    let subject = Endpoints {
        local: of_subject(setup, mine),
        remote: of_subject(setup, theirs),
    };
    let peer = Endpoints {
        local: theirs,
        remote: mine,
    };
    let subject = restore(End::Subject, subject)??;
    let peer = restore(End::Peer, peer)??;
    let sockets = [subject.resume()?, peer.resume()?];
    for (socket, bytes) in sockets.iter().zip(setup.receive_buffers) {
        if let Some(bytes) = bytes {
            raw::set_int(socket, raw::Opt::SO_RCVBUF, bytes as i32)?;
        }
    }
    Ok(Open {
        sockets,
        flow,
        listener: None,
    })
}

/// The addresses of subject and peer, as they stand in their packets.
fn addresses(hosts: &Place, setup: &Setup) -> [SocketAddr; 2] {
    let mine = match &**hosts {
        Hosts::Move(trio) => trio.address(setup.family),
        Hosts::Wire(_) => hosts.of(End::Subject).address(setup.family),
    };
    let theirs = hosts.of(End::Peer).address(setup.family);
    // One end of an earlier connection may be in TIME-WAIT.
    let earlier = 2 * hosts.visits();
    [(mine, SUBJECT_PORT), (theirs, PEER_PORT)]
        .map(|(ip, port)| SocketAddr::new(ip, port + earlier))
}

/// An address as the socket of the subject has it.
pub(super) fn of_subject(setup: &Setup, address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) if setup.family == Family::V4Mapped => {
            SocketAddr::from((v4.to_ipv6_mapped(), address.port()))
        }
        _ => address,
    }
}

/// Sends a SYN with this number, which is lost.
fn attempt(hosts: &Place, setup: &Setup, number: u32, faults: &mut Faults) -> Result<Open, Stop> {
    let [mine, theirs] = addresses(hosts, setup);
    let [my_buffer, their_buffer] = setup.receive_buffers;
    let socket = |end, address: SocketAddr, buffer: Option<u32>| {
        let family = match address {
            SocketAddr::V4(_) => soccr::Family::V4,
            SocketAddr::V6(_) => soccr::Family::V6,
        };
        let socket = Socket::from(hosts.of(end).enter(|| raw::tcp_socket(family))??);
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes as usize)?;
        }
        Ok::<_, Stop>(socket)
    };
    let listener = socket(End::Peer, theirs, their_buffer)?;
    if let Some(mss) = setup.mss {
        listener.set_tcp_mss(mss.into())?;
    }
    listener.bind(&theirs.into())?;
    listener.listen(1)?;
    let flow = Flow::new(mine, theirs);
    faults.add(hosts, flow, &Step::Lose(End::Subject, None))?;
    let subject = socket(End::Subject, of_subject(setup, mine), my_buffer)?;
    subject.bind(&of_subject(setup, mine).into())?;
    choose_number(hosts.of(End::Subject), &subject, number)?;
    subject.set_nonblocking(true)?;
    match subject.connect(&of_subject(setup, theirs).into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => other?,
    }
    // Nobody, until there is somebody to accept.
    let peer = socket(End::Peer, theirs, None)?;
    Ok(Open {
        sockets: [subject.into(), peer.into()],
        flow,
        listener: Some(listener.into()),
    })
}

/// The number of the SYN that a socket will send.
fn choose_number(host: &Host, socket: &Socket, number: u32) -> Verdict {
    host.enter(|| {
        raw::set_int(socket, raw::Opt::TCP_REPAIR, 1)?;
        raw::set_int(socket, raw::Opt::TCP_REPAIR_QUEUE, raw::TCP_SEND_QUEUE)?;
        raw::set_int(socket, raw::Opt::TCP_QUEUE_SEQ, number as i32)?;
        raw::set_int(socket, raw::Opt::TCP_REPAIR, 0)
    })??;
    Ok(())
}

/// The snapshot of an end that was written by hand: from the first sequence numbers of subject and peer, and the clock of the
/// subject.
pub(crate) fn by_hand(
    setup: &Setup,
    end: End,
    endpoints: Endpoints,
    first: [u32; 2],
    clock: u32,
) -> Snapshot {
    let (send, receive) = (first[end as usize], first[end.other() as usize]);
    let (clock, microseconds) = match end {
        End::Subject => (clock, setup.timestamps == Clock::Microseconds),
        End::Peer => (PEER_CLOCK, false),
    };
    let mut snapshot = Snapshot::new(endpoints);
    let scale = match setup.scaling {
        Scaling::Off => None,
        Scaling::Usual => Some(WindowScale { snd: 7, rcv: 7 }),
        Scaling::Shifts(subject, peer) => Some(match end {
            End::Subject => WindowScale {
                snd: peer,
                rcv: subject,
            },
            End::Peer => WindowScale {
                snd: subject,
                rcv: peer,
            },
        }),
    };
    let window = |shift: Option<u8>| match shift {
        None | Some(0) => WINDOW,
        Some(_) => SCALED_WINDOW,
    };
    let headers = if setup.family == Family::V6 { 60 } else { 40 };
    // What an end offers is what the other sends at most.
    let offered = (setup.mtu - headers) as u16;
    snapshot.options.mss_clamp = match end {
        End::Subject => setup.mss.map_or(offered, |mss| mss.min(offered)),
        End::Peer => offered,
    };
    snapshot.options.window_scale = scale;
    snapshot.options.sack = setup.sack;
    snapshot.options.timestamps = (setup.timestamps != Clock::Off).then_some(Timestamps {
        value: clock,
        microseconds,
    });
    snapshot.send.end = Seq(send);
    snapshot.receive.end = Seq(receive);
    let snd_wnd = window(scale.map(|it| it.snd));
    snapshot.window = Some(Window {
        snd_wl1: Seq(receive),
        snd_wnd,
        max_window: snd_wnd,
        rcv_wnd: window(scale.map(|it| it.rcv)),
        rcv_wup: Seq(receive),
    });
    snapshot
}
