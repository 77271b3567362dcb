//! What a journey is to be: its family, its options, its queues.

use super::{Ending, LARGE, Traveller};
use crate::context::Context;
use crate::oracle::wire::Probes;
use crate::verdict::{Stop, Verdict};
use lab::{Family, Pair, PairBuilder};
use soccr::Settings;

/// What lies in the receive queue of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// Nothing.
    Empty,
    /// A few kilobytes.
    Small,
    /// A megabyte, or as much as a window without scaling lets in.
    Large,
    /// All that the window lets in, while the peer has more to send.
    Full,
}

/// What lies in the send queue of the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    /// Nothing.
    Empty,
    /// Sent, and received by the peer, whose acknowledgement was lost.
    Unacked,
    /// Written against the closed window of the peer: nothing of it was ever sent.
    Unsent,
    /// More than the congestion window lets out, and the acknowledgement of the first flight lost.
    Both,
}

/// What the handshake may negotiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Timestamps.
    pub timestamps: bool,
    /// Selective acknowledgement.
    pub sack: bool,
    /// Window scaling.
    pub window_scaling: bool,
}

impl Negotiated {
    /// All of them, as two of today's kernels do.
    pub const ALL: Self = Self {
        timestamps: true,
        sack: true,
        window_scaling: true,
    };
    /// None of them.
    pub const NONE: Self = Self {
        timestamps: false,
        sack: false,
        window_scaling: false,
    };
}

/// One journey.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The family of the subject's socket.
    pub family: Family,
    /// Its receive queue.
    pub receive: Receive,
    /// Its send queue.
    pub send: Send,
    /// Its options.
    pub negotiated: Negotiated,
    /// How far its close has come.
    pub ending: Ending,
    /// How it is restored.
    pub settings: Settings,
}

impl Plan {
    /// Nothing in the queues of an open connection with all options.
    pub const PLAIN: Self = Self {
        family: Family::V4,
        receive: Receive::Empty,
        send: Send::Empty,
        negotiated: Negotiated::ALL,
        ending: Ending::None,
        settings: Settings::new(),
    };

    /// Makes the whole journey and judges it.
    ///
    /// # Errors
    /// [`Stop`] with what was not as it should be.
    pub fn run(&self, ctx: &Context) -> Verdict {
        let mut traveller = self.depart(ctx)?;
        traveller.fill_and_end(self.receive, self.send, self.ending)?;
        traveller.travel(ctx, self.probes())
    }

    /// The window probes of its journey.
    #[must_use]
    pub fn probes(&self) -> Probes {
        match self.send {
            _ if self.ending != Ending::None => Probes::NoneDue,
            // The persist timer of a closed window sends probes of the same shape.
            Send::Unsent => Probes::AtLeastOne,
            _ => Probes::One,
        }
    }

    /// Adds to a network what lets its hosts negotiate what the plan wants.
    pub fn network(&self, pair: PairBuilder) -> PairBuilder {
        let on = |negotiated| if negotiated { "1" } else { "0" };
        pair.sysctl("net.ipv4.tcp_timestamps", on(self.negotiated.timestamps))
            .sysctl("net.ipv4.tcp_sack", on(self.negotiated.sack))
            .sysctl(
                "net.ipv4.tcp_window_scaling",
                on(self.negotiated.window_scaling),
            )
    }

    /// Opens the connection, its queues still empty.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot.
    pub fn depart(&self, ctx: &Context) -> Result<Traveller, Stop> {
        let pair = ctx.build(self.network(Pair::builder()))?;
        if self.receive == Receive::Large {
            let sizes = format!("4096 {} {}", 4 * LARGE, 4 * LARGE);
            pair.a().sysctl("net.ipv4.tcp_rmem", &sizes)?;
        }
        let capture = ctx.capture(pair.a())?;
        let connection = pair.connection(self.family).open()?;
        let mut traveller = Traveller::new(ctx, pair, capture, connection);
        traveller.settings = self.settings;
        Ok(traveller)
    }
}
