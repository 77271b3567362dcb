//! Printing traces, as packetdrill and tcpdump do.
//!
//! Sequence numbers are relative to the first one seen in each direction, times to the first packet. An arrow tells
//! the direction: `>` out of the host, `<` into it. What a segment means stands at the end of its line; the packets
//! that this speaks of are counted from 1.

use crate::address::Flow;
use crate::note::Judge;
use crate::packet::{Direction, Packet};
use crate::segment::Segment;
use crate::trace::{Item, Trace};
use std::collections::HashMap;
use std::fmt::{self, Write as _};

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = Numbers::default();
        let (mut judge, mut number) = (Judge::default(), 0);
        let start = self.packets().next().map_or(0, |packet| packet.time);
        writeln!(f, "{}: {} packets", self.link(), self.len())?;
        for item in self.items() {
            match item {
                Item::Mark(mark) if mark.direction == Direction::Egress => {
                    writeln!(f, "---- {} ----", mark.text)?;
                }
                Item::Mark(mark) => writeln!(f, "---- {} (at the other end) ----", mark.text)?,
                Item::Packet(packet) => {
                    let since = packet.time.saturating_sub(start);
                    let (seconds, microseconds) = (since / 1_000_000_000, since / 1000 % 1_000_000);
                    let arrow = match packet.direction {
                        Direction::Egress => '>',
                        Direction::Ingress => '<',
                    };
                    let line = numbers.line(packet);
                    if let Some(introduction) = numbers.introduction.take() {
                        writeln!(f, "{introduction}")?;
                    }
                    write!(f, "{seconds}.{microseconds:06} {arrow} {line}")?;
                    number += 1;
                    if let Some(segment) = packet.segment() {
                        let notes = judge.judge(number, segment).notes;
                        for (at, note) in notes.iter().enumerate() {
                            write!(f, "{}{note}", if at == 0 { " # " } else { ", " })?;
                        }
                    }
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}

/// What is needed to print a segment: where its connection began.
#[derive(Default)]
struct Numbers {
    connections: Vec<Flow>,
    first_seq: HashMap<Flow, u32>,
    /// The line that presents a connection which has just been met.
    introduction: Option<String>,
}

impl Numbers {
    fn line(&mut self, packet: &Packet) -> String {
        if let Some(segment) = packet.segment() {
            return self.segment(segment, packet.gso);
        }
        if let Some(error) = packet.malformed() {
            return format!("malformed, {} bytes: {error}", packet.original_len);
        }
        let kind = match packet.bytes.get(12..14) {
            Some([0x08, 0x00]) => "IPv4, not TCP",
            Some([0x86, 0xdd]) => "IPv6, not TCP",
            Some([0x08, 0x06]) => "ARP",
            _ => "other",
        };
        format!("{kind}, {} bytes", packet.original_len)
    }

    fn segment(&mut self, segment: &Segment, gso: bool) -> String {
        let number = self.connection(&segment.flow);
        if segment.flags.syn() {
            self.first_seq.insert(segment.flow, segment.seq);
        }
        let base = *self.first_seq.entry(segment.flow).or_insert(segment.seq);
        let seq = segment.seq.wrapping_sub(base);
        // SYN and FIN are not counted: their letters say enough.
        let end = seq.wrapping_add(segment.payload_len);
        let mut line = format!(
            "[{number}] {:<2} {seq}:{end}({})",
            segment.flags, segment.payload_len
        );
        // Writing to a String cannot fail.
        if segment.flags.ack() {
            let base = *self
                .first_seq
                .entry(segment.flow.reversed())
                .or_insert(segment.ack);
            let _ = write!(line, " ack {}", segment.ack.wrapping_sub(base));
        }
        let _ = write!(line, " win {}", segment.window);
        if !segment.options.is_empty() {
            let options: Vec<_> = segment.options.iter().map(ToString::to_string).collect();
            let _ = write!(line, " <{}>", options.join(","));
        }
        if gso {
            line.push_str(" gso");
        }
        line
    }

    /// The number of a connection, counted from 1; a new one is presented.
    fn connection(&mut self, flow: &Flow) -> usize {
        let known = self
            .connections
            .iter()
            .position(|known| known.same_connection(flow));
        known.map_or_else(
            || {
                self.connections.push(*flow);
                let number = self.connections.len();
                self.introduction = Some(format!("[{number}] is {flow}"));
                number
            },
            |at| at + 1,
        )
    }
}
