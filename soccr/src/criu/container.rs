//! The files: two numbers that say what they hold, then messages, each behind its length.
//!
//! All numbers are 32 bits wide and in the byte order of the host that wrote them. Linux is little-endian wherever this
//! crate runs, and so are the images that it takes.

use crate::criu::CriuError;
use crate::criu::entry::{Entry, Record};
use crate::criu::messages::{FileEntry, InetSkEntry};

/// What images start with since version 1.1 of the format (`IMG_COMMON_MAGIC`).
const COMMON_MAGIC: u32 = 0x5456_4319;

/// The kinds of image: CRIU's name, and its number.
pub(super) struct Kind {
    name: &'static str,
    magic: u32,
}

/// `TCP_STREAM_MAGIC`.
pub(super) const TCP_STREAM: Kind = Kind {
    name: "tcp-stream",
    magic: 0x5146_5506,
};
/// `INETSK_MAGIC`.
const INETSK: Kind = Kind {
    name: "inetsk",
    magic: 0x5644_3851,
};
/// `FILES_MAGIC`.
const FILES: Kind = Kind {
    name: "files",
    magic: 0x5630_3138,
};

/// The version of the format that a file is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// The file starts with the number of its kind, by the first versions of CRIU (`CRTOOLS_IMAGES_V1`).
    V1_0,
    /// The file starts with a number that all have, and then that of its kind (`CRTOOLS_IMAGES_V1_1`).
    #[default]
    V1_1,
}

impl Format {
    /// The start of a file.
    pub(super) fn write(self, kind: &Kind) -> Vec<u8> {
        let common = (self == Self::V1_1).then_some(COMMON_MAGIC);
        let numbers = common.into_iter().chain([kind.magic]);
        numbers.flat_map(u32::to_le_bytes).collect()
    }
}

/// What is left to read of a file.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads the start of a file.
    pub(super) fn open(bytes: &'a [u8], kind: &Kind) -> Result<(Self, Format), CriuError> {
        let mut reader = Self { rest: bytes };
        let what = "the number of its kind";
        let mut found = reader.number(what)?;
        let mut format = Format::V1_0;
        if found == COMMON_MAGIC {
            found = reader.number(what)?;
            format = Format::V1_1;
        }
        if found != kind.magic {
            return Err(CriuError::Magic {
                image: kind.name,
                wanted: kind.magic,
                found,
            });
        }
        Ok((reader, format))
    }

    /// Reads a message and the length before it.
    pub(super) fn entry<M: Record>(&mut self) -> Result<Entry<M>, CriuError> {
        let length = self.number("the length of a message")?;
        Entry::from_bytes(self.take(M::LAYOUT.name, length)?)
    }

    /// Reads so many bytes. Nothing is allocated: the file itself is what is returned.
    pub(super) fn take(&mut self, what: &'static str, length: u32) -> Result<&'a [u8], CriuError> {
        let (taken, rest) =
            self.rest
                .split_at_checked(length as usize)
                .ok_or(CriuError::Short {
                    what,
                    wanted: length.into(),
                    found: self.rest.len(),
                })?;
        self.rest = rest;
        Ok(taken)
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn number(&mut self, what: &'static str) -> Result<u32, CriuError> {
        let bytes = self.take(what, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

/// Appends a message and the length before it.
pub(super) fn push<M: Record>(file: &mut Vec<u8>, entry: &Entry<M>) {
    let bytes = entry.as_bytes();
    // A message that was read had its length in 32 bits; one that was made here has a few numbers.
    file.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    file.extend_from_slice(bytes);
}

/// A file of messages of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Image<M> {
    /// The version of the format.
    pub format: Format,
    /// The messages, in their order.
    pub entries: Vec<Entry<M>>,
}

/// `inetsk.img`, as older versions of CRIU write it: all inet sockets.
pub type InetSkImage = Image<InetSkEntry>;

/// `files.img`, as newer versions of CRIU write it (3.17): all files, inet sockets among them.
pub type FilesImage = Image<FileEntry>;

impl<M: Record> Image<M> {
    fn read(bytes: &[u8], kind: &Kind) -> Result<Self, CriuError> {
        let (mut reader, format) = Reader::open(bytes, kind)?;
        let mut entries = Vec::new();
        while reader.left() > 0 {
            entries.push(reader.entry()?);
        }
        Ok(Self { format, entries })
    }

    fn write(&self, kind: &Kind) -> Vec<u8> {
        let mut file = self.format.write(kind);
        for entry in &self.entries {
            push(&mut file, entry);
        }
        file
    }
}

impl InetSkImage {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it is another kind of file, or was cut, or is not made of such messages.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CriuError> {
        Self::read(bytes, &INETSK)
    }

    /// Writes the file: that which was read, if it was read.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(&INETSK)
    }
}

impl FilesImage {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it is another kind of file, or was cut, or is not made of such messages.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CriuError> {
        Self::read(bytes, &FILES)
    }

    /// Writes the file: that which was read, if it was read.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(&FILES)
    }

    /// The inet sockets among the files.
    pub fn sockets(&self) -> impl Iterator<Item = Entry<InetSkEntry>> + '_ {
        let sockets = self.entries.iter().map(Entry::socket);
        // What was read was checked, and what was made here needs no check.
        sockets.filter_map(|socket| socket.ok().flatten())
    }
}
