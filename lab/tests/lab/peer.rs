//! Scripted peers.

use crate::Case;
use lab::{Direction, Error, Family, Match, Pair, Peer, Stream};
use libtest_mimic::Failed;
use std::io::Write;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    (
        "peer/one_thread_moves_more_than_the_buffers_hold",
        one_thread_moves_more_than_the_buffers_hold,
    ),
    (
        "peer/the_first_wrong_byte_is_named",
        the_first_wrong_byte_is_named,
    ),
    (
        "peer/what_does_not_come_is_an_error",
        what_does_not_come_is_an_error,
    ),
    (
        "peer/each_direction_ends_by_itself",
        each_direction_ends_by_itself,
    ),
    ("peer/a_reset_is_not_an_end", a_reset_is_not_an_end),
    (
        "peer/who_does_not_receive_closes_the_window",
        who_does_not_receive_closes_the_window,
    ),
    ("peer/buffers_can_be_small", buffers_can_be_small),
    (
        "peer/acknowledged_is_by_the_other_kernel",
        acknowledged_is_by_the_other_kernel,
    ),
];

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(1);

fn peers(family: Family) -> Result<(Pair, Peer, Peer), Failed> {
    let pair = Pair::new()?;
    let (client, server) = pair.connection(family).open()?.into_peers();
    Ok((pair, client, server))
}

/// What a command says when it fails.
fn refusal<T>(result: Result<T, Error>) -> Result<String, Failed> {
    match result {
        Err(error @ Error::Stream { .. }) => Ok(error.to_string()),
        Err(error) => Err(format!("another error: {error}").into()),
        Ok(_) => Err("it went well".into()),
    }
}

fn one_thread_moves_more_than_the_buffers_hold() -> Result<(), Failed> {
    for (family, much) in [
        (Family::V4, 20_000_000),
        (Family::V6, 1_000_000),
        (Family::V4Mapped, 1_000_000),
    ] {
        let (_pair, mut client, mut server) = peers(family)?;
        client.transfer(&mut server, much)?;
        server.transfer(&mut client, 1_000_000)?;
        client.send(7)?;
        server.receive(7)?;
        assert_eq!([client.sent(), server.received()], [much + 7; 2]);
        assert_eq!([server.sent(), client.received()], [1_000_000; 2]);
    }
    Ok(())
}

fn the_first_wrong_byte_is_named() -> Result<(), Failed> {
    let (_pair, mut client, mut server) = peers(Family::V4)?;
    client.send(100)?;
    // Byte 100 is missing.
    let wrong = Stream::CLIENT.bytes(101, 8);
    client.socket().write_all(&wrong)?;
    server.receive(50)?;
    let said = refusal(server.receive(58))?;
    let right = Stream::CLIENT.bytes(100, 8);
    let expected =
        format!("at offset 100 there had to be {right:02x?}, and there was {wrong:02x?}");
    assert!(said.starts_with("server 10.77.0.2:"), "{said}");
    assert!(
        said.contains("receiving 58 bytes") && said.ends_with(&expected),
        "{said}"
    );
    Ok(())
}

fn what_does_not_come_is_an_error() -> Result<(), Failed> {
    let (_pair, mut client, mut server) = peers(Family::V6)?;
    for peer in [&mut client, &mut server] {
        peer.set_patience(SHORT);
    }
    let nothing = "at offset 0 there had to be a byte, and there was nothing for 1ms";
    let said = refusal(server.receive(1))?;
    assert!(said.ends_with(nothing), "{said}");
    // Nobody reads.
    let said = refusal(client.send(1 << 30))?;
    let room = format!("at offset {} there had to be room to send", client.sent());
    assert!(said.contains(&room) && client.sent() > 1000, "{said}");
    server.set_patience(LONG);
    server.receive(client.sent())?;
    client.half_close()?;
    let said = refusal(server.receive(1))?;
    assert!(
        said.ends_with("a byte, and there was the end of the stream"),
        "{said}"
    );
    let said = refusal(client.transfer(&mut server, 1))?;
    assert!(
        said.contains("client") && said.contains("room to send, and there was Broken pipe"),
        "{said}"
    );
    Ok(())
}

fn each_direction_ends_by_itself() -> Result<(), Failed> {
    for family in Family::ALL {
        let (_pair, mut client, mut server) = peers(family)?;
        client.send(3)?;
        client.half_close()?;
        let said = refusal(server.receive_end())?;
        assert!(
            said.contains(
                "at offset 0 there had to be the end of the stream, and there was a byte"
            ),
            "{said}"
        );
        server.receive(2)?;
        server.receive_end()?;
        server.transfer(&mut client, 1_000_000)?;
        server.close();
        client.receive_end()?;
        client.receive_end()?;
    }
    Ok(())
}

fn a_reset_is_not_an_end() -> Result<(), Failed> {
    let (pair, mut client, server) = peers(Family::V4)?;
    let capture = pair.b().capture()?;
    client.send(1)?;
    server.reset()?;
    let resets = |it: &lab::Segment| it.flags.rst();
    assert_eq!(
        capture
            .trace()?
            .outgoing()
            .segments()
            .filter(|it| resets(it))
            .count(),
        1
    );
    client.receive_reset()?;

    let (_pair, mut client, server) = peers(Family::V4)?;
    server.reset()?;
    let said = refusal(client.receive_end())?;
    assert!(
        said.contains("the end of the stream, and there was Connection reset by peer"),
        "{said}"
    );

    let (_pair, mut client, server) = peers(Family::V4)?;
    server.close();
    let said = refusal(client.receive_reset())?;
    assert!(
        said.ends_with("a reset, and there was the end of the stream"),
        "{said}"
    );
    Ok(())
}

fn who_does_not_receive_closes_the_window() -> Result<(), Failed> {
    for family in Family::ALL {
        let (pair, mut client, mut server) = peers(family)?;
        let capture = pair.b().capture()?;
        let filled = client.fill()?;
        assert_eq!(filled, client.sent());
        assert_eq!(client.fill()?, 0, "nothing more is taken");
        let trace = capture.trace()?;
        let last = trace.outgoing().segments().last().map(|it| it.window);
        assert_eq!(last, Some(0), "{trace}");
        server.receive(filled)?;
        client.transfer(&mut server, 1000)?;
    }
    Ok(())
}

fn buffers_can_be_small() -> Result<(), Failed> {
    let (_pair, mut client, mut server) = peers(Family::V4)?;
    let large = client.fill()?;
    server.receive(large)?;
    assert_eq!(server.receive_buffer(10_000)?, 20_000);
    client.transfer(&mut server, 1_000_000)?;

    let pair = Pair::new()?;
    let connection = pair.connection(Family::V4);
    let connection = connection.on_server(|it| it.set_recv_buffer_size(10_000));
    let (mut client, mut server) = connection.open()?.into_peers();
    assert_eq!(client.send_buffer(10_000)?, 20_000);
    let small = client.fill()?;
    assert!(small < large / 2, "{small} bytes, {large} before");
    server.receive(small)?;
    Ok(())
}

fn acknowledged_is_by_the_other_kernel() -> Result<(), Failed> {
    let (pair, mut client, mut server) = peers(Family::V4)?;
    let hole = pair.b().blackhole(Direction::Ingress, Match::tcp())?;
    client.send(10)?;
    client.half_close()?;
    client.set_patience(SHORT);
    let error = client.acknowledged().err().ok_or("nothing has arrived")?;
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    drop(hole);
    client.set_patience(LONG);
    // Nobody has read it.
    client.acknowledged()?;
    server.receive(10)?;
    server.receive_end()?;
    Ok(())
}
