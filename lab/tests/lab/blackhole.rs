//! Blackholes: exactly what they are to swallow, and only while they are there.

use crate::Case;
use crate::connect::talk;
use lab::{Capture, Connection, Direction, Error, Family, Flags, Flow, Host, Match, Pair, wait};
use libtest_mimic::Failed;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    (
        "blackhole/ingress_swallows_one_flow",
        ingress_swallows_one_flow,
    ),
    (
        "blackhole/egress_swallows_one_flow",
        egress_swallows_one_flow,
    ),
    ("blackhole/all_of_tcp", all_of_tcp),
    ("blackhole/several_at_once", several_at_once),
    ("blackhole/resets_only", resets_only),
    (
        "blackhole/others_lose_nothing_while_one_is_made",
        others_lose_nothing_while_one_is_made,
    ),
    (
        "blackhole/gone_when_dropped_inside_a_runtime",
        gone_when_dropped_inside_a_runtime,
    ),
];

const LONG: Duration = Duration::from_secs(30);

/// A pair with two connections: one to be swallowed, one to be left alone.
struct Scene {
    pair: Pair,
    captures: [Capture; 2],
    chosen: Connection,
    other: Connection,
}

impl Scene {
    fn new(family: Family) -> Result<Self, Error> {
        let pair = Pair::new()?;
        Ok(Self {
            captures: [pair.a().capture()?, pair.b().capture()?],
            chosen: pair.connection(family).open()?,
            other: pair.connection(family).open()?,
            pair,
        })
    }

    /// How many packets with data of `flow` either host has captured.
    fn seen(&self, flow: Flow) -> Result<[usize; 2], Error> {
        let [a, b] = &self.captures;
        let data = |capture: &Capture| -> Result<usize, Error> {
            Ok(capture.trace()?.along(&flow).count(|it| it.payload_len > 0))
        };
        Ok([data(a)?, data(b)?])
    }
}

/// Whether there is something to read at the moment.
fn has_data(socket: &TcpStream) -> io::Result<bool> {
    socket.set_nonblocking(true)?;
    let looked = socket.peek(&mut [0]);
    socket.set_nonblocking(false)?;
    match looked {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits until `socket` has been sent the rest, however often the sender had to repeat itself.
fn receive(socket: &mut TcpStream, expected: &[u8]) -> Result<(), Failed> {
    wait::readable("what was swallowed to be sent again", LONG, &*socket)?;
    let mut received = vec![0; expected.len()];
    socket.read_exact(&mut received)?;
    assert_eq!(received, expected);
    Ok(())
}

fn ingress_swallows_one_flow() -> Result<(), Failed> {
    for family in Family::ALL {
        let mut scene = Scene::new(family)?;
        let flow = scene.chosen.flow();
        let blackhole = scene
            .pair
            .b()
            .blackhole(Direction::Ingress, Match::tcp().flow(flow))?;
        scene.chosen.client.write_all(b"lost")?;
        let [sent, arrived] = scene.seen(flow)?;
        assert!(sent >= 1 && arrived >= 1, "{family}: it was on the wire");
        assert!(!has_data(&scene.chosen.server)?, "{family}");
        // Neither the other direction nor the other connection is touched.
        scene.chosen.server.write_all(b"back")?;
        receive(&mut scene.chosen.client, b"back")?;
        talk(&scene.other)?;
        assert!(!has_data(&scene.chosen.server)?, "{family}");
        drop(blackhole);
        receive(&mut scene.chosen.server, b"lost")?;
        talk(&scene.chosen)?;
    }
    Ok(())
}

fn others_lose_nothing_while_one_is_made() -> Result<(), Failed> {
    for _ in 0..8 {
        let Scene {
            pair,
            chosen,
            mut other,
            ..
        } = Scene::new(Family::V4)?;
        let before = [pair.a().counters()?, pair.b().counters()?];
        let moved = |host: usize| -> Result<_, Error> {
            Ok(pair.hosts()[host].counters()?.since(&before[host]))
        };
        let (written, done) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let Connection { client, server, .. } = &mut other;
            scope.spawn(|| io::copy(server, &mut io::sink()));
            let writer = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    client.write_all(&[7; 4096])?;
                    written.store(true, Ordering::Relaxed);
                }
                client.shutdown(Shutdown::Write)
            });
            let begun = wait::until("a write", LONG, || written.load(Ordering::Relaxed));
            let made = [Direction::Ingress, Direction::Egress].map(|way| {
                let others = Match::tcp().flow(chosen.flow());
                pair.a().blackhole(way, others).map(drop)
            });
            done.store(true, Ordering::Relaxed);
            writer.join().map_err(|_| "the writer has panicked")??;
            begun?;
            made.into_iter().collect::<Result<(), _>>()?;
            Ok::<_, Failed>(())
        })?;
        // A machine that is busy elsewhere has senders repeat themselves without a loss; the receiver then says that it had
        // the data (RFC 2883). How many segments that were, the two count differently.
        let had = || {
            let names = ["TcpExt.TCPDSACKOldSent", "TcpExt.TCPDSACKOfoSent"];
            moved(1).is_ok_and(|it| names.iter().any(|name| it.by(name) > 0))
        };
        if moved(0)?.by("Tcp.RetransSegs") > 0 {
            wait::until("a word that what was sent again was there", LONG, had)?;
        }
    }
    Ok(())
}

fn egress_swallows_one_flow() -> Result<(), Failed> {
    for family in Family::ALL {
        let mut scene = Scene::new(family)?;
        let flow = scene.chosen.flow();
        let blackhole = scene
            .pair
            .a()
            .blackhole(Direction::Egress, Match::tcp().flow(flow))?;
        scene.chosen.client.write_all(b"lost")?;
        assert_eq!(
            scene.seen(flow)?,
            [0, 0],
            "{family}: it never was on the wire"
        );
        scene.chosen.server.write_all(b"back")?;
        receive(&mut scene.chosen.client, b"back")?;
        talk(&scene.other)?;
        assert!(!has_data(&scene.chosen.server)?, "{family}");
        drop(blackhole);
        receive(&mut scene.chosen.server, b"lost")?;
        talk(&scene.chosen)?;
    }
    Ok(())
}

fn all_of_tcp() -> Result<(), Failed> {
    for family in [Family::V4, Family::V6] {
        let mut scene = Scene::new(family)?;
        let blackhole = scene.pair.b().blackhole(Direction::Ingress, Match::tcp())?;
        scene.chosen.client.write_all(b"lost")?;
        scene.other.client.write_all(b"lost")?;
        for connection in [&scene.chosen, &scene.other] {
            let [_, arrived] = scene.seen(connection.flow())?;
            assert!(arrived >= 1 && !has_data(&connection.server)?, "{family}");
        }
        drop(blackhole);
        for connection in [&mut scene.chosen, &mut scene.other] {
            receive(&mut connection.server, b"lost")?;
        }
    }
    Ok(())
}

/// Each goes for itself, in whatever order.
fn several_at_once() -> Result<(), Failed> {
    let mut scene = Scene::new(Family::V4)?;
    let flows = [scene.chosen.flow(), scene.other.flow()];
    let swallow =
        |host: &Host, flow: Flow| host.blackhole(Direction::Ingress, Match::tcp().flow(flow));
    let b = scene.pair.b();
    let first = swallow(b, flows[0])?;
    let again = swallow(b, flows[0])?;
    let second = swallow(b, flows[1])?;
    drop(first);
    scene.chosen.client.write_all(b"lost")?;
    scene.other.client.write_all(b"lost")?;
    for (connection, flow) in [(&scene.chosen, flows[0]), (&scene.other, flows[1])] {
        let [_, arrived] = scene.seen(flow)?;
        assert!(arrived >= 1 && !has_data(&connection.server)?);
    }
    drop(second);
    receive(&mut scene.other.server, b"lost")?;
    assert!(
        !has_data(&scene.chosen.server)?,
        "it is still swallowed by the second of its two"
    );
    drop(again);
    receive(&mut scene.chosen.server, b"lost")?;
    Ok(())
}

/// There the lab must not block, and a rule that stays would be a test that hangs for no reason.
fn gone_when_dropped_inside_a_runtime() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let mut connection = pair.connection(Family::V4).open()?;
    let swallowing = pair.a().blackhole(Direction::Egress, Match::tcp())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async { drop(swallowing) });
    let capture = pair.b().capture()?;
    connection.client.write_all(b"x")?;
    capture.until("what is swallowed no more", LONG, |it| {
        it.segment().is_some_and(|it| it.payload_len == 1)
    })?;
    let retransmissions = pair.a().counters()?.get("Tcp.RetransSegs");
    assert_eq!(retransmissions, Some(0));
    Ok(())
}

/// A reset arrives at the host and does not get to the connection; what has other flags does.
fn resets_only() -> Result<(), Failed> {
    for family in Family::ALL {
        let scene = Scene::new(family)?;
        let flow = scene.chosen.flow();
        let resets = Match::tcp().flags(Flags::RST);
        let blocked = scene.pair.a().blackhole(Direction::Ingress, resets)?;
        let (mut client, mut server) = scene.chosen.into_peers();
        server.send(5)?;
        client.receive(5)?;
        server.reset()?;
        let [capture, _] = &scene.captures;
        capture.until("the reset", LONG, |it| {
            it.segment()
                .is_some_and(|it| it.flow == flow.reversed() && it.flags.rst())
        })?;
        capture.sync()?;
        assert!(!has_data(client.socket())?, "not even an error");
        drop(blocked);
        // The next one, in answer to what nobody is there for any more.
        client.send(1)?;
        client.receive_reset()?;
        talk(&scene.other)?;
    }
    Ok(())
}
