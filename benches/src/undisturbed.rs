//! Freezes and thaws of connections that are not busy: nobody has to send anything again because of them.

use crate::error::Error;
use crate::hop::freeze_and_thaw;
use crate::results::{Pattern, Undisturbed};
use crate::subject::{Ours, Way};
use lab::{Family, Pair, wait};
use soccr::raw;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What an application writes at a time.
const MESSAGE: [u8; 1000] = [0x5a; 1000];
/// How many messages go each way between two freezes.
const MESSAGES: usize = 5;
/// How long an acknowledgement may take: for good.
const PATIENCE: Duration = Duration::from_secs(10);

/// Freezes and thaws a connection this often, and looks at what was on the wire.
///
/// # Errors
/// [`Error`] with what has failed, and where bytes are missing.
pub fn undisturbed(pattern: Pattern, freezes: usize) -> Result<Undisturbed, Error> {
    let pair = Pair::new()?;
    let capture = pair.b().capture()?;
    let connection = pair.connection(Family::V4).open()?;
    let flow = connection.flow();
    let (mut socket, mut peer) = (connection.client, connection.server);
    let mut ours = Ours::new(Way::Warm);
    for _ in 0..freezes {
        for _ in 0..MESSAGES {
            exchange(&mut socket, &mut peer)?;
            exchange(&mut peer, &mut socket)?;
        }
        match pattern {
            // Nobody waits for an acknowledgement, which may take its 40 ms, and more where the machine is busy.
            Pattern::Idle => wait::until("nothing to be on its way", PATIENCE, || {
                all_acknowledged(&socket) && all_acknowledged(&peer)
            })?,
            // Its acknowledgement is on its way, or yet to be sent.
            Pattern::AppLimited => socket.write_all(&MESSAGE)?,
        }
        (socket, _) = freeze_and_thaw(pair.a(), flow, &mut ours, socket)?;
        if pattern == Pattern::AppLimited {
            receive(&mut peer)?;
        }
    }
    exchange(&mut socket, &mut peer)?;
    exchange(&mut peer, &mut socket)?;
    let trace = capture.trace()?.of(&flow);
    Ok(Undisturbed {
        pattern,
        freezes,
        retransmissions: trace.annotated().retransmissions().count(),
        resets: trace.count(|segment| segment.flags.rst()),
    })
}

fn all_acknowledged(socket: &TcpStream) -> bool {
    raw::siocoutq(socket).is_ok_and(|unacknowledged| unacknowledged == 0)
}

fn exchange(from: &mut TcpStream, to: &mut TcpStream) -> Result<(), Error> {
    from.write_all(&MESSAGE)?;
    receive(to)
}

fn receive(to: &mut TcpStream) -> Result<(), Error> {
    let mut message = [0; MESSAGE.len()];
    to.read_exact(&mut message)?;
    match message == MESSAGE {
        true => Ok(()),
        false => Err(Error::broken("a message is not what was sent")),
    }
}
