//! What is asked after every step: whether both ends are what the model says they have to be.

use super::world::{PATIENCE, World};
use crate::oracle::stream::End;
use crate::verdict::{Failure, Stop, Verdict, expect};
use lab::wait;
use soccr::{TcpState, raw};
use socket2::SockRef;
use std::io;
use std::net::TcpStream;

/// What the kernel counts of one end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    state: TcpState,
    /// Bytes, and a FIN, that are not acknowledged.
    queued: u64,
    /// Of them, what was never sent.
    unsent: u64,
    /// Bytes that wait for the application.
    received: u64,
    /// How much the other end lets it send.
    window: u32,
}

impl Counts {
    fn read(socket: &TcpStream) -> Result<Self, Stop> {
        let count = |number: io::Result<i32>| number.map(|it| u64::from(it.unsigned_abs()));
        let info = raw::tcp_info(socket)?;
        let state = TcpState::from_kernel(info.state)
            .ok_or_else(|| Stop::Broken(format!("a state with the number {}", info.state)))?;
        Ok(Self {
            state,
            queued: count(raw::siocoutq(socket))?,
            unsent: count(raw::siocoutqnsd(socket))?,
            received: count(raw::siocinq(socket))?,
            window: info.snd_wnd,
        })
    }

    /// Whether nothing it sends will be taken: all is acknowledged, or the other end's window is closed. It may have been
    /// closed over what is in flight, when small segments have used up the buffer (guide B24).
    fn is_at_rest(&self) -> bool {
        self.state == TcpState::Close || self.queued == 0 || self.window == 0
    }

    /// Whether the other end has closed its window over what is in flight, and drops it. It then takes no acknowledgement
    /// either, which has a number behind its window: until its application reads, neither end can go on (guide B24).
    fn is_cut_off(&self) -> bool {
        self.window == 0 && self.queued > self.unsent
    }

    /// Bytes that are not acknowledged.
    fn owed_bytes(&self) -> u64 {
        self.queued.saturating_sub(self.state.owes_fin().into())
    }

    fn owes(&self) -> bool {
        self.queued > 0 && self.state != TcpState::Close
    }
}

fn cut_off(counts: &[Counts; 2]) -> bool {
    counts.iter().any(Counts::is_cut_off)
}

impl World {
    /// Waits until nothing moves any more: nothing is on its way, and, where nothing keeps the ends apart, each has said
    /// what it can say.
    pub(super) fn settle(&self) -> Verdict {
        self.quiet()?;
        if !self.model.is_clear() {
            return Ok(());
        }
        let rest = || self.is_at_rest().unwrap_or(true);
        if wait::until("the connection to come to rest", PATIENCE, rest).is_err() {
            let counts = format!("{:?}", self.counts()?);
            return Err(Failure::new("both ends", "they come to rest", counts).into());
        }
        self.quiet()
    }

    fn is_at_rest(&self) -> Result<bool, Stop> {
        for socket in self.sockets() {
            // Else the last segment is acknowledged by a timer.
            SockRef::from(socket).set_tcp_quickack(true)?;
        }
        let counts = self.counts()?;
        Ok(cut_off(&counts) || counts.iter().all(Counts::is_at_rest))
    }

    /// Whether a window is closed over what is in flight.
    pub(super) fn is_cut_off(&self) -> Result<bool, Stop> {
        Ok(cut_off(&self.counts()?))
    }

    /// As both ends were at one moment: a segment that comes in while they are asked is in some of the answers only.
    fn counts(&self) -> Result<[Counts; 2], Stop> {
        let [subject, peer] = self.sockets();
        let read = || Ok::<_, Stop>([Counts::read(subject)?, Counts::read(peer)?]);
        let mut last = read()?;
        loop {
            let counts = read()?;
            if counts == last {
                return Ok(counts);
            }
            last = counts;
        }
    }

    /// Asks whether both ends are in a state that the model allows, and whether no byte is lost or made up: what one end has
    /// had acknowledged the other has received, and that is no more than was written.
    pub(super) fn judge(&self) -> Verdict {
        let counts = self.counts()?;
        for end in [End::Subject, End::Peer] {
            let (mine, theirs) = (counts[end as usize], counts[end.other() as usize]);
            let states = self.model.states(end, mine.owes(), theirs.owes());
            expect(
                format!("the state of the {end}"),
                format!("one of {states:?}"),
                mine.state,
                states.contains(&mine.state),
            )?;
            if mine.state == TcpState::Close {
                continue;
            }
            let written = self.talk.written(end);
            let acknowledged = written.checked_sub(mine.owed_bytes());
            let received = self.talk.was_read(end.other()) + theirs.received;
            let rest = self.model.is_clear() && mine.queued == 0;
            let held = acknowledged.is_some_and(|acknowledged| {
                acknowledged <= received && received <= written && (!rest || received == written)
            });
            expect(
                format!("the stream of the {end}"),
                format!(
                    "of {written} bytes written, no fewer are received than are acknowledged{}",
                    if rest { ", and all" } else { "" }
                ),
                format!("{acknowledged:?} acknowledged, {received} received"),
                held || theirs.state == TcpState::Close,
            )?;
        }
        Ok(())
    }
}
