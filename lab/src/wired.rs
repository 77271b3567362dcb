//! The topology for deciding about every frame: two hosts with a wire of our own between them.

use crate::error::Error;
use crate::network::{self, LINK, Node, Seat, middle_mac};
use crate::pair::Pair;
use crate::settings::Builder;
use crate::sysctl;
use crate::wire::Wire;
use std::ops::Deref;
use std::sync::Arc;

/// A frame takes two links from host to host.
const LINKS_BETWEEN_HOSTS: usize = 2;

/// A [`Pair`] whose hosts are joined by a [`Wire`], which decides what becomes of every frame; gone on drop.
///
/// Otherwise it is a pair, and is used as one. Unless asked otherwise its offloads are off: every frame is one segment.
#[derive(Debug)]
pub struct PairWithWire {
    // First, so that it goes first: it moves frames of the hosts.
    wire: Wire,
    pair: Pair,
}

/// How a [`PairWithWire`] is to be.
pub type PairWithWireBuilder = Builder<PairWithWire>;

impl PairWithWire {
    /// A pair with a wire and with settings of its own; offloads are off.
    pub fn builder() -> PairWithWireBuilder {
        PairWithWireBuilder::default().offload(false)
    }

    /// The wire between the hosts.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }
}

impl Deref for PairWithWire {
    type Target = Pair;

    fn deref(&self) -> &Pair {
        &self.pair
    }
}

impl Pair {
    /// A pair with a wire of ours between its hosts, with the usual settings but for offloads, which are off.
    ///
    /// # Errors
    /// Those of [`PairWithWireBuilder::build`].
    pub fn with_wire() -> Result<PairWithWire, Error> {
        PairWithWire::builder().build()
    }
}

impl Builder<PairWithWire> {
    /// How much memory the wire takes for the frames of each host that it has not moved yet, in bytes; 32 MiB unless told.
    ///
    /// A frame takes a power of two: 2 KiB where the MTU is 1500; with offloads 128 KiB, or as much as the
    /// [largest](Self::gso_max_size) needs. A wire that has no room for one has [failed](Error::Wire). Less memory makes a
    /// network that is built many times quicker to build.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.settings.wire_memory = bytes;
        self
    }

    /// Builds the pair and its wire.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] before [`Sandbox::enter`](crate::Sandbox::enter); [`Error::Invalid`] for a value that
    /// no link can have; otherwise what the kernel refused.
    pub fn build(self) -> Result<PairWithWire, Error> {
        let settings = &self.settings;
        settings.check()?;
        let middle = Node::middle("wire")?;
        middle.namespace.enter(|| {
            // Its ports would have link-local addresses otherwise, and announce them.
            sysctl::write("net.ipv6.conf.default.disable_ipv6", "1")
        })??;
        let seats = [Seat::new(1), Seat::new(2)];
        let join = |name, link, seat: &Seat, number| {
            let node = Node::host(name, settings)?;
            let ends = network::join(
                (&node, LINK, seat.mac),
                (&middle, link, middle_mac(number)),
                settings,
            )?;
            let [mut port, far] = ends;
            node.configure(&mut port, seat, settings)?;
            network::raise(&[(&node, &port), (&middle, &far)])?;
            Ok::<_, Error>((node, port, far))
        };
        let (a, port_a, far_a) = join("a", "a", &seats[0], 1)?;
        let (b, port_b, far_b) = join("b", "b", &seats[1], 2)?;
        a.settle(&seats[0], settings)?;
        b.settle(&seats[1], settings)?;
        a.add_neighbour(&port_a, &seats[1], settings)?;
        b.add_neighbour(&port_b, &seats[0], settings)?;
        let host = |node: Node, port, far: &network::Port, seat| {
            node.into_host(
                port,
                Arc::clone(&far.sender),
                LINKS_BETWEEN_HOSTS,
                seat,
                settings,
            )
        };
        let pair = Pair::of([
            host(a, port_a, &far_a, &seats[0]),
            host(b, port_b, &far_b, &seats[1]),
        ]);
        let ports = [&far_a, &far_b];
        let wire = Wire::start(middle, ports, pair.hosts(), settings)?;
        Ok(PairWithWire { wire, pair })
    }
}
