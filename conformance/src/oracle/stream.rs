//! Byte streams that know what comes next: every byte that arrives is checked against the one that was sent.

use crate::verdict::{Failure, Stop, Verdict, expect};
use lab::{Flow, Stream, wait};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use soccr::raw::{self, MSG_DONTWAIT, MSG_OOB};
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// How long nothing may arrive before a stream counts as stalled: a bound, well above the sum of the first few
/// retransmission timeouts (1, 2 and 4 s after a restore, guide H8), also where a busy machine has let several go by.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The end that is saved and restored.
    Subject,
    /// The end that must not notice.
    Peer,
}

/// A conversation: what each end has written and what the other has read of it.
///
/// It can be shared by threads, as long as each direction has one writer and one reader.
#[derive(Debug)]
pub struct Talk {
    written: [AtomicU64; 2],
    read: [AtomicU64; 2],
    ended: [AtomicBool; 2],
    patience: Duration,
}

impl Default for Talk {
    fn default() -> Self {
        Self::patient(PATIENCE)
    }
}

impl Talk {
    /// A conversation in which nothing may arrive for so long before it counts as stalled.
    #[must_use]
    pub fn patient(patience: Duration) -> Self {
        Self {
            written: Default::default(),
            read: Default::default(),
            ended: Default::default(),
            patience,
        }
    }

    /// As `poll` wants it.
    fn timeout(&self) -> PollTimeout {
        PollTimeout::try_from(self.patience).unwrap_or(PollTimeout::MAX)
    }

    /// Writes the next bytes of an end's stream, up to `limit`, until the socket takes no more; returns how many.
    ///
    /// # Errors
    /// [`Stop::Fail`] if the socket fails.
    pub fn write(&self, end: End, socket: &TcpStream, limit: usize) -> Result<usize, Stop> {
        let mut total = 0;
        while total < limit {
            let position = self.written(end);
            let bytes = end.stream().bytes(position, (limit - total).min(1 << 16));
            match raw::send(socket, &bytes, MSG_DONTWAIT) {
                Ok(count) => {
                    total += count;
                    self.written[end as usize].fetch_add(count as u64, SeqCst);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(failure(end, "writing", error)),
            }
        }
        Ok(total)
    }

    /// Sends the next byte of an end's stream as urgent data, if the socket takes it.
    ///
    /// # Errors
    /// [`Stop::Fail`] if the socket fails.
    pub fn urge(&self, end: End, socket: &TcpStream) -> Verdict {
        let byte = end.stream().bytes(self.written(end), 1);
        match raw::send(socket, &byte, MSG_DONTWAIT | MSG_OOB) {
            Ok(count) => {
                self.written[end as usize].fetch_add(count as u64, SeqCst);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(failure(end, "sending urgent data", error)),
        }
    }

    /// Reads what has come from the other end and checks every byte; returns how many, `None` at its end.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the position of the first wrong byte, or if the socket fails.
    pub fn read(&self, end: End, socket: &TcpStream) -> Result<Option<usize>, Stop> {
        self.read_at_most(end, socket, 1 << 16)
    }

    /// As [`read`](Self::read), no more than so many bytes; 65,536 at once.
    ///
    /// # Errors
    /// As there.
    pub fn read_at_most(
        &self,
        end: End,
        socket: &TcpStream,
        limit: usize,
    ) -> Result<Option<usize>, Stop> {
        let mut buffer = vec![0; limit.min(1 << 16)];
        let count = match raw::recv(socket, &mut buffer, MSG_DONTWAIT) {
            Ok(0) => return Ok(None),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(0)),
            Err(error) => return Err(failure(end, "reading", error)),
        };
        let from = end.other();
        check(from, self.was_read(end), &buffer[..count])?;
        self.read[end as usize].fetch_add(count as u64, SeqCst);
        Ok(Some(count))
    }

    /// How many bytes an end has still to read.
    fn missing(&self, end: End) -> Result<u64, Stop> {
        let (written, read) = (self.written(end.other()), self.was_read(end));
        written.checked_sub(read).ok_or_else(|| {
            let what = format!("the stream of the {}", end.other().name());
            Failure::new(
                what,
                format!("{written} bytes, as written"),
                format!("{read} bytes"),
            )
            .into()
        })
    }

    /// How many bytes an end has written so far.
    pub fn written(&self, end: End) -> u64 {
        self.written[end as usize].load(SeqCst)
    }

    /// How many bytes an end has read so far.
    pub fn was_read(&self, end: End) -> u64 {
        self.read[end as usize].load(SeqCst)
    }

    /// Reads at both ends until each has all that the other has written.
    ///
    /// # Errors
    /// [`Stop::Fail`] on a wrong byte, an early end, or a stream that stalls.
    pub fn drain(&self, subject: &TcpStream, peer: &TcpStream) -> Verdict {
        loop {
            let mut waiting = Vec::new();
            for (end, socket) in [(End::Subject, subject), (End::Peer, peer)] {
                let missing = self.missing(end)?;
                if missing > 0 {
                    waiting.push((end, socket, missing));
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            let mut polled: Vec<_> = waiting
                .iter()
                .map(|(_, socket, _)| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
                .collect();
            let ready = poll(&mut polled, self.timeout()).map_err(io::Error::from)?;
            if ready == 0 {
                let stalled: Vec<_> = waiting
                    .iter()
                    .map(|(end, _, missing)| format!("the {} lacks {missing} bytes", end.name()))
                    .collect();
                return Err(
                    Failure::new("both streams", "everything arrives", stalled.join(", ")).into(),
                );
            }
            for (end, socket, _) in waiting {
                if self.read(end, socket)?.is_none() {
                    let what = format!("the stream of the {}", end.other().name());
                    let at = format!("its end after {} bytes", self.was_read(end));
                    return Err(Failure::new(what, self.written(end.other()), at).into());
                }
            }
        }
    }

    /// Writes `bytes` more at every end that has not ended its stream, and drains them.
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    pub fn exchange(&self, subject: &TcpStream, peer: &TcpStream, bytes: usize) -> Verdict {
        let mut left = [End::Subject, End::Peer].map(|end| match self.has_ended(end) {
            true => 0,
            false => bytes,
        });
        while left != [0, 0] {
            for (end, socket) in [(End::Subject, subject), (End::Peer, peer)] {
                left[end as usize] -= self.write(end, socket, left[end as usize])?;
            }
            self.drain(subject, peer)?;
        }
        Ok(())
    }

    /// Ends the stream of one end: nothing more comes from it.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the socket cannot be shut.
    pub fn end(&self, end: End, socket: &TcpStream) -> Verdict {
        socket.shutdown(Shutdown::Write)?;
        self.ended[end as usize].store(true, SeqCst);
        Ok(())
    }

    fn has_ended(&self, end: End) -> bool {
        self.ended[end as usize].load(SeqCst)
    }

    /// Ends both streams, one after the other, where they have not ended, and sees each end read the other's end of
    /// file. All that was sent is acknowledged before.
    ///
    /// # Errors
    /// [`Stop::Fail`] if there is anything but an end, or something stays unacknowledged.
    pub fn close(&self, subject: &TcpStream, peer: &TcpStream) -> Verdict {
        acknowledge(subject, peer, self.patience)?;
        for (end, socket, other) in [(End::Subject, subject, peer), (End::Peer, peer, subject)] {
            if !self.has_ended(end) {
                self.end(end, socket)?;
            }
            let mut polled = [PollFd::new(other.as_fd(), PollFlags::POLLIN)];
            poll(&mut polled, self.timeout()).map_err(io::Error::from)?;
            let read = self.read(end.other(), other)?;
            expect(
                format!("the stream of the {} after its end", end.name()),
                "end of file",
                format!("{read:?}"),
                read.is_none(),
            )?;
        }
        Ok(())
    }

    /// Checks bytes that lie in the subject's receive queue: those that come next.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the position of the first wrong byte.
    pub fn check_received(&self, bytes: &[u8]) -> Verdict {
        self.check_queues(End::Subject, bytes, &[])
    }

    /// Checks bytes that lie in the subject's send queue: the last ones written.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the position of the first wrong byte.
    pub fn check_sent(&self, bytes: &[u8]) -> Verdict {
        self.check_queues(End::Subject, &[], bytes)
    }

    /// Checks what lies in the queues of an end: the bytes that it reads next, and the last ones that it has written.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the position of the first wrong byte.
    pub fn check_queues(&self, end: End, received: &[u8], sent: &[u8]) -> Verdict {
        check(end.other(), self.was_read(end), received)?;
        let written = self.written(end);
        let Some(start) = written.checked_sub(sent.len() as u64) else {
            let limit = format!("at most {written} bytes");
            let what = format!("the send queue of the {end}");
            return Err(Failure::new(what, limit, sent.len()).into());
        };
        check(end, start, sent)
    }
}

impl End {
    /// The end across.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Subject => Self::Peer,
            Self::Peer => Self::Subject,
        }
    }

    /// What it sends, of a connection whose flow from the subject is this.
    #[must_use]
    pub fn flow(self, of_subject: Flow) -> Flow {
        match self {
            Self::Subject => of_subject,
            Self::Peer => of_subject.reversed(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Peer => "peer",
        }
    }

    /// The bytes that this end writes.
    #[must_use]
    pub fn stream(self) -> Stream {
        Stream::numbered(self as u64)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn check(from: End, position: u64, bytes: &[u8]) -> Verdict {
    from.stream().check(position, bytes).map_err(|mismatch| {
        let what = format!(
            "byte {} of the stream of the {}",
            mismatch.offset,
            from.name()
        );
        let hex = |bytes: &[u8]| format!("{bytes:02x?}");
        Failure::new(what, hex(&mismatch.expected), hex(&mismatch.found)).into()
    })
}

fn failure(end: End, what: &str, error: io::Error) -> Stop {
    Failure::new(format!("{what} at the {}", end.name()), "success", error).into()
}

/// Lets both ends acknowledge what they have received, and waits until they have been heard.
///
/// An acknowledgement that a timer sends can be on another processor than the FIN behind it, and be overtaken by it: it then
/// arrives where there is no socket any more, and is answered by a RST.
fn acknowledge(subject: &TcpStream, peer: &TcpStream, patience: Duration) -> Verdict {
    for socket in [subject, peer] {
        SockRef::from(socket).set_tcp_quickack(true)?;
    }
    let queued = || Ok::<_, io::Error>((raw::siocoutq(subject)?, raw::siocoutq(peer)?));
    let heard = || queued().is_ok_and(|bytes| bytes == (0, 0));
    let held = wait::until("all is acknowledged", patience, heard).is_ok();
    let what = "unacknowledged bytes of subject and peer before they close";
    expect(what, "none", format!("{:?}", queued()?), held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_by_one_is_found_where_it_begins() {
        let mut bytes = End::Peer.stream().bytes(0, 100);
        bytes.remove(40);
        let Err(Stop::Fail(failure)) = check(End::Peer, 0, &bytes) else {
            panic!("a missing byte went unnoticed");
        };
        assert_eq!(failure.what, "byte 40 of the stream of the peer");
    }
}
