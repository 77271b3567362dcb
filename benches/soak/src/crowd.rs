//! Many connections in one pair of hands: each is looked after in turn, and none is waited for.

use crate::error::Error;
use crate::idle::{self, Idle};
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
    /// What each begins with that waits.
    fresh: fn() -> Idle,
}

impl Crowd {
    /// Of these ends, whose sockets do not wait.
    pub(crate) fn new(who: &'static str, sockets: Vec<TcpStream>, talks: Vec<Talk>) -> Self {
        Self {
            who,
            sockets,
            talks,
            scratch: Scratch::new(CHUNK),
            fresh: Idle::default,
        }
    }

    /// What they have said and heard, in the order of their sockets.
    pub(crate) fn talks(&self) -> &[Talk] {
        &self.talks
    }

    /// The same, to check what was saved of them.
    pub(crate) fn talks_mut(&mut self) -> &mut [Talk] {
        &mut self.talks
    }

    /// Lets each write and read in turn, until something holds; waits where nothing can move.
    ///
    /// # Errors
    /// [`Error::Stalled`] with the one that stands still, whatever the others do.
    pub(crate) fn sweep_until(
        &mut self,
        mut done: impl FnMut(&[Talk]) -> bool,
    ) -> Result<(), Error> {
        let mut idle = vec![(self.fresh)(); self.talks.len()];
        while !done(&self.talks) {
            let mut all_wait = true;
            let ends = self.sockets.iter().zip(&mut self.talks).zip(&mut idle);
            for ((socket, talk), idle) in ends {
                if talk.pump(socket, &mut self.scratch)? {
                    all_wait = false;
                    idle.moved();
                } else if !talk.waits_for().is_empty() && idle.is_stalled() {
                    return Err(Error::Stalled(format!("{}: {}", self.who, talk.who())));
                }
            }
            if all_wait {
                let waiting = self.talks.iter().map(Talk::waits_for);
                idle::look(self.sockets.iter().zip(waiting))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Duration;

    /// Both ends of a connection.
    fn connected() -> [TcpStream; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_nonblocking(true).unwrap();
        }
        [client, server]
    }

    /// Far more than a machine takes to carry bytes to itself.
    fn impatient() -> Idle {
        Idle::with_patience(Duration::from_secs(3))
    }

    #[test]
    fn one_that_stands_still_is_named_while_another_talks() {
        let ([one, other], [still, _silent_peer]) = (connected(), connected());
        let talks = [7, 8].map(|number| {
            let [subject, _] = Talk::pair(number);
            subject
        });
        let mut crowd = Crowd::new("the server", vec![one, still], talks.into());
        let [_, mut peer] = Talk::pair(7);
        let mut scratch = Scratch::new(CHUNK);
        crowd.fresh = impatient;
        // The peer of 7 hears and answers; that of 8 does not even read.
        let ended = crowd.sweep_until(|_| {
            peer.pump(&other, &mut scratch).unwrap();
            false
        });
        let error = ended.unwrap_err().to_string();
        assert_eq!(error, "the server: subject 8: nothing moves any more");
    }

    #[test]
    fn an_end_that_nobody_answers_is_named() {
        let [one, _silent_peer] = connected();
        let [subject, _] = Talk::pair(1);
        let mut crowd = Crowd::new("the server", vec![one], vec![subject]);
        crowd.fresh = impatient;
        let error = crowd.end().unwrap_err().to_string();
        assert_eq!(error, "the server: subject 1: nothing moves any more");
    }
}
