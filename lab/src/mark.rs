//! Marks: tiny frames of our own that stand in a capture where something happened.
//!
//! A mark is sent over the captured link like everything else, so that its place among the packets is a matter of
//! cause and effect; a time stamp taken in user space would not be.

use crate::link::Mac;
use crate::packet::Direction;
use std::sync::atomic::{AtomicU64, Ordering};

/// IEEE 802 local experimental EtherType 1: no kernel does anything with it.
pub(crate) const ETHERTYPE: u16 = 0x88b5;
/// Nobody's address, so that the far host drops the frame at once.
const NOBODY: [u8; 6] = [0x02, b'L', b'A', b'B', 0xff, 0xff];
const MAGIC: [u8; 4] = *b"lab1";
const TEXT: u8 = 0;
const SYNC: u8 = 1;

/// The longest text of a mark, in bytes: it fits into the smallest link.
pub(crate) const LONGEST_TEXT: usize = 1000;

static NEXT_SYNC: AtomicU64 = AtomicU64::new(0);

/// A remark of the test among the packets.
#[derive(Clone, Debug)]
pub struct Mark {
    /// What the test said.
    pub text: String,
    /// When the kernel saw it: nanoseconds since the Unix epoch.
    pub time: u64,
    /// Which way it went: out of the link that it was made on, into the link at the other end.
    pub direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

/// What a frame of ours says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A remark.
    Text(String),
    /// "Everything before me has passed", with a number that no other has.
    Sync(u64),
}

impl Message {
    /// A sync message that no other is equal to.
    pub(crate) fn sync() -> (u64, Self) {
        let number = NEXT_SYNC.fetch_add(1, Ordering::Relaxed);
        (number, Self::Sync(number))
    }

    /// The frame that says it.
    pub(crate) fn frame(&self, from: Mac) -> Vec<u8> {
        let mut frame = Vec::with_capacity(64);
        frame.extend(NOBODY);
        frame.extend(from.0);
        frame.extend(ETHERTYPE.to_be_bytes());
        frame.extend(MAGIC);
        match self {
            Self::Text(text) => {
                frame.push(TEXT);
                frame.extend(text.as_bytes());
            }
            Self::Sync(number) => {
                frame.push(SYNC);
                frame.extend(number.to_be_bytes());
            }
        }
        frame
    }

    /// What a frame says, if it is one of ours.
    pub(crate) fn of(frame: &[u8]) -> Option<Self> {
        let rest = frame
            .get(12..)?
            .strip_prefix(&ETHERTYPE.to_be_bytes())?
            .strip_prefix(&MAGIC)?;
        match rest.split_first()? {
            (&TEXT, text) => Some(Self::Text(String::from_utf8_lossy(text).into_owned())),
            (&SYNC, number) => Some(Self::Sync(u64::from_be_bytes(number.try_into().ok()?))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let (number, sync) = Message::sync();
        assert_eq!(Message::of(&sync.frame(mac)), Some(Message::Sync(number)));
        for text in ["", "paused", "wiederhergestellt: ✓"] {
            let message = Message::Text(text.to_owned());
            assert_eq!(Message::of(&message.frame(mac)), Some(message));
        }
        assert_ne!(Message::sync().0, Message::sync().0);
    }

    #[test]
    fn other_frames_are_not_messages() {
        let mut frame = Message::Text("x".to_owned()).frame(Mac([0; 6]));
        frame[13] ^= 1;
        assert_eq!(Message::of(&frame), None);
        assert_eq!(Message::of(&[]), None);
        assert_eq!(Message::of(&[0; 60]), None);
    }
}
