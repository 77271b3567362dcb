//! Finding out which of the segments that left is the one that arrived.

use crate::address::Flow;
use crate::flags::Flags;
use crate::options::TcpOption;
use crate::packet::{Direction, Packet};
use crate::segment::Segment;
use crate::trace::{Item, Trace};
use crate::vlan;
use pnet::packet::ethernet::{EtherType, EtherTypes};
use pnet::packet::ipv4::Ipv4Packet;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// A segment where a capture saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    /// Which item of the trace it is.
    pub(super) item: usize,
    pub(super) packet: &'a Packet,
    pub(super) segment: &'a Segment,
}

/// What two captures know about one segment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate<'a> {
    /// It left, and did not arrive.
    Lost(Sighting<'a>),
    /// It left, and arrived.
    Arrived {
        sent: Sighting<'a>,
        arrived: Sighting<'a>,
    },
    /// It arrived more often than it left.
    Copy {
        /// What it is a copy of.
        sent: Sighting<'a>,
        arrived: Sighting<'a>,
    },
    /// It arrived, and nothing like it left.
    Appeared(Sighting<'a>),
}

impl<'a> Fate<'a> {
    /// The first that was seen of it.
    pub(super) fn first(&self) -> Sighting<'a> {
        match *self {
            Self::Lost(it)
            | Self::Arrived { sent: it, .. }
            | Self::Copy { arrived: it, .. }
            | Self::Appeared(it) => it,
        }
    }

    /// Where it was seen to leave.
    pub(super) fn sent(&self) -> Option<Sighting<'a>> {
        match *self {
            Self::Lost(sent) | Self::Arrived { sent, .. } => Some(sent),
            Self::Copy { .. } | Self::Appeared(_) => None,
        }
    }

    /// Where it was seen to arrive.
    pub(super) fn arrived(&self) -> Option<Sighting<'a>> {
        match *self {
            Self::Lost(_) => None,
            Self::Arrived { arrived, .. }
            | Self::Copy { arrived, .. }
            | Self::Appeared(arrived) => Some(arrived),
        }
    }
}

/// All that an unaltered segment keeps on its way. The checksum is none of it: the kernel may leave it to the link.
#[derive(PartialEq, Eq, Hash)]
struct Whole<'a> {
    flow: Flow,
    numbers: (u32, u32, u16),
    flags: Flags,
    options: &'a [TcpOption],
    payload: (u32, &'a [u8]),
    /// Tells a retransmission from what it repeats.
    identification: Option<u16>,
}

impl<'a> Whole<'a> {
    fn of(it: &Sighting<'a>) -> Self {
        let Segment {
            flow,
            seq,
            ack,
            flags,
            window,
            options,
            payload_len,
            payload,
        } = it.segment;
        Self {
            flow: *flow,
            numbers: (*seq, *ack, *window),
            flags: *flags,
            options,
            payload: (*payload_len, payload),
            identification: identification(it.packet),
        }
    }
}

/// What is left to know a segment by that was changed on its way.
fn place(it: &Sighting<'_>) -> (Flow, u32, u32, Flags) {
    let segment = it.segment;
    (
        segment.flow,
        segment.seq,
        segment.payload_len,
        segment.flags,
    )
}

/// The identification of an IPv4 packet (RFC 791); IPv6 has none.
fn identification(packet: &Packet) -> Option<u16> {
    let (kind, payload) = vlan::payload(&packet.bytes)?;
    let packet = Ipv4Packet::new(payload)?;
    (EtherType::new(kind) == EtherTypes::Ipv4).then(|| packet.get_identification())
}

/// Whether two sightings of one segment differ, as far as both captures kept it.
pub(super) fn differ(sent: Sighting<'_>, arrived: Sighting<'_>) -> bool {
    let kept = sent
        .segment
        .payload
        .len()
        .min(arrived.segment.payload.len());
    let mut both = [Whole::of(&sent), Whole::of(&arrived)];
    for it in &mut both {
        it.payload.1 = it.payload.1.get(..kept).unwrap_or_default();
    }
    both[0] != both[1]
}

/// The fates of those that go from the host of one trace to that of the other.
pub(super) fn fates<'a>(sender: &'a Trace, receiver: &'a Trace) -> impl Iterator<Item = Fate<'a>> {
    let mut sent = sightings(sender, Direction::Egress);
    let mut arrived = sightings(receiver, Direction::Ingress);
    // What a copy is a copy of may have arrived itself.
    let originals: HashMap<_, _> = sent.iter().map(|&it| (Whole::of(&it), it)).collect();
    let mut fates = pair(&mut sent, &mut arrived, Whole::of);
    arrived.retain(|&arrived| {
        let original = originals.get(&Whole::of(&arrived));
        let original = original.filter(|sent| sent.packet.time <= arrived.packet.time);
        fates.extend(original.map(|&sent| Fate::Copy { sent, arrived }));
        original.is_none()
    });
    fates.extend(pair(&mut sent, &mut arrived, place));
    fates.extend(sent.into_iter().map(Fate::Lost));
    fates.extend(arrived.into_iter().map(Fate::Appeared));
    fates.into_iter()
}

/// The segments of a trace that go in this direction.
fn sightings(trace: &Trace, direction: Direction) -> Vec<Sighting<'_>> {
    let items = trace.items().enumerate();
    let sightings = items.filter_map(|(item, it)| match it {
        Item::Packet(packet) if packet.direction == direction => Some(Sighting {
            item,
            packet,
            segment: packet.segment()?,
        }),
        _ => None,
    });
    sightings.collect()
}

/// Takes out those that left and those that arrived under the same `key`, as many as can be.
///
/// Of several that are equal, the later ones are taken to have arrived: the first is likelier to be the one that was
/// lost, or it would not have been sent again. Each arrives as early as it can: what comes behind it is a copy.
fn pair<'a, K: Hash + Eq>(
    sent: &mut Vec<Sighting<'a>>,
    arrived: &mut Vec<Sighting<'a>>,
    key: impl Fn(&Sighting<'a>) -> K,
) -> Vec<Fate<'a>> {
    let mut equals: HashMap<K, [Vec<Sighting<'a>>; 2]> = HashMap::new();
    for (end, sightings) in [&*sent, &*arrived].into_iter().enumerate() {
        for it in sightings {
            equals.entry(key(it)).or_default()[end].push(*it);
        }
    }
    let (mut left, mut came) = (HashSet::new(), HashSet::new());
    let mut fates = Vec::new();
    for [sent, arrived] in equals.into_values() {
        let mut later = sent.into_iter().peekable();
        let (mut under_way, mut pairs) = (Vec::new(), (Vec::new(), Vec::new()));
        for arrived in arrived {
            while let Some(sent) = later.next_if(|it| it.packet.time <= arrived.packet.time) {
                under_way.push(sent);
            }
            pairs.extend(under_way.pop().map(|sent| (sent, arrived)));
        }
        // None of these needs to have overtaken another.
        pairs.0.sort_by_key(|it: &Sighting<'_>| it.item);
        for (sent, arrived) in pairs.0.into_iter().zip(pairs.1) {
            left.insert(sent.item);
            came.insert(arrived.item);
            fates.push(Fate::Arrived { sent, arrived });
        }
    }
    sent.retain(|it| !left.contains(&it.item));
    arrived.retain(|it| !came.contains(&it.item));
    fates
}
