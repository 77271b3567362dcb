//! Whether a network is as good as new.

use crate::Case;
use lab::{Direction, Family, Flow, Match, Pair, TcpState, wait};
use libtest_mimic::Failed;
use socket2::SockRef;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("reuse/what_leaves_a_pair_as_new", what_leaves_a_pair_as_new),
    ("reuse/a_connection_does_not", a_connection_does_not),
    ("reuse/what_is_changed_does_not", what_is_changed_does_not),
    (
        "reuse/sysctls_of_tcp_are_set_back",
        sysctls_of_tcp_are_set_back,
    ),
    (
        "reuse/a_socket_is_ended_from_outside",
        a_socket_is_ended_from_outside,
    ),
    ("reuse/sockets_are_counted", sockets_are_counted),
];

const TIMEOUT: Duration = Duration::from_secs(10);

/// Waits until a pair is as new: what was closed may be counted for a while.
fn comes_to_be_as_new(pair: &Pair) -> Result<(), Failed> {
    let mut last = Ok(false);
    wait::until("the pair is as new", TIMEOUT, || {
        last = pair.renew();
        !matches!(last, Ok(false))
    })?;
    last.map(|_| ()).map_err(Failed::from)
}

fn what_leaves_a_pair_as_new() -> Result<(), Failed> {
    let pair = Pair::new()?;
    comes_to_be_as_new(&pair)?;
    let blackhole = pair.a().blackhole(Direction::Ingress, Match::tcp())?;
    assert!(!pair.renew()?, "there is a blackhole");
    drop(blackhole);
    comes_to_be_as_new(&pair)?;
    let capture = pair.a().capture()?;
    capture.mark("here")?;
    drop((pair.a().counters()?, pair.b().sockets()?));
    assert!(!pair.renew()?, "somebody captures");
    drop(capture);
    comes_to_be_as_new(&pair)
}

fn a_connection_does_not() -> Result<(), Failed> {
    for family in Family::ALL {
        let pair = Pair::new()?;
        let connection = pair.connection(family).open()?;
        assert!(!pair.renew()?, "{family}: a connection is open");
        // One end reads that the other has gone, and both are gone.
        SockRef::from(&connection.client).set_linger(Some(Duration::ZERO))?;
        drop(connection);
        comes_to_be_as_new(&pair)?;

        let connection = pair.connection(family).open()?;
        let flow = connection.flow();
        drop(connection.client);
        drop(connection.server);
        wait::until("the server's end is gone", TIMEOUT, || {
            matches!(pair.b().socket(&flow.reversed()), Ok(None))
        })?;
        assert!(!pair.renew()?, "{family}: one end is in TIME-WAIT");
        assert_eq!(pair.a().socket_counts()?.time_wait, 1, "{family}");
        match pair.a().destroy(&flow) {
            Ok(()) => comes_to_be_as_new(&pair)?,
            // Before 6.0.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{error}"),
        }
    }
    Ok(())
}

fn what_is_changed_does_not() -> Result<(), Failed> {
    type Change = fn(&Pair) -> Result<(), lab::Error>;
    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 50));
    let changes: [(&str, Change); 6] = [
        ("a sysctl", |it| it.a().sysctl("net.ipv4.ip_forward", "1")),
        ("what lets a host learn", |it| {
            it.a().sysctl("net.ipv4.tcp_no_metrics_save", "0")
        }),
        ("an MTU", |it| it.b().set_mtu(1400)),
        ("an address", |it| it.b().add_address(ADDRESS, 24)),
        ("a frame", |it| it.a().inject(&[0; 60])),
        ("a program", |it| {
            it.b().output(Command::new("true")).map(|_| ())
        }),
    ];
    for (what, change) in changes {
        let pair = Pair::new()?;
        assert!(pair.renew()?, "before {what}");
        change(&pair)?;
        assert!(!pair.renew()?, "after {what}");
    }
    Ok(())
}

fn sysctls_of_tcp_are_set_back() -> Result<(), Failed> {
    const NAME: &str = "net.ipv4.tcp_rmem";
    let pair = Pair::new()?;
    let before = pair.a().read_sysctl(NAME)?;
    for value in ["4096 8192 16384", "4096 16384 65536"] {
        pair.a().sysctl(NAME, value)?;
        assert_ne!(pair.a().read_sysctl(NAME)?, before);
    }
    comes_to_be_as_new(&pair)?;
    assert_eq!(pair.a().read_sysctl(NAME)?, before);
    Ok(())
}

fn a_socket_is_ended_from_outside() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let connection = pair.connection(Family::V4).keep_listener().open()?;
    let flow = connection.flow();
    let other = flow.reversed();
    let from_elsewhere = Flow::new(other.source, (flow.source.ip(), 1).into());
    for (host, nobody) in [(pair.a(), other), (pair.b(), from_elsewhere)] {
        let outcome = host.destroy(&nobody);
        let number = outcome.as_ref().err().and_then(lab::Error::raw_os_error);
        assert_eq!(number, Some(libc::ENOENT), "{outcome:?}");
    }
    let listens =
        |pair: &Pair| Ok::<_, Failed>(pair.b().sockets()?.in_state(TcpState::Listen).count());
    assert_eq!(listens(&pair)?, 1);
    if let Err(error) = pair.a().destroy(&flow) {
        // A kernel without CONFIG_INET_DIAG_DESTROY.
        assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{error}");
        return Ok(());
    }
    assert_eq!(pair.a().socket(&flow)?, None);
    wait::until("the peer has heard of it", TIMEOUT, || {
        matches!(pair.b().socket(&other), Ok(None))
    })?;
    Ok(())
}

fn sockets_are_counted() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let before = pair.a().socket_counts()?;
    let connections: Vec<_> = Family::ALL
        .into_iter()
        .map(|family| pair.connection(family).open())
        .collect::<Result<_, _>>()?;
    let now = pair.a().socket_counts()?;
    assert_eq!(now.tcp - before.tcp, connections.len() as u64);
    assert_eq!(now.used - before.used, connections.len() as u64);
    assert_eq!(now.time_wait, 0);
    Ok(())
}
