//! What was captured: packets and marks, in the order in which they were on the link.

use crate::address::Flow;
use crate::error::Error;
use crate::mark::Mark;
use crate::packet::{Direction, Packet};
use crate::segment::Segment;
use std::sync::Arc;

/// One thing in a trace.
#[derive(Clone, Debug)]
pub enum Item {
    /// A frame.
    Packet(Arc<Packet>),
    /// A remark of the test.
    Mark(Arc<Mark>),
}

impl Item {
    /// When the kernel saw it, in nanoseconds since 1970.
    pub(crate) fn time(&self) -> u64 {
        match self {
            Self::Packet(packet) => packet.time,
            Self::Mark(mark) => mark.time,
        }
    }
}

/// Packets and marks of one link, in order; cheap to clone and to cut.
///
/// `Display` prints it as packetdrill and tcpdump do; [`Trace::write_pcapng`] writes it for Wireshark.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Host and link, such as `a/veth0`.
    link: Arc<str>,
    items: Vec<Item>,
}

impl Trace {
    pub(crate) fn new(link: Arc<str>, items: Vec<Item>) -> Self {
        Self { link, items }
    }

    /// A trace of packets that were captured elsewhere, in their order; `link` says where.
    #[must_use]
    pub fn of_packets(link: &str, packets: impl IntoIterator<Item = Packet>) -> Self {
        let packets = packets.into_iter().map(Arc::new);
        Self::new(link.into(), packets.map(Item::Packet).collect())
    }

    /// Where it was captured: host and link, such as `a/veth0`.
    #[must_use]
    pub fn link(&self) -> &str {
        &self.link
    }

    /// Everything in it.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// Its packets.
    pub fn packets(&self) -> impl Iterator<Item = &Packet> {
        self.items.iter().filter_map(|item| match item {
            Item::Packet(packet) => Some(&**packet),
            Item::Mark(_) => None,
        })
    }

    /// The TCP segments in its packets.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.packets().filter_map(Packet::segment)
    }

    /// Its marks, those from the other end of the link included.
    pub fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.items.iter().filter_map(|item| match item {
            Item::Mark(mark) => Some(&**mark),
            Item::Packet(_) => None,
        })
    }

    /// How many packets it has, of whatever kind; marks do not count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets().count()
    }

    /// Whether it has no packet; marks do not count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets().next().is_none()
    }

    /// The packets that `keep` chooses, and every mark.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&Packet) -> bool) -> Self {
        self.cut(
            self.items
                .iter()
                .filter(|item| match item {
                    Item::Packet(packet) => keep(packet),
                    Item::Mark(_) => true,
                })
                .cloned()
                .collect(),
        )
    }

    /// The TCP packets of one connection, in both directions, and every mark.
    #[must_use]
    pub fn of(&self, flow: &Flow) -> Self {
        self.filter(|packet| {
            packet
                .segment()
                .is_some_and(|segment| segment.flow.same_connection(flow))
        })
    }

    /// The TCP packets that have `flow`'s direction, and every mark.
    #[must_use]
    pub fn along(&self, flow: &Flow) -> Self {
        self.filter(|packet| {
            packet
                .segment()
                .is_some_and(|segment| segment.flow == *flow)
        })
    }

    /// The packets that the host sent, and every mark.
    #[must_use]
    pub fn outgoing(&self) -> Self {
        self.filter(|packet| packet.direction == Direction::Egress)
    }

    /// The packets that the host received, and every mark.
    #[must_use]
    pub fn incoming(&self) -> Self {
        self.filter(|packet| packet.direction == Direction::Ingress)
    }

    /// What stands between two marks; the second is looked for behind the first.
    ///
    /// A mark is found by its text, the first one made on this link before any from the other end.
    ///
    /// # Errors
    /// [`Error::NoSuchMark`] when either is missing.
    pub fn between(&self, from: &str, to: &str) -> Result<Self, Error> {
        self.after(from)?.before(to)
    }

    /// What stands behind a mark.
    ///
    /// # Errors
    /// [`Error::NoSuchMark`] when it is missing.
    pub fn after(&self, mark: &str) -> Result<Self, Error> {
        let at = self.position(mark)?;
        Ok(self.cut(self.items.iter().skip(at + 1).cloned().collect()))
    }

    /// What stands before a mark.
    ///
    /// # Errors
    /// [`Error::NoSuchMark`] when it is missing.
    pub fn before(&self, mark: &str) -> Result<Self, Error> {
        let at = self.position(mark)?;
        Ok(self.cut(self.items.iter().take(at).cloned().collect()))
    }

    /// The first SYN of `flow` that is not the answer to another.
    #[must_use]
    pub fn first_syn(&self, flow: &Flow) -> Option<&Segment> {
        self.first(|segment| segment.flow == *flow && segment.flags.syn() && !segment.flags.ack())
    }

    /// The first segment that `wanted` chooses.
    #[must_use]
    pub fn first(&self, mut wanted: impl FnMut(&Segment) -> bool) -> Option<&Segment> {
        self.segments().find(|segment| wanted(segment))
    }

    /// The last segment that `wanted` chooses.
    #[must_use]
    pub fn last(&self, mut wanted: impl FnMut(&Segment) -> bool) -> Option<&Segment> {
        self.segments().filter(|segment| wanted(segment)).last()
    }

    /// Whether `wanted` chooses any segment.
    #[must_use]
    pub fn any(&self, wanted: impl FnMut(&Segment) -> bool) -> bool {
        self.first(wanted).is_some()
    }

    /// How many segments `wanted` chooses.
    #[must_use]
    pub fn count(&self, mut wanted: impl FnMut(&Segment) -> bool) -> usize {
        self.segments().filter(|segment| wanted(segment)).count()
    }

    fn cut(&self, items: Vec<Item>) -> Self {
        Self::new(Arc::clone(&self.link), items)
    }

    fn position(&self, text: &str) -> Result<usize, Error> {
        let find = |own: bool| {
            self.items.iter().position(|item| match item {
                Item::Mark(mark) => {
                    mark.text == text && (mark.direction == Direction::Egress) == own
                }
                Item::Packet(_) => false,
            })
        };
        find(true)
            .or_else(|| find(false))
            .ok_or_else(|| Error::NoSuchMark {
                wanted: text.to_owned(),
                present: self.marks().map(|mark| mark.text.clone()).collect(),
            })
    }
}
