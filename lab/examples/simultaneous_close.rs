//! Both ends close at the same time: the wire holds both FINs until both are on their way, so that both ends go
//! through CLOSING (RFC 9293, section 3.6, figure 13).
//!
//! `cargo run -p lab --example simultaneous_close` (no root needed)

use lab::wire::Matcher;
use lab::{Family, Flags, Pair, Sandbox};
use std::error::Error;
use std::io::Read;
use std::net::Shutdown;
use std::time::Duration;

/// A bound against hanging, not an expectation.
const LONG: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    Sandbox::enter()?;
    let pair = Pair::with_wire()?;
    let connection = pair.connection(Family::V4).open()?;
    let captures = [pair.a().capture()?, pair.b().capture()?];

    pair.wire().hold(Matcher::flags(Flags::FIN))?;
    connection.client.shutdown(Shutdown::Write)?;
    connection.server.shutdown(Shutdown::Write)?;
    pair.wire().until_held(2, LONG)?;
    for fin in pair.wire().held()? {
        println!("held: {fin}");
    }
    pair.wire().release()?;

    for mut end in [&connection.client, &connection.server] {
        if end.read(&mut [0])? != 0 {
            return Err("there is more to read".into());
        }
    }
    pair.wire().until_quiet()?;
    for capture in captures {
        println!("{}", capture.trace()?);
    }
    Ok(())
}
