//! A segment as the peer's host saw it, with numbers that count from the beginning of each stream.

use super::ip::Header;
use crate::oracle::stream::End;
use lab::{Packet, Segment, TcpOption};
use soccr::Seq;
use std::fmt;

/// A segment as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    /// Who has sent it.
    pub(super) from: End,
    /// Where it stands in the stream of its sender; -1 is before the first byte.
    pub(super) at: i64,
    /// How many bytes it carries.
    pub(super) bytes: u32,
    /// How much of the other stream it acknowledges; none where it acknowledges nothing.
    pub(super) acknowledges: Option<i64>,
    /// Up to where the other end may send.
    pub(super) edge: Option<i64>,
    /// SYN, FIN and RST, as letters.
    pub(super) control: &'static str,
    /// The kinds of its options.
    pub(super) options: Vec<&'static str>,
    /// Its timestamps: value and echo reply.
    pub(super) timestamps: Option<(u32, u32)>,
    /// The end of what its sender had sent before.
    pub(super) sent: i64,
    /// The end of what had been acknowledged to its sender before.
    pub(super) heard: i64,
    /// The end of what its sender had acknowledged before.
    pub(super) acknowledged: i64,
    /// What the packet around it says.
    pub(super) header: Option<Header>,
}

/// Where the numbers of one end begin, and how its windows are shifted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    /// The number of its first byte; that of a SYN tells it.
    pub(super) first: Option<Seq>,
    /// The shift of the windows that it announces.
    pub(super) shift: u8,
}

impl Sighting {
    /// A segment of one end; `origins` are those of both, subject first.
    pub(super) fn of(packet: &Packet, segment: &Segment, from: End, origins: &[Origin; 2]) -> Self {
        let count = |number: u32, origin: Origin| {
            let first = origin.first.unwrap_or(Seq(number));
            i64::from(number.wrapping_sub(first.0).cast_signed())
        };
        let (mine, theirs) = (origins[from as usize], origins[from.other() as usize]);
        let flags = segment.flags;
        let acknowledges = flags.ack().then(|| count(segment.ack, theirs));
        let window = match flags.syn() {
            // It is not scaled, and every later one is rounded up (__tcp_select_window): which of both an end knows is no
            // difference.
            true => u64::from(segment.window).next_multiple_of(1 << mine.shift),
            false => u64::from(segment.window) << mine.shift,
        };
        Self {
            from,
            at: count(segment.seq, mine),
            bytes: segment.payload_len,
            acknowledges,
            edge: acknowledges.map(|ack| ack.saturating_add_unsigned(window)),
            control: match (flags.syn(), flags.fin(), flags.rst()) {
                (_, _, true) => "R",
                (true, ..) => "S",
                (_, true, _) => "F",
                _ => "",
            },
            options: segment.options.iter().map(kind).collect(),
            timestamps: segment.timestamps(),
            sent: 0,
            heard: 0,
            acknowledged: 0,
            header: Header::of(packet),
        }
    }

    /// Where in the stream of its sender it ends; a FIN takes a number.
    pub(super) fn end(&self) -> i64 {
        self.at + i64::from(self.bytes) + i64::from(self.control == "F")
    }

    /// Whether it takes no room in the stream.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.control.is_empty()
    }

    /// Whether it only asks for an answer: it stands before what is acknowledged already (RFC 9293, section 3.8.4).
    pub(super) fn is_probe(&self) -> bool {
        self.is_empty() && self.at < self.heard
    }

    /// Whether it does nothing but acknowledge, or announce a window.
    pub(super) fn only_acknowledges(&self) -> bool {
        self.is_empty() && !self.is_probe()
    }

    /// The kinds of its options that were negotiated; SACK blocks come and go.
    pub(super) fn lasting_options(&self) -> String {
        let lasting: Vec<_> = self
            .options
            .iter()
            .filter(|kind| **kind != "sack")
            .collect();
        format!("{lasting:?}").replace('"', "")
    }
}

fn kind(option: &TcpOption) -> &'static str {
    match option {
        TcpOption::Mss(_) => "mss",
        TcpOption::WindowScale(_) => "wscale",
        TcpOption::SackPermitted => "sackOK",
        TcpOption::Sack(_) => "sack",
        TcpOption::Timestamps { .. } => "TS",
        TcpOption::Unknown { .. } => "unknown",
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, at, control) = (self.from, self.at, self.control);
        write!(f, "{from} {control}{at}({})", self.bytes)?;
        if let (Some(ack), Some(edge)) = (self.acknowledges, self.edge) {
            write!(f, " ack {ack} up to {edge}")?;
        }
        write!(f, " <{}>", self.options.join(","))?;
        match &self.header {
            Some(header) => write!(f, " {header}"),
            None => Ok(()),
        }
    }
}
