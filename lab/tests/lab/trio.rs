//! A client, two hosts, and an address that moves from one to the other.

use crate::Case;
use crate::connect::talk;
use lab::{Capture, Error, Family, Flags, Host, Mac, Match, Packet, Trio, wait};
use libtest_mimic::Failed;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, UdpSocket};
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    (
        "trio/the_next_packet_goes_to_the_new_host",
        the_next_packet_goes_to_the_new_host,
    ),
    ("trio/back_and_forth", back_and_forth),
    ("trio/everybody_is_told", everybody_is_told),
    (
        "trio/links_have_numbers_of_their_own",
        links_have_numbers_of_their_own,
    ),
    (
        "trio/an_address_is_detected_first",
        an_address_is_detected_first,
    ),
    (
        "trio/a_connection_does_not_follow",
        a_connection_does_not_follow,
    ),
    (
        "trio/a_host_without_the_socket_can_be_silent",
        a_host_without_the_socket_can_be_silent,
    ),
];

const LONG: Duration = Duration::from_secs(30);

/// Sends a datagram to the address that moves, and receives it on the host that has it.
fn reach(trio: &Trio, family: Family) -> Result<(), Failed> {
    let bind = |host: &Host, ip| host.enter(|| UdpSocket::bind((ip, 0)));
    let server = bind(trio.holder(), trio.address(family))??;
    let client = bind(trio.client(), trio.client().address(family))??;
    client.send_to(b"hello", server.local_addr()?)?;
    wait::readable("the datagram", LONG, &server)?;
    let (bytes, from) = server.recv_from(&mut [0; 10])?;
    assert_eq!((bytes, from), (5, client.local_addr()?));
    Ok(())
}

fn destination(packet: &Packet) -> Option<Mac> {
    Some(Mac(packet.bytes.get(..6)?.try_into().ok()?))
}

/// Where the client has sent datagrams to, in order.
fn datagrams_to(capture: &Capture) -> Result<Vec<Mac>, Error> {
    let is_udp = |packet: &Packet| match packet.bytes.get(12..14) {
        Some([0x08, 0x00]) => packet.bytes.get(23) == Some(&17),
        Some([0x86, 0xdd]) => packet.bytes.get(20) == Some(&17),
        _ => false,
    };
    let trace = capture.trace()?.outgoing();
    Ok(trace
        .packets()
        .filter(|it| is_udp(it))
        .filter_map(destination)
        .collect())
}

fn the_next_packet_goes_to_the_new_host() -> Result<(), Failed> {
    let trio = Trio::new()?;
    let capture = trio.client().capture()?;
    let (old, new) = (trio.old_host().mac(), trio.new_host().mac());
    let mut expected = Vec::new();
    for holder in [old, new, old] {
        assert_eq!(trio.holder().mac(), holder);
        for family in [Family::V4, Family::V6] {
            reach(&trio, family)?;
            expected.push(holder);
            assert_eq!(datagrams_to(&capture)?, expected, "{family}");
        }
        trio.move_address()?;
    }
    Ok(())
}

/// Ready on return, however often: a host that has the address back takes its first packet, too.
fn back_and_forth() -> Result<(), Failed> {
    let trio = Trio::new()?;
    for _ in 0..20 {
        for family in [Family::V4, Family::V6] {
            reach(&trio, family)?;
        }
        trio.move_address()?;
    }
    Ok(())
}

/// The announcements are on the wire, on the client's link as on the old host's.
fn everybody_is_told() -> Result<(), Failed> {
    let trio = Trio::new()?;
    let captures = [trio.client().capture()?, trio.old_host().capture()?];
    trio.move_address()?;
    for capture in &captures {
        let trace = capture.trace()?.incoming();
        let new = trio.new_host().mac().0;
        let seen = |wanted: &dyn Fn(&[u8]) -> bool| {
            trace
                .packets()
                .filter(|it| it.bytes.get(6..12) == Some(&new) && wanted(&it.bytes))
                .count()
        };
        let arp = seen(&|it| it.get(12..14) == Some(&[0x08, 0x06]) && it[..6] == [0xff; 6]);
        let advertisement =
            seen(&|it| it.get(12..14) == Some(&[0x86, 0xdd]) && it.get(54) == Some(&136));
        // One for each address.
        assert_eq!((arp, advertisement), (1, 2), "{trace}");
    }
    Ok(())
}

fn links_have_numbers_of_their_own() -> Result<(), Failed> {
    let trio = Trio::new()?;
    let [client, old, new] = trio.hosts().map(Host::ifindex);
    assert!(client != old && old != new && new != client);
    assert_eq!(trio.hosts().map(Host::link), ["veth0"; 3]);
    Ok(())
}

/// Tentative until nobody has claimed it, where the link is told so; taken away at once.
fn an_address_is_detected_first() -> Result<(), Failed> {
    let trio = Trio::new()?;
    let host = trio.new_host();
    let address = IpAddr::from(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x200));
    let bind = || host.enter(|| TcpListener::bind((address, 0)));
    let missing = |outcome: std::io::Result<TcpListener>| {
        outcome.is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
    };
    host.add_address(address, 64)?;
    host.settle_address(address)?;
    bind()??;
    host.remove_address(address, 64)?;
    assert!(missing(bind()?));
    host.sysctl("net.ipv6.conf.veth0.accept_dad", "1")?;
    host.add_address(address, 64)?;
    assert!(missing(bind()?), "the address is there at once");
    host.settle_address(address)?;
    bind()??;
    Ok(())
}

fn open(trio: &Trio, family: Family) -> Result<lab::Connection, Error> {
    trio.client()
        .connection_to(trio.holder(), family)
        .at(trio.client().address(family), trio.address(family))
        .open()
}

fn a_connection_does_not_follow() -> Result<(), Failed> {
    for family in Family::ALL {
        let trio = Trio::new()?;
        let mut before = open(&trio, family)?;
        talk(&before)?;
        trio.move_address()?;
        talk(&open(&trio, family)?)?;
        before.client.write_all(b"are you there?")?;
        wait::readable("the reset", LONG, &before.client)?;
        let error = before
            .client
            .read(&mut [0])
            .err()
            .ok_or("it is still there")?;
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{family}");
    }
    Ok(())
}

fn resets_sent(host: &Host) -> Result<u64, Failed> {
    let snmp = host.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))??;
    let mut tcp = snmp.lines().filter_map(|it| it.strip_prefix("Tcp: "));
    let (names, values) = tcp.next().zip(tcp.next()).ok_or("the counters of TCP")?;
    let at = names
        .split(' ')
        .position(|it| it == "OutRsts")
        .ok_or("OutRsts")?;
    Ok(values.split(' ').nth(at).ok_or("its value")?.parse()?)
}

/// The host answers, by its own count; the client hears nothing, and other connections are not touched.
fn a_host_without_the_socket_can_be_silent() -> Result<(), Failed> {
    for family in Family::ALL {
        let trio = Trio::new()?;
        let mut before = open(&trio, family)?;
        let silence = trio
            .new_host()
            .blackhole(lab::Direction::Egress, Match::tcp().flags(Flags::RST))?;
        trio.move_address()?;
        let capture = trio.client().capture()?;
        before.client.write_all(b"are you there?")?;
        let answered = || resets_sent(trio.new_host()).is_ok_and(|it| it > 0);
        wait::until("the new host to answer", LONG, answered)?;
        talk(&open(&trio, family)?)?;
        let trace = capture.trace()?.incoming();
        assert_eq!(
            trace.segments().filter(|it| it.flags.rst()).count(),
            0,
            "{family}: {trace}"
        );
        assert!(before.client.take_error()?.is_none(), "{family}");
        drop(silence);
        // What it sends again is answered, and heard.
        wait::readable("the reset", LONG, &before.client)?;
        let error = before
            .client
            .read(&mut [0])
            .err()
            .ok_or("it is still there")?;
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{family}");
    }
    Ok(())
}
