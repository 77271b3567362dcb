//! Writing traces for Wireshark, in its own format.
//!
//! The format is pcapng (draft-ietf-opsawg-pcapng): a file is a row of blocks, a block a row of fixed fields and of
//! options. Three kinds of blocks are enough here: one that begins the file, one that names a link, and one for
//! each frame. Unlike pcap it has room for directions, for checksum states, and for the remarks of the test.

use crate::error::{Doing, Error};
use crate::note::Judge;
use crate::packet::{Checksum, Direction, Packet};
use crate::trace::{Item, Trace};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

const SECTION_HEADER_BLOCK: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION_BLOCK: u32 = 1;
const ENHANCED_PACKET_BLOCK: u32 = 6;

/// Tells a reader which end numbers begin with; this module writes the little end first.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const VERSION: [u16; 2] = [1, 0];
/// `LINKTYPE_ETHERNET`, and two reserved bytes.
const ETHERNET: [u16; 2] = [1, 0];

const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;

/// The length of an option has sixteen bits.
const LONGEST_OPTION: usize = u16::MAX as usize;

/// `if_tsresol`: a time stamp counts units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;

// The bits of `epb_flags`.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
const CHECKSUM_NOT_READY: u32 = 1 << 9;
const CHECKSUM_VALID: u32 = 1 << 10;
const SEGMENTATION_OFFLOADED: u32 = 1 << 11;

impl Trace {
    /// Writes the trace to a new pcapng file, as [`write_pcapng`] writes several.
    ///
    /// # Errors
    /// [`Error::Os`] naming `path`, when it cannot be written.
    pub fn write_pcapng(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_pcapng([self], path)
    }
}

/// Writes traces to one new pcapng file, for Wireshark and its kin; a file that is there already is replaced.
///
/// Each trace is an interface of the file, named as [`Trace::link`] says; their packets are in the order of their
/// times, which all captures of a machine take from one clock. Time stamps are in nanoseconds. Every packet has its
/// direction; whether its checksum is left to the link, and whether the cutting into segments is. What a segment means
/// ([`Note`](crate::Note)) is its comment, and speaks of packets by their numbers in the file. A mark is the frame that
/// it was on the link (EtherType 0x88b5), with its text as a comment: `frame.comment` is the filter that finds it.
///
/// # Errors
/// [`Error::Os`] naming `path`, when it cannot be written.
pub fn write_pcapng<'a>(
    traces: impl IntoIterator<Item = &'a Trace>,
    path: impl AsRef<Path>,
) -> Result<(), Error> {
    let traces: Vec<_> = traces.into_iter().collect();
    let path = path.as_ref();
    File::create(path)
        .and_then(|file| write_blocks(&traces, BufWriter::new(file)))
        .doing(|| {
            let links: Vec<_> = traces.iter().map(|it| it.link()).collect();
            format!(
                "write what was on {} to {}",
                links.join(", "),
                path.display()
            )
        })
}

fn write_blocks(traces: &[&Trace], mut to: impl Write) -> io::Result<()> {
    to.write_all(&section_header())?;
    for trace in traces {
        to.write_all(&interface_description(trace.link()))?;
    }
    let mut interfaces: Vec<_> = (0..)
        .zip(traces)
        .map(|(number, trace)| (number, trace.items().peekable(), Judge::default()))
        .collect();
    // Notes name frames of the file, in which a mark is one as well.
    for number in 1.. {
        // The first of those who come first: a trace stays in its own order.
        let next = interfaces
            .iter_mut()
            .filter_map(|it| it.1.peek().map(|item| item.time()).map(|time| (time, it)))
            .min_by_key(|(time, _)| *time);
        let Some((_, (interface, items, judge))) = next else {
            break;
        };
        if let Some(item) = items.next() {
            to.write_all(&frame(*interface, item, judge, number))?;
        }
    }
    to.flush()
}

/// The block of packet `number` of the file.
fn frame(interface: u32, item: &Item, judge: &mut Judge, number: usize) -> Vec<u8> {
    match item {
        Item::Packet(packet) => {
            let notes = packet
                .segment()
                .map(|segment| judge.judge(number, segment).notes);
            let notes: Vec<_> = notes.iter().flatten().map(ToString::to_string).collect();
            let comment = notes.join(", ");
            Frame {
                comment: (!comment.is_empty()).then_some(&comment),
                ..Frame::of(packet)
            }
            .block(interface)
        }
        Item::Mark(mark) => Frame {
            time: mark.time,
            original_len: mark.bytes.len() as u32,
            bytes: &mark.bytes,
            flags: direction(mark.direction),
            comment: Some(&mark.text),
        }
        .block(interface),
    }
}

fn section_header() -> Vec<u8> {
    let mut block = Block::new(SECTION_HEADER_BLOCK);
    block.u32(BYTE_ORDER_MAGIC);
    VERSION.into_iter().for_each(|part| block.u16(part));
    // The length of the section is not stated.
    block.u64(u64::MAX);
    block.option(SHB_USERAPPL, b"lab");
    block.end()
}

fn interface_description(name: &str) -> Vec<u8> {
    let mut block = Block::new(INTERFACE_DESCRIPTION_BLOCK);
    ETHERNET.into_iter().for_each(|part| block.u16(part));
    // No limit on the length of a frame.
    block.u32(0);
    block.option(IF_NAME, name.as_bytes());
    block.option(IF_TSRESOL, &[NANOSECONDS]);
    block.end()
}

/// What an enhanced packet block says.
struct Frame<'a> {
    time: u64,
    original_len: u32,
    bytes: &'a [u8],
    flags: u32,
    comment: Option<&'a str>,
}

impl<'a> Frame<'a> {
    fn of(packet: &'a Packet) -> Self {
        let checksum = match packet.checksum {
            Checksum::Partial => CHECKSUM_NOT_READY,
            Checksum::Valid => CHECKSUM_VALID,
            Checksum::Invalid | Checksum::Unknown => 0,
        };
        let gso = if packet.gso {
            SEGMENTATION_OFFLOADED
        } else {
            0
        };
        Self {
            time: packet.time,
            original_len: packet.original_len,
            bytes: &packet.bytes,
            flags: direction(packet.direction) | checksum | gso,
            comment: None,
        }
    }

    fn block(&self, interface: u32) -> Vec<u8> {
        let mut block = Block::new(ENHANCED_PACKET_BLOCK);
        block.u32(interface);
        block.u32((self.time >> 32) as u32);
        block.u32(self.time as u32);
        block.u32(self.bytes.len() as u32);
        block.u32(self.original_len);
        block.padded(self.bytes);
        if let Some(comment) = self.comment {
            block.option(OPT_COMMENT, shortened(comment).as_bytes());
        }
        block.option(EPB_FLAGS, &self.flags.to_le_bytes());
        block.end()
    }
}

/// As much of a text as an option has room for: a remark can name every packet of a long trace.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_OPTION);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn direction(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => INBOUND,
        Direction::Egress => OUTBOUND,
    }
}

/// A block in the making: kind, length, what is in it, and the length once more.
struct Block(Vec<u8>);

impl Block {
    fn new(kind: u32) -> Self {
        let mut block = Self(Vec::new());
        block.u32(kind);
        // The length, once it is known.
        block.u32(0);
        block
    }

    fn u16(&mut self, value: u16) {
        self.0.extend(value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    /// Bytes, and zeros up to the next multiple of four.
    fn padded(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// But for comments, no value of ours comes near [`LONGEST_OPTION`].
    fn option(&mut self, code: u16, value: &[u8]) {
        self.u16(code);
        self.u16(value.len() as u16);
        self.padded(value);
    }

    fn end(mut self) -> Vec<u8> {
        self.u16(OPT_END);
        self.u16(0);
        let length = (self.0.len() + size_of::<u32>()) as u32;
        self.u32(length);
        if let Some(field) = self.0.get_mut(4..8) {
            field.copy_from_slice(&length.to_le_bytes());
        }
        self.0
    }
}

#[cfg(test)]
mod tests;
