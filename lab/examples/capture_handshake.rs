//! A handshake and a few bytes of data as they were on the wire, printed and, if a file is named, written for
//! Wireshark.
//!
//! `cargo run -p lab --example capture_handshake [handshake.pcapng]` (no root needed)

use lab::{Family, Pair, Sandbox};
use std::error::Error;
use std::io::{Read, Write};

fn main() -> Result<(), Box<dyn Error>> {
    Sandbox::enter()?;
    let pair = Pair::new()?;
    let capture = pair.a().capture()?;

    let mut connection = pair.connection(Family::V4).open()?;
    capture.mark("connected")?;
    connection.client.write_all(b"hello")?;
    connection.server.read_exact(&mut [0; 5])?;
    capture.mark("the server has it")?;
    drop(connection);

    let trace = capture.trace()?;
    print!("{trace}");
    let data = trace.between("connected", "the server has it")?;
    println!(
        "between the marks: {} bytes of data",
        data.segments().map(|it| it.payload_len).sum::<u32>()
    );
    if let Some(path) = std::env::args_os().nth(1) {
        trace.write_pcapng(path)?;
    }
    Ok(())
}
