//! The states of a TCP connection.

use std::fmt;

/// A TCP state, with the number that the kernel gives it (`enum tcp_state`; RFC 9293, section 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum TcpState {
    /// Data flows both ways.
    Established = 1,
    /// A SYN was sent.
    SynSent = 2,
    /// A SYN was received and answered.
    SynReceived = 3,
    /// Our FIN is sent, or queued, and not acknowledged.
    FinWait1 = 4,
    /// Our FIN is acknowledged.
    FinWait2 = 5,
    /// Both sides are done; late segments are still expected.
    TimeWait = 6,
    /// No connection.
    Close = 7,
    /// The peer's FIN has come; we may still send.
    CloseWait = 8,
    /// The peer's FIN has come and ours is not acknowledged.
    LastAck = 9,
    /// Waiting for connections.
    Listen = 10,
    /// Both FINs have crossed; ours is not acknowledged.
    Closing = 11,
}

impl TcpState {
    /// The state with the kernel's number `tcpi_state`, if there is one.
    #[must_use]
    pub fn from_kernel(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // TCP_NEW_SYN_RECV, the state of a request that has no socket yet.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }

    /// Whether our FIN is queued, sent or acknowledged: we have nothing more to say.
    #[must_use]
    pub fn has_own_fin(self) -> bool {
        matches!(
            self,
            Self::FinWait1 | Self::FinWait2 | Self::Closing | Self::LastAck | Self::TimeWait
        )
    }

    /// Whether our FIN is queued or sent, and not acknowledged.
    #[must_use]
    pub fn owes_fin(self) -> bool {
        matches!(self, Self::FinWait1 | Self::Closing | Self::LastAck)
    }

    /// Whether the peer's FIN has come: it has nothing more to say.
    #[must_use]
    pub fn has_peer_fin(self) -> bool {
        matches!(
            self,
            Self::CloseWait | Self::Closing | Self::LastAck | Self::TimeWait
        )
    }

    /// Whether a socket in this state can be saved and restored.
    #[must_use]
    pub fn is_carried(self) -> bool {
        !matches!(self, Self::Listen | Self::SynReceived | Self::TimeWait)
    }

    /// Whether both ends know of the connection: there are queues, windows and options.
    #[must_use]
    pub fn is_synchronized(self) -> bool {
        self.is_carried() && !matches!(self, Self::SynSent | Self::Close)
    }

    /// The name as RFC 9293 and `ss` write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::TimeWait => "TIME-WAIT",
            Self::Close => "CLOSED",
            Self::CloseWait => "CLOSE-WAIT",
            Self::LastAck => "LAST-ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::TcpState;

    #[test]
    fn the_fins_tell_the_synchronized_states_apart() {
        let fins = |state: TcpState| (state.has_own_fin(), state.owes_fin(), state.has_peer_fin());
        assert_eq!(fins(TcpState::Established), (false, false, false));
        assert_eq!(fins(TcpState::FinWait1), (true, true, false));
        assert_eq!(fins(TcpState::FinWait2), (true, false, false));
        assert_eq!(fins(TcpState::CloseWait), (false, false, true));
        assert_eq!(fins(TcpState::LastAck), (true, true, true));
        assert_eq!(fins(TcpState::Closing), (true, true, true));
        assert_eq!(fins(TcpState::TimeWait), (true, false, true));
    }

    #[test]
    fn every_number_of_the_kernel_is_a_state_and_no_other() {
        for number in 1..=11 {
            let state = TcpState::from_kernel(number);
            assert_eq!(state.map(|state| state as u8), Some(number));
        }
        assert_eq!(TcpState::from_kernel(12), Some(TcpState::SynReceived));
        assert_eq!(TcpState::from_kernel(0), None);
        assert_eq!(TcpState::from_kernel(13), None);
    }
}
