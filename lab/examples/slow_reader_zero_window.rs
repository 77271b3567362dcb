//! A reader that does not read: its window closes, the sender asks for it, and goes on once it is open again.
//!
//! `cargo run -p lab --example slow_reader_zero_window` (no root needed)

use lab::wire::{Frame, Matcher};
use lab::{Family, Note, Pair, Sandbox, wait};
use std::error::Error;
use std::io::{Read, Write};
use std::time::Duration;

/// A bound against hanging, not an expectation.
const LONG: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    Sandbox::enter()?;
    let pair = Pair::with_wire()?;
    let connection = pair.connection(Family::V4).open()?;
    let flow = connection.flow();
    let capture = pair.a().capture()?;
    let (mut client, mut server) = (&connection.client, &connection.server);

    // Write until the reader says that it has no room.
    let no_room = |frame: &Frame| frame.segment.as_ref().is_some_and(|it| it.window == 0);
    let closed = Matcher::flow(flow.reversed()).and(no_room);
    let mut written = 0;
    client.set_nonblocking(true)?;
    wait::until("the window is closed", LONG, || {
        while let Ok(more) = client.write(&[7; 64 << 10]) {
            written += more;
        }
        pair.wire().until(closed.clone(), Duration::ZERO).is_ok()
    })?;
    capture.mark("the window is closed")?;
    capture.until("a probe of the window", LONG, |packet| {
        let segment = packet.segment().filter(|it| it.flow == flow);
        segment.is_some_and(|it| it.payload_len == 0)
    })?;
    capture.mark("the sender has asked")?;
    server.read_exact(&mut vec![0; written])?;
    pair.wire().until_quiet()?;
    capture.mark("all is read")?;

    let trace = capture.trace()?;
    let told = trace.annotated();
    let zero_windows = told.filter(|it| it.is(&Note::ZeroWindow)).count();
    let probes = told.filter(|it| it.is(&Note::WindowProbe)).count();
    println!(
        "{}",
        trace.between("the window is closed", "the sender has asked")?
    );
    println!("{written} bytes; {zero_windows} times no room, {probes} probes");
    if zero_windows == 0 || probes == 0 {
        return Err("the window was not closed, or nobody asked for it".into());
    }
    Ok(())
}
