//! Streams of images from hostile hands: read up to the first that is refused, whatever pieces they come in.
//!
//! An input is a stream, behind a byte that says of which size its pieces are.

use soccr::Snapshot;
use soccr::image::{ImageError, StreamError};
use std::io::{self, Read};

/// Longer than what a fuzzer makes: what is longer by its own word is refused.
const LIMIT: u64 = 1 << 20;

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

fn refused(error: &StreamError, taken: &[u8]) {
    assert!(error.to_string().ends_with(&format!("({})", error.hint())));
    match error {
        StreamError::TooLong { length, limit, .. } => {
            assert!(length > limit);
            assert_eq!(taken.len(), 20);
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
