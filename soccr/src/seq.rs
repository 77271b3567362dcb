//! Sequence numbers, which wrap.

use std::fmt;
use std::ops::{Add, Sub};

/// A 32-bit TCP sequence number; arithmetic and order are modulo 2^32 (RFC 9293, section 3.4).
///
/// Host byte order. It has no `Ord`: "before" is only meaningful for two numbers less than 2^31 apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Seq(pub u32);

impl Seq {
    /// Whether this number comes before `other` (kernel `before()`).
    #[must_use]
    pub fn before(self, other: Self) -> bool {
        self - other < 0
    }

    /// Whether this number comes after `other` (kernel `after()`).
    #[must_use]
    pub fn after(self, other: Self) -> bool {
        other.before(self)
    }

    /// The number `bytes` further back in the stream.
    #[must_use]
    pub fn back(self, bytes: u32) -> Self {
        Self(self.0.wrapping_sub(bytes))
    }
}

impl Add<u32> for Seq {
    type Output = Self;
    fn add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl Sub for Seq {
    type Output = i32;
    /// How far this number is ahead of `other`: negative when it comes before it.
    fn sub(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Seq;

    #[test]
    fn order_survives_the_wrap() {
        let (last, first) = (Seq(u32::MAX), Seq(0));
        assert!(last.before(first) && first.after(last));
        assert_eq!(last + 1, first);
        assert_eq!(first.back(1), last);
        assert_eq!((first - last, last - first), (1, -1));
    }

    #[test]
    fn a_number_is_neither_before_nor_after_itself() {
        assert!(!Seq(7).before(Seq(7)) && !Seq(7).after(Seq(7)));
    }
}
