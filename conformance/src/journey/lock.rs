//! The network lock: what keeps packets away while nobody is there to take them.

use crate::verdict::Verdict;
use lab::{Blackhole, Direction, Flow, Match, Pair};

/// A network lock around the subject's host: what is in place is dropped before it reaches, or leaves, its stack.
#[derive(Default)]
pub struct Lock {
    ingress: Option<Blackhole>,
    egress: Option<Blackhole>,
    arrival: Option<Blackhole>,
}

impl Lock {
    /// Drops what comes in for the connection.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where the lab cannot.
    pub fn block_ingress(&mut self, pair: &Pair, flow: Flow) -> Verdict {
        if self.ingress.is_none() {
            let inbound = Match::tcp().flow(flow.reversed());
            self.ingress = Some(pair.a().blackhole(Direction::Ingress, inbound)?);
        }
        Ok(())
    }

    /// Drops what goes out for the connection.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where the lab cannot.
    pub fn block_egress(&mut self, pair: &Pair, flow: Flow) -> Verdict {
        if self.egress.is_none() {
            self.egress = Some(
                pair.a()
                    .blackhole(Direction::Egress, Match::tcp().flow(flow))?,
            );
        }
        Ok(())
    }

    /// Drops what has gone out for the connection when it comes to the peer's host: it is seen, and disturbs nobody.
    ///
    /// # Errors
    /// [`Stop::Broken`](crate::verdict::Stop::Broken) where the lab cannot.
    pub fn block_arrival(&mut self, pair: &Pair, flow: Flow) -> Verdict {
        if self.arrival.is_none() {
            let outbound = Match::tcp().flow(flow);
            self.arrival = Some(pair.b().blackhole(Direction::Ingress, outbound)?);
        }
        Ok(())
    }

    /// What drops what comes in: gone once it is dropped.
    pub fn take_ingress(&mut self) -> Option<Blackhole> {
        self.ingress.take()
    }

    /// Lets in again what comes in.
    pub fn unblock_ingress(&mut self) {
        self.ingress = None;
    }

    /// Lets out again what goes out.
    pub fn unblock_egress(&mut self) {
        self.egress = None;
    }
}
