//! The hosts of a scenario, and who is where.

use super::setup::{Clock, Network, Scaling, Setup};
use crate::context::Context;
use crate::oracle::stream::End;
use crate::oracle::table;
use crate::verdict::{Stop, Verdict};
use lab::{Builder, Flow, Host, PairWithWire, Trio, kept_on};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Room for 4096 frames of 1500 bytes on each side of the wire, or for 2048 that are yet to be cut: more than a send buffer
/// lets be on their way.
const MEMORY: [usize; 2] = [8 << 20, 16 << 20];
/// Segments below so many bytes come in greater numbers, and find room for eight times as many: each takes as much of it as
/// the largest that the link takes.
const SMALL_SEGMENT: u16 = 500;

/// How much memory the wires of those networks have that are kept for other cases, in bytes.
const KEPT: usize = 128 << 20;

/// One that has more is not kept: it would be in the place of many.
const LARGEST_KEPT: usize = KEPT / 4;

/// How many scenarios a network may have had when it is kept: each has ports of its own.
const MOST_VISITS: u16 = 1000;

/// The MTUs that wires are built for, the smallest that will do, and what is left to them to cut: what a wire keeps for a
/// frame goes by it. Without a wire all are for the last.
const LARGEST: [(u32, u32); 4] = [
    (1500, 7500),
    (4000, 15_000),
    (9000, 32_000),
    (65_535, 65_536),
];

/// The hosts of a scenario.
#[derive(Clone)]
pub(super) enum Hosts {
    /// Subject and peer, with a wire between them.
    Wire(Arc<PairWithWire>),
    /// The peer, and two hosts for the subject.
    Move(Arc<Trio>),
}

/// What cannot be changed of a network once it is built.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    network: Network,
    offload: bool,
    largest: (u32, u32),
    memory: usize,
    steady: bool,
    /// The processor that its wire is kept on.
    cpu: Option<usize>,
}

impl Kind {
    /// What one of them takes while it is kept, in bytes: a ring for each end of its wire, and not much else.
    fn kept_memory(&self) -> usize {
        match self.network {
            Network::Wire => 2 * self.memory,
            Network::Move => 1 << 20,
        }
    }
}

/// The network of a scenario, which another may have used before.
#[derive(Clone)]
pub(super) struct Place {
    hosts: Hosts,
    kind: Kind,
    /// How many scenarios have used it.
    visits: u16,
}

impl Deref for Place {
    type Target = Hosts;

    fn deref(&self) -> &Hosts {
        &self.hosts
    }
}

/// Networks that scenarios have left as they found them, for those that come after.
#[derive(Default)]
pub struct Stock(Mutex<Vec<Place>>);

impl Stock {
    fn take(&self, kind: Kind) -> Option<Place> {
        let mut places = self.places();
        let found = places.iter().position(|it| it.kind == kind)?;
        Some(places.swap_remove(found))
    }

    /// Takes back a network on which nothing goes on any more.
    pub(super) fn put(&self, mut place: Place) {
        place.visits += 1;
        self.places().push(place);
    }

    /// Takes over all that another has; of what becomes too many, those go that have waited longest.
    pub(crate) fn take_over(&self, other: &Self) {
        let mut more = std::mem::take(&mut *other.places());
        more.retain(|it| it.visits < MOST_VISITS && it.kind.kept_memory() <= LARGEST_KEPT);
        let mut places = self.places();
        places.append(&mut more);
        let sizes = places.iter().rev().map(|it| it.kind.kept_memory());
        let surplus = places.len() - how_many_fit(sizes, KEPT);
        let surplus: Vec<_> = places.drain(..surplus).collect();
        drop(places);
        // They take their time to go.
        drop(surplus);
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of these sizes, from the first on, have room together.
fn how_many_fit(sizes: impl Iterator<Item = usize>, room: usize) -> usize {
    let sums = sizes.scan(0, |sum, size| {
        *sum += size;
        Some(*sum)
    });
    sums.take_while(|&sum| sum <= room).count()
}

impl Place {
    /// A network for a scenario: one that is there already, or one that is built.
    pub(super) fn find(ctx: &Context, setup: &Setup, steady: bool) -> Result<Self, Stop> {
        let by_size = setup.network == Network::Wire;
        let fits = |(mtu, _): &(u32, u32)| by_size && setup.mtu <= *mtu;
        let small = setup.mss.is_some_and(|mss| mss < SMALL_SEGMENT);
        let kind = Kind {
            network: setup.network,
            offload: setup.offload,
            largest: LARGEST.into_iter().find(fits).unwrap_or(LARGEST[3]),
            memory: MEMORY[usize::from(setup.offload)] << if small { 3 } else { 0 },
            steady,
            cpu: by_size.then(kept_on).flatten(),
        };
        let there = ctx.stock().take(kind);
        let place = match there.or_else(|| ctx.networks().scenarios().take(kind)) {
            Some(place) => place,
            None => Self {
                hosts: Hosts::build(kind)?,
                kind,
                visits: 0,
            },
        };
        match &place.hosts {
            Hosts::Wire(pair) => ctx.on_wire(pair),
            Hosts::Move(trio) => ctx.on_trio(trio),
        }
        if place.visits > 0 {
            let before = format!("scenarios that have used it before: {}", place.visits);
            ctx.note("network", before);
        }
        place.prepare(setup)?;
        Ok(place)
    }

    /// How many scenarios have used it before.
    pub(super) fn visits(&self) -> u16 {
        self.visits
    }
}

impl Hosts {
    fn build(kind: Kind) -> Result<Self, Stop> {
        Ok(match kind.network {
            Network::Wire => {
                let builder = with_settings(PairWithWire::builder(), kind);
                let builder = builder.memory(kind.memory);
                Self::Wire(builder.build()?.into())
            }
            Network::Move => Self::Move(with_settings(Trio::builder(), kind).build()?.into()),
        })
    }

    /// Lets the network be as the scenario asks for it, whatever it was before.
    fn prepare(&self, setup: &Setup) -> Verdict {
        if let Self::Move(trio) = self
            && self.home(End::Subject) > 0
        {
            trio.move_address()?;
        }
        self.set_mtu(setup.mtu)?;
        for (name, on) in [
            ("net.ipv4.tcp_timestamps", setup.timestamps != Clock::Off),
            ("net.ipv4.tcp_sack", setup.sack),
            ("net.ipv4.tcp_window_scaling", setup.scaling != Scaling::Off),
        ] {
            let value = if on { "1" } else { "0" };
            for host in self.all() {
                host.sysctl(name, value)?;
            }
        }
        Ok(())
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

    /// No host has a socket of the connection any more, but in TIME-WAIT.
    pub(super) fn expect_nothing_left(&self, flow: &Flow) -> Verdict {
        for host in self.all() {
            table::expect_over(host, flow)?;
            table::expect_over(host, &flow.reversed())?;
        }
        Ok(())
    }

    /// Lets every link take packets of another size.
    pub(super) fn set_mtu(&self, bytes: u32) -> Verdict {
        for host in self.all() {
            host.set_mtu(bytes)?;
        }
        Ok(())
    }
}

/// What every host has, whatever the scenario.
fn with_settings<T>(builder: Builder<T>, kind: Kind) -> Builder<T> {
    let builder = match kind.steady {
        // Every write is taken as a whole; a receive buffer stays as large as it is, and no small segment waits for another.
        true => builder
            .sysctl("net.ipv4.tcp_wmem", "4096 4194304 4194304")
            .sysctl("net.ipv4.tcp_moderate_rcvbuf", "0")
            .sysctl("net.ipv4.tcp_autocorking", "0")
            // On a busy machine an answer may take longer than 200 ms (6.11).
            .sysctl_if_known("net.ipv4.tcp_rto_min_us", "1000000"),
        false => builder,
    };
    let (mtu, gso_max_size) = kind.largest;
    builder
        .mtu(mtu)
        .gso_max_size(gso_max_size)
        .offload(kind.offload)
        // A tail loss probe sends new data at a time of its own, in repair mode too: how much is unsent would change
        // while it is looked at.
        .sysctl("net.ipv4.tcp_early_retrans", "0")
}

#[cfg(test)]
mod tests {
    use super::{KEPT, LARGEST_KEPT, how_many_fit};

    #[test]
    fn those_that_came_last_are_kept_as_far_as_there_is_room() {
        let fit = |sizes: &[usize]| how_many_fit(sizes.iter().copied(), 10);
        assert_eq!(fit(&[]), 0);
        assert_eq!(fit(&[4, 6]), 2);
        assert_eq!(fit(&[4, 6, 1]), 2);
        assert_eq!(fit(&[4, 7, 1]), 1);
        assert_eq!(fit(&[11, 1]), 0);
        assert_eq!(how_many_fit([LARGEST_KEPT; 9].into_iter(), KEPT), 4);
    }
}
