//! The five values that TCP keeps about the two windows.

use crate::error::Step;
use crate::lint::{Fate, Finding, Rule};
use crate::seq::Seq;

/// How far apart two sequence numbers of one window can honestly be: the largest scaled window (RFC 7323,
/// section 2.3) is just under 2^30 bytes.
const MAX_WINDOW: u32 = 1 << 30;
/// The largest window that a kernel counts for itself: what there is room for in the buffer, an `int`. It is more than can be
/// told to a peer where the buffer is larger than the largest scaled window (`tcp_select_window` cuts what it tells, and not
/// what it keeps).
const MAX_RCV_WND: u32 = i32::MAX as u32;

/// The send and the receive window (`struct tcp_repair_window`, kernel 4.8), in bytes and sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[doc(alias = "tcp_repair_window")]
pub struct Window {
    /// The sequence number of the segment that last updated the send window.
    pub snd_wl1: Seq,
    /// How much the peer lets us send beyond what it has acknowledged, bytes.
    pub snd_wnd: u32,
    /// The largest `snd_wnd` that the peer ever advertised, bytes.
    pub max_window: u32,
    /// How much we last let the peer send, bytes from `rcv_wup`.
    pub rcv_wnd: u32,
    /// What we had received when we last advertised a window.
    pub rcv_wup: Seq,
}

impl Window {
    /// Length of the kernel's structure.
    pub(crate) const SIZE: usize = 20;

    pub(crate) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let word = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            snd_wl1: Seq(word(0)),
            snd_wnd: word(4),
            max_window: word(8),
            rcv_wnd: word(12),
            rcv_wup: Seq(word(16)),
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let words = [
            self.snd_wl1.0,
            self.snd_wnd,
            self.max_window,
            self.rcv_wnd,
            self.rcv_wup.0,
        ];
        let mut bytes = [0; Self::SIZE];
        for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    pub(crate) fn lint(&self, rcv_nxt: Seq, found: &mut Vec<Finding>) {
        let step = Step::RemainingData;
        let refused = (Rule::Window, step, libc::EINVAL);
        if self.max_window < self.snd_wnd {
            found.push(Finding::refused_by_the_kernel(
                refused,
                "window.max_window",
                self.max_window,
                format!("must be at least window.snd_wnd, {}", self.snd_wnd),
            ));
        }
        let unknown = "the window is one that no peer can have been told of";
        let uncounted = "the window is one that no kernel counts";
        for (field, bytes, most, effect, must) in [
            (
                "window.max_window",
                self.max_window,
                MAX_WINDOW,
                unknown,
                "must be at most 2^30",
            ),
            (
                "window.rcv_wnd",
                self.rcv_wnd,
                MAX_RCV_WND,
                uncounted,
                "must be less than 2^31",
            ),
        ] {
            if bytes > most {
                let taken = (Rule::Window, step, effect);
                found.push(Finding::taken_by_the_kernel(taken, field, bytes, must));
            }
        }
        self.lint_sequence(rcv_nxt, found);
    }

    /// The two sequence numbers among the values, against the end of what was received.
    fn lint_sequence(&self, rcv_nxt: Seq, found: &mut Vec<Finding>) {
        let step = Step::RemainingData;
        let refused = (Rule::Sequence, step, libc::EINVAL);
        let behind = rcv_nxt - self.rcv_wup;
        let must = format!("must be at most 2^30 before rcv_nxt, {rcv_nxt}, and not after it");
        if behind < 0 {
            let (field, value) = ("window.rcv_wup", self.rcv_wup);
            found.push(Finding::refused_by_the_kernel(refused, field, value, must));
        } else if behind as u32 > MAX_WINDOW {
            let closed = "the receive window is closed";
            let taken = (Rule::Sequence, step, closed);
            let (field, value) = ("window.rcv_wup", self.rcv_wup);
            found.push(Finding::taken_by_the_kernel(taken, field, value, must));
        }
        let beyond = self.snd_wl1.after(rcv_nxt + self.rcv_wnd);
        let far = (self.snd_wl1 - rcv_nxt).unsigned_abs() > MAX_WINDOW;
        let (field, value) = ("window.snd_wl1", self.snd_wl1);
        let must = match far {
            true => format!("must be within 2^30 of rcv_nxt, {rcv_nxt}"),
            false => format!(
                "must not be after the edge of the window, {}",
                rcv_nxt + self.rcv_wnd
            ),
        };
        if beyond {
            let finding = Finding::refused_by_the_kernel(refused, field, value, must);
            found.push(match far {
                true => finding,
                false => finding.but(Fate::Mended),
            });
        } else if far {
            let deaf = "the windows that the peer announces are not taken";
            let taken = (Rule::Sequence, step, deaf);
            found.push(Finding::taken_by_the_kernel(taken, field, value, must));
        }
    }

    /// How much the peer knows that it may still send to a socket that has received up to `rcv_nxt`, bytes (kernel
    /// `tcp_receive_window`).
    pub(crate) fn left_to_receive(&self, rcv_nxt: Seq) -> u32 {
        u32::try_from(self.rcv_wup + self.rcv_wnd - rcv_nxt).unwrap_or(0)
    }

    /// The same right edge for a socket that has received no further than `rcv_nxt`.
    pub(crate) fn not_after(self, rcv_nxt: Seq) -> Self {
        if !self.rcv_wup.after(rcv_nxt) {
            return self;
        }
        let edge = self.rcv_wup + self.rcv_wnd;
        Self {
            rcv_wup: rcv_nxt,
            rcv_wnd: (edge - rcv_nxt) as u32,
            ..self
        }
    }

    /// The values as every kernel accepts them, for a socket that has received up to `rcv_nxt`.
    ///
    /// A socket can hold a window that its own kernel refuses: a segment above `rcv_nxt` updated the send window,
    /// and the receive window was retracted below it since. The receive window is raised to reach that segment:
    /// the peer was once allowed to send there, and lowering `snd_wl1` instead would leave its bytes in flight
    /// outside the window (guide G1, H1, H2; kernel `tcp_repair_set_window`).
    #[must_use]
    pub fn acceptable(self, rcv_nxt: Seq) -> Self {
        let edge = rcv_nxt + self.rcv_wnd;
        if !self.snd_wl1.after(edge) {
            return self;
        }
        Self {
            // The kernel counts the window it offers from rcv_wup, which is never after rcv_nxt.
            rcv_wnd: (self.snd_wl1 - self.rcv_wup) as u32,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RCV_NXT: Seq = Seq(u32::MAX - 5);

    fn window() -> Window {
        Window {
            snd_wl1: RCV_NXT,
            snd_wnd: 100,
            max_window: 200,
            rcv_wnd: 300,
            rcv_wup: RCV_NXT,
        }
    }

    #[test]
    fn bytes_are_in_the_kernels_order() {
        let window = window();
        let bytes = window.to_bytes();
        assert_eq!(bytes[4..8], 100_u32.to_ne_bytes());
        assert_eq!(Window::from_bytes(bytes), window);
    }

    #[test]
    fn a_window_that_its_kernel_would_refuse_is_raised_across_the_wrap() {
        let retracted = Window {
            snd_wl1: RCV_NXT + 327_320,
            rcv_wnd: 131_072,
            rcv_wup: RCV_NXT.back(10),
            ..window()
        };
        let accepted = retracted.acceptable(RCV_NXT);
        assert_eq!(accepted.rcv_wup + accepted.rcv_wnd, retracted.snd_wl1);
        assert_eq!(accepted.snd_wl1, retracted.snd_wl1);
        assert_eq!(window().acceptable(RCV_NXT), window());
    }

    #[test]
    fn what_was_received_since_it_was_told_is_no_room_any_more() {
        let left = |behind| {
            Window {
                rcv_wup: RCV_NXT.back(behind),
                ..window()
            }
            .left_to_receive(RCV_NXT)
        };
        assert_eq!([0, 299, 300, 301].map(left), [300, 1, 0, 0]);
    }

    #[test]
    fn what_no_kernel_can_have_is_refused_by_name() {
        let found = |window: Window| {
            let mut found = Vec::new();
            window.lint(RCV_NXT, &mut found);
            found
        };
        let refused = |window: Window| {
            let mut found = found(window).into_iter();
            found.find(|it| it.fate == Fate::Refused).unwrap().field
        };
        assert_eq!(
            refused(Window {
                max_window: 99,
                ..window()
            }),
            "window.max_window"
        );
        assert_eq!(
            refused(Window {
                rcv_wnd: u32::MAX,
                ..window()
            }),
            "window.rcv_wnd"
        );
        assert_eq!(
            refused(Window {
                rcv_wup: RCV_NXT + 1,
                ..window()
            }),
            "window.rcv_wup"
        );
        assert_eq!(
            refused(Window {
                snd_wl1: RCV_NXT + (1 << 31),
                ..window()
            }),
            "window.snd_wl1"
        );
        // The kernel's own, of a socket with a buffer of 2 GiB.
        let large = Window {
            rcv_wnd: (1 << 30) + 1152,
            ..window()
        };
        assert!(found(large).is_empty());
        assert!(found(window()).is_empty());
    }
}
