//! Networks that cases have left as they found them, for those that come after: to build one takes longer than most cases.

use crate::scenario::network::Stock;
use lab::{Flow, Host, Pair, PairBuilder, TcpState};
use soccr::Endpoints;
use soccr::raw::{self, Opt};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// How many pairs are kept for later; the one that has waited longest goes first.
const KEPT: usize = 24;

/// The networks of a run that are free at the moment; a clone is the same ones, and they live as long as one does.
#[derive(Clone, Default)]
pub struct Networks {
    pairs: Arc<Mutex<VecDeque<Lent>>>,
    scenarios: Arc<Stock>,
    /// Whether each goes with its case.
    forgets: bool,
}

/// A pair that a case has for itself.
#[derive(Clone)]
pub struct Lent {
    pair: Arc<Pair>,
    builder: PairBuilder,
    /// How many cases have used it before.
    cases: usize,
}

impl Deref for Lent {
    type Target = Arc<Pair>;

    fn deref(&self) -> &Arc<Pair> {
        &self.pair
    }
}

impl Lent {
    /// How many cases have used it before.
    #[must_use]
    pub fn cases_before(&self) -> usize {
        self.cases
    }
}

impl Networks {
    /// Networks of which none is kept: together they have a thousand descriptors and more.
    #[must_use]
    pub fn not_kept() -> Self {
        Self {
            forgets: true,
            ..Self::default()
        }
    }

    /// A pair that is as its builder makes them: one that is there, or a new one.
    pub(crate) fn pair(&self, builder: PairBuilder) -> Result<Lent, lab::Error> {
        while let Some(found) = self.take(&builder) {
            // One that is not quiet by now, or cannot be asked, goes.
            if found.pair.renew().unwrap_or(false) {
                return Ok(found);
            }
        }
        Ok(Lent {
            pair: Arc::new(builder.clone().build()?),
            builder,
            cases: 0,
        })
    }

    fn take(&self, builder: &PairBuilder) -> Option<Lent> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pairs.iter().position(|it| it.builder == *builder)?;
        pairs.remove(found)
    }

    /// Takes a pair back from a case that has passed, unless something of it is still in use; `flows` are the connections that
    /// were on it. Whether it is as new is asked when it is wanted: until then it has time to come to rest.
    pub(crate) fn give_back(&self, lent: Lent, flows: &[Flow]) {
        if self.forgets
            || Arc::strong_count(&lent.pair) > 1
            || !end_time_waits(&lent.pair, flows).unwrap_or(false)
        {
            return;
        }
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.push_back(Lent {
            cases: lent.cases + 1,
            ..lent
        });
        let surplus = (pairs.len() > KEPT).then(|| pairs.pop_front());
        drop(pairs);
        // It takes its time to go.
        drop(surplus);
    }

    /// Takes over the networks of scenarios that a case has left.
    pub(crate) fn take_over(&self, stock: &Stock) {
        if !self.forgets {
            self.scenarios.take_over(stock);
        }
    }

    /// Networks of scenarios.
    pub(crate) fn scenarios(&self) -> &Arc<Stock> {
        &self.scenarios
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Networks").finish_non_exhaustive()
    }
}

/// Ends those connections that are in TIME-WAIT, without a packet; whether there is none any more.
fn end_time_waits(pair: &Pair, flows: &[Flow]) -> Result<bool, lab::Error> {
    let waits = |host: &Host| host.socket_counts().map(|counts| counts.time_wait > 0);
    for host in pair.hosts() {
        if !waits(host)? {
            continue;
        }
        for flow in flows.iter().flat_map(|flow| [*flow, flow.reversed()]) {
            let found = host.socket(&flow)?;
            if found.is_none_or(|it| it.state != TcpState::TimeWait) {
                continue;
            }
            // What does not succeed is seen by the count.
            if host.destroy(&flow).is_err() {
                let _ = host.enter(|| take_the_place_of(&flow));
            }
        }
        if waits(host)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends a connection in TIME-WAIT where the kernel does not do so when it is asked (5.10): a connect in repair mode takes its
/// place if it has timestamps (guide A39), and a close in repair mode leaves nothing.
fn take_the_place_of(flow: &Flow) -> io::Result<()> {
    let endpoints = Endpoints {
        local: flow.source,
        remote: flow.destination,
    };
    let socket = raw::tcp_socket(endpoints.family())?;
    raw::set_int(&socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
    raw::bind(&socket, endpoints.local)?;
    raw::connect(&socket, endpoints.remote)
}
