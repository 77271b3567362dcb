//! Two hosts on one machine: a real TCP connection between them, and the address each sees.
//!
//! `cargo run -p lab --example two_hosts` (no root needed)

use lab::{Family, Pair, Sandbox};
use std::error::Error;
use std::io::{Read, Write};
use std::net::Shutdown;

fn main() -> Result<(), Box<dyn Error>> {
    let sandbox = Sandbox::enter()?;
    println!("root outside of the sandbox: {}", sandbox.is_root());

    let pair = Pair::new()?;
    for family in Family::ALL {
        let mut connection = pair.connection(family).open()?;
        connection.client.write_all(b"hello from the client")?;
        connection.client.shutdown(Shutdown::Write)?;

        let mut heard = String::new();
        connection.server.read_to_string(&mut heard)?;
        println!(
            "{family:>6}: {} says {heard:?} to {}",
            connection.server.peer_addr()?,
            connection.server.local_addr()?
        );
    }
    for host in pair.hosts() {
        println!(
            "host {}: {} and {} on {} ({}), congestion control {}",
            host.name(),
            host.v4(),
            host.v6(),
            host.link(),
            host.mac(),
            host.read_sysctl("net.ipv4.tcp_congestion_control")?
        );
    }
    Ok(())
}
