//! TCP options, decoded strictly.
//!
//! A decoder that skips over what it does not understand hides exactly what a test of TCP looks for. This one takes
//! every byte for what RFC 9293 (section 3.1), RFC 7323 and RFC 2018 say, or refuses.

use std::fmt;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// What a header has room for (RFC 2018, section 3).
const MOST_BLOCKS: usize = 4;

/// One option of a TCP header; numbers are in host byte order. Padding is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TcpOption {
    /// Maximum segment size, in bytes (RFC 9293).
    Mss(u16),
    /// Window scale, a shift count (RFC 7323).
    WindowScale(u8),
    /// SACK permitted (RFC 2018).
    SackPermitted,
    /// Selective acknowledgments: left and right edge of each block (RFC 2018).
    Sack(Vec<(u32, u32)>),
    /// Timestamps (RFC 7323).
    Timestamps {
        /// TSval: the sender's clock.
        value: u32,
        /// TSecr: the clock value of the other side that is echoed.
        echo_reply: u32,
    },
    /// An option of another kind.
    Unknown {
        /// Its kind.
        kind: u8,
        /// What follows kind and length.
        data: Vec<u8>,
    },
}

/// Why bytes are no TCP options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OptionError {
    /// The length does not even cover kind and length.
    #[error("option of kind {kind} at byte {at} says it is {length} bytes long; 2 is the least")]
    TooShort {
        /// Its kind.
        kind: u8,
        /// Where it begins, counted from the first option.
        at: usize,
        /// The length that it states.
        length: u8,
    },
    /// It ends behind the header, or the header ends before its length.
    #[error("option of kind {kind} at byte {at} reaches past the end of the header")]
    PastEnd {
        /// Its kind.
        kind: u8,
        /// Where it begins, counted from the first option.
        at: usize,
    },
    /// The length is none that its kind can have.
    #[error("option of kind {kind} at byte {at} cannot be {length} bytes long")]
    WrongLength {
        /// Its kind.
        kind: u8,
        /// Where it begins, counted from the first option.
        at: usize,
        /// The length that it states.
        length: u8,
    },
}

/// Options as they stand at the end of a printed segment, with a space before them; nothing where there are none.
pub(crate) fn printed<'a>(options: impl IntoIterator<Item = &'a TcpOption>) -> String {
    let options: Vec<_> = options.into_iter().map(ToString::to_string).collect();
    match &options[..] {
        [] => String::new(),
        options => format!(" <{}>", options.join(",")),
    }
}

impl TcpOption {
    /// Decodes what follows the first twenty bytes of a TCP header, up to the end-of-options mark.
    ///
    /// # Errors
    /// [`OptionError`] at the first byte that makes no sense.
    pub fn decode(bytes: &[u8]) -> Result<Vec<Self>, OptionError> {
        let mut options = Vec::new();
        let mut at = 0;
        while let Some(&kind) = bytes.get(at) {
            if kind == END {
                break;
            }
            if kind == NO_OPERATION {
                at += 1;
                continue;
            }
            let &length = bytes.get(at + 1).ok_or(OptionError::PastEnd { kind, at })?;
            if length < 2 {
                return Err(OptionError::TooShort { kind, at, length });
            }
            let end = at + usize::from(length);
            let data = bytes
                .get(at + 2..end)
                .ok_or(OptionError::PastEnd { kind, at })?;
            options.push(Self::of(kind, data).ok_or(OptionError::WrongLength {
                kind,
                at,
                length,
            })?);
            at = end;
        }
        Ok(options)
    }

    /// The option as it stands in a header, without padding: what [`TcpOption::decode`] reads.
    ///
    /// An option that is too long for the byte that states its length states a wrong one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, data) = match self {
            Self::Mss(bytes) => (MSS, bytes.to_be_bytes().to_vec()),
            Self::WindowScale(shift) => (WINDOW_SCALE, vec![*shift]),
            Self::SackPermitted => (SACK_PERMITTED, Vec::new()),
            Self::Sack(blocks) => {
                let edges = blocks.iter().flat_map(|&(left, right)| [left, right]);
                (SACK, edges.flat_map(u32::to_be_bytes).collect())
            }
            Self::Timestamps { value, echo_reply } => {
                let numbers = [*value, *echo_reply].into_iter();
                (TIMESTAMPS, numbers.flat_map(u32::to_be_bytes).collect())
            }
            Self::Unknown { kind, data } => (*kind, data.clone()),
        };
        let length = data.len() + 2;
        [vec![kind, length as u8], data].concat()
    }

    /// The option of a kind; `None` when the kind cannot have that many bytes.
    fn of(kind: u8, data: &[u8]) -> Option<Self> {
        Some(match (kind, data) {
            (MSS, &[a, b]) => Self::Mss(u16::from_be_bytes([a, b])),
            (WINDOW_SCALE, &[shift]) => Self::WindowScale(shift),
            (SACK_PERMITTED, []) => Self::SackPermitted,
            (SACK, blocks) => Self::Sack(sack_blocks(blocks)?),
            (TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => Self::Timestamps {
                value: u32::from_be_bytes([a, b, c, d]),
                echo_reply: u32::from_be_bytes([e, f, g, h]),
            },
            (MSS | WINDOW_SCALE | SACK_PERMITTED | TIMESTAMPS, _) => return None,
            (kind, data) => Self::Unknown {
                kind,
                data: data.to_vec(),
            },
        })
    }
}

/// One to four blocks of two numbers.
fn sack_blocks(data: &[u8]) -> Option<Vec<(u32, u32)>> {
    let (blocks, []) = data.as_chunks::<8>() else {
        return None;
    };
    if blocks.is_empty() || blocks.len() > MOST_BLOCKS {
        return None;
    }
    let block = |&[a, b, c, d, e, f, g, h]: &[u8; 8]| {
        (
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
        )
    };
    Some(blocks.iter().map(block).collect())
}

impl fmt::Display for TcpOption {
    /// Writes the option as packetdrill does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mss(bytes) => write!(f, "mss {bytes}"),
            Self::WindowScale(shift) => write!(f, "wscale {shift}"),
            Self::SackPermitted => f.write_str("sackOK"),
            Self::Sack(blocks) => {
                f.write_str("sack")?;
                blocks
                    .iter()
                    .try_for_each(|(left, right)| write!(f, " {left}:{right}"))
            }
            Self::Timestamps { value, echo_reply } => write!(f, "TS val {value} ecr {echo_reply}"),
            Self::Unknown { kind, data } => write!(f, "kind {kind} ({} bytes)", data.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_a_linux_syn() {
        let bytes = [
            2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
        ];
        let options = TcpOption::decode(&bytes).unwrap();
        let text: Vec<_> = options.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["mss 1460", "sackOK", "TS val 1 ecr 0", "wscale 7"]);
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for options in [
            vec![],
            vec![TcpOption::Mss(1460), TcpOption::SackPermitted],
            vec![TcpOption::WindowScale(14)],
            vec![TcpOption::Sack(vec![(1, 2), (u32::MAX, 0)])],
            vec![TcpOption::Timestamps {
                value: 0x0102_0304,
                echo_reply: 7,
            }],
            vec![TcpOption::Unknown {
                kind: 34,
                data: vec![7, 8, 9],
            }],
        ] {
            let bytes: Vec<_> = options.iter().flat_map(TcpOption::encode).collect();
            assert_eq!(TcpOption::decode(&bytes), Ok(options), "{bytes:?}");
        }
    }

    #[test]
    fn nothing_is_read_behind_the_end_mark() {
        assert_eq!(TcpOption::decode(&[1, 0, 2, 99]), Ok(vec![]));
        assert_eq!(TcpOption::decode(&[]), Ok(vec![]));
    }

    #[test]
    fn sack_blocks_are_pairs() {
        let mut bytes = vec![1, 1, 5, 18];
        for number in 1..=4u32 {
            bytes.extend(number.to_be_bytes());
        }
        assert_eq!(
            TcpOption::decode(&bytes),
            Ok(vec![TcpOption::Sack(vec![(1, 2), (3, 4)])])
        );
    }

    #[test]
    fn no_option_has_more_blocks_than_a_header_has_room_for() {
        for (blocks, taken) in [(4, true), (5, false)] {
            let length = 2 + 8 * blocks;
            let bytes = [vec![5, length as u8], vec![0; 8 * blocks]].concat();
            assert_eq!(TcpOption::decode(&bytes).is_ok(), taken, "{blocks}");
        }
    }

    #[test]
    fn unknown_kinds_keep_their_bytes() {
        assert_eq!(
            TcpOption::decode(&[34, 4, 7, 8]),
            Ok(vec![TcpOption::Unknown {
                kind: 34,
                data: vec![7, 8]
            }])
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let wrong = |kind, length| OptionError::WrongLength {
            kind,
            at: 0,
            length,
        };
        for (bytes, error) in [
            (
                &[2, 0][..],
                OptionError::TooShort {
                    kind: 2,
                    at: 0,
                    length: 0,
                },
            ),
            (
                &[1, 2, 1],
                OptionError::TooShort {
                    kind: 2,
                    at: 1,
                    length: 1,
                },
            ),
            (&[2], OptionError::PastEnd { kind: 2, at: 0 }),
            (&[2, 4, 5], OptionError::PastEnd { kind: 2, at: 0 }),
            (&[77, 255, 0, 0], OptionError::PastEnd { kind: 77, at: 0 }),
            (&[2, 3, 5], wrong(2, 3)),
            (&[3, 4, 5, 5], wrong(3, 4)),
            (&[4, 3, 5], wrong(4, 3)),
            (&[5, 2], wrong(5, 2)),
            (&[5, 6, 0, 0, 0, 0], wrong(5, 6)),
            (&[8, 6, 0, 0, 0, 0], wrong(8, 6)),
        ] {
            assert_eq!(TcpOption::decode(bytes), Err(error), "{bytes:?}");
        }
    }

    /// Every header of up to three bytes, and pseudo-random ones of forty: none panics.
    #[test]
    fn no_bytes_make_it_panic() {
        for a in 0..=255 {
            for b in 0..=255 {
                let _ = TcpOption::decode(&[a, b]);
                let _ = TcpOption::decode(&[a, 3, b]);
            }
        }
        let mut state = 1u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..40)
                .map(|_| {
                    // Knuth's MMIX generator: seeded, so that a failure repeats.
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    // Small numbers are the interesting ones.
                    ((state >> 59) as u8).min(12)
                })
                .collect();
            let _ = TcpOption::decode(&bytes);
        }
    }
}
