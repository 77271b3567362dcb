//! Writing traces for Wireshark, in its own format.
//!
//! The format is pcapng (draft-ietf-opsawg-pcapng): a file is a row of blocks, a block a row of fixed fields and of
//! options. Three kinds of blocks are enough here: one that begins the file, one that names the link, and one for
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

/// `if_tsresol`: a time stamp counts units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;

// The bits of `epb_flags`.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
const CHECKSUM_NOT_READY: u32 = 1 << 9;
const CHECKSUM_VALID: u32 = 1 << 10;
const SEGMENTATION_OFFLOADED: u32 = 1 << 11;

impl Trace {
    /// Writes the trace to a new pcapng file, for Wireshark and its kin; a file that is there already is replaced.
    ///
    /// Time stamps are in nanoseconds. Every packet has its direction; whether its checksum is left to the link, and
    /// whether the cutting into segments is. What a segment means ([`Note`](crate::Note)) is its comment. A mark is the
    /// frame that it was on the link (EtherType 0x88b5), with its text as a comment: `frame.comment` is the filter that
    /// finds it.
    ///
    /// # Errors
    /// [`Error::Os`] naming `path`, when it cannot be written.
    pub fn write_pcapng(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        File::create(path)
            .and_then(|file| self.write_blocks(BufWriter::new(file)))
            .doing(|| format!("write the trace of {} to {}", self.link(), path.display()))
    }

    fn write_blocks(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&section_header())?;
        to.write_all(&interface_description(self.link()))?;
        let mut judge = Judge::default();
        // Notes name frames of the file, in which a mark is one as well.
        for (number, item) in (1..).zip(self.items()) {
            to.write_all(&match item {
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
                    .block()
                }
                Item::Mark(mark) => Frame {
                    time: mark.time,
                    original_len: mark.bytes.len() as u32,
                    bytes: &mark.bytes,
                    flags: direction(mark.direction),
                    comment: Some(&mark.text),
                }
                .block(),
            })?;
        }
        to.flush()
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

    fn block(&self) -> Vec<u8> {
        let mut block = Block::new(ENHANCED_PACKET_BLOCK);
        // The number of the only interface.
        block.u32(0);
        block.u32((self.time >> 32) as u32);
        block.u32(self.time as u32);
        block.u32(self.bytes.len() as u32);
        block.u32(self.original_len);
        block.padded(self.bytes);
        if let Some(comment) = self.comment {
            block.option(OPT_COMMENT, comment.as_bytes());
        }
        block.option(EPB_FLAGS, &self.flags.to_le_bytes());
        block.end()
    }
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

    /// No value of ours comes near 64 KiB, which is all that an option has room for.
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
mod tests {
    use super::*;
    use crate::address::Flow;
    use crate::flags::Flags;
    use crate::link::Mac;
    use crate::mark::{Mark, Message};
    use crate::packet::Content;
    use crate::segment::Segment;
    use std::sync::Arc;

    type Options = Vec<(u16, Vec<u8>)>;

    /// Reads a file back by the draft alone: the kind, the fixed part and the options of each block.
    fn parse(mut file: &[u8]) -> Vec<(u32, Vec<u8>, Options)> {
        let u32_at =
            |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut blocks = Vec::new();
        while !file.is_empty() {
            let (kind, length) = (u32_at(file, 0), u32_at(file, 4) as usize);
            assert_eq!(length % 4, 0);
            assert_eq!(
                u32_at(file, length - 4) as usize,
                length,
                "the length at the end"
            );
            let body = &file[8..length - 4];
            let fixed = match kind {
                0x0a0d_0d0a => 16,
                1 => 8,
                6 => 20 + (u32_at(body, 12) as usize).div_ceil(4) * 4,
                other => panic!("block {other:#x}"),
            };
            let (fixed, mut rest) = body.split_at(fixed);
            let mut options = Vec::new();
            loop {
                let code = u16::from_le_bytes([rest[0], rest[1]]);
                let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
                if code == 0 {
                    assert_eq!(
                        (length, rest.len()),
                        (0, 4),
                        "nothing follows the end of the options"
                    );
                    break;
                }
                options.push((code, rest[4..4 + length].to_vec()));
                rest = &rest[4 + length.div_ceil(4) * 4..];
            }
            blocks.push((kind, fixed.to_vec(), options));
            file = &file[length..];
        }
        blocks
    }

    fn written(items: Vec<Item>) -> Vec<(u32, Vec<u8>, Options)> {
        let mut file = Vec::new();
        Trace::new("a/veth0".into(), items)
            .write_blocks(&mut file)
            .unwrap();
        parse(&file)
    }

    fn packet(direction: Direction, checksum: Checksum, gso: bool, bytes: &[u8]) -> Item {
        Item::Packet(Arc::new(Packet {
            time: 0x1122_3344_5566_7788,
            direction,
            original_len: 70_000,
            bytes: bytes.to_vec(),
            checksum,
            gso,
            content: Content::Other,
        }))
    }

    #[test]
    fn the_file_says_how_to_read_it() {
        let blocks = written(Vec::new());
        let [(0x0a0d_0d0a, section, about), (1, interface, options)] = &blocks[..] else {
            panic!("{blocks:?}");
        };
        assert_eq!(section[..4], [0x4d, 0x3c, 0x2b, 0x1a]);
        assert_eq!(section[4..8], [1, 0, 0, 0]);
        assert_eq!(section[8..], [0xff; 8]);
        assert_eq!(about, &[(4, b"lab".to_vec())]);
        assert_eq!(interface[..], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(options, &[(2, b"a/veth0".to_vec()), (9, vec![9])]);
    }

    #[test]
    fn a_packet_keeps_its_time_its_lengths_and_its_bytes() {
        for length in 0..9 {
            let bytes: Vec<u8> = (1..=length).collect();
            let blocks = written(vec![packet(
                Direction::Egress,
                Checksum::Unknown,
                false,
                &bytes,
            )]);
            let (6, fixed, _) = &blocks[2] else {
                panic!("{blocks:?}");
            };
            assert_eq!(fixed[..4], [0; 4], "the interface");
            assert_eq!(
                fixed[4..12],
                [0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55]
            );
            assert_eq!(fixed[12..16], [length, 0, 0, 0]);
            assert_eq!(fixed[16..20], 70_000u32.to_le_bytes());
            assert_eq!(fixed[20..20 + bytes.len()], bytes);
            assert!(
                fixed[20 + bytes.len()..]
                    .iter()
                    .all(|&padding| padding == 0)
            );
        }
    }

    #[test]
    fn flags_tell_direction_and_offloads() {
        for (direction, checksum, gso, flags) in [
            (Direction::Ingress, Checksum::Unknown, false, 0b01),
            (Direction::Egress, Checksum::Invalid, false, 0b10),
            (
                Direction::Egress,
                Checksum::Partial,
                true,
                0b1010_0000_0010_u32,
            ),
            (Direction::Ingress, Checksum::Valid, false, 0b0100_0000_0001),
        ] {
            let blocks = written(vec![packet(direction, checksum, gso, b"frame")]);
            assert_eq!(blocks[2].2, [(2, flags.to_le_bytes().to_vec())]);
        }
    }

    #[test]
    fn a_mark_is_a_frame_with_a_comment() {
        for text in ["", "restored", "wiederhergestellt: ✓"] {
            let item = mark(text);
            let Item::Mark(mark) = &item else {
                panic!("a mark");
            };
            let (bytes, length) = (mark.bytes.clone(), mark.bytes.len() as u32);
            let blocks = written(vec![item]);
            let (6, fixed, options) = &blocks[2] else {
                panic!("{blocks:?}");
            };
            assert_eq!(fixed[12..16], length.to_le_bytes());
            assert_eq!(fixed[16..20], length.to_le_bytes());
            assert_eq!(fixed[20..20 + bytes.len()], bytes);
            assert_eq!(
                options[..],
                [(1, text.as_bytes().to_vec()), (2, vec![2, 0, 0, 0])]
            );
        }
    }

    fn mark(text: &str) -> Item {
        Item::Mark(Arc::new(Mark {
            text: text.to_owned(),
            time: 1,
            direction: Direction::Egress,
            bytes: Message::Text(text.to_owned()).frame(Mac([2, 0, 0, 0, 0, 1])),
        }))
    }

    /// A reader counts marks as well, which are frames to it.
    #[test]
    fn what_a_segment_means_is_its_comment_and_names_frames_of_the_file() {
        let Item::Packet(packet) = packet(Direction::Egress, Checksum::Valid, false, b"") else {
            panic!("a packet");
        };
        let flow = Flow::new("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
        let data = Item::Packet(Arc::new(Packet {
            content: Content::Segment(Segment {
                flow,
                seq: 1,
                ack: 1,
                flags: Flags::ACK,
                window: 0,
                options: Vec::new(),
                payload_len: 1,
                payload: vec![0],
            }),
            ..(*packet).clone()
        }));
        let blocks = written(vec![mark("first"), data.clone(), mark("again"), data]);
        let comment = String::from_utf8(blocks[5].2[0].1.clone()).unwrap();
        assert_eq!(comment, "retransmission of packet 2, zero window");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let trace = Trace::new("a/veth0".into(), Vec::new());
        let error = trace
            .write_pcapng("/proc/nowhere/x.pcapng")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/proc/nowhere/x.pcapng") && error.contains("a/veth0"),
            "{error}"
        );
    }
}
