//! Networks made of Linux namespaces, for tests that want real TCP.
//!
//! A [`Pair`] is two hosts, each a network namespace of its own, joined by a virtual Ethernet link. Between them
//! runs the TCP of the kernel, not a model of it; what is on the link can be captured, marked, swallowed and made
//! up. It takes a few milliseconds to build, needs no root and no tool, and is gone without a trace when it is
//! dropped, or when the process ends in whatever way.
//!
//! ```no_run
//! use lab::wire::{Matcher, Verdict};
//! use lab::{Family, Pair, Sandbox};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     Sandbox::enter()?; // first of all: before the process has threads
//!     let pair = Pair::with_wire()?;
//!     let (mut client, mut server) = pair.connection(Family::V6).open()?.into_peers();
//!     let (near, far) = (pair.a().capture()?, pair.b().capture()?);
//!     let _lose_it = pair.wire().rule(Matcher::nth_data(3).then(Verdict::Drop))?;
//!
//!     client.transfer(&mut server, 20_000)?; // and every byte is checked
//!     pair.wire().until_quiet()?;
//!
//!     let trace = near.trace()?;
//!     assert!(trace.annotated().retransmissions().count() > 0, "{trace}"); // reads like packetdrill
//!     println!("{}", trace.ladder_to(&far.trace()?)); // who sent what to whom, and what was lost
//!     trace.write_pcapng("near.pcapng")?; // for Wireshark
//!     Ok(())
//! }
//! ```
//!
//! In a test program [`main!`] does the first step, and gives each test a lab of its own.
//!
//! # What is where
//!
//! | to | there is |
//! |---|---|
//! | enter the namespaces, or learn why not and what to do about it | [`Sandbox`], [`available`], [`SandboxError`] |
//! | write a test program: a fresh lab for each test, under `cargo test` and nextest | [`harness`](mod@harness), [`main!`] |
//! | build a network of two hosts, or of several around a switch | [`Pair`], [`Star`] |
//! | decide about every frame between two hosts: lose, hold, reorder, duplicate, corrupt, rewrite it | [`Pair::with_wire`], [`wire`](mod@wire) |
//! | leave that to chance, from a seed | [`wire::Random`] |
//! | try such rules on frames without a network | [`wire::DryRun`] |
//! | let an address move from one host to another | [`Trio`] |
//! | choose MTU, offloads, IPv4 or IPv6 only, sysctls | [`Builder`], [`Families`], [`sysctl`] |
//! | make a link slow, or delay and lose packets by the kernel's own means | [`Builder::rate`], [`Builder::netem`], [`Netem`] |
//! | put the hosts into a VLAN | [`Builder::vlan`], [`Packet::vlan`] |
//! | run code on a host, for one to open sockets there | [`Host::enter`] |
//! | run any program on a host | [`Host::output`], [`Host::spawn`], [`Process`] |
//! | have both ends of a connection, over IPv4, IPv6, or IPv4 from an IPv6 socket | [`Connection`], [`Family`], [`Host::connection_to`] |
//! | let both ends send, receive, stall, half-close and reset by short commands | [`Peer`], [`Stream`], [`Connection::into_peers`] |
//! | see what is on the wire | [`Host::capture`], [`Capture`], [`Packet`], [`Segment`], [`TcpOption`] |
//! | learn what a segment means: retransmission, duplicate acknowledgment, SACK, probe | [`Trace::annotated`], [`Note`] |
//! | ask all of this of frames that were captured elsewhere | [`Packet::decode`], [`Trace::of_packets`] |
//! | look at it in Wireshark, several hosts in one file | [`Trace::write_pcapng`], [`write_pcapng`] |
//! | see it as a ladder diagram: who sent what to whom, what was lost, what crossed | [`Trace::ladder_to`], [`Ladder`] |
//! | tell before from after | [`Capture::mark`], [`Trace::between`] |
//! | swallow packets: one direction of one connection, or resets only | [`Host::blackhole`], [`Match`] |
//! | learn what the kernel of a host counted meanwhile | [`Host::counters`], [`Counters::since`] |
//! | see the TCP sockets of a host as its kernel does, in every state | [`Host::sockets`], [`Host::socket`], [`TcpSocket`], [`TcpInfo`] |
//! | count the sockets of a host, sooner than they are listed | [`Host::socket_counts`] |
//! | use a network for another test | [`Pair::renew`] |
//! | keep packets in the order that they were sent in | [`on_one_cpu`] |
//! | send a segment or a frame of one's own | [`Craft`], [`Host::inject`] |
//! | wait for something without sleeping | [`wait`](mod@wait), [`Capture::until`], [`Wire::until_quiet`](wire::Wire::until_quiet) |
//!
//! # How to think about it
//!
//! - **A socket belongs to the host that it was created on**: create it inside [`Host::enter`], use it on any thread.
//! - **What returns is ready**: the first packet of a new pair passes, a blackhole is in force, a trace is complete.
//!   There is nothing to sleep for.
//! - **A host starts from a fixed [`BASELINE`](sysctl::BASELINE)** of sysctls, so that a trace looks the same on
//!   every machine; a test then changes what it is about.
//! - **A capture misses nothing**: a trace with holes is an [`Error::FramesLost`].
//! - **A decoder that guesses hides bugs**: what is not TCP by the RFCs is [`Packet::malformed`].
//!
//! # What it takes
//!
//! Linux with user, network and mount namespaces, veth links and packet sockets; for blackholes also `sch_ingress`
//! and `cls_bpf`, for more than two hosts `bridge`, for a rate `sch_tbf`, for netem `sch_netem`, for a
//! VLAN `8021q`.
//! Root needs nothing else. An ordinary user needs the permission to make user namespaces, which most systems give;
//! [`SandboxError::hint`] says what to do where one does not, or inside a container.
//!
//! # Limits
//!
//! - Every host has one link, and all hosts of a lab are on one Ethernet. Labs are apart from each other and from the
//!   machine: nothing is routed anywhere.
//! - Time is real. There is no virtual clock, and no delay on the link but that of a [`wire`](mod@wire), of
//!   [`Builder::rate`] and of [`Builder::netem`], whose chances have no seed.
//! - A [`wire`](mod@wire) moves frames in a thread of this process: on a machine with nothing to spare it is late, and
//!   so is everything that passes it.
//! - Behind a switch a mark, which is nobody's, shows up on the links of all hosts.
//! - [`Capture::sync`] waits behind what waits: where netem delays or drops, it is delayed or dropped as well.
//! - With offloads, which are on unless asked otherwise, a captured packet can be larger than the MTU, and its
//!   checksum is nobody's business: see [`Packet::gso`] and [`Checksum::Partial`].
//! - Calls block. Inside an async runtime the building of a lab is an [`Error::InsideRuntime`], not a panic.
//! - [`Sandbox::enter`] is for the whole process and for good.

mod address;
mod annotated;
mod announce;
mod blackhole;
mod bpf;
mod capture;
mod connection;
mod copy;
mod counters;
mod cpus;
mod craft;
pub mod ebpf;
mod error;
mod flags;
#[cfg(feature = "harness")]
pub mod harness;
mod host;
mod ladder;
mod link;
mod mark;
mod netlink;
mod network;
mod note;
mod ns;
mod offload;
mod options;
mod packet;
mod pair;
mod pcapng;
mod peer;
mod print;
mod proc_net;
mod process;
mod qdisc;
mod reuse;
mod sandbox;
mod segment;
mod sender;
mod settings;
mod shaping;
mod sockets;
mod star;
mod stream;
mod switch;
mod sys;
pub mod sysctl;
mod together;
mod trace;
mod trio;
mod vlan;
pub mod wait;
mod watched;
pub mod wire;
mod wired;

pub use address::{Family, Flow};
pub use annotated::{Annotated, Observed};
pub use blackhole::{Blackhole, Match};
pub use capture::{Capture, CaptureOptions};
pub use connection::{Connection, ConnectionBuilder};
pub use copy::in_copy;
pub use counters::{Counters, Moved};
pub use cpus::{kept_on, on_one_cpu};
pub use craft::Craft;
pub use error::Error;
pub use flags::Flags;
pub use host::Host;
pub use ladder::Ladder;
pub use link::Mac;
pub use mark::Mark;
pub use note::Note;
pub use options::{OptionError, TcpOption};
pub use packet::{Checksum, Direction, Packet};
pub use pair::{Pair, PairBuilder};
pub use pcapng::write_pcapng;
pub use peer::Peer;
pub use process::Process;
pub use reuse::SocketCounts;
pub use sandbox::{Sandbox, SandboxError, available};
pub use segment::{DecodeError, Segment};
pub use settings::{Builder, Families};
pub use shaping::Netem;
pub use sockets::{Sockets, TcpInfo, TcpSocket, TcpState, Timer};
pub use star::{Star, StarBuilder};
pub use stream::{Mismatch, Stream};
pub use trace::{Item, Trace};
pub use trio::{Trio, TrioBuilder};
pub use wired::{PairWithWire, PairWithWireBuilder};
