//! What one end sends: what stays known of it, and what a section adds.

use super::account::{About, Facts};
use super::sighting::Sighting;
use crate::oracle::stream::End;
use std::collections::BTreeSet;

/// So many segments leave at once, whatever was learned of the path: the initial window (RFC 6928).
const ONE_FLIGHT: usize = 10;

/// An application writes no more at once: what a larger write is cut into depends on when each part is taken.
const ONE_WRITE: i64 = 1 << 16;

/// Behind the boundaries of segments of which not all found room at once.
pub(super) const BEYOND_THE_WINDOW: &str = ", beyond the window";

/// A reset that stands behind the FIN of its sender: it answers what came when its connection was over.
pub(super) const RESET_BEHIND_ITS_END: &str = "R behind its end";

/// What one end has sent.
pub(super) struct Way {
    end: End,
    /// Whether segments are cut by the link: how large they are is not seen.
    cut_by_link: bool,
    /// The end of what was sent.
    sent: i64,
    /// The end of what it has acknowledged.
    acknowledged: i64,
    /// Up to where the other end may send.
    edge: i64,
    /// The payload of the largest segment.
    largest: u32,
    /// Where its FIN stands, once there is one.
    ended: Option<i64>,
    /// The flow label of its last packet.
    label: Option<u32>,
    /// Whether its clock has ever told 0, which then is no echo of nothing.
    told_zero: bool,
    new: New,
}

/// What a section adds.
#[derive(Default)]
struct New {
    control: Vec<String>,
    again: Vec<String>,
    probes: usize,
    /// Where what it sends begins.
    start: i64,
    /// How much the other end had room for by then.
    room: i64,
    /// Where its segments end.
    boundaries: Vec<i64>,
    with_data: BTreeSet<String>,
    without_data: BTreeSet<String>,
    headers: BTreeSet<String>,
    relabelled: bool,
    echoes_nothing: bool,
}

impl Way {
    pub(super) fn new(end: End, cut_by_link: bool) -> Self {
        Self {
            end,
            cut_by_link,
            sent: 0,
            acknowledged: 0,
            edge: 0,
            largest: 0,
            ended: None,
            label: None,
            told_zero: false,
            new: New::default(),
        }
    }

    /// Takes note of a segment, and tells it what was known before; `other` is what the other end has sent.
    pub(super) fn take(&mut self, segment: &mut Sighting, other: &Self) {
        (segment.sent, segment.heard) = (self.sent, other.acknowledged);
        segment.acknowledged = self.acknowledged;
        let new = &mut self.new;
        if let (Some(ack), Some(edge)) = (segment.acknowledges, segment.edge) {
            (self.acknowledged, self.edge) = (ack, edge);
        }
        if let Some(header) = segment.header {
            new.headers.insert(header.to_string());
            let last = self.label.replace(header.label);
            new.relabelled |= last.is_some_and(|last| last != header.label);
        }
        if let Some((value, echo)) = segment.timestamps {
            self.told_zero |= value == 0;
            new.echoes_nothing |= echo == 0 && segment.control != "S" && !other.told_zero;
        }
        match segment.control {
            "R" if self.ended.is_some_and(|end| segment.at == end + 1) => {
                new.control.push(RESET_BEHIND_ITS_END.to_owned());
                return;
            }
            "S" | "R" => {
                new.control
                    .push(format!("{}{}", segment.control, segment.at));
                return;
            }
            "F" => self.ended = Some(segment.end() - 1),
            _ => {}
        }
        if segment.is_probe() {
            new.probes += 1;
        }
        let options = segment.lasting_options();
        match segment.bytes {
            0 => new.without_data.insert(options),
            _ => new.with_data.insert(options),
        };
        self.largest = self.largest.max(segment.bytes);
        if segment.is_empty() {
            return;
        }
        if segment.at < self.sent {
            new.again.push(format!("{}({})", segment.at, segment.bytes));
        }
        if segment.end() > self.sent {
            if new.boundaries.is_empty() {
                (new.start, new.room) = (self.sent, other.edge - self.sent);
            }
            self.sent = segment.end();
            new.boundaries.push(segment.end());
        }
    }

    /// Says what is known, and begins anew; `at_rest` is whether all has come to rest and not to an end, `roomy` whether the
    /// receive buffers are as large as usual, `crowded` whether so much waits to be read that its own may be full.
    pub(super) fn tell(&mut self, facts: &mut Facts, at_rest: bool, roomy: bool, crowded: bool) {
        let new = std::mem::take(&mut self.new);
        let end = self.end;
        let mut tell = |about, name: &str, value: String| {
            facts.tell(about, format_args!("{end}: {name}"), value);
        };
        let or_none = |list: Vec<String>| match list.is_empty() {
            true => "none".to_owned(),
            false => list.join(" "),
        };
        tell(About::Connection, "SYN and RST", or_none(new.control));
        tell(About::Stream(end), "sent up to", self.sent.to_string());
        // What one end acknowledges is how far the stream of the other has come.
        let theirs = About::Stream(end.other());
        tell(theirs, "acknowledged", self.acknowledged.to_string());
        let ended = self.ended.map_or("not".to_owned(), |at| format!("at {at}"));
        tell(About::Stream(end), "ended", ended);
        // Where room becomes scarce, which segments were acknowledged one by one decides what is announced
        // (__tcp_select_window), and that differs from run to run.
        if at_rest && !crowded {
            let window = match self.edge - self.acknowledged {
                ..=0 => "closed",
                1..=87 => "narrow",
                _ => "open",
            };
            tell(About::Window(end), "window", window.to_owned());
        }
        if at_rest || roomy {
            tell(About::Course(end), "sent again", or_none(new.again));
            tell(About::Course(end), "probes", new.probes.to_string());
        }
        if !self.cut_by_link && at_rest && roomy {
            tell(
                About::Stream(end),
                "largest segment",
                self.largest.to_string(),
            );
            let bytes = new.boundaries.last().map_or(0, |end| end - new.start);
            if new.boundaries.len() <= ONE_FLIGHT && bytes <= ONE_WRITE {
                let edge = (bytes > new.room).then_some(new.start + new.room);
                let starts = [new.start]
                    .into_iter()
                    .chain(new.boundaries.iter().copied());
                let told = starts.zip(&new.boundaries).filter(|(start, end)| {
                    // A timer that ends before the window is wider cuts what reaches beyond it at its edge (tcp_write_wakeup).
                    // A whole segment ends there by itself.
                    Some(**end) != edge || *end - start == i64::from(self.largest)
                });
                let mut boundaries = or_none(told.map(|(_, end)| end.to_string()).collect());
                if edge.is_some() {
                    boundaries.push_str(BEYOND_THE_WINDOW);
                }
                tell(About::Course(end), "segments end at", boundaries);
            }
        }
        let manner = [
            ("options with data", new.with_data),
            ("options without data", new.without_data),
            ("IP header", new.headers),
        ];
        for (name, values) in manner {
            if !values.is_empty() {
                let values: Vec<_> = values.into_iter().collect();
                tell(About::Manner, name, values.join(" or "));
            }
        }
        tell(
            About::Course(end),
            "flow label",
            match new.relabelled {
                true => "another",
                false => "as it was",
            }
            .to_owned(),
        );
        tell(
            About::Connection,
            "echoes nothing",
            new.echoes_nothing.to_string(),
        );
    }
}
