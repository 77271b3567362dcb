//! What is in the queues of a measured socket, and whether it is still there afterwards.

use crate::error::Error;
use soccr::raw;
use std::net::TcpStream;

/// What is in the queues of a socket, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Received and not read.
    pub received: i32,
    /// Written and not acknowledged.
    pub written: i32,
    /// How much of that was never sent.
    pub unsent: i32,
}

impl Queues {
    /// What the peer takes of a queue that it has closed its window against: one probe after the other.
    pub const PROBED: i32 = 4096;

    /// What is in them now.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of(socket: &TcpStream) -> Result<Self, Error> {
        Ok(Self {
            received: raw::siocinq(socket)?,
            written: raw::siocoutq(socket)?,
            unsent: raw::siocoutqnsd(socket)?,
        })
    }

    /// Whether there still is in them what was; if not, that in words.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn expect_still(self, socket: &TcpStream) -> Result<Result<(), String>, Error> {
        let now = Self::of(socket)?;
        Ok(match now.is_like(self) {
            true => Ok(()),
            false => Err(format!("{self:?} became {now:?}")),
        })
    }

    fn is_like(self, before: Self) -> bool {
        if before.unsent == 0 {
            return self == before;
        }
        let near = |now: i32, before: i32| now > 0 && (0..=Self::PROBED).contains(&(before - now));
        self.received == before.received
            && near(self.written, before.written)
            && near(self.unsent, before.unsent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_missing_or_count_as_sent_are_seen() {
        let queues = |received, written, unsent| Queues {
            received,
            written,
            unsent,
        };
        let before = queues(10, 70_000, 70_000);
        assert!(before.is_like(before));
        assert!(queues(10, 69_000, 69_000).is_like(before));
        assert!(!queues(9, 70_000, 70_000).is_like(before));
        assert!(!queues(10, 70_000, 0).is_like(before));
        assert!(!queues(10, 0, 0).is_like(before));
        assert!(!queues(10, 70_001, 70_000).is_like(before));
        assert!(!queues(0, 1024, 0).is_like(queues(0, 1024, 1024)));
        assert!(!queues(0, 0, 0).is_like(queues(0, 1024, 0)));
    }
}
