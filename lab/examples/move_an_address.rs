//! An address moves from one host to another: what follows it, and what does not.
//!
//! A datagram and a new connection reach the host that has the address now. A connection that was there before does
//! not follow: its socket is on the old host, and the new one has never heard of it.
//!
//! `cargo run -p lab --example move_an_address` (no root needed)

use lab::{Family, Host, Sandbox, Trio, wait};
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    Sandbox::enter()?;
    let trio = Trio::new()?;
    for family in [Family::V4, Family::V6] {
        let holder = trio.holder().name().to_owned();
        println!("{family}: {} is at host {holder}", trio.address(family));
        let mut connection = connect(&trio, trio.holder(), family)?;
        hello(&mut connection.client, &mut connection.server)?;

        trio.move_address()?;
        println!("{family}: now it is at host {}", trio.holder().name());
        datagram(&trio, family)?;
        let mut new = connect(&trio, trio.holder(), family)?;
        hello(&mut new.client, &mut new.server)?;
        println!("{family}: a datagram and a new connection reach it");

        connection.client.write_all(b"are you there?")?;
        wait::readable("the answer", LONG, &connection.client)?;
        match connection.client.read(&mut [0; 100]) {
            Err(error) => println!("{family}: the old connection has ended: {error}"),
            Ok(bytes) => return Err(format!("{bytes} bytes from the old connection").into()),
        }
    }
    Ok(())
}

/// A connection from the client to the address that moves; `server` is the host that has it.
fn connect(trio: &Trio, server: &Host, family: Family) -> Result<lab::Connection, lab::Error> {
    let address = trio.address(family);
    trio.client()
        .connection_to(server, family)
        .at(trio.client().address(family), address)
        .open()
}

fn hello(from: &mut TcpStream, to: &mut TcpStream) -> std::io::Result<()> {
    from.write_all(b"hello")?;
    to.read_exact(&mut [0; 5])
}

fn datagram(trio: &Trio, family: Family) -> Result<(), Box<dyn Error>> {
    let address = trio.address(family);
    let server = trio.holder().enter(|| UdpSocket::bind((address, 0)))??;
    let own = trio.client().address(family);
    let client = trio.client().enter(|| UdpSocket::bind((own, 0)))??;
    client.send_to(b"hello", server.local_addr()?)?;
    wait::readable("the datagram", LONG, &server)?;
    server.recv(&mut [0; 5])?;
    Ok(())
}
