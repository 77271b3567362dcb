//! A server's end of a connection moves to another host while its client uploads, and the address moves with it. The
//! client's end stays where it is: it notices nothing, and what it sends arrives to the last byte.
//!
//! Runs as root and as an ordinary user, in a network of its own.

use std::error::Error;
use std::io::{Read, Write};

const LENGTH: usize = 8 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    lab::Sandbox::enter()?;
    // Three network namespaces on one Ethernet: the client, and two hosts of which the first has the address.
    let trio = lab::Trio::new()?;
    let (family, from, to) = (lab::Family::V4, trio.old_host(), trio.new_host());
    let addresses = (trio.client().address(family), trio.address(family));
    let opening = trio.client().connection_to(from, family);
    let connection = opening.at(addresses.0, addresses.1).open()?;
    let inbound = lab::Match::tcp().flow(connection.flow());
    let (mut client, mut server) = (connection.client, connection.server);

    // The client sends a file; the server has read a third of it.
    let file: Vec<u8> = (0..LENGTH).map(|at| (at * 31 / 256) as u8).collect();
    let sent = file.clone();
    let uploading = std::thread::spawn(move || client.write_all(&sent).map(|()| client));
    let mut received = vec![0; LENGTH];
    server.read_exact(&mut received[..LENGTH / 3])?;

    // No packet of the connection may reach a host where its socket is missing.
    let old_lock = from.blackhole(lab::Direction::Ingress, inbound)?;
    let new_lock = to.blackhole(lab::Direction::Ingress, inbound)?;
    let snapshot = soccr::save_and_close(server)?;
    trio.move_address()?;
    let restored = to.enter(|| snapshot.restore())??;
    drop((old_lock, new_lock));
    let mut server = restored.resume()?;

    server.read_exact(&mut received[LENGTH / 3..])?;
    let client = uploading.join().map_err(|_| "the client panicked")??;
    assert_eq!(received, file);
    assert!(client.take_error()?.is_none() && from.sockets()?.is_empty());
    let address = server.local_addr()?;
    println!("{address} is at another host now, and all {LENGTH} bytes arrived");
    Ok(())
}
