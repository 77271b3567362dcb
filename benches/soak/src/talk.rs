//! What the application at one end of a connection has said and heard: two streams, of which every byte is known.

use crate::error::{Error, While as _};
use lab::{Mismatch, Stream};
use nix::poll::PollFlags;
use soccr::{Seq, Snapshot};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// One end of a connection, whose socket may become another.
#[derive(Debug)]
pub(crate) struct Talk {
    who: String,
    says: Stream,
    hears: Stream,
    written: u64,
    read: u64,
    /// It says nothing more.
    silent: bool,
    /// It has heard the end.
    over: bool,
    /// Where both streams begin, as the first snapshot says: what is heard, and what is said.
    starts: Option<[Seq; 2]>,
}

/// How much an end has said and heard, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) written: u64,
    pub(crate) read: u64,
}

/// Memory that many ends share.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// What was made last of a stream, and which part of it that is.
    made: Vec<u8>,
    of: Option<(Stream, u64)>,
    chunk: usize,
    heard: Vec<u8>,
}

impl Scratch {
    /// For ends that write up to `chunk` bytes at once.
    pub(crate) fn new(chunk: usize) -> Self {
        Self {
            made: Vec::new(),
            of: None,
            chunk,
            heard: vec![0; 64 << 10],
        }
    }

    /// Some bytes of a stream from `offset` on; those that were made and not taken the last time are not made again.
    fn part_of(&mut self, stream: Stream, offset: u64) -> &[u8] {
        let skip = match self.of {
            Some((of, start)) if of == stream && offset >= start => offset - start,
            _ => u64::MAX,
        };
        match usize::try_from(skip)
            .ok()
            .filter(|skip| *skip < self.made.len())
        {
            Some(skip) => &self.made[skip..],
            None => {
                self.made = stream.bytes(offset, self.chunk);
                self.of = Some((stream, offset));
                &self.made
            }
        }
    }
}

impl Talk {
    /// Both ends of connection `number`: the one that is saved, and its peer.
    pub(crate) fn pair(number: u64) -> [Self; 2] {
        let [says, hears] = [2 * number, 2 * number + 1].map(Stream::numbered);
        let end = |who: &str, says, hears| Self {
            who: format!("{who} {number}"),
            says,
            hears,
            written: 0,
            read: 0,
            silent: false,
            over: false,
            starts: None,
        };
        [end("subject", says, hears), end("peer", hears, says)]
    }

    /// How much it has said and heard.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            written: self.written,
            read: self.read,
        }
    }

    /// How many bytes it has written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes it has read.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// Whose end it is.
    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// What its socket has to be able to do before something moves; nothing, where all is said and heard.
    pub(crate) fn waits_for(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLOUT, !self.silent);
        flags.set(PollFlags::POLLIN, !self.over);
        flags
    }

    /// Whether it has heard the end of the other's stream.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Writes what fits and reads what is there, of a socket that does not wait; whether anything has moved.
    pub(crate) fn pump(
        &mut self,
        socket: &TcpStream,
        scratch: &mut Scratch,
    ) -> Result<bool, Error> {
        let said = self.say(socket, scratch)?;
        let heard = self.hear(socket, scratch)?;
        Ok(said || heard)
    }

    fn say(&mut self, mut socket: &TcpStream, scratch: &mut Scratch) -> Result<bool, Error> {
        if self.silent {
            return Ok(false);
        }
        let taken = match socket.write(scratch.part_of(self.says, self.written)) {
            Err(error) if has_to_wait(error.kind()) => 0,
            taken => taken.doing(|| format!("{} writes", self.who))?,
        };
        self.written += taken as u64;
        Ok(taken > 0)
    }

    fn hear(&mut self, mut socket: &TcpStream, scratch: &mut Scratch) -> Result<bool, Error> {
        if self.over {
            return Ok(false);
        }
        let count = match socket.read(&mut scratch.heard) {
            Err(error) if has_to_wait(error.kind()) => return Ok(false),
            count => count.doing(|| format!("{} reads", self.who))?,
        };
        self.over = count == 0;
        let bytes = scratch.heard.get(..count).unwrap_or_default();
        let right = self.hears.check(self.read, bytes);
        right.map_err(|mismatch| self.wrong("what is read", mismatch))?;
        self.read += count as u64;
        Ok(true)
    }

    /// Says nothing more; the other end hears that.
    pub(crate) fn fall_silent(&mut self, socket: &TcpStream) -> Result<(), Error> {
        self.silent = true;
        let shut = socket.shutdown(Shutdown::Write);
        shut.doing(|| format!("{} ends", self.who))
    }

    /// Fails unless a snapshot has exactly what was not read and what may not have arrived, byte for byte, and says of both
    /// streams that they have come as far as they have. Where they begin the first one says: it is best taken before anything is said.
    pub(crate) fn check(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let (unread, queued) = (&snapshot.receive.bytes, &snapshot.send.bytes);
        let right = self.hears.check(self.read, unread);
        right.map_err(|mismatch| self.wrong("the saved receive queue", mismatch))?;
        let start = self.written.checked_sub(queued.len() as u64);
        let start = start.ok_or_else(|| Error::Length {
            who: self.who.clone(),
            said: self.written,
            heard: queued.len() as u64,
        })?;
        let right = self.says.check(start, queued);
        right.map_err(|mismatch| self.wrong("the saved send queue", mismatch))?;
        // Numbers wrap around.
        let heard = (self.read + unread.len() as u64) as u32;
        let starts = [
            snapshot.receive.end.back(heard),
            snapshot.send.end.back(self.written as u32),
        ];
        let first = *self.starts.get_or_insert(starts);
        match starts == first {
            true => Ok(()),
            false => Err(Error::Numbers {
                who: self.who.clone(),
                first,
                now: starts,
            }),
        }
    }

    /// Fails unless it has heard all that its peer has said, and the peer all that it has said.
    pub(crate) fn expect_all_heard(&self, peer: Counts) -> Result<(), Error> {
        let peer_of = format!("the peer of {}", self.who);
        for (who, said, heard) in [
            (&self.who, self.written, peer.read),
            (&peer_of, peer.written, self.read),
        ] {
            if said != heard {
                let who = who.clone();
                return Err(Error::Length { who, said, heard });
            }
        }
        Ok(())
    }

    fn wrong(&self, place: &'static str, mismatch: Mismatch) -> Error {
        Error::Byte {
            who: self.who.clone(),
            place,
            offset: mismatch.offset,
            expected: mismatch.expected,
            found: mismatch.found,
        }
    }
}

fn has_to_wait(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use soccr::Endpoints;

    fn snapshot(receive: Vec<u8>, send: Vec<u8>) -> Snapshot {
        let (local, remote) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        let mut snapshot = Snapshot::new(Endpoints { local, remote });
        snapshot.receive.bytes = receive;
        snapshot.send.bytes = send;
        snapshot
    }

    #[test]
    fn bytes_that_were_not_taken_are_not_made_again() {
        let mut scratch = Scratch::new(100);
        let stream = Stream::numbered(7);
        assert_eq!(scratch.part_of(stream, 0), stream.bytes(0, 100));
        assert_eq!(scratch.part_of(stream, 30), stream.bytes(30, 70));
        assert_eq!(scratch.part_of(stream, 100), stream.bytes(100, 100));
        assert_eq!(scratch.part_of(stream, 10), stream.bytes(10, 100));
        let other = Stream::numbered(8);
        assert_eq!(scratch.part_of(other, 10), other.bytes(10, 100));
    }

    #[test]
    fn a_snapshot_has_to_have_what_is_in_the_queues_and_nothing_else() {
        let [mut subject, _] = Talk::pair(3);
        (subject.written, subject.read) = (1000, 500);
        let (hears, says) = (subject.hears, subject.says);
        let received = |offset| hears.bytes(offset, 40);
        let sent = |offset| says.bytes(offset, 60);
        let ends = |snapshot: Snapshot, receive, send| {
            let mut snapshot = snapshot;
            (snapshot.receive.end, snapshot.send.end) = (Seq(receive), Seq(send));
            snapshot
        };
        let right = |receive, send| ends(snapshot(received(500), sent(940)), receive, send);
        // Both streams wrap around.
        subject.check(&right(530, 980)).unwrap();
        (subject.written, subject.read) = (1010, 510);
        let empty = |receive, send| ends(snapshot(Vec::new(), Vec::new()), receive, send);
        subject.check(&empty(500, 990)).unwrap();
        for wrong in [
            ends(snapshot(received(511), says.bytes(950, 60)), 540, 990),
            ends(snapshot(received(510), says.bytes(949, 60)), 540, 990),
            ends(snapshot(Vec::new(), says.bytes(0, 1011)), 500, 990),
            // What was received and is missing, and what was written.
            empty(501, 990),
            empty(500, 989),
        ] {
            subject.check(&wrong).unwrap_err();
        }
    }

    #[test]
    fn what_was_said_and_not_heard_is_told() {
        let [mut subject, _] = Talk::pair(0);
        (subject.written, subject.read) = (10, 5);
        let counts = |written, read| Counts { written, read };
        subject.expect_all_heard(counts(5, 10)).unwrap();
        let told = |peer| subject.expect_all_heard(peer).unwrap_err().to_string();
        let expected = "subject 0 has said 10 bytes, and 9 of them were heard";
        assert_eq!(told(counts(5, 9)), expected);
        let expected = "the peer of subject 0 has said 6 bytes, and 5 of them were heard";
        assert_eq!(told(counts(6, 10)), expected);
    }
}
