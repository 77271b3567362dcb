//! Blackholes: packets that silently do not get through, chosen by a classic BPF program.
//!
//! Classic BPF, because an ordinary user may not load the extended kind, and a program needs no tool.

use crate::address::Flow;
use crate::bpf;
use crate::error::Error;
use crate::flags::Flags;
use crate::netlink::Netlink;
use crate::packet::Direction;
use crate::qdisc;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Which packets a [`Blackhole`] swallows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Match {
    flow: Option<Flow>,
    flags: Flags,
}

impl Match {
    /// Every TCP packet, IPv4 and IPv6; not fragments, and not TCP behind IPv6 extension headers.
    pub fn tcp() -> Self {
        Self {
            flow: None,
            flags: Flags::default(),
        }
    }

    /// Only those of one direction of one connection, by both addresses and both ports.
    pub fn flow(mut self, flow: Flow) -> Self {
        self.flow = Some(flow);
        self
    }

    /// Only segments with all of these control bits set, whatever the others are.
    ///
    /// With `Match::tcp().flags(Flags::RST)` on the way out, a host that has no socket for a segment stays silent.
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flow {
            None => f.write_str("every TCP packet")?,
            Some(flow) => write!(f, "{flow}")?,
        }
        if self.flags == Flags::default() {
            return Ok(());
        }
        write!(f, " with flags {}", self.flags)
    }
}

/// A rule that swallows packets on one link of one host, until it is dropped.
///
/// The sender of a swallowed packet takes it for sent. A capture on the same host shows what an ingress blackhole
/// swallows, and does not show what an egress blackhole swallows: see [`Capture`](crate::Capture).
#[derive(Debug)]
#[must_use = "a blackhole is gone when it is dropped"]
pub struct Blackhole {
    netlink: Arc<Netlink>,
    /// How many its host has.
    count: Arc<AtomicUsize>,
    filter: qdisc::Filter,
}

impl Blackhole {
    /// Attaches the rule, and counts it; `priority` tells the rules of one link apart.
    pub(crate) fn attach(
        (netlink, count): (&Arc<Netlink>, &Arc<AtomicUsize>),
        index: u32,
        priority: u16,
        direction: Direction,
        matching: Match,
    ) -> Result<Self, Error> {
        let filter = qdisc::Filter {
            index,
            priority,
            direction,
        };
        let program = bpf::swallow(matching.flow, matching.flags);
        qdisc::add_filter(netlink, filter, &program, || {
            format!("swallow {matching} by a classic BPF filter (sch_ingress and cls_bpf)")
        })?;
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            netlink: Arc::clone(netlink),
            count: Arc::clone(count),
            filter,
        })
    }
}

impl Drop for Blackhole {
    fn drop(&mut self) {
        let delete = || qdisc::delete_filter(&self.netlink, self.filter);
        // Nothing can be done about a failure; the rule goes with its host at the latest, and is counted until then. But inside
        // an async runtime only this thread must not block.
        let deleted = match delete() {
            Err(Error::InsideRuntime { .. }) => thread::scope(|scope| {
                let elsewhere = thread::Builder::new().spawn_scoped(scope, delete);
                elsewhere.is_ok_and(|it| matches!(it.join(), Ok(Ok(_))))
            }),
            other => other.is_ok(),
        };
        if deleted {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
