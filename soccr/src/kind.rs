//! What there is to restore: the five kinds of sockets.

use crate::snapshot::{PendingError, Snapshot};
use crate::state::TcpState;

/// What there is to restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A connection that both ends know of.
    Connection,
    /// A SYN that was sent.
    Attempt,
    /// A connection that is over.
    Ended,
    /// An attempt that was refused, whose error waits.
    Refused,
    /// A socket without a connection.
    Unconnected,
}

impl Kind {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let refused = Some(PendingError::Errno(libc::ECONNREFUSED));
        match snapshot.state {
            TcpState::SynSent => Self::Attempt,
            TcpState::Close if !snapshot.endpoints.has_remote() => Self::Unconnected,
            TcpState::Close if snapshot.pending_error == refused => Self::Refused,
            TcpState::Close => Self::Ended,
            _ => Self::Connection,
        }
    }

    /// Whether a socket of this kind is in repair mode between restore and resume: dropping it is silent anyway.
    pub(crate) fn ends_in_repair(self) -> bool {
        matches!(self, Self::Connection | Self::Attempt)
    }
}
