//! What a lab costs next to the same topology made by the `ip` command: prints medians and ratios, judges nothing.
//!
//! `cargo run --release -p lab --example lab_cost`

mod ip;
mod measure;

use lab::{Family, Pair, PairWithWire, Sandbox};
use measure::{Cost, Path};
use std::error::Error;
use std::net::TcpStream;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Two hosts, however they were made.
trait Lab {
    /// Both ends of a TCP connection over IPv4.
    fn connect(&self) -> Result<(TcpStream, TcpStream)>;
}

impl Lab for Pair {
    fn connect(&self) -> Result<(TcpStream, TcpStream)> {
        let connection = self.connection(Family::V4).open()?;
        Ok((connection.client, connection.server))
    }
}

impl Lab for PairWithWire {
    fn connect(&self) -> Result<(TcpStream, TcpStream)> {
        (**self).connect()
    }
}

fn main() -> Result<()> {
    Sandbox::enter()?;
    let with_offloads = || PairWithWire::builder().offload(true).build();
    let with_ip = ip::prepare()?;

    let mut costs = Vec::new();
    if with_ip {
        costs.push(("two hosts, by ip", Cost::of(ip::IpPair::direct)?));
        costs.push((
            "and a bridge between them, by ip",
            Cost::of(ip::IpPair::bridged)?,
        ));
    } else {
        println!("there is no ip command to compare with: apt-get install iproute2");
    }
    costs.push(("Pair", Cost::of(|| Ok(Pair::new()?))?));
    costs.push(("PairWithWire", Cost::of(|| Ok(Pair::with_wire()?))?));
    println!(
        "medians: until the first connection is there; of it, the connection; until all is gone"
    );
    for (what, cost) in &costs {
        println!("{what:34} {cost}");
    }

    let mut paths = Vec::new();
    if with_ip {
        paths.push(("two hosts, by ip", Path::of(&ip::IpPair::direct()?)?));
        paths.push((
            "and a bridge between them, by ip",
            Path::of(&ip::IpPair::bridged()?)?,
        ));
    }
    paths.push(("Pair", Path::of(&Pair::new()?)?));
    paths.push(("PairWithWire", Path::of(&Pair::with_wire()?)?));
    paths.push(("PairWithWire, offloads", Path::of(&with_offloads()?)?));
    println!("\na byte there and back (median), and bytes one way");
    for (what, path) in &paths {
        println!("{what:34} {path}");
    }
    Ok(())
}
