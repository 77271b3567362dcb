//! What is around the records: the magic number, the version, the lengths, the checksum; and the walk over the records.

use super::error::ImageError;
use super::fields::{Fields, Writer};
use super::records::Record;
use crate::losses::{Loss, Lost};

/// The first bytes of an image.
///
/// A transfer as text changes them: the first byte is not ASCII, nor UTF-8; a carriage return and a line feed, and a
/// line feed alone, become something else; the byte between them ends a file on some systems.
pub const MAGIC: [u8; 10] = *b"\x93soccr\r\n\x1a\n";

/// The version of the format that is written and read here. A reader refuses any other.
pub const VERSION: u16 = 1;

/// Flag of a record: who does not know it must not read the image.
pub const REQUIRED: u16 = 1;

/// Where the length of the image is.
pub(super) const LENGTH_AT: usize = MAGIC.len() + size_of::<u16>();
/// Length of what is before the records.
pub(super) const HEADER: usize = LENGTH_AT + size_of::<u64>();
/// Length of what is before the value of a record: tag, flags, length.
const RECORD_HEADER: usize = 2 * size_of::<u16>() + size_of::<u64>();
/// Length of what is behind the records.
const CHECKSUM: usize = size_of::<u32>();
/// Length of the shortest image that there can be.
pub(super) const LEAST: u64 = (HEADER + CHECKSUM) as u64;

/// Writes an image, record by record, in the order of their tags.
pub(super) struct ImageWriter {
    fields: Writer,
}

impl ImageWriter {
    /// `expected` is how many bytes the values will take, or so.
    pub(super) fn new(expected: usize) -> Self {
        let mut fields = Writer {
            bytes: Vec::with_capacity(expected),
        };
        fields.raw(&MAGIC);
        fields.u16(VERSION);
        fields.length(0);
        Self { fields }
    }

    pub(super) fn record<R: Record>(&mut self, record: &R) {
        self.fields.u16(R::TAG);
        self.fields.u16(if R::REQUIRED { REQUIRED } else { 0 });
        let length_at = self.fields.bytes.len();
        self.fields.length(0);
        let start = self.fields.bytes.len();
        record.write(&mut self.fields);
        self.set_length(length_at, self.fields.bytes.len() - start);
    }

    pub(super) fn record_if_any<R: Record>(&mut self, record: Option<&R>) {
        if let Some(record) = record {
            self.record(record);
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.set_length(LENGTH_AT, self.fields.bytes.len() + CHECKSUM);
        self.fields.u32(crc32fast::hash(&self.fields.bytes));
        self.fields.bytes
    }

    fn set_length(&mut self, at: usize, length: usize) {
        let slot = &mut self.fields.bytes[at..at + size_of::<u64>()];
        slot.copy_from_slice(&(length as u64).to_le_bytes());
    }
}

/// How long an image says that it is, from its first byte to its last; a magic number or a version that is not ours is
/// an error, and so is a header that is cut.
pub(super) fn claimed_length(image: &[u8]) -> Result<u64, ImageError> {
    let found = &image[..image.len().min(MAGIC.len())];
    if !MAGIC.starts_with(found) {
        return Err(ImageError::NotAnImage {
            found: found.to_vec(),
        });
    }
    let (version, length) = header(image).ok_or(ImageError::Truncated {
        offset: image.len(),
        length: LEAST,
    })?;
    if version != VERSION {
        return Err(ImageError::Version { found: version });
    }
    Ok(length)
}

/// The version and the length of an image.
fn header(image: &[u8]) -> Option<(u16, u64)> {
    let (version, rest) = image.get(MAGIC.len()..)?.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    Some((u16::from_le_bytes(*version), u64::from_le_bytes(*length)))
}

/// One record, its value not looked at.
#[derive(Clone, Copy)]
struct RawRecord<'a> {
    tag: u16,
    flags: u16,
    /// Where it begins.
    offset: usize,
    value: &'a [u8],
}

/// The records of an image. They are taken in the order of their tags; what nobody takes is not known.
pub(super) struct Records<'a> {
    /// What is behind `next`.
    left: &'a [u8],
    /// Where in the image `left` begins.
    offset: usize,
    next: Option<RawRecord<'a>>,
    skipped: Vec<Loss>,
}

impl<'a> Records<'a> {
    /// Checks everything but the records.
    pub(super) fn open(image: &'a [u8]) -> Result<Self, ImageError> {
        let length = claimed_length(image)?;
        let truncated = |length| ImageError::Truncated {
            offset: image.len(),
            length,
        };
        let size = image.len() as u64;
        if size < length.max(LEAST) {
            return Err(truncated(length.max(LEAST)));
        }
        if size > length {
            return Err(ImageError::TrailingBytes {
                offset: length,
                length: image.len(),
            });
        }
        let (summed, stored) = image.split_last_chunk().ok_or(truncated(LEAST))?;
        let (stored, computed) = (u32::from_le_bytes(*stored), crc32fast::hash(summed));
        if stored != computed {
            return Err(ImageError::Checksum {
                offset: summed.len(),
                stored,
                computed,
            });
        }
        let mut records = Self {
            left: &summed[HEADER..],
            offset: HEADER,
            next: None,
            skipped: Vec::new(),
        };
        records.advance()?;
        Ok(records)
    }

    /// The next record, if it is this one. Those before it are not known.
    pub(super) fn take<R: Record>(&mut self) -> Result<Option<R>, ImageError> {
        while let Some(record) = self.next.filter(|record| record.tag < R::TAG) {
            self.skip(record)?;
        }
        let Some(record) = self.next.filter(|record| record.tag == R::TAG) else {
            return Ok(None);
        };
        let mut fields = Fields::new(record.value, record.offset + RECORD_HEADER);
        let part = R::read(&mut fields)?;
        if fields.left() > 0 {
            let (left, tag, name) = (fields.left(), R::TAG, R::NAME);
            let detail = format!("{left} bytes at the end of record {tag} ({name}) of the image");
            self.skipped.push(Loss::new(Lost::Unknown, detail));
        }
        self.advance()?;
        Ok(Some(part))
    }

    /// The next record, which has to be this one.
    pub(super) fn expect<R: Record>(&mut self) -> Result<R, ImageError> {
        self.take()?.ok_or(ImageError::Missing {
            tag: R::TAG,
            name: R::NAME,
        })
    }

    /// Goes over what is left; returns what this version does not know.
    pub(super) fn finish(mut self) -> Result<Vec<Loss>, ImageError> {
        while let Some(record) = self.next {
            self.skip(record)?;
        }
        Ok(self.skipped)
    }

    fn skip(&mut self, record: RawRecord<'a>) -> Result<(), ImageError> {
        let RawRecord { tag, offset, .. } = record;
        let length = record.value.len();
        if record.flags & REQUIRED != 0 {
            return Err(ImageError::UnknownRequired {
                tag,
                offset,
                length,
            });
        }
        let detail = format!("record {tag} of the image, {length} bytes");
        self.skipped.push(Loss::new(Lost::Unknown, detail));
        self.advance()
    }

    fn advance(&mut self) -> Result<(), ImageError> {
        let before = self.next.take();
        if self.left.is_empty() {
            return Ok(());
        }
        let offset = self.offset;
        let cut = |needed| ImageError::CutRecord {
            offset,
            needed,
            left: self.left.len(),
        };
        let (header, rest) = self
            .left
            .split_first_chunk::<RECORD_HEADER>()
            .ok_or(cut(RECORD_HEADER as u64))?;
        let [t0, t1, f0, f1, length @ ..] = *header;
        let (tag, flags) = (u16::from_le_bytes([t0, t1]), u16::from_le_bytes([f0, f1]));
        let length = u64::from_le_bytes(length);
        if flags & !REQUIRED != 0 {
            return Err(ImageError::Flags { tag, offset, flags });
        }
        match before {
            Some(before) if before.tag == tag => {
                return Err(ImageError::Duplicate { tag, offset });
            }
            Some(before) if before.tag > tag => {
                let after = before.tag;
                return Err(ImageError::Order { tag, offset, after });
            }
            _ => (),
        }
        let split = usize::try_from(length).map(|length| rest.split_at_checked(length));
        let Ok(Some((value, left))) = split else {
            return Err(cut(length.saturating_add(RECORD_HEADER as u64)));
        };
        self.left = left;
        self.offset += RECORD_HEADER + value.len();
        self.next = Some(RawRecord {
            tag,
            flags,
            offset,
            value,
        });
        Ok(())
    }
}
