//! Printing traces, as packetdrill and tcpdump do.
//!
//! Packets are counted from 1. Sequence numbers are relative to the first one seen in each direction, times to the
//! first packet. An arrow tells the direction: `>` out of the host, `<` into it. What a segment means stands at the end
//! of its line.

use crate::address::Flow;
use crate::note::{Judge, Judged};
use crate::options::printed;
use crate::packet::{Direction, Packet};
use crate::segment::Segment;
use crate::trace::{Item, Trace};
use crate::vlan;
use std::fmt;

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut connections, mut judge) = (Connections::default(), Judge::default());
        let start = self.packets().next().map_or(0, |packet| packet.time);
        // Wide enough for the last number.
        let width = self.len().to_string().len();
        writeln!(f, "{}: {} packets", self.link(), self.len())?;
        let mut number = 0;
        for item in self.items() {
            let packet = match item {
                Item::Packet(packet) => packet,
                Item::Mark(mark) => {
                    let whose = match mark.direction {
                        Direction::Egress => "",
                        Direction::Ingress => " (at the other end)",
                    };
                    writeln!(f, "---- {}{whose} ----", mark.text)?;
                    continue;
                }
            };
            number += 1;
            let line = match packet.segment() {
                Some(segment) => {
                    let known = connections.0.len();
                    let connection = connections.number(&segment.flow);
                    if connection > known {
                        writeln!(f, "[{connection}] is {}", segment.flow)?;
                    }
                    let judged = judge.judge(number, segment);
                    format!("[{connection}] {}", line(segment, &judged, packet.gso))
                }
                None => other(packet),
            };
            let arrow = match packet.direction {
                Direction::Egress => '>',
                Direction::Ingress => '<',
            };
            let time = Seconds(packet.time.saturating_sub(start));
            write!(f, "{number:>width$} {time} {arrow} ")?;
            if let Some(vlan) = packet.vlan() {
                write!(f, "vlan {vlan} ")?;
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// Nanoseconds, printed as seconds with six places.
pub(crate) struct Seconds(pub(crate) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, microseconds) = (self.0 / 1_000_000_000, self.0 / 1000 % 1_000_000);
        f.pad(&format!("{seconds}.{microseconds:06}"))
    }
}

/// What a segment is, and what it means.
fn line(segment: &Segment, judged: &Judged, gso: bool) -> String {
    let (numbers, options) = (judged.numbers(segment), printed(&segment.options));
    let mut line = format!("{:<2} {numbers}{options}", segment.flags);
    if gso {
        line += " gso";
    }
    let notes: Vec<_> = judged.notes.iter().map(ToString::to_string).collect();
    if !notes.is_empty() {
        line += &format!(" # {}", notes.join(", "));
    }
    line
}

/// What a packet is that has no segment.
fn other(packet: &Packet) -> String {
    if let Some(error) = packet.malformed() {
        return format!("malformed, {} bytes: {error}", packet.original_len);
    }
    let kind = match vlan::payload(&packet.bytes) {
        Some((0x0800, _)) => "IPv4, not TCP",
        Some((0x86dd, _)) => "IPv6, not TCP",
        Some((0x0806, _)) => "ARP",
        _ => "other",
    };
    format!("{kind}, {} bytes", packet.original_len)
}

/// The connections that have been met, in order.
#[derive(Debug, Default)]
pub(crate) struct Connections(Vec<Flow>);

impl Connections {
    /// The number of a connection, counted from 1.
    pub(crate) fn number(&mut self, flow: &Flow) -> usize {
        let known = self.0.iter().position(|known| known.same_connection(flow));
        1 + known.unwrap_or_else(|| {
            self.0.push(*flow);
            self.0.len() - 1
        })
    }

    /// Each as it was met first.
    pub(crate) fn into_flows(self) -> Vec<Flow> {
        self.0
    }
}
