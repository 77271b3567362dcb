//! What a scenario starts from: the network, the options of the connection, its numbers.

use lab::Family;

/// The largest shift of a window (RFC 7323, section 2.3).
pub const MAX_SHIFT: u8 = 14;

/// What a scenario starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setup {
    /// The hosts, and what is between them.
    pub network: Network,
    /// The family of both sockets; with [`Family::V4Mapped`] the subject's is an `AF_INET6` one.
    pub family: Family,
    /// The largest IP packet that the links take, bytes.
    pub mtu: u32,
    /// Whether segments are cut, and checksums made, by the links: large writes are one packet then.
    pub offload: bool,
    /// How the connection comes about.
    pub opening: Opening,
    /// The timestamps that are negotiated.
    pub timestamps: Clock,
    /// Whether SACK is negotiated.
    pub sack: bool,
    /// How windows are scaled.
    pub scaling: Scaling,
    /// The largest segment that the peer offers to take, bytes of payload; `None` is what fits the MTU.
    pub mss: Option<u16>,
    /// Who decides how much is in flight, on both hosts.
    pub congestion: Congestion,
    /// `SO_RCVBUF` of the subject and of the peer, bytes as they are asked for; `None` leaves it to the kernel.
    pub receive_buffers: [Option<u32>; 2],
}

/// The hosts, and what is between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Two hosts, and a wire that loses, holds, reorders and duplicates what it is told to.
    Wire,
    /// A peer and two hosts, between which the subject's address moves.
    Move,
}

/// How the connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opening {
    /// By a handshake: the numbers are the kernel's choice.
    Handshake,
    /// By a handshake of which nothing arrives until the network is clear: the subject is in SYN-SENT, and has no peer.
    Lost {
        /// The sequence number of the subject's SYN.
        subject: u32,
    },
    /// Both ends are restored from snapshots that were written by hand.
    Forged {
        /// The first sequence number of the subject.
        subject: u32,
        /// The first sequence number of the peer.
        peer: u32,
        /// The timestamp clock of the subject.
        clock: u32,
    },
}

/// The timestamps that are negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// None.
    Off,
    /// They count milliseconds.
    Milliseconds,
    /// The subject's count microseconds (kernel 6.7); only of a connection that is forged.
    Microseconds,
}

/// How windows are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scaling {
    /// Not at all.
    Off,
    /// As the kernel chooses.
    Usual,
    /// By these shifts: that of the windows which the subject announces, and that of the peer's; only of a connection that
    /// is forged.
    Shifts(u8, u8),
}

/// Who decides how much is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Congestion {
    /// What the kernel has as its default.
    Usual,
    /// NewReno, which every kernel has.
    Reno,
    /// CUBIC.
    Cubic,
    /// BBR, which paces.
    Bbr,
}

impl Setup {
    /// Two hosts with a wire, over IPv4, with all options: what a scenario has unless it says otherwise.
    pub const PLAIN: Self = Self {
        network: Network::Wire,
        family: Family::V4,
        mtu: 1500,
        offload: false,
        opening: Opening::Handshake,
        timestamps: Clock::Milliseconds,
        sack: true,
        scaling: Scaling::Usual,
        mss: None,
        congestion: Congestion::Reno,
        receive_buffers: [None, None],
    };

    /// Why this is not a start at all, if so.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        let forged = matches!(self.opening, Opening::Forged { .. });
        if !(1280..=65_535).contains(&self.mtu) {
            return Some(format!("an mtu of {}: 1280 to 65535 can be", self.mtu));
        }
        if self.timestamps == Clock::Microseconds && !forged {
            return Some(
                "timestamps us: only of a connection that is forged (`open forged …`)".to_owned(),
            );
        }
        if let Scaling::Shifts(subject, peer) = self.scaling {
            if !forged {
                return Some(
                    "scaling by chosen shifts: only of a connection that is forged (`open forged …`)".to_owned(),
                );
            }
            if subject.max(peer) > MAX_SHIFT {
                return Some(format!(
                    "a shift of {}: at most {MAX_SHIFT}",
                    subject.max(peer)
                ));
            }
        }
        if let Some(mss @ (0..88 | 32_768..)) = self.mss {
            return Some(format!("an mss of {mss}: 88 to 32767 can be"));
        }
        None
    }

    /// The payload of a full segment, bytes, as far as the start decides it.
    #[must_use]
    pub fn segment(&self) -> u32 {
        let headers = match self.family {
            Family::V6 => 60,
            Family::V4 | Family::V4Mapped => 40,
        };
        let options = if self.timestamps == Clock::Off { 0 } else { 12 };
        let offered = self.mss.map_or(u32::MAX, u32::from);
        (self.mtu - headers).min(offered) - options
    }
}
