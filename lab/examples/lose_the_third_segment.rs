//! Loses the third data segment of a connection, and shows how TCP notices and repairs it.
//!
//! `cargo run -p lab --example lose_the_third_segment` (no root needed)

use lab::wire::{Matcher, Verdict};
use lab::{Family, Pair, Sandbox};
use std::error::Error;
use std::io::{Read, Write};

/// The payload of a full segment.
const FULL: usize = 1448;

fn main() -> Result<(), Box<dyn Error>> {
    Sandbox::enter()?;
    let pair = Pair::with_wire()?;
    let mut connection = pair.connection(Family::V4).open()?;
    let (capture, far) = (pair.a().capture()?, pair.b().capture()?);
    let third = Matcher::nth_data(3).and(Matcher::flow(connection.flow()));
    let _lose_it = pair.wire().rule(third.then(Verdict::Drop))?;

    connection.client.write_all(&[7; 8 * FULL])?;
    connection.server.read_exact(&mut [0; 8 * FULL])?;
    pair.wire().until_quiet()?;

    let trace = capture.trace()?;
    println!("{trace}");
    println!("{}", trace.ladder_to(&far.trace()?));
    let sent_again = trace.annotated().retransmissions();
    for again in sent_again.iter() {
        println!("sent again, from byte {}: {:?}", again.seq, again.notes);
    }
    match sent_again.count() {
        0 => Err("nothing was sent again".into()),
        _ => Ok(()),
    }
}
