//! The two queues of a socket.

use crate::error::Step;
use crate::lint::{Finding, Rule};
use crate::raw;
use crate::seq::Seq;
use std::fmt;

/// Sequence numbers are compared modulo 2^31: a queue that is longer has no order.
const MAX_LENGTH: usize = (1 << 31) - 1;

/// One of the two queues of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Received, acknowledged, not yet read by the application.
    #[doc(alias = "TCP_RECV_QUEUE")]
    Receive,
    /// Written by the application, not yet acknowledged by the peer.
    #[doc(alias = "TCP_SEND_QUEUE")]
    Send,
}

impl Queue {
    /// The value for `TCP_REPAIR_QUEUE`.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Receive => raw::TCP_RECV_QUEUE,
            Self::Send => raw::TCP_SEND_QUEUE,
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receive => "receive queue",
            Self::Send => "send queue",
        })
    }
}

/// What was received and not yet read.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ReceiveQueue {
    /// The sequence number after the last byte. Where the peer's FIN has come, this is its number.
    pub end: Seq,
    /// The bytes, oldest first.
    pub bytes: Vec<u8>,
}

/// What was written and not yet acknowledged.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SendQueue {
    /// The sequence number after the last byte. Where our side is closed, this is that of our FIN.
    pub end: Seq,
    /// The bytes, oldest first: those that were sent, then those that were not.
    pub bytes: Vec<u8>,
    /// How many bytes at the end were never sent.
    pub unsent: u32,
    /// Whether our FIN, in a state that has one which is not acknowledged, was never sent.
    pub fin_unsent: bool,
}

impl ReceiveQueue {
    /// The sequence number of the first byte (kernel `copied_seq`).
    #[must_use]
    pub fn start(&self) -> Seq {
        self.end.back(length(&self.bytes))
    }

    pub(crate) fn lint(&self, found: &mut Vec<Finding>) {
        lint_length("receive.bytes", Queue::Receive, self.bytes.len(), found);
    }
}

impl SendQueue {
    /// The sequence number of the first byte, the oldest one not acknowledged.
    #[must_use]
    pub fn start(&self) -> Seq {
        self.end.back(length(&self.bytes))
    }

    /// The bytes that were sent and not acknowledged. Empty where `unsent` claims more bytes than there are.
    #[must_use]
    pub fn sent(&self) -> &[u8] {
        self.split().0
    }

    /// The bytes that were never sent.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        self.split().1
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let sent = self.bytes.len().saturating_sub(self.unsent as usize);
        self.bytes.split_at(sent)
    }

    pub(crate) fn lint(&self, found: &mut Vec<Finding>) {
        lint_length("send.bytes", Queue::Send, self.bytes.len(), found);
        if self.unsent as usize > self.bytes.len() {
            let foreign = "whoever trusts the number sends memory that is not of the queue";
            found.push(Finding::taken_by_the_kernel(
                (Rule::Length, Step::WriteQueue(Queue::Send), foreign),
                "send.unsent",
                self.unsent,
                format!(
                    "must be at most the length of send.bytes, {}",
                    self.bytes.len()
                ),
            ));
        }
    }
}

/// The length of a queue in sequence numbers; a queue that is too long for them does not validate.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn lint_length(field: &'static str, queue: Queue, bytes: usize, found: &mut Vec<Finding>) {
    if bytes > MAX_LENGTH {
        let unordered = "its sequence numbers have no order any more";
        found.push(Finding::taken_by_the_kernel(
            (Rule::Length, Step::WriteQueue(queue), unordered),
            field,
            format!("{bytes} bytes"),
            "must be shorter than 2^31 bytes",
        ));
    }
}

impl fmt::Debug for ReceiveQueue {
    /// Without the bytes: a queue can be megabytes long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveQueue")
            .field("end", &self.end)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

impl fmt::Debug for SendQueue {
    /// Without the bytes: a queue can be megabytes long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendQueue")
            .field("end", &self.end)
            .field("bytes", &self.bytes.len())
            .field("unsent", &self.unsent)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_starts_its_length_before_its_end_across_the_wrap() {
        let queue = ReceiveQueue {
            end: Seq(2),
            bytes: vec![0; 5],
        };
        assert_eq!(queue.start(), Seq(u32::MAX - 2));
    }

    #[test]
    fn sent_comes_before_unsent() {
        let queue = SendQueue {
            end: Seq(10),
            bytes: b"abcde".to_vec(),
            unsent: 2,
            fin_unsent: false,
        };
        assert_eq!((queue.sent(), queue.unsent()), (&b"abc"[..], &b"de"[..]));
    }

    #[test]
    fn a_queue_is_as_long_as_its_numbers_have_an_order() {
        let mut found = Vec::new();
        lint_length("send.bytes", Queue::Send, (1 << 31) - 1, &mut found);
        assert!(found.is_empty(), "{found:?}");
        lint_length("send.bytes", Queue::Send, 1 << 31, &mut found);
        assert_eq!(found[0].field, "send.bytes");
    }

    #[test]
    fn more_unsent_than_there_is_is_refused_and_reads_no_foreign_memory() {
        let queue = SendQueue {
            end: Seq(10),
            bytes: b"abc".to_vec(),
            unsent: 4,
            fin_unsent: false,
        };
        let mut found = Vec::new();
        queue.lint(&mut found);
        assert_eq!(found[0].field, "send.unsent");
        assert_eq!((queue.sent(), queue.unsent()), (&b""[..], &b"abc"[..]));
    }
}
