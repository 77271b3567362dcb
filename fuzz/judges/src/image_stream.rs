//! Streams of images from hostile hands: read up to the first that is refused, whatever pieces they come in.
//!
//! An input is a stream, behind a byte that says of which size its pieces are.

use soccr::Snapshot;
use soccr::image::{ImageError, MAGIC, StreamError, VERSION};
use std::io::{self, Read};

/// Longer than what a fuzzer makes: what is longer by its own word is refused.
const LIMIT: u64 = 1 << 20;
/// Length of what says how long an image is, bytes.
const HEADER: usize = 20;
/// Length of the shortest image that there can be: one without records, and its checksum.
const LEAST: usize = HEADER + 4;

/// Gives pieces of a size, and is interrupted between them.
struct Pieces<'a> {
    left: &'a [u8],
    size: usize,
    interrupt: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = to.len().min(self.size);
        self.left.read(&mut to[..count])
    }
}

/// Judges an input.
pub fn judge(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else {
        return;
    };
    let mut pieces = Pieces {
        left: stream,
        size: usize::from(*size) + 1,
        interrupt: false,
    };
    let mut whole = stream;
    loop {
        let start = whole;
        let (read, again) = (
            Snapshot::read_from(&mut whole, LIMIT),
            Snapshot::read_from(&mut pieces, LIMIT),
        );
        assert_eq!(whole, pieces.left, "what is taken of the stream");
        let taken = &start[..start.len() - whole.len()];
        assert_eq!(taken.len(), to_be_taken(start));
        match (read, again) {
            (Ok(Some(read)), Ok(Some(again))) => {
                // Queues are printed as their lengths only.
                assert!(read == again);
                assert!(read == Snapshot::from_image(taken).expect("it was read from the stream"));
            }
            (Ok(None), Ok(None)) => {
                assert!(start.is_empty());
                return;
            }
            (Err(read), Err(again)) => {
                assert_eq!(read.to_string(), again.to_string());
                refused(&read, taken);
                return;
            }
            (read, again) => panic!("{read:?} and in pieces {again:?}"),
        }
    }
}

/// How much of a stream is an image: as much as it says, and only the beginning of what is none, or too long.
fn to_be_taken(stream: &[u8]) -> usize {
    let ours = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    let Some((header, _)) = stream.split_first_chunk::<HEADER>() else {
        return stream.len();
    };
    let (head, length) = header.split_at(ours.len());
    let length = length
        .iter()
        .rev()
        .fold(0, |length, byte| length << 8 | u64::from(*byte));
    match head == ours && length <= LIMIT {
        true => stream.len().min(usize::max(length as usize, LEAST)),
        false => HEADER,
    }
}

fn refused(error: &StreamError, taken: &[u8]) {
    assert!(error.to_string().ends_with(&format!("({})", error.hint())));
    match error {
        StreamError::TooLong { length, limit, .. } => {
            assert!(length > limit);
            assert_eq!(taken.len(), HEADER);
        }
        StreamError::Image(error) => {
            assert_eq!(Snapshot::from_image(taken).as_ref(), Err(error));
            if let ImageError::Truncated { offset, .. } = error {
                assert_eq!(*offset, taken.len());
            }
        }
        other => panic!("a slice does not fail: {other}"),
    }
}
