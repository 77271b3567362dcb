//! A download is frozen in the middle, its socket closed, and thawed into another socket. The server notices
//! nothing, and the client does not lose a byte.
//!
//! Runs as root and as an ordinary user, in a network of its own.

use std::error::Error;
use std::io::{Read, Write};

const LENGTH: usize = 8 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    lab::Sandbox::enter()?;
    let pair = lab::Pair::new()?;
    let connection = pair.connection(lab::Family::V4).open()?;
    let flow = connection.flow();
    let (mut client, mut server) = (connection.client, connection.server);

    // The server sends a file; the client has read a third of it.
    let file: Vec<u8> = (0..LENGTH).map(|at| (at * 31 / 256) as u8).collect();
    let sent = file.clone();
    let serving = std::thread::spawn(move || server.write_all(&sent).map(|()| server));
    let mut received = vec![0; LENGTH / 3];
    client.read_exact(&mut received)?;

    // Freeze: block the connection's packets, save it, close its socket without one.
    let inbound = lab::Match::tcp().flow(flow.reversed());
    let lock = pair.a().blackhole(lab::Direction::Ingress, inbound)?;
    let snapshot = soccr::save_and_close(client)?;
    println!("frozen: {snapshot:#?}");

    // Thaw: a new socket, which could be in another process or on another host.
    let restored = pair.a().enter(|| snapshot.restore())??;
    drop(lock);
    let mut client = restored.resume()?;

    received.resize(LENGTH, 0);
    client.read_exact(&mut received[LENGTH / 3..])?;
    let _server = serving.join().map_err(|_| "the server panicked")??;
    assert_eq!(received, file);
    println!("thawed: all {LENGTH} bytes arrived, each in its place");
    Ok(())
}
