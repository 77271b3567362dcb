//! The kernel's view of a host's sockets: right in every state, and whole.

use crate::Case;
use lab::{Connection, Family, Flow, Host, Pair, TcpSocket, TcpState, wait};
use libtest_mimic::Failed;
use socket2::{Domain, Socket, Type};
use std::collections::HashSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    (
        "sockets/both_ends_in_every_family",
        both_ends_in_every_family,
    ),
    ("sockets/a_listener_and_who_waits", a_listener_and_who_waits),
    (
        "sockets/bytes_that_wait_are_counted",
        bytes_that_wait_are_counted,
    ),
    ("sockets/the_states_of_a_close", the_states_of_a_close),
    (
        "sockets/after_a_reset_there_is_none",
        after_a_reset_there_is_none,
    ),
    ("sockets/a_long_list_is_whole", a_long_list_is_whole),
    (
        "sockets/one_is_found_wherever_it_is_bound",
        one_is_found_wherever_it_is_bound,
    ),
];

const TIMEOUT: Duration = Duration::from_secs(10);

/// Waits until the host's socket of this connection is as `wanted` says; that socket.
fn until(
    host: &Host,
    connection: &Connection,
    what: &str,
    wanted: impl Fn(&TcpSocket) -> bool,
) -> Result<TcpSocket, Failed> {
    let flow = connection.flow();
    let mut found = Ok(None);
    wait::until(format!("{what} on {}", host.name()), TIMEOUT, || {
        found = host.sockets().map(|sockets| {
            let own = sockets.of(&flow).or(sockets.of(&flow.reversed()));
            own.filter(|it| wanted(it)).cloned()
        });
        !matches!(found, Ok(None))
    })?;
    found?.ok_or_else(|| "it is gone again".into())
}

fn both_ends_in_every_family() -> Result<(), Failed> {
    for family in Family::ALL {
        let pair = Pair::new()?;
        let connection = pair.connection(family).open()?;
        let (a, b) = (pair.a().sockets()?, pair.b().sockets()?);
        let flow = connection.flow();
        assert_eq!((a.len(), b.len()), (1, 1), "{family}: {a}{b}");
        let (client, server) = (a.of(&flow), b.of(&flow.reversed()));
        let client = client.ok_or_else(|| format!("{family}: {flow} in {a}"))?;
        let server = server.ok_or_else(|| format!("{family}: {flow} in {b}"))?;
        assert_eq!(client.v6, family != Family::V4, "{client}");
        assert_eq!(server.v6, family == Family::V6, "{server}");
        for socket in [client, server] {
            assert_eq!(socket.state, TcpState::Established, "{socket}");
            assert_ne!(socket.inode, 0, "{socket}");
            assert_eq!(socket.congestion.as_deref(), Some("reno"), "{socket}");
            let info = socket.info.ok_or("no TCP_INFO")?;
            assert_eq!(info.pmtu, 1500, "{socket}");
            // Headers and timestamps.
            let headers = if family == Family::V6 { 72 } else { 52 };
            assert_eq!(info.snd_mss, 1500 - headers, "{socket}");
        }
        assert_eq!(a.of(&flow.reversed()), None);
        for (host, flow, listed) in [
            (pair.a(), flow, client),
            (pair.b(), flow.reversed(), server),
        ] {
            let found = host
                .socket(&flow)?
                .ok_or_else(|| format!("{family}: {flow}"))?;
            let brief = |it: &TcpSocket| (it.state, it.flow, it.v6, it.inode);
            assert_eq!(brief(&found), brief(listed), "{family}");
            assert_eq!(host.socket(&flow.reversed())?, None, "{family}");
        }
        let text = a.to_string();
        assert!(
            text.starts_with("ESTABLISHED") && text.contains("cwnd:"),
            "{text}"
        );
    }
    Ok(())
}

fn a_listener_and_who_waits() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let listener = pair.b().enter(|| TcpListener::bind((pair.b().v4(), 0)))??;
    socket2::SockRef::from(&listener).listen(7)?;
    let address = listener.local_addr()?;
    let _waiting: Vec<_> = pair.a().enter(|| {
        let connect = |_| TcpStream::connect(address);
        (0..3).map(connect).collect::<Result<Vec<_>, _>>()
    })??;
    wait::until("three connections to wait", TIMEOUT, || {
        let sockets = pair.b().sockets().unwrap_or_default();
        let mut listening = sockets.in_state(TcpState::Listen);
        listening.next().is_some_and(|it| it.recv_queue == 3)
    })?;
    let sockets = pair.b().sockets()?;
    let listening: Vec<_> = sockets.in_state(TcpState::Listen).collect();
    assert_eq!(listening.len(), 1, "{sockets}");
    assert_eq!(listening[0].flow.source, address);
    assert_eq!(listening[0].flow.destination.port(), 0);
    assert_eq!(listening[0].send_queue, 7);
    listener.accept()?;
    let sockets = pair.b().sockets()?;
    let mut listening = sockets.in_state(TcpState::Listen);
    assert_eq!(
        listening.next().map(|it| it.recv_queue),
        Some(2),
        "{sockets}"
    );
    Ok(())
}

fn bytes_that_wait_are_counted() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let mut connection = pair.connection(Family::V6).open()?;
    connection.client.write_all(&[7; 12_345])?;
    let b = until(pair.b(), &connection, "all of it", |it| {
        it.recv_queue == 12_345
    })?;
    assert_eq!(b.info.and_then(|it| it.bytes_received), Some(12_345), "{b}");
    // The SYN counts as a byte.
    let a = until(pair.a(), &connection, "all to be acknowledged", |it| {
        it.send_queue == 0
    })?;
    assert_eq!(a.info.and_then(|it| it.bytes_acked), Some(12_346), "{a}");
    assert_eq!(a.recv_queue, 0, "{a}");

    // What cannot get there waits at the sender, who tries again.
    let _hole = pair
        .b()
        .blackhole(lab::Direction::Ingress, lab::Match::tcp())?;
    connection.client.write_all(&[8; 777])?;
    let a = pair.a().sockets()?;
    let a = a.of(&connection.flow()).ok_or("it is gone")?;
    assert_eq!(a.send_queue, 777, "{a}");
    assert!(
        matches!(a.timer, Some(lab::Timer::Retransmission { .. })),
        "{a}"
    );
    Ok(())
}

fn the_states_of_a_close() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let connection = pair.connection(Family::V4).open()?;
    connection.client.shutdown(std::net::Shutdown::Write)?;
    let a = until(pair.a(), &connection, "FIN_WAIT2", |it| {
        it.state == TcpState::FinWait2
    })?;
    assert!(a.write_shut && !a.read_shut, "{a:?}");
    let b = until(pair.b(), &connection, "CLOSE_WAIT", |it| {
        it.state == TcpState::CloseWait
    })?;
    assert!(b.read_shut && !b.write_shut, "{b:?}");
    let flow = connection.flow();
    drop(connection.server);
    drop(connection.client);
    wait::until("a to be in TIME_WAIT and b gone", TIMEOUT, || {
        let (a, b) = (pair.a().sockets(), pair.b().sockets());
        let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
        let waits = a.of(&flow).filter(|it| it.state == TcpState::TimeWait);
        b.is_empty() && waits.is_some_and(|it| it.inode == 0 && it.info.is_none())
    })?;
    Ok(())
}

fn after_a_reset_there_is_none() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let connection = pair.connection(Family::V4Mapped).open()?;
    let flow = connection.flow();
    let (client, mut server) = connection.into_peers();
    client.reset()?;
    server.receive_reset()?;
    assert!(pair.a().sockets()?.is_empty());
    // The socket is there, without a connection: the kernel does not list it.
    assert!(pair.b().sockets()?.is_empty());
    assert_eq!(pair.a().socket(&flow)?, None);
    assert_eq!(pair.b().socket(&flow.reversed())?, None);
    drop(server);
    Ok(())
}

/// More than fits into one message of the kernel.
fn a_long_list_is_whole() -> Result<(), Failed> {
    const SOCKETS: usize = 300;
    let pair = Pair::new()?;
    let bind = |_| TcpListener::bind((pair.a().v6(), 0));
    let listeners = pair
        .a()
        .enter(|| (0..SOCKETS).map(bind).collect::<Result<Vec<_>, _>>())??;
    let sockets = pair.a().sockets()?;
    let ports: HashSet<_> = sockets.iter().map(|it| it.flow.source.port()).collect();
    let own = listeners
        .iter()
        .map(|it| it.local_addr().map(|it| it.port()));
    assert_eq!(ports, own.collect::<Result<_, _>>()?);
    assert_eq!(sockets.len(), SOCKETS);
    Ok(())
}

/// Its listener, which has the same address and port, is not it.
fn one_is_found_wherever_it_is_bound() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let listener = pair.b().enter(|| TcpListener::bind((pair.b().v6(), 0)))??;
    let to = listener.local_addr()?;
    let from = SocketAddr::from((pair.a().v6(), 40_000));
    assert_eq!(pair.b().socket(&Flow::new(to, from))?, None);

    let client = pair.a().enter(|| -> std::io::Result<_> {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.bind_device(Some(pair.a().link().as_bytes()))?;
        socket.bind(&from.into())?;
        socket.connect(&to.into())?;
        Ok(socket)
    })??;
    let found = pair.a().socket(&Flow::new(from, to))?;
    assert_eq!(found.map(|it| it.state), Some(TcpState::Established));
    let found = pair.b().socket(&Flow::new(to, from))?;
    assert_eq!(found.map(|it| it.state), Some(TcpState::Established));
    drop((client, listener));
    Ok(())
}
