//! A server drops a client without a packet: the server has no connection any more, and the client believes that it has
//! one until it speaks.
//!
//! Runs as root and as an ordinary user, in a network of its own.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};

fn main() -> Result<(), Box<dyn Error>> {
    lab::Sandbox::enter()?;
    let pair = lab::Pair::new()?;
    let connection = pair.connection(lab::Family::V4).open()?;
    let flow = connection.flow();
    let (mut client, server) = (connection.client, connection.server);

    let capture = pair.b().capture()?;
    soccr::silent_close(server)?;

    // Nothing was said, the server's host knows of no connection, and the client's host believes in one.
    let said = capture.trace()?.of(&flow);
    assert!(said.is_empty(), "{said}");
    assert!(pair.b().sockets()?.is_empty());
    let sockets = pair.a().sockets()?;
    let state = sockets.of(&flow).ok_or("the client has no socket")?.state;
    assert_eq!(state, lab::TcpState::Established);
    println!("closed without FIN and RST: the client's state is {state}");

    // Its next packet finds nobody. A firewall that drops it, or the RST, keeps the client waiting for longer.
    client.write_all(b"hello?")?;
    let told = client.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(told, Err(ErrorKind::ConnectionReset));
    println!("the client has spoken, and was answered by a RST");
    Ok(())
}
