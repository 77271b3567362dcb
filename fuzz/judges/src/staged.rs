//! The staged interface on real sockets, with hostile data: whatever is tried ends in an error that says why, or in a socket
//! that works; never in a panic, a descriptor that is left, or a socket that stays in repair mode.
//!
//! An input is decoded by `arbitrary` into a script: a connection, what is tried with it, how its snapshot is changed and
//! how that is restored, up to which step. What was honest all the way is a connection again, with every byte; of anything else both
//! queues are there, and can be read. After a restore that came to nothing the honest snapshot is restored, as if there had been
//! none.

mod attempt;
mod connection;

use crate::hostile::Change;
use crate::world;
use arbitrary::{Arbitrary, Unstructured};
use attempt::{Outcome, Ways};
use connection::{Ends, Opened};
use soccr::{Error, Held, NotSaved, SaveSettings, Snapshot, TcpState};
use std::net::TcpStream;

/// More of them say nothing new.
const MOST_LOOKS: usize = 4;
const MOST_CHANGES: usize = 12;

#[derive(Arbitrary, Debug)]
struct Script {
    opened: Opened,
    looks: Vec<Look>,
    /// Whether the connection is given up, or runs on while its double is restored.
    gives_up: bool,
    changes: Vec<Change>,
    ways: Ways,
}

/// A save that goes so far, and then is dropped or resumed.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Look {
    depth: Depth,
    resumes: bool,
    ingress_lock: bool,
    connection_only: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Depth {
    Paused,
    DataRead,
    Saved,
    Held,
}

fn script(input: &[u8]) -> Option<Script> {
    let mut script = Script::arbitrary_take_rest(Unstructured::new(input)).ok()?;
    script.looks.truncate(MOST_LOOKS);
    script.changes.truncate(MOST_CHANGES);
    Some(script)
}

/// Says what an input is.
pub fn describe(input: &[u8]) -> String {
    format!("{:#?}", script(input))
}

/// Judges an input.
pub fn judge(input: &[u8]) {
    let Some(script) = script(input) else { return };
    let host = world::hosts().a();
    let before = world::descriptors();
    let played = host.enter(|| play(&script));
    played.expect("a host");
    assert_eq!(world::descriptors(), before, "descriptors are left");
}

fn play(script: &Script) {
    let (client, ends) = script.opened.open();
    for look in &script.looks {
        look.at(&client);
        connection::runs(&client);
    }
    match script.gives_up {
        true => moved(script, client, ends),
        false => doubled(script, client, ends),
    }
}

impl Look {
    fn at(self, client: &TcpStream) {
        if let Err(error) = self.try_at(client) {
            told(&error);
        }
    }

    fn try_at(self, client: &TcpStream) -> Result<(), Error> {
        let settings = SaveSettings::new()
            .ingress_lock(self.ingress_lock)
            .connection_only(self.connection_only);
        if matches!(self.depth, Depth::Held) {
            let held = Held::pause(client)?;
            // After an error the socket is resumed already, and resuming it again does no harm.
            let saved = held.save(client, settings);
            held.resume(client)?;
            return saved.map(drop);
        }
        let paused = soccr::pause_with(client, settings)?;
        match (self.depth, self.resumes) {
            (Depth::Paused | Depth::Held, false) => drop(paused),
            (Depth::Paused | Depth::Held, true) => paused.resume()?,
            (Depth::DataRead, false) => drop(paused.read_data()?),
            (Depth::DataRead, true) => paused.read_data()?.resume()?,
            (Depth::Saved, false) => drop(paused.read_data()?.queue_bytes()?),
            (Depth::Saved, true) => drop(paused.read_data()?.queue_bytes()?.resume()?),
        }
        Ok(())
    }
}

/// The connection is given up; what is restored is all that there is.
fn moved(script: &Script, client: TcpStream, ends: Ends) {
    ends.block();
    let honest = match soccr::save_and_close(client) {
        Ok(snapshot) => snapshot,
        Err(NotSaved { socket, error }) => {
            told(&error);
            return ends.judge(socket);
        }
    };
    honest.validate().expect("what was saved is valid");
    let hostile = script.hostile(&honest);
    match script.ways.restore(&hostile) {
        Outcome::Alive(socket) if script.is_harmless() => ends.judge(socket),
        Outcome::Alive(socket) => attempt::read_and_close(socket, &hostile),
        Outcome::Nothing => {
            // Where a packet has put a FIN back, the peer has heard of it.
            if !puts_a_fin_back(&hostile) {
                let restored = honest.restore().and_then(soccr::Restored::resume);
                ends.judge(restored.expect("as if there had been no other"));
            }
        }
    }
}

/// The connection is there while its double is restored beside it, and is what it was afterwards.
fn doubled(script: &Script, client: TcpStream, ends: Ends) {
    let honest = match soccr::save(&client) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            told(&error);
            return ends.judge(client);
        }
    };
    let hostile = script.hostile(&honest);
    let same = hostile.endpoints == honest.endpoints;
    match script.ways.restore(&hostile) {
        Outcome::Alive(socket) => {
            // What is over has no place among the connections that another one could take.
            let over = [honest.state, hostile.state].contains(&TcpState::Close);
            let apart = !same || over;
            assert!(apart, "two sockets of one connection");
            attempt::read_and_close(socket, &hostile);
        }
        Outcome::Nothing => {}
    }
    ends.judge(client);
}

impl Script {
    fn hostile(&self, honest: &Snapshot) -> Snapshot {
        let mut snapshot = honest.clone();
        for change in &self.changes {
            change.apply(&mut snapshot);
        }
        snapshot
    }

    fn is_harmless(&self) -> bool {
        self.changes.iter().all(Change::is_harmless)
    }
}

/// Whether a restore lets a packet come in, which the kernel acknowledges to the peer.
fn puts_a_fin_back(snapshot: &Snapshot) -> bool {
    snapshot.state.has_peer_fin() || snapshot.state == TcpState::FinWait2
}

/// An error says in which step, and what.
fn told(error: &Error) {
    let step = error.step().to_string();
    assert!(
        !step.is_empty() && error.to_string().contains(&step),
        "{error}"
    );
    assert!(!error.kind().to_string().is_empty());
}
