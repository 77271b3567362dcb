//! Pairs and connections.

use crate::Case;
use lab::{Connection, Error, Family, Flow, Host, Packet, Pair, Segment};
use libtest_mimic::Failed;
use socket2::SockRef;
use std::collections::HashSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, ScopedJoinHandle};

pub(crate) const CASES: &[Case] = &[
    ("connect/each_side_sees_the_other", each_side_sees_the_other),
    ("connect/the_first_packet_passes", the_first_packet_passes),
    (
        "connect/a_handshake_is_all_there_is",
        a_handshake_is_all_there_is,
    ),
    (
        "connect/options_before_the_handshake",
        options_before_the_handshake,
    ),
    (
        "connect/ports_and_addresses_as_asked",
        ports_and_addresses_as_asked,
    ),
    (
        "connect/a_refusal_says_what_was_tried",
        a_refusal_says_what_was_tried,
    ),
    ("connect/eight_labs_at_once", eight_labs_at_once),
    (
        "connect/enter_comes_back_after_a_panic",
        enter_comes_back_after_a_panic,
    ),
    (
        "connect/inside_a_runtime_is_refused",
        inside_a_runtime_is_refused,
    ),
];

/// Sends a few bytes each way, and waits until they are there.
pub(crate) fn talk(connection: &Connection) -> io::Result<()> {
    let (client, server) = (&connection.client, &connection.server);
    for (mut from, mut to) in [(client, server), (server, client)] {
        from.write_all(b"hello")?;
        let mut heard = [0; 5];
        to.read_exact(&mut heard)?;
        assert_eq!(&heard, b"hello");
    }
    Ok(())
}

fn each_side_sees_the_other() -> Result<(), Failed> {
    let pair = Pair::new()?;
    assert_eq!(pair.a().v4().to_string(), "10.77.0.1");
    assert_eq!(pair.b().v6().to_string(), "fd77::2");
    for family in Family::ALL {
        let mut connection = pair.connection(family).open()?;
        talk(&connection)?;
        let on_client = |address: IpAddr| match (family, address) {
            (Family::V4Mapped, IpAddr::V4(v4)) => IpAddr::V6(v4.to_ipv6_mapped()),
            (_, address) => address,
        };
        let (a, b) = (pair.a().address(family), pair.b().address(family));
        let (client, server) = (&connection.client, &connection.server);
        assert_eq!(client.local_addr()?.ip(), on_client(a), "{family}");
        assert_eq!(client.peer_addr()?.ip(), on_client(b), "{family}");
        assert_eq!(server.local_addr()?.ip(), b, "{family}");
        assert_eq!(server.peer_addr()?.ip(), a, "{family}");
        assert_eq!(server.peer_addr()?.port(), client.local_addr()?.port());
        let flow = Flow::new(client.local_addr()?, client.peer_addr()?);
        assert_eq!(connection.flow(), flow, "{family}");
        assert!(connection.listener.is_none());

        connection.client.shutdown(Shutdown::Write)?;
        assert_eq!(
            connection.server.read(&mut [0])?,
            0,
            "the end of the stream"
        );
    }
    Ok(())
}

/// A link that is up but has no carrier yet, or a host that does not know its address yet, would swallow it.
///
/// The packet would not even get as far as a capture: what tells is that TCP had to send it again.
fn the_first_packet_passes() -> Result<(), Failed> {
    for family in [Family::V4, Family::V6].repeat(20) {
        let pair = Pair::new()?;
        pair.connection(family).open()?;
        let again = [retransmissions(pair.a())?, retransmissions(pair.b())?];
        assert_eq!(again, [0, 0], "{family}");
    }
    Ok(())
}

fn a_handshake_is_all_there_is() -> Result<(), Failed> {
    for family in Family::ALL {
        let pair = Pair::new()?;
        let captures = [pair.a().capture()?, pair.b().capture()?];
        let connection = pair.connection(family).open()?;
        for capture in &captures {
            let trace = capture.trace()?;
            let syn = |wanted: bool| trace.count(|it| it.flags.syn() && it.flags.ack() == wanted);
            assert_eq!((syn(false), syn(true)), (1, 1), "{family}: {trace}");
            assert_eq!(trace.of(&connection.flow()).len(), 3, "{family}: {trace}");
            // IPv6 reports its multicast groups when it likes; nobody asks for an address.
            let solicits =
                |it: &Packet| it.bytes.get(20) == Some(&58) && it.bytes.get(54) == Some(&135);
            let arp = |it: &Packet| it.bytes.get(12..14) == Some(&[8, 6]);
            assert!(
                !trace.packets().any(|it| arp(it) || solicits(it)),
                "{trace}"
            );
        }
    }
    Ok(())
}

/// How many segments the TCP of a host has sent again.
fn retransmissions(host: &Host) -> Result<u32, Failed> {
    let text = host.enter(|| fs::read_to_string("/proc/thread-self/net/snmp"))??;
    // A line of names, and a line of values.
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().ok_or("names")?, lines.next().ok_or("values")?);
    let mut fields = names.split(' ').zip(values.split(' '));
    let found = fields.find(|(name, _)| *name == "RetransSegs");
    Ok(found.ok_or("RetransSegs")?.1.parse()?)
}

fn options_before_the_handshake() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;
    let connection = pair
        .connection(Family::V4)
        .on_client(|socket| socket.set_tcp_mss(1000))
        .on_server(|socket| socket.set_tcp_mss(900))
        .open()?;
    assert!(SockRef::from(&connection.server).tcp_mss()? <= 900);
    let trace = capture.trace()?;
    let mss = |flow: Flow| {
        trace
            .first(|segment| segment.flow == flow && segment.flags.syn())
            .and_then(Segment::mss)
    };
    assert_eq!(mss(connection.flow()), Some(1000));
    assert_eq!(mss(connection.flow().reversed()), Some(900));

    let refused = pair
        .connection(Family::V4)
        .on_client(|_| Err(io::Error::from(io::ErrorKind::Unsupported)))
        .open();
    assert!(matches!(refused, Err(Error::Os { doing, .. }) if doing.contains("client")));
    Ok(())
}

fn ports_and_addresses_as_asked() -> Result<(), Failed> {
    let (a, b) = (
        Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, 2),
    );
    let pair = Pair::builder().extra_v6(a, b, 64).build()?;
    let connection = pair
        .connection(Family::V6)
        .at(a, b)
        .client_port(4000)
        .server_port(80)
        .keep_listener()
        .open()?;
    let flow = Flow::new(
        SocketAddr::new(a.into(), 4000),
        SocketAddr::new(b.into(), 80),
    );
    assert_eq!(connection.flow(), flow);
    talk(&connection)?;
    let listener = connection.listener.as_ref().ok_or("the listener is kept")?;
    assert_eq!(listener.local_addr()?, flow.destination);
    Ok(())
}

fn a_refusal_says_what_was_tried() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let _first = pair
        .connection(Family::V4)
        .server_port(80)
        .keep_listener()
        .open()?;
    let error = pair
        .connection(Family::V4)
        .server_port(80)
        .open()
        .map(|_| ());
    let Err(error) = error else {
        return Err("two listeners on one port".into());
    };
    assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    assert!(error.to_string().contains("10.77.0.2:80"), "{error}");
    Ok(())
}

/// The network namespace of this thread, by its number.
pub(crate) fn namespace() -> io::Result<String> {
    let link = fs::read_link("/proc/thread-self/ns/net")?;
    Ok(link.display().to_string())
}

fn eight_labs_at_once() -> Result<(), Failed> {
    let lab = || -> Result<[String; 2], lab::Error> {
        let pair = Pair::new()?;
        for family in Family::ALL.repeat(3) {
            // Every lab uses the same addresses and ports.
            let connection = pair.connection(family).server_port(80).open()?;
            talk(&connection).map_err(|source| lab::Error::Os {
                doing: "talk".to_owned(),
                source,
            })?;
        }
        let number = |host: &Host| host.enter(|| namespace().unwrap_or_default());
        Ok([number(pair.a())?, number(pair.b())?])
    };
    let labs: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(lab)).collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect()
    });
    let home = namespace()?;
    for lab in labs {
        let [a, b] = lab.map_err(|_| "a lab panicked")??;
        let distinct = HashSet::from([&a, &b, &home]);
        assert_eq!(distinct.len(), 3, "{a}, {b}, {home}");
    }
    Ok(())
}

fn enter_comes_back_after_a_panic() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let home = namespace()?;
    let inside = pair.a().enter(namespace)??;
    assert_ne!(inside, home);
    assert_eq!(namespace()?, home);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        pair.a().enter(|| {
            // Unlike panic! it does not bother the hook, which would print.
            std::panic::resume_unwind(Box::new("on purpose"));
        })
    }));
    let payload = outcome.err().ok_or("the panic goes on")?;
    assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
    assert_eq!(namespace()?, home);
    // Nested, as when a helper enters the host that it already is on.
    let nested = pair
        .a()
        .enter(|| pair.b().enter(|| pair.a().enter(namespace)))???;
    assert_eq!(nested?, inside);
    assert_eq!(namespace()?, home);
    Ok(())
}

fn inside_a_runtime_is_refused() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let error = runtime.block_on(async {
        // Neither does it panic when a lab ends there.
        drop(pair);
        Pair::new().map(|_| ())
    });
    assert!(
        matches!(error, Err(Error::InsideRuntime { .. })),
        "{error:?}"
    );
    Ok(())
}
