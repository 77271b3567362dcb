//! The control bits of a TCP header.

use std::fmt;

/// The control bits of a TCP header (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether FIN is set.
    #[must_use]
    pub fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// Whether SYN is set.
    #[must_use]
    pub fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// Whether RST is set.
    #[must_use]
    pub fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// Whether PSH is set.
    #[must_use]
    pub fn psh(self) -> bool {
        self.contains(Self::PSH)
    }

    /// Whether ACK is set.
    #[must_use]
    pub fn ack(self) -> bool {
        self.contains(Self::ACK)
    }

    /// Whether URG is set.
    #[must_use]
    pub fn urg(self) -> bool {
        self.contains(Self::URG)
    }

    /// Whether ECE is set.
    #[must_use]
    pub fn ece(self) -> bool {
        self.contains(Self::ECE)
    }

    /// Whether CWR is set.
    #[must_use]
    pub fn cwr(self) -> bool {
        self.contains(Self::CWR)
    }
}

impl fmt::Display for Flags {
    /// Writes one letter per bit as packetdrill does, ACK as a dot: `S.`, `P.`, `R`; `-` for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(Flags, char); 8] = [
            (Flags::FIN, 'F'),
            (Flags::SYN, 'S'),
            (Flags::RST, 'R'),
            (Flags::PSH, 'P'),
            (Flags::ACK, '.'),
            (Flags::URG, 'U'),
            (Flags::ECE, 'E'),
            (Flags::CWR, 'W'),
        ];
        let set: String = LETTERS
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, letter)| letter)
            .collect();
        f.pad(if set.is_empty() { "-" } else { &set })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_written_as_packetdrill_does() {
        for (flags, text) in [
            (Flags::SYN, "S"),
            (Flags::SYN.and(Flags::ACK), "S."),
            (Flags::ACK, "."),
            (Flags::PSH.and(Flags::ACK), "P."),
            (Flags::FIN.and(Flags::ACK), "F."),
            (Flags::RST, "R"),
            (Flags(0xff), "FSRP.UEW"),
            (Flags(0), "-"),
        ] {
            assert_eq!(flags.to_string(), text);
        }
    }
}
