//! The hosts of a scenario, and who is where.

use super::setup::{Clock, Network, Scaling, Setup};
use crate::context::Context;
use crate::oracle::stream::End;
use crate::verdict::{Stop, Verdict};
use lab::{Builder, Host, PairWithWire, Trio};
use std::sync::Arc;

/// Room for 4096 frames of 1500 bytes on each side of the wire: more than a send buffer lets be on their way.
const MEMORY: usize = 8 << 20;

/// The hosts of a scenario.
#[derive(Clone)]
pub(super) enum Hosts {
    /// Subject and peer, with a wire between them.
    Wire(Arc<PairWithWire>),
    /// The peer, and two hosts for the subject.
    Move(Arc<Trio>),
}

impl Hosts {
    pub(super) fn build(ctx: &Context, setup: &Setup, steady: bool) -> Result<Self, Stop> {
        Ok(match setup.network {
            Network::Wire => {
                let builder = with_settings(PairWithWire::builder(), setup, steady);
                let builder = match setup.offload {
                    true => builder,
                    false => builder.memory(MEMORY),
                };
                Self::Wire(ctx.build_with_wire(builder)?)
            }
            Network::Move => {
                let builder = with_settings(Trio::builder(), setup, steady);
                Self::Move(ctx.build_trio(builder)?)
            }
        })
    }

    /// The host that has the address of an end.
    pub(super) fn of(&self, end: End) -> &Host {
        match (self, end) {
            (Self::Wire(pair), End::Subject) => pair.a(),
            (Self::Wire(pair), End::Peer) => pair.b(),
            (Self::Move(trio), End::Subject) => trio.holder(),
            (Self::Move(trio), End::Peer) => trio.client(),
        }
    }

    /// All hosts that an end may ever be on.
    pub(super) fn all_of(&self, end: End) -> Vec<&Host> {
        match (self, end) {
            (Self::Move(trio), End::Subject) => vec![trio.old_host(), trio.new_host()],
            _ => vec![self.of(end)],
        }
    }

    /// Which of [`all_of`](Self::all_of) an end is on.
    pub(super) fn home(&self, end: End) -> usize {
        let here = self.of(end).name();
        let hosts = self.all_of(end);
        hosts
            .iter()
            .position(|host| host.name() == here)
            .unwrap_or(0)
    }

    pub(super) fn all(&self) -> Vec<&Host> {
        match self {
            Self::Wire(pair) => pair.hosts().into(),
            Self::Move(trio) => trio.hosts().into(),
        }
    }

    pub(super) fn wire(&self) -> Option<&PairWithWire> {
        match self {
            Self::Wire(pair) => Some(pair),
            Self::Move(_) => None,
        }
    }

    /// Lets every link take packets of another size.
    pub(super) fn set_mtu(&self, bytes: u32) -> Verdict {
        for host in self.all() {
            host.set_mtu(bytes)?;
        }
        Ok(())
    }
}

/// What every host is to have.
fn with_settings<T>(builder: Builder<T>, setup: &Setup, steady: bool) -> Builder<T> {
    let switch = |on| if on { "1" } else { "0" };
    let builder = match steady {
        // Every write is taken as a whole; a receive buffer stays as large as it is, and no small segment waits for another.
        true => builder
            .sysctl("net.ipv4.tcp_wmem", "4096 4194304 4194304")
            .sysctl("net.ipv4.tcp_moderate_rcvbuf", "0")
            .sysctl("net.ipv4.tcp_autocorking", "0"),
        false => builder,
    };
    builder
        .mtu(setup.mtu)
        .offload(setup.offload)
        .sysctl(
            "net.ipv4.tcp_timestamps",
            switch(setup.timestamps != Clock::Off),
        )
        .sysctl("net.ipv4.tcp_sack", switch(setup.sack))
        .sysctl(
            "net.ipv4.tcp_window_scaling",
            switch(setup.scaling != Scaling::Off),
        )
        // A tail loss probe sends new data at a time of its own, in repair mode too: how much is unsent would change
        // while it is looked at.
        .sysctl("net.ipv4.tcp_early_retrans", "0")
}
