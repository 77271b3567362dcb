//! A save in the middle of which the peer is heard: just before the bytes of the send queue are read.

use crate::journey::Traveller;
use crate::oracle::stream::End;
use crate::verdict::Stop;
use soccr::faults;
use std::net::TcpStream;
use std::sync::mpsc;

/// What the peer writes at a time: small segments arrive often, and so in the middle of a save.
pub(super) const BURST: usize = 1_000;

/// Saves the subject; just before the bytes of its send queue are read, data of the peer ([`BURST`]) is let in, and with it the
/// acknowledgement of all that is in flight, and `meanwhile` runs. When that is, a rehearsal of the same calls tells.
pub(super) fn interrupted<T, M: 'static>(
    traveller: &mut Traveller,
    rehearse: impl FnOnce(&TcpStream) -> Result<(), soccr::Error>,
    save: impl FnOnce(&TcpStream) -> Result<T, soccr::Error>,
    meanwhile: impl FnOnce() -> Result<M, lab::Error> + 'static,
) -> Result<(T, M), Stop> {
    // It is lost, and comes again as soon as nothing swallows it any more.
    traveller.talk.write(End::Peer, &traveller.peer, BURST)?;
    let blackhole = traveller.lock.take_ingress();
    let (host, subject) = (traveller.pair.a(), &traveller.subject);
    let (clean, calls) = faults::record(|| host.enter(|| rehearse(subject)));
    clean??;
    let Some(number) = calls.iter().rposition(|call| *call == "recv") else {
        return Err(Stop::Broken(format!("no queue was read: {calls:?}")));
    };
    let (tell, told) = mpsc::channel();
    let meanwhile = move || {
        drop(blackhole);
        let _ = tell.send(meanwhile());
    };
    let saved = faults::meanwhile_at(number, meanwhile, || host.enter(|| save(subject)))??;
    match told.try_recv() {
        Ok(happened) => Ok((saved, happened?)),
        Err(_) => Err(Stop::Broken("the save made other calls".to_owned())),
    }
}
