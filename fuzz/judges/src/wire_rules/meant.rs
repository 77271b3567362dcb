//! Matchers, put together from simple ones, and what they have to mean.

use arbitrary::Arbitrary;
use lab::Flags;
use lab::wire::{Frame, Matcher, Way};
use std::sync::Arc;

/// Which frames are meant: the first, and one after the other what is added to it.
#[derive(Arbitrary, Clone, Debug)]
pub(super) struct Meant {
    first: Simple,
    others: Vec<(How, Simple)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum How {
    And,
    Or,
    /// All of it so far, turned round; then this as well.
    NotAnd,
}

#[derive(Arbitrary, Clone, Debug)]
enum Simple {
    Any,
    Tcp,
    FromA(bool),
    Nth(u8),
    NthData(u8),
    Data,
    Bytes(u32, u32),
    Flags(u8),
    PayloadLen(u8, u8),
}

impl Meant {
    /// The matcher, which checks itself against what is meant each time that it is asked.
    pub(super) fn matcher(self) -> Matcher {
        let mut matcher = self.first.matcher();
        for (how, simple) in &self.others {
            let simple = simple.matcher();
            matcher = match how {
                How::And => matcher.and(simple),
                How::Or => matcher.or(simple),
                How::NotAnd => matcher.not().and(simple),
            };
        }
        assert!(!matcher.to_string().is_empty());
        let meant = Arc::new(self);
        Matcher::new(matcher.to_string(), move |frame| {
            let matches = matcher.matches(frame);
            assert_eq!(matches, meant.by_hand(frame), "{matcher} of {frame}");
            matches
        })
    }

    fn by_hand(&self, frame: &Frame) -> bool {
        let first = self.first.by_hand(frame);
        self.others.iter().fold(first, |all, (how, simple)| {
            let this = simple.by_hand(frame);
            match how {
                How::And => all & this,
                How::Or => all | this,
                How::NotAnd => !all & this,
            }
        })
    }
}

fn way(from_a: bool) -> Way {
    if from_a { Way::AToB } else { Way::BToA }
}

impl Simple {
    fn matcher(&self) -> Matcher {
        match *self {
            Self::Any => Matcher::any(),
            Self::Tcp => Matcher::tcp(),
            Self::FromA(from_a) => Matcher::way(way(from_a)),
            Self::Nth(n) => Matcher::nth(n.into()),
            Self::NthData(n) => Matcher::nth_data(n.into()),
            Self::Data => Matcher::data(),
            Self::Bytes(start, end) => Matcher::bytes(start..end),
            Self::Flags(flags) => Matcher::flags(Flags(flags)),
            Self::PayloadLen(least, most) => {
                Matcher::payload_len(u32::from(least)..=u32::from(most))
            }
        }
    }

    fn by_hand(&self, frame: &Frame) -> bool {
        let length = frame.payload_len();
        match *self {
            Self::Any => true,
            Self::Tcp => frame.segment.is_some(),
            Self::FromA(from_a) => frame.way == way(from_a),
            Self::Nth(n) => frame.number == u64::from(n),
            Self::NthData(n) => frame.data_number == u64::from(n),
            Self::Data => length > 0,
            Self::Bytes(start, end) => frame.relative_seq.is_some_and(|first| {
                let (first, behind) = (u64::from(first), u64::from(first) + u64::from(length));
                // What is in both begins before it ends.
                first.max(start.into()) < behind.min(end.into())
            }),
            Self::Flags(flags) => {
                let segment = frame.segment.as_ref();
                segment.is_some_and(|it| it.flags.0 & flags == flags)
            }
            Self::PayloadLen(least, most) => {
                let range = u32::from(least)..=u32::from(most);
                frame.segment.is_some() && range.contains(&length)
            }
        }
    }
}
