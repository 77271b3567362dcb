//! What a caller can choose about a save and about a restore.

use std::fmt;

/// How a save goes about what can be done in more than one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SaveSettings {
    /// Whether the socket takes nothing in from before the pause until it is resumed, or for good if it is closed: by a
    /// socket filter, with no privilege and no firewall. What is dropped the peer sends again. It does not replace a
    /// firewall where there is no socket: between the close and the restore (guide F9).
    pub ingress_lock: bool,
    /// Whether a connection that has negotiated Accurate ECN (RFC 9768) is saved all the same, with a loss that names
    /// it; it is refused otherwise ([`Unsupported::AccurateEcn`](crate::Unsupported::AccurateEcn)). The restored socket
    /// does not count marks for its peer any more, which the peer takes for marks: it slows down once, and goes on
    /// (guide H4).
    pub accurate_ecn: bool,
    /// Whether only the connection is saved, and nothing of what the application has set: no options, no filter, no buffer
    /// sizes. For those who carry them themselves, as CRIU does; it spares some sixty system calls.
    pub connection_only: bool,
}

impl SaveSettings {
    /// The usual way.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ingress_lock: false,
            accurate_ecn: false,
            connection_only: false,
        }
    }

    /// Chooses whether the socket is locked against what comes in.
    #[must_use]
    pub const fn ingress_lock(self, ingress_lock: bool) -> Self {
        Self {
            ingress_lock,
            ..self
        }
    }

    /// Chooses whether a connection with Accurate ECN is saved without it, not refused.
    #[must_use]
    pub const fn accurate_ecn(self, accurate_ecn: bool) -> Self {
        Self {
            accurate_ecn,
            ..self
        }
    }

    /// Chooses whether what the application has set is left out.
    #[must_use]
    pub const fn connection_only(self, connection_only: bool) -> Self {
        Self {
            connection_only,
            ..self
        }
    }
}

/// How a restore goes about what can be done in more than one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Settings {
    /// How FINs that have crossed the wire are put back.
    pub fin: FinMode,
    /// What becomes of data in flight.
    pub in_flight: InFlight,
    /// Whether the socket takes nothing in until it is resumed, as in [`SaveSettings::ingress_lock`].
    pub ingress_lock: bool,
    /// Whether the local address may be missing until the resume; see [`freebind`](Self::freebind).
    pub freebind: bool,
}

impl Settings {
    /// The usual ways.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            fin: FinMode::Auto,
            in_flight: InFlight::AsSent,
            ingress_lock: false,
            freebind: false,
        }
    }

    /// Chooses how FINs are put back.
    #[must_use]
    pub const fn fin(self, fin: FinMode) -> Self {
        Self { fin, ..self }
    }

    /// Chooses what becomes of data in flight.
    #[must_use]
    pub const fn in_flight(self, in_flight: InFlight) -> Self {
        Self { in_flight, ..self }
    }

    /// Chooses whether the socket is locked against what comes in.
    #[must_use]
    pub const fn ingress_lock(self, ingress_lock: bool) -> Self {
        Self {
            ingress_lock,
            ..self
        }
    }

    /// Chooses whether the local address may be missing until the resume: because the caller moves it here later, or
    /// because it is still tentative (IPv6 duplicate address detection, RFC 4862, section 5.4).
    ///
    /// A route to the peer has to be there already. The resume sends: wait first until the host takes packets for the
    /// address, or the answer is lost, or comes to a host without the socket. What is in flight is sent by a timer about a second after the queues were restored, resumed or not, but
    /// for [`InFlight::AsUnsent`].
    ///
    /// No packet reaches an address that is not here: [`FinMode::Auto`] is [`FinMode::Emulate`] then, and with
    /// [`FinMode::Inject`] the address is needed all the same. A socket whose connection is over comes back as without this.
    #[must_use]
    #[doc(alias = "IP_FREEBIND")]
    #[doc(alias = "IPV6_FREEBIND")]
    pub const fn freebind(self, freebind: bool) -> Self {
        Self { freebind, ..self }
    }

    /// How FINs are put back, all chosen ways considered.
    pub(crate) fn fin_mode(self) -> FinMode {
        match self.fin {
            FinMode::Auto if self.freebind => FinMode::Emulate,
            fin => fin,
        }
    }
}

/// How the peer's FIN, and its acknowledgement of ours, are put back into a restored socket.
///
/// The kernel has no call for either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FinMode {
    /// [`Inject`](Self::Inject) where raw sockets are permitted, else [`Emulate`](Self::Emulate).
    #[default]
    Auto,
    /// By a packet of our own making, which never leaves the host: it comes in as if the peer had sent it, and carries
    /// the mark [`MARK`](crate::MARK), for firewalls that let it pass. Needs `CAP_NET_RAW`. The state is exactly as it
    /// was.
    Inject,
    /// By no packet. After the peer's FIN the application reads the end of the stream, and what is sent acknowledges
    /// the FIN; but the kernel believes the peer to be writing still, so that the states are others (ESTABLISHED for
    /// CLOSE-WAIT, FIN-WAIT for LAST-ACK and CLOSING), and after the close the socket waits for `tcp_fin_timeout`
    /// (guide F6). In FIN-WAIT-2 our FIN is sent a second time (guide E3). [`Restored::losses`] names what applies.
    ///
    /// [`Restored::losses`]: crate::Restored::losses
    Emulate,
}

/// What becomes of the data that was sent and not acknowledged.
///
/// It is not known whether the data or its acknowledgement was lost, or is still on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InFlight {
    /// As before: it was sent. An acknowledgement that is on its way is taken at once; data that was lost is sent
    /// again when the retransmission timer says so, one to three seconds after the restore (guide G3, H8).
    #[default]
    AsSent,
    /// As if it had never been sent: it is sent again at the resume, as far as the windows allow. Lost data arrives at
    /// once; data that had arrived is sent twice, and an acknowledgement that comes before its data is ignored.
    AsUnsent,
}

impl fmt::Display for FinMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Inject => "inject",
            Self::Emulate => "emulate",
        })
    }
}
