//! A restored connection next to its twin, which was never touched: does it carry as much?

use crate::error::Error;
use crate::hop::freeze_and_thaw;
use crate::results::Fidelity;
use crate::statistics::{Estimate, ratio};
use crate::subject::{Ours, Way};
use lab::{Family, Pair};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is sent in one turn: much more than the buffers of both ends hold.
const TURN: usize = 64 << 20;
/// How many turns are a block of the bootstrap: the machine may change its mind between them.
const BLOCK: usize = 10;

/// A connection whose other end reads all that comes.
struct Bulk {
    socket: TcpStream,
    /// Says whenever another turn was read.
    turns: Receiver<()>,
    reader: JoinHandle<()>,
}

/// Sends on a restored connection and on an untouched one, in turn, until each has sent for this long.
///
/// # Errors
/// [`Error`] with what has failed.
pub fn fidelity(each: Duration) -> Result<Fidelity, Error> {
    let pair = Pair::new()?;
    let open = || pair.connection(Family::V4).open();
    let (one, other) = (open()?, open()?);
    let flow = one.flow();
    let mut restored = bulk(one.client, one.server)?;
    let mut twin = bulk(other.client, other.server)?;
    // Both alike: the restored one is what it would be in the middle of its life.
    turn(&mut restored)?;
    turn(&mut twin)?;
    let mut ours = Ours::new(Way::Warm);
    (restored.socket, _) = freeze_and_thaw(pair.a(), flow, &mut ours, restored.socket)?;
    let mut pairs = vec![Vec::new()];
    let (mut sending, mut twins_sending) = (Duration::ZERO, Duration::ZERO);
    let mut turns = 0_usize;
    while sending < each || twins_sending < each {
        let (first, second) = match turns.is_multiple_of(2) {
            true => (&mut restored, &mut twin),
            false => (&mut twin, &mut restored),
        };
        let (one, two) = (turn(first)?, turn(second)?);
        let (time, twins) = match turns.is_multiple_of(2) {
            true => (one, two),
            false => (two, one),
        };
        sending += time;
        twins_sending += twins;
        if turns.is_multiple_of(BLOCK) && turns > 0 {
            pairs.push(Vec::new());
        }
        if let Some(block) = pairs.last_mut() {
            // The same bytes: the ratio of the rates is that of the times, the other way round.
            block.push((twins.as_secs_f64(), time.as_secs_f64()));
        }
        turns += 1;
    }
    restored.end()?;
    twin.end()?;
    let sent = (turns * TURN) as f64;
    Ok(Fidelity {
        seconds: sending.min(twins_sending).as_secs_f64(),
        restored: sent / sending.as_secs_f64(),
        twin: sent / twins_sending.as_secs_f64(),
        ratio: ratio(&pairs, Estimate::Sum),
    })
}

fn bulk(socket: TcpStream, mut other: TcpStream) -> Result<Bulk, Error> {
    let (tell, turns) = channel();
    let reader = thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            let (mut buffer, mut read) = (vec![0; 256 << 10], 0);
            while let Ok(count @ 1..) = other.read(&mut buffer) {
                read += count;
                while read >= TURN {
                    read -= TURN;
                    let _ = tell.send(());
                }
            }
        })?;
    Ok(Bulk {
        socket,
        turns,
        reader,
    })
}

/// Sends one turn; how long it took until it was read.
fn turn(bulk: &mut Bulk) -> Result<Duration, Error> {
    let chunk = vec![0x5a; 1 << 20];
    let start = Instant::now();
    for _ in 0..TURN / chunk.len() {
        bulk.socket.write_all(&chunk)?;
    }
    let read = bulk.turns.recv();
    read.map_err(|_| Error::broken("the reader has met the end of the connection"))?;
    Ok(start.elapsed())
}

impl Bulk {
    fn end(self) -> Result<(), Error> {
        drop(self.socket);
        let ended = self.reader.join();
        ended.map_err(|_| Error::broken("the reader has panicked"))
    }
}
