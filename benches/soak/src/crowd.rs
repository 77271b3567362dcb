//! Many connections in one pair of hands: each is looked after in turn, and none is waited for.

use crate::error::Error;
use crate::idle::Idle;
use crate::talk::{Scratch, Talk};
use std::net::TcpStream;

/// How much each of them writes at once, bytes.
const CHUNK: usize = 16 << 10;

/// One end of each of many connections. Their sockets may become others.
#[derive(Debug)]
pub(crate) struct Crowd {
    who: &'static str,
    pub(crate) sockets: Vec<TcpStream>,
    talks: Vec<Talk>,
    scratch: Scratch,
}

impl Crowd {
    /// Of these ends, whose sockets do not wait.
    pub(crate) fn new(who: &'static str, sockets: Vec<TcpStream>, talks: Vec<Talk>) -> Self {
        Self {
            who,
            sockets,
            talks,
            scratch: Scratch::new(CHUNK),
        }
    }

    /// What they have said and heard, in the order of their sockets.
    pub(crate) fn talks(&self) -> &[Talk] {
        &self.talks
    }

    /// Lets each write and read in turn, until something holds; waits where nothing can move.
    pub(crate) fn sweep_until(
        &mut self,
        mut done: impl FnMut(&[Talk]) -> bool,
    ) -> Result<(), Error> {
        let mut idle = Idle::default();
        while !done(&self.talks) {
            let mut moved = false;
            for (socket, talk) in self.sockets.iter().zip(&mut self.talks) {
                moved |= talk.pump(socket, &mut self.scratch)?;
            }
            match moved {
                true => idle.moved(),
                false => idle.wait(self.who, &self.sockets)?,
            }
        }
        Ok(())
    }

    /// Talks until each has written and read so many more bytes, or until there is nobody to talk to.
    pub(crate) fn until_each_has_moved(
        &mut self,
        bytes: u64,
        nobody: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let goal = |talk: &Talk| (talk.written() + bytes, talk.read() + bytes);
        let goals: Vec<_> = self.talks.iter().map(goal).collect();
        self.sweep_until(|talks| {
            let mut both = talks.iter().zip(&goals);
            let all = both.all(|(talk, goal)| talk.written() >= goal.0 && talk.read() >= goal.1);
            all || nobody()
        })
    }

    /// Says nothing more on any connection, and hears each to its end.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        for (socket, talk) in self.sockets.iter().zip(&mut self.talks) {
            talk.fall_silent(socket)?;
        }
        self.sweep_until(|talks| talks.iter().all(Talk::is_over))
    }
}
