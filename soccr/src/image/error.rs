//! What can be wrong with an image.

use super::container::MAGIC;
use std::fmt;

/// Why bytes are not an image that can be read; offsets count from the first byte of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// It does not begin with [`MAGIC`].
    NotAnImage {
        /// With what it begins: at most as many bytes as the magic number has.
        found: Vec<u8>,
    },
    /// It has another version than [`VERSION`](super::VERSION).
    Version {
        /// Which one.
        found: u16,
    },
    /// It is shorter than it says, or than any image.
    Truncated {
        /// Where it ends.
        offset: usize,
        /// How long it has to be, bytes.
        length: u64,
    },
    /// Something follows it.
    TrailingBytes {
        /// Where it should end.
        offset: u64,
        /// How long it is, bytes.
        length: usize,
    },
    /// The checksum at its end is not that of its bytes: they are not as they were written.
    Checksum {
        /// Where the checksum is.
        offset: usize,
        /// What is there.
        stored: u32,
        /// What it has to be.
        computed: u32,
    },
    /// A record is longer than what is left of the image.
    CutRecord {
        /// Where the record, or its header, begins.
        offset: usize,
        /// How long it is, with its header, bytes.
        needed: u64,
        /// Bytes left before the checksum.
        left: usize,
    },
    /// Flags of a record are set that have no meaning.
    Flags {
        /// The record.
        tag: u16,
        /// Where it begins.
        offset: usize,
        /// All of its flags.
        flags: u16,
    },
    /// A record is there twice.
    Duplicate {
        /// The record.
        tag: u16,
        /// Where the second one begins.
        offset: usize,
    },
    /// A record stands behind one with a higher tag.
    Order {
        /// The record.
        tag: u16,
        /// Where it begins.
        offset: usize,
        /// The tag of the one before it.
        after: u16,
    },
    /// A record that a reader has to know is not one that this version knows.
    UnknownRequired {
        /// The record.
        tag: u16,
        /// Where it begins.
        offset: usize,
        /// The length of its value, bytes.
        length: usize,
    },
    /// A record that every image has is not there.
    Missing {
        /// The record.
        tag: u16,
        /// Its name.
        name: &'static str,
    },
    /// A field is longer than what is left of its record.
    CutField {
        /// The field, as it is written in Rust.
        field: &'static str,
        /// Where it begins, behind its length if it has one.
        offset: usize,
        /// How many bytes it needs; of a list, how many it needs at least.
        needed: u64,
        /// Bytes left in the record.
        left: usize,
    },
    /// A field has a value that means nothing.
    Value {
        /// The field, as it is written in Rust.
        field: &'static str,
        /// Where it begins.
        offset: usize,
        /// Its value.
        value: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
}

impl ImageError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAnImage { found } => match looks_like_text(found) {
                true => "a transfer as text has changed it: transfer it again, as binary",
                false => "pass what Snapshot::to_image has returned, from its first byte on",
            },
            Self::Version { .. } => {
                "read it with a version of soccr that knows this version of the format, or damaged: transfer it again"
            }
            Self::Truncated { .. } | Self::TrailingBytes { .. } => {
                "pass one whole image and nothing else: transfer it again"
            }
            Self::Checksum { .. } => "it was damaged on its way or in its place: transfer it again",
            Self::UnknownRequired { .. } => {
                "read it with the version of soccr that has written it, or a newer one"
            }
            Self::CutRecord { .. }
            | Self::Flags { .. }
            | Self::Duplicate { .. }
            | Self::Order { .. }
            | Self::Missing { .. }
            | Self::CutField { .. }
            | Self::Value { .. } => {
                "the checksum is right, so it was written like this: the fault is with its writer"
            }
        }
    }
}

/// Whether these are the letters of the magic number, and line ends or the highest bit make the difference.
fn looks_like_text(found: &[u8]) -> bool {
    let letters = &MAGIC[1..6];
    found.windows(letters.len()).any(|window| window == letters)
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage { found } => write!(
                f,
                "reading an image: its first bytes are \"{}\" instead of \"{}\"",
                found.escape_ascii(),
                MAGIC.escape_ascii()
            ),
            Self::Version { found } => write!(
                f,
                "reading an image: its format, at offset {}, is version {found}, and this is a reader of version {}",
                MAGIC.len(),
                super::VERSION
            ),
            Self::Truncated { offset, length } => write!(
                f,
                "reading an image: it ends at offset {offset}, and has to be {length} bytes long"
            ),
            Self::TrailingBytes { offset, length } => write!(
                f,
                "reading an image: it is {length} bytes long, and has to end at offset {offset}"
            ),
            Self::Checksum {
                offset,
                stored,
                computed,
            } => write!(
                f,
                "reading an image: its checksum, at offset {offset}, is {stored:#010x}, and that of its bytes is \
                 {computed:#010x}"
            ),
            Self::CutRecord {
                offset,
                needed,
                left,
            } => write!(
                f,
                "reading the record at offset {offset}: it needs {needed} bytes, and {left} are left before the checksum"
            ),
            Self::Flags { tag, offset, flags } => write!(
                f,
                "reading record {tag} at offset {offset}: its flags, {flags:#06x}, have bits without a meaning"
            ),
            Self::Duplicate { tag, offset } => write!(
                f,
                "reading record {tag} at offset {offset}: it is there a second time"
            ),
            Self::Order { tag, offset, after } => write!(
                f,
                "reading record {tag} at offset {offset}: it stands behind record {after}, and tags have to ascend"
            ),
            Self::UnknownRequired {
                tag,
                offset,
                length,
            } => write!(
                f,
                "reading record {tag} at offset {offset}: its reader has to know what its {length} bytes are, and this \
                 one does not"
            ),
            Self::Missing { tag, name } => write!(
                f,
                "reading an image: record {tag} ({name}), which every image has, is not there"
            ),
            Self::CutField {
                field,
                offset,
                needed,
                left,
            } => write!(
                f,
                "reading {field} at offset {offset}: it needs {needed} bytes, and its record has {left} left"
            ),
            Self::Value {
                field,
                offset,
                value,
                rule,
            } => write!(f, "reading {field} at offset {offset}: {value} {rule}"),
        }?;
        write!(f, " ({})", self.hint())
    }
}

impl std::error::Error for ImageError {}
