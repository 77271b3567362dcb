//! What does not come back as it was: said by name, never silently.

use std::fmt;

/// Something of a connection that is not carried, or comes back differently, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Loss {
    /// What it is.
    pub what: Lost,
    /// What was found, and what becomes of it.
    pub detail: String,
}

/// What can be lost. The numbers are those of the image format: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u16)]
#[non_exhaustive]
pub enum Lost {
    /// Explicit congestion notification, negotiated and seen no more after a restore (RFC 3168, and 9768 where a save
    /// without it is allowed; guide A48, H4).
    Ecn = 1,
    /// Segments received beyond a hole: the peer, which keeps them until they are acknowledged, sends them again
    /// (RFC 2018, section 8).
    OutOfOrder = 2,
    /// The peer's last timestamp (kernel `ts_recent`): the first segments echo 0 (guide A15).
    PeerTimestamp = 3,
    /// What the connection had learned of its path: congestion window, threshold, round-trip time (guide D14).
    Path = 4,
    /// An option of the socket that this kernel does not read, does not take, or takes as another value; one in an image that
    /// this version does not carry.
    SocketOption = 5,
    /// The state is another one, though the application and the stream see the same (guide F6).
    State = 6,
    /// An error that waited for the application comes back as another error.
    PendingError = 7,
    /// What the socket's connection left in TIME-WAIT stays where it is (guide E8).
    TimeWait = 8,
    /// A FIN that the peer has acknowledged already is sent once more (guide E3).
    RepeatedFin = 9,
    /// The clock of the timestamps starts afresh.
    Clock = 10,
    /// Something in an image that a newer version has written and this one does not know.
    Unknown = 11,
    /// The local address is another one: that of a socket whose connection is over, where its own is not on the host.
    Address = 12,
}

impl Lost {
    /// The thing with this number in an image.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        [
            Self::Ecn,
            Self::OutOfOrder,
            Self::PeerTimestamp,
            Self::Path,
            Self::SocketOption,
            Self::State,
            Self::PendingError,
            Self::TimeWait,
            Self::RepeatedFin,
            Self::Clock,
            Self::Unknown,
            Self::Address,
        ]
        .into_iter()
        .find(|lost| *lost as u16 == number)
    }

    /// A name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecn => "ECN",
            Self::OutOfOrder => "out-of-order data",
            Self::PeerTimestamp => "the peer's last timestamp",
            Self::Path => "what was learned of the path",
            Self::SocketOption => "a socket option",
            Self::State => "the state",
            Self::PendingError => "the pending error",
            Self::TimeWait => "TIME-WAIT",
            Self::RepeatedFin => "a repeated FIN",
            Self::Clock => "the timestamp clock",
            Self::Unknown => "something of a newer version",
            Self::Address => "the local address",
        }
    }
}

impl Loss {
    pub(crate) fn new(what: Lost, detail: impl Into<String>) -> Self {
        Self {
            what,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what.name(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::Lost;

    #[test]
    fn every_number_of_an_image_is_one_thing() {
        let known: Vec<_> = (0..100).filter_map(Lost::from_number).collect();
        assert_eq!(known.len(), 12);
        for lost in known {
            assert_eq!(Lost::from_number(lost as u16), Some(lost));
        }
    }
}
