//! What a stream consists of whose receiver looks at every byte.

use std::ops::Range;
use std::sync::LazyLock;

/// How much there is of it in one piece.
pub const CHUNK: usize = 64 << 10;
/// A prime number: a chunk that comes too early, too late or twice is another one.
const PERIOD: usize = 251;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| bytes(0..CHUNK + PERIOD));

/// What comes behind so many bytes.
#[must_use]
pub fn chunk(before: u64) -> &'static [u8] {
    let start = (before % PERIOD as u64) as usize;
    &PATTERN[start..start + CHUNK]
}

/// The bytes at these places.
#[must_use]
pub fn bytes(places: Range<usize>) -> Vec<u8> {
    places.map(|at| (at % PERIOD) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_out_of_its_place_is_another_one() {
        assert_eq!(chunk(0), chunk(PERIOD as u64));
        assert_ne!(chunk(0), chunk(CHUNK as u64));
        assert_eq!(
            bytes(5..5 + 2 * CHUNK),
            [chunk(5), chunk(5 + CHUNK as u64)].concat()
        );
    }
}
