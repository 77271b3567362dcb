//! What the two ends agreed on in their handshake.

use crate::error::Step;
use crate::lint::{Fate, Finding, Rule};
use crate::raw::{self, TcpInfo};

/// The largest shift of a window (RFC 7323, section 2.3; kernel `TCP_MAX_WSCALE`).
pub const MAX_WINDOW_SHIFT: u8 = 14;

/// What was negotiated: carried as agreed, whatever the new host would have offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Options {
    /// The largest segment that the peer accepts, bytes of payload and TCP options (kernel `mss_clamp`).
    #[doc(alias = "TCPOPT_MSS")]
    pub mss_clamp: u16,
    /// The window shifts, or `None` where scaling was not negotiated (RFC 7323, section 2).
    #[doc(alias = "TCPOPT_WINDOW")]
    pub window_scale: Option<WindowScale>,
    /// Whether selective acknowledgement was negotiated (RFC 2018).
    #[doc(alias = "TCPOPT_SACK_PERM")]
    pub sack: bool,
    /// The timestamp clock, or `None` where timestamps were not negotiated (RFC 7323, section 3).
    #[doc(alias = "TCPOPT_TIMESTAMP")]
    pub timestamps: Option<Timestamps>,
}

/// The two window shifts, bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WindowScale {
    /// How far windows that the peer advertises are shifted (kernel `snd_wscale`).
    pub snd: u8,
    /// How far windows that we advertise are shifted (kernel `rcv_wscale`).
    pub rcv: u8,
}

/// The clock behind the timestamps that we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Timestamps {
    /// What `TCP_TIMESTAMP` read at the save: the next TSval, in microseconds or milliseconds as `microseconds` says.
    /// Bit 0 may be a flag of the kernel instead of time.
    #[doc(alias = "TCP_TIMESTAMP")]
    pub value: u32,
    /// Whether the clock counts microseconds instead of milliseconds (kernel 6.7, `TCPI_OPT_USEC_TS`).
    pub microseconds: bool,
}

impl Timestamps {
    /// The value to set on the restored socket: never behind a TSval that the peer has seen, and with bit 0 as
    /// the unit wants it.
    ///
    /// Since kernel 6.7 bit 0 is the microsecond flag, in both directions: passed through from an older kernel
    /// it turns microseconds on, and read on a newer one it hides up to one unit of time. A clock that is one or
    /// two units ahead is harmless, one that is behind makes the peer drop segments (RFC 7323, section 5;
    /// guide A50, A51, G14).
    pub(crate) fn to_restore(self) -> u32 {
        let latest = self.value | 1;
        if self.microseconds {
            latest
        } else {
            latest.wrapping_add(1)
        }
    }
}

impl Timestamps {
    /// The value for those who will pass it to `TCP_TIMESTAMP` as it is: with the bit 0 that its unit has, and not behind.
    #[must_use]
    pub fn to_pass_on(self) -> u32 {
        match self.microseconds {
            true => self.value | 1,
            false => self.value.wrapping_add(self.value & 1),
        }
    }
}

/// How far a clock is put on where something may have left before the restore had succeeded. It is more than such a
/// restore takes, and less than the time that a move takes and that the clock does not count.
const AHEAD_MILLISECONDS: u32 = 150;

impl Timestamps {
    /// The clock to end with of a socket that may have spoken before: not behind what it said in an earlier attempt.
    pub(crate) fn ahead(self) -> Self {
        let units = if self.microseconds { 1000 } else { 1 };
        Self {
            value: self.value.wrapping_add(AHEAD_MILLISECONDS * units),
            ..self
        }
    }
}

impl Options {
    pub(crate) fn lint(&self, found: &mut Vec<Finding>) {
        let step = Step::NoQueueData;
        if self.mss_clamp == 0 {
            let tiny = "segments are as small as the kernel allows, 48 bytes with their options";
            found.push(Finding::taken_by_the_kernel(
                (Rule::Negotiated, step, tiny),
                "options.mss_clamp",
                self.mss_clamp,
                "must be at least 1",
            ));
        }
        let WindowScale { snd, rcv } = self.window_scale.unwrap_or_default();
        for (field, shift) in [
            ("options.window_scale.snd", snd),
            ("options.window_scale.rcv", rcv),
        ] {
            if shift > MAX_WINDOW_SHIFT {
                let rule = (Rule::Negotiated, step, libc::EFBIG);
                let must = "must be at most 14";
                found.push(Finding::refused_by_the_kernel(rule, field, shift, must));
            }
        }
        if let Some(Timestamps {
            value,
            microseconds: false,
        }) = self.timestamps.filter(|clock| clock.value % 2 == 1)
        {
            let faster = "since kernel 6.7 the clock counts microseconds";
            let finding = Finding::taken_by_the_kernel(
                (Rule::Timestamp, step, faster),
                "options.timestamps.value",
                value,
                "must be even where the clock counts milliseconds",
            );
            found.push(finding.but(Fate::Mended));
        }
    }

    /// Reads what was negotiated from `TCP_INFO`; clamp and clock come from options of their own.
    pub(crate) fn from_info(info: &TcpInfo, mss_clamp: u16, timestamp: u32) -> Self {
        let scale = WindowScale {
            snd: info.snd_wscale,
            rcv: info.rcv_wscale,
        };
        Self::from_mask(info.options, mss_clamp, scale, timestamp)
    }

    /// Puts together what a mask of bits `TCPI_OPT_*` says was negotiated, with the values beside it; those of what was not
    /// negotiated are left out.
    #[must_use]
    pub fn from_mask(mask: u8, mss_clamp: u16, scale: WindowScale, timestamp: u32) -> Self {
        let negotiated = |bit| mask & bit != 0;
        Self {
            mss_clamp,
            window_scale: negotiated(raw::TCPI_OPT_WSCALE).then_some(scale),
            sack: negotiated(raw::TCPI_OPT_SACK),
            timestamps: negotiated(raw::TCPI_OPT_TIMESTAMPS).then_some(Timestamps {
                value: timestamp,
                microseconds: negotiated(raw::TCPI_OPT_USEC_TS),
            }),
        }
    }

    /// What was negotiated as bits `TCPI_OPT_*`: the inverse of [`from_mask`](Self::from_mask).
    #[must_use]
    #[doc(alias = "opt_mask")]
    pub fn mask(self) -> u8 {
        let microseconds = self.timestamps.is_some_and(|it| it.microseconds);
        let bits = [
            (self.timestamps.is_some(), raw::TCPI_OPT_TIMESTAMPS),
            (self.sack, raw::TCPI_OPT_SACK),
            (self.window_scale.is_some(), raw::TCPI_OPT_WSCALE),
            (microseconds, raw::TCPI_OPT_USEC_TS),
        ];
        let set = bits.iter().filter(|(is_set, _)| *is_set);
        set.map(|(_, bit)| bit).sum()
    }

    /// The array for `TCP_REPAIR_OPTIONS`.
    ///
    /// The window entry is always there, 0/0 where nothing was negotiated: without it the kernel keeps a shift
    /// of its own choice and the peer reads a window that is far too small (guide A47).
    pub(crate) fn to_repair_options(self) -> Vec<u8> {
        let WindowScale { snd, rcv } = self.window_scale.unwrap_or_default();
        let shifts = u32::from(snd) | u32::from(rcv) << 16;
        let mut entries = vec![
            raw::tcp_repair_opt(raw::TCPOPT_MSS, self.mss_clamp.into()),
            raw::tcp_repair_opt(raw::TCPOPT_WINDOW, shifts),
        ];
        if self.sack {
            entries.push(raw::tcp_repair_opt(raw::TCPOPT_SACK_PERM, 0));
        }
        if self.timestamps.is_some() {
            entries.push(raw::tcp_repair_opt(raw::TCPOPT_TIMESTAMP, 0));
        }
        entries.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_clock_is_never_behind_and_bit_0_names_the_unit() {
        let clock = |value, microseconds| {
            Timestamps {
                value,
                microseconds,
            }
            .to_restore()
        };
        for value in [0, 1, 1000, 1001, u32::MAX - 1, u32::MAX] {
            let milliseconds = clock(value, false);
            assert_eq!(
                milliseconds & 1,
                0,
                "an odd value would turn microseconds on"
            );
            assert!(milliseconds.wrapping_sub(value | 1) <= 2);
            let microseconds = clock(value, true);
            assert_eq!(
                microseconds & 1,
                1,
                "an even value would turn microseconds off"
            );
            assert!(microseconds.wrapping_sub(value) <= 1);
        }
    }

    #[test]
    fn a_clock_that_is_passed_on_has_the_bit_of_its_unit_and_is_not_behind() {
        let clock = |value, microseconds| {
            let clock = Timestamps {
                value,
                microseconds,
            };
            clock.to_pass_on()
        };
        assert_eq!((clock(1000, false), clock(1001, false)), (1000, 1002));
        assert_eq!((clock(1000, true), clock(1001, true)), (1001, 1001));
        assert_eq!(clock(u32::MAX, false), 0);
    }

    #[test]
    fn a_clock_is_put_on_by_as_many_of_its_units_as_a_restore_takes() {
        for (microseconds, units) in [(false, 150), (true, 150_000)] {
            let clock = Timestamps {
                value: u32::MAX,
                microseconds,
            };
            assert_eq!(clock.ahead().value, units - 1);
        }
    }

    #[test]
    fn the_largest_shift_is_one_that_a_kernel_takes() {
        let mut options = Options {
            mss_clamp: 1,
            window_scale: Some(WindowScale { snd: 14, rcv: 14 }),
            ..Options::default()
        };
        let mut found = Vec::new();
        options.lint(&mut found);
        assert!(found.is_empty(), "{found:?}");
        options.window_scale = Some(WindowScale { snd: 15, rcv: 14 });
        options.lint(&mut found);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn the_window_shift_is_sent_even_where_none_was_negotiated() {
        let options = Options {
            mss_clamp: 1460,
            ..Options::default()
        };
        let bytes = options.to_repair_options();
        assert_eq!(bytes.len(), 16);
        assert_eq!(bytes[8..], raw::tcp_repair_opt(raw::TCPOPT_WINDOW, 0));
    }

    #[test]
    fn shifts_go_to_the_half_that_the_kernel_reads_them_from() {
        let options = Options {
            mss_clamp: 1460,
            window_scale: Some(WindowScale { snd: 7, rcv: 10 }),
            sack: true,
            timestamps: Some(Timestamps::default()),
        };
        let bytes = options.to_repair_options();
        assert_eq!(
            bytes[8..16],
            raw::tcp_repair_opt(raw::TCPOPT_WINDOW, 0x000a_0007)
        );
        assert_eq!(bytes.len(), 32);
    }
}
