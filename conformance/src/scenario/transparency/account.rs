//! What was seen of a connection: step by step, without times, and with numbers that count from its beginning.
//!
//! What two runs of the same steps do not agree on, with no checkpoint in either, is no part of it. By measuring that is:
//! how many pure acknowledgements there are, and where pushes stand; how large a window is that a receiver announces, beyond
//! whether it is closed or narrow; the boundaries of what takes several flights to send, or is cut by the link; how much
//! gets through a window that is closed, and when it is probed; how large segments are where a receive buffer is small; what an end has estimated (congestion window, timeouts).

use super::sighting::{Origin, Sighting};
use super::way::Way;
use crate::oracle::stream::End;
use crate::scenario::Scenario;
use crate::scenario::step::{Setting, Step};
use lab::{Direction, Flow, Item, Trace};
use soccr::Seq;
use std::collections::BTreeMap;
use std::time::Duration;

/// What was seen of a connection: the first section while it was opened, one for each step, and one for its end.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// The sections, in this order.
    pub(super) sections: Vec<Section>,
    /// The longest that the wire has kept a frame by itself.
    pub(super) late: Duration,
}

/// What was seen during one step, and of what had come to rest behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    /// What there is to say.
    pub(super) facts: Facts,
    /// The segments, in their order.
    pub(super) segments: Vec<Sighting>,
    /// Whose streams are held up: they wait for a window, or have waited, and are not read to their end since.
    pub(super) held_up: [bool; 2],
    /// Which ends may have received more than they have room for.
    pub(super) crowded: [bool; 2],
    /// How often the witness has sent something again by now, and has received something out of order.
    pub(super) counted: [u32; 2],
}

/// What there is to say, by its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts(pub(super) BTreeMap<String, Fact>);

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    /// What it is about.
    pub(super) about: About,
    /// What is said.
    pub(super) value: String,
}

/// What a fact is about: when it says something that another run has to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The connection: always.
    Connection,
    /// How far a stream has come: not while it is held up.
    Stream(End),
    /// How far both have come: while neither is held up.
    Streams,
    /// How much an end lets the other send: not while the stream of that one is held up, or was before.
    Window(End),
    /// How a stream has come so far in this section: not while it is held up, or was before.
    Course(End),
    /// How all segments of a kind look: where there is one.
    Manner,
    /// A counter of the host: as [`About::Course`], of both streams.
    Counter,
}

impl Facts {
    pub(super) fn tell(&mut self, about: About, name: impl ToString, value: impl ToString) {
        let value = value.to_string();
        self.0.insert(name.to_string(), Fact { about, value });
    }
}

/// Stands in the trace where a section begins.
pub(super) const SECTION: &str = "section";

impl Account {
    /// Puts together what was on the link of a host, and what was known of the rest after each section.
    pub(super) fn of(
        trace: &Trace,
        flow: Flow,
        origins: [Origin; 2],
        scenario: &Scenario,
        rests: Vec<Section>,
    ) -> Self {
        Self::assemble(segments(&trace.of(&flow), flow, origins), scenario, rests)
    }

    fn assemble(
        traced: Vec<Vec<Sighting>>,
        scenario: &Scenario,
        mut sections: Vec<Section>,
    ) -> Self {
        let mut ways = [End::Subject, End::Peer].map(|end| Way::new(end, scenario.setup.offload));
        let roomy = is_roomy(scenario);
        let last = sections.len().saturating_sub(1);
        for (index, section) in sections.iter_mut().enumerate() {
            section.segments = traced.get(index).cloned().unwrap_or_default();
            for segment in &mut section.segments {
                let [subject, peer] = &mut ways;
                let (mine, theirs) = match segment.from {
                    End::Subject => (subject, peer),
                    End::Peer => (peer, subject),
                };
                mine.take(segment, theirs);
            }
            for (way, crowded) in ways.iter_mut().zip(section.crowded) {
                way.tell(&mut section.facts, index < last, roomy, crowded);
            }
        }
        Self {
            sections,
            late: Duration::ZERO,
        }
    }
}

/// Whether both receive buffers are as large as usual. Where they are not, windows can be so narrow that they decide how large
/// segments are (`tcp_bound_to_half_wnd`), and in the end applications write more than they take.
pub(super) fn is_roomy(scenario: &Scenario) -> bool {
    let limits = |step: &Step| {
        matches!(
            step,
            Step::Set(_, Setting::ReceiveBuffer(_) | Setting::WindowClamp(_))
        )
    };
    scenario.setup.receive_buffers == [None, None] && !scenario.steps.iter().any(limits)
}

/// The segments between the marks.
fn segments(trace: &Trace, flow: Flow, mut origins: [Origin; 2]) -> Vec<Vec<Sighting>> {
    let mut sections = vec![Vec::new()];
    for item in trace.items() {
        let packet = match item {
            Item::Mark(mark) if mark.direction == Direction::Egress && mark.text == SECTION => {
                sections.push(Vec::new());
                continue;
            }
            Item::Mark(_) => continue,
            Item::Packet(packet) => packet,
        };
        let Some(segment) = packet.segment() else {
            continue;
        };
        let from = match segment.flow == flow {
            true => End::Subject,
            false => End::Peer,
        };
        if segment.flags.syn() {
            origins[from as usize].first = Some(Seq(segment.seq) + 1);
        }
        if let Some(section) = sections.last_mut() {
            section.push(Sighting::of(packet, segment, from, &origins));
        }
    }
    sections
}

#[cfg(test)]
impl Account {
    /// What is seen of these segments, where nothing else is told.
    pub(super) fn of_segments(traced: Vec<Vec<Sighting>>, scenario: &Scenario) -> Self {
        let rests = vec![Section::default(); traced.len()];
        Self::assemble(traced, scenario, rests)
    }
}
