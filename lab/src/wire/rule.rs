//! What is to become of a frame.

use super::frame::Frame;
use super::matcher::Matcher;
use std::time::Duration;

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This rule has nothing to say about it; if none has, it goes on.
    Pass,
    /// It is gone.
    Drop,
    /// It waits for [`Wire::step`](super::Wire::step) or [`Wire::release`](super::Wire::release).
    Hold,
    /// It goes on after this time, and others overtake it.
    Delay(Duration),
    /// It goes on twice.
    Duplicate,
    /// It goes on as soon as so many later frames that go the same way have gone on.
    Reorder(usize),
    /// It goes on with one bit of its last byte turned, so that its checksum is wrong. A frame that is still to be cut
    /// into segments or has no checksum yet is dropped, which is what becomes of all its segments at their receiver.
    Corrupt,
    /// These bytes go on in its place, from the Ethernet header on; checksums are the rule's own business.
    Rewrite(Vec<u8>),
}

/// A rule of a wire: decides about frames, one after the other.
///
/// Any `FnMut(&Frame) -> Verdict` is one; so is [`Matcher::then`]. A rule runs inside the wire: it must not call it.
pub trait Rule: Send {
    /// What is to become of this frame, as far as this rule is concerned.
    fn judge(&mut self, frame: &Frame) -> Verdict;
}

impl<F: FnMut(&Frame) -> Verdict + Send> Rule for F {
    fn judge(&mut self, frame: &Frame) -> Verdict {
        self(frame)
    }
}

impl Matcher {
    /// The rule that gives this verdict on every frame that is meant.
    pub fn then(self, verdict: Verdict) -> impl Rule + 'static {
        move |frame: &Frame| match self.matches(frame) {
            true => verdict.clone(),
            false => Verdict::Pass,
        }
    }
}
