//! A frame as rules see it: decoded, and numbered within its flow.

use crate::address::Flow;
use crate::segment::Segment;
use std::collections::HashMap;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From host `a` to host `b`.
    AToB,
    /// From host `b` to host `a`.
    BToA,
}

/// A frame on the wire.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Which way it goes.
    pub way: Way,
    /// The TCP segment in it, if there is one.
    pub segment: Option<Segment>,
    /// Its number among the segments of its flow, that is of one direction of one connection, from 1 on; 0 for what is
    /// not TCP.
    pub number: u64,
    /// Its number among those segments of its flow that carry data, from 1 on; 0 where it carries none. A segment that
    /// is sent again gets a new number.
    pub data_number: u64,
    /// The sequence number of its first byte, counted so that the SYN has 0 and the first byte of data 1; `None` where
    /// the wire has not seen the SYN.
    pub relative_seq: Option<u32>,
    /// Whether it is still to be cut into segments: with offloads on, up to 64 KiB are one frame.
    pub gso: bool,
    /// All of it, from the Ethernet header on.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// The length of its TCP payload, in bytes; 0 for what is not TCP.
    #[must_use]
    pub fn payload_len(&self) -> u32 {
        self.segment
            .as_ref()
            .map_or(0, |segment| segment.payload_len)
    }

    /// It, without what it carries: for looking back.
    pub(super) fn head(&self) -> Self {
        let mut head = Self {
            bytes: Vec::new(),
            segment: self.segment.clone(),
            ..*self
        };
        if let Some(segment) = &mut head.segment {
            segment.payload = Vec::new();
        }
        head
    }
}

impl std::fmt::Display for Frame {
    /// Way, number and segment, on one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = match self.way {
            Way::AToB => "a > b",
            Way::BToA => "b > a",
        };
        match &self.segment {
            Some(segment) => write!(f, "{way} #{} {segment}", self.number),
            None => write!(f, "{way} not TCP, {} bytes", self.bytes.len()),
        }
    }
}

/// Numbers the segments of every flow.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    flows: HashMap<Flow, Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    segments: u64,
    with_data: u64,
    /// The sequence number of the SYN.
    isn: Option<u32>,
}

impl Numbering {
    /// Makes a frame of what came in.
    pub(super) fn frame(
        &mut self,
        way: Way,
        segment: Option<Segment>,
        gso: bool,
        bytes: Vec<u8>,
    ) -> Frame {
        let mut frame = Frame {
            way,
            segment,
            number: 0,
            data_number: 0,
            relative_seq: None,
            gso,
            bytes,
        };
        let Some(segment) = &frame.segment else {
            return frame;
        };
        let numbers = self.flows.entry(segment.flow).or_default();
        numbers.segments += 1;
        frame.number = numbers.segments;
        if segment.flags.syn() {
            numbers.isn = Some(segment.seq);
        }
        if segment.payload_len > 0 {
            numbers.with_data += 1;
            frame.data_number = numbers.with_data;
        }
        frame.relative_seq = numbers.isn.map(|isn| segment.seq.wrapping_sub(isn));
        frame
    }
}
