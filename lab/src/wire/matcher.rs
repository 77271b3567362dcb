//! Which frames are meant.

use super::frame::{Frame, Way};
use crate::address::Flow;
use crate::flags::Flags;
use crate::options::TcpOption;
use std::fmt;
use std::ops::{Range, RangeBounds};
use std::sync::Arc;

/// Says of a frame whether it is meant; put together from simple ones, and readable when printed.
///
/// ```
/// use lab::wire::{Matcher, Way};
/// let third = Matcher::nth_data(3).and(Matcher::way(Way::AToB));
/// assert_eq!(third.to_string(), "data segment 3 and from a to b");
/// ```
///
/// Any `Fn(&Frame) -> bool` will do where a matcher is asked for.
#[derive(Clone)]
pub struct Matcher {
    text: Arc<str>,
    matches: Arc<dyn Fn(&Frame) -> bool + Send + Sync>,
}

impl Matcher {
    /// A matcher with the words that it is printed with.
    pub fn new(
        text: impl Into<String>,
        matches: impl Fn(&Frame) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            text: text.into().into(),
            matches: Arc::new(matches),
        }
    }

    /// Every frame.
    #[must_use]
    pub fn any() -> Self {
        Self::new("any frame", |_| true)
    }

    /// Every TCP segment.
    #[must_use]
    pub fn tcp() -> Self {
        Self::new("TCP", |frame| frame.segment.is_some())
    }

    /// Frames that go this way.
    #[must_use]
    pub fn way(way: Way) -> Self {
        let text = match way {
            Way::AToB => "from a to b",
            Way::BToA => "from b to a",
        };
        Self::new(text, move |frame| frame.way == way)
    }

    /// Segments of one direction of one connection.
    #[must_use]
    pub fn flow(flow: Flow) -> Self {
        Self::segment(format!("of {flow}"), move |segment| segment.flow == flow)
    }

    /// The n-th segment of each flow, from 1 on.
    #[must_use]
    pub fn nth(n: u64) -> Self {
        Self::new(format!("segment {n}"), move |frame| frame.number == n)
    }

    /// The n-th segment with data of each flow, from 1 on; one that is sent again counts again.
    #[must_use]
    pub fn nth_data(n: u64) -> Self {
        Self::new(format!("data segment {n}"), move |frame| {
            frame.data_number == n
        })
    }

    /// Segments with data.
    #[must_use]
    pub fn data() -> Self {
        Self::new("data", |frame| frame.payload_len() > 0)
    }

    /// Segments with any of these bytes of their stream, of which the first is number 1.
    #[must_use]
    pub fn bytes(range: Range<u32>) -> Self {
        let text = format!("bytes {} to {}", range.start, range.end.wrapping_sub(1));
        Self::new(text, move |frame| {
            let Some(first) = frame.relative_seq else {
                return false;
            };
            let end = first.saturating_add(frame.payload_len());
            let meant = frame.payload_len() > 0 && !range.is_empty();
            meant && first < range.end && range.start < end
        })
    }

    /// Segments with all of these flags set.
    #[must_use]
    pub fn flags(flags: Flags) -> Self {
        Self::segment(format!("flags {flags}"), move |segment| {
            segment.flags.contains(flags)
        })
    }

    /// Segments that have an option for which `wanted` holds.
    pub fn option(wanted: impl Fn(&TcpOption) -> bool + Send + Sync + 'static) -> Self {
        Self::segment("with a certain option", move |segment| {
            segment.options.iter().any(&wanted)
        })
    }

    /// Segments whose payload has a length in this range, in bytes.
    pub fn payload_len(range: impl RangeBounds<u32> + Send + Sync + 'static) -> Self {
        Self::segment("of a certain length", move |segment| {
            range.contains(&segment.payload_len)
        })
    }

    /// Frames for which both hold.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        let other = other.into();
        let text = format!("{self} and {other}");
        Self::new(text, move |frame| {
            self.matches(frame) && other.matches(frame)
        })
    }

    /// Frames for which one or both hold.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        let other = other.into();
        let text = format!("({self} or {other})");
        Self::new(text, move |frame| {
            self.matches(frame) || other.matches(frame)
        })
    }

    /// Frames for which it does not hold.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "`and` and `or` are methods, too"
    )]
    pub fn not(self) -> Self {
        let text = format!("not ({self})");
        Self::new(text, move |frame| !self.matches(frame))
    }

    /// Whether this frame is meant.
    #[must_use]
    pub fn matches(&self, frame: &Frame) -> bool {
        (self.matches)(frame)
    }

    fn segment(
        text: impl Into<String>,
        matches: impl Fn(&crate::Segment) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::new(text, move |frame| {
            frame.segment.as_ref().is_some_and(&matches)
        })
    }
}

impl<F: Fn(&Frame) -> bool + Send + Sync + 'static> From<F> for Matcher {
    fn from(matches: F) -> Self {
        Self::new("a frame for which a closure holds", matches)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Matcher").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Segment;
    use crate::wire::frame::Numbering;

    /// A SYN and two segments with data, of 10 and 5 bytes, whose numbers wrap; and a frame that is not TCP.
    fn frames() -> Vec<Frame> {
        let flow = Flow::new("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let segment = |seq: u32, flags, payload_len| Segment {
            flow,
            seq,
            ack: 0,
            flags,
            window: 0,
            options: vec![TcpOption::SackPermitted],
            payload_len,
            payload: Vec::new(),
        };
        let mut numbering = Numbering::default();
        [
            Some(segment(u32::MAX, Flags::SYN, 0)),
            Some(segment(0, Flags::ACK, 10)),
            Some(segment(10, Flags::PSH.and(Flags::ACK), 5)),
            None,
        ]
        .map(|it| numbering.frame(Way::BToA, it, false, Vec::new()))
        .into()
    }

    /// Which of the frames are meant, by their places.
    fn meant(matcher: &Matcher) -> Vec<usize> {
        let frames = frames();
        let places = frames.iter().enumerate();
        let meant = places.filter(|(_, frame)| matcher.matches(frame));
        meant.map(|(place, _)| place).collect()
    }

    #[test]
    fn each_means_what_it_says() {
        for (matcher, expected) in [
            (Matcher::any(), &[0, 1, 2, 3][..]),
            (Matcher::tcp(), &[0, 1, 2]),
            (Matcher::data(), &[1, 2]),
            (Matcher::nth(1), &[0]),
            (Matcher::nth(3), &[2]),
            (Matcher::nth_data(1), &[1]),
            (Matcher::nth_data(2), &[2]),
            (Matcher::bytes(1..11), &[1]),
            (Matcher::bytes(10..11), &[1]),
            (Matcher::bytes(11..12), &[2]),
            (Matcher::bytes(10..12), &[1, 2]),
            (Matcher::bytes(16..20), &[]),
            (Matcher::bytes(5..5), &[]),
            #[expect(clippy::reversed_empty_ranges, reason = "no bytes are meant")]
            (Matcher::bytes(5..2), &[]),
            (Matcher::flags(Flags::ACK), &[1, 2]),
            (Matcher::flags(Flags::PSH.and(Flags::ACK)), &[2]),
            (Matcher::way(Way::AToB), &[]),
            (Matcher::way(Way::BToA), &[0, 1, 2, 3]),
            (Matcher::payload_len(..=5), &[0, 2]),
            (
                Matcher::option(|it| *it == TcpOption::SackPermitted),
                &[0, 1, 2],
            ),
            (Matcher::nth(1).or(Matcher::nth(2)), &[0, 1]),
            (Matcher::tcp().and(Matcher::data()), &[1, 2]),
            (Matcher::tcp().not(), &[3]),
            (Matcher::from(|frame: &Frame| frame.number == 2), &[1]),
        ] {
            assert_eq!(meant(&matcher), expected, "{matcher}");
        }
    }
}
