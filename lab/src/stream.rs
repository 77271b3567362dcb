//! Streams of bytes that know what comes next.

/// A stream of bytes, each of which follows from its offset: whoever reads it knows what has to come.
///
/// Every shift, swap, repetition and gap shows where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream(u64);

/// Where a stream is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The offset of the first wrong byte, counted from the beginning of the stream.
    pub offset: u64,
    /// The bytes that have to be there, eight at most.
    pub expected: Vec<u8>,
    /// The bytes that are there.
    pub found: Vec<u8>,
}

/// So many bytes of a mismatch are shown.
const SHOWN: usize = 8;
const WORD: usize = 8;

impl Stream {
    /// What a client sends, by custom.
    pub const CLIENT: Self = Self(0);
    /// What a server sends, by custom.
    pub const SERVER: Self = Self(1);

    /// One of as many streams as there are numbers; 0 and 1 are the client's and the server's.
    #[must_use]
    pub const fn numbered(number: u64) -> Self {
        Self(number)
    }

    /// `length` bytes of it, from `offset` on.
    #[must_use]
    pub fn bytes(self, offset: u64, length: usize) -> Vec<u8> {
        let begin = splitmix(self.0);
        let first = begin.wrapping_add(offset / WORD as u64);
        let skip = (offset % WORD as u64) as usize;
        let words = (skip + length).div_ceil(WORD);
        let mut bytes = Vec::with_capacity(words * WORD);
        for index in 0..words as u64 {
            bytes.extend_from_slice(&splitmix(first.wrapping_add(index)).to_le_bytes());
        }
        bytes.drain(..skip);
        bytes.truncate(length);
        bytes
    }

    /// Compares `bytes` with those of the stream from `offset` on.
    ///
    /// # Errors
    /// [`Mismatch`] with the offset of the first byte that is wrong.
    pub fn check(self, offset: u64, bytes: &[u8]) -> Result<(), Mismatch> {
        let expected = self.bytes(offset, bytes.len());
        let differs = |(one, other): (&u8, &u8)| one != other;
        let Some(at) = bytes.iter().zip(&expected).position(differs) else {
            return Ok(());
        };
        let shown = |bytes: &[u8]| bytes.iter().skip(at).take(SHOWN).copied().collect();
        Err(Mismatch {
            offset: offset + at as u64,
            expected: shown(&expected),
            found: shown(bytes),
        })
    }
}

/// The output function of the generator `SplitMix64`.
fn splitmix(value: u64) -> u64 {
    let mut z = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_from_wherever_it_is_read() {
        let whole = Stream::SERVER.bytes(0, 100);
        for (offset, length) in [(0, 0), (0, 100), (13, 44), (99, 1), (8, 8), (7, 2)] {
            let part = Stream::SERVER.bytes(offset as u64, length);
            assert_eq!(part, whole[offset..offset + length]);
        }
        let last = Stream::numbered(7).bytes(u64::MAX, 1);
        assert_eq!(last.len(), 1);
    }

    #[test]
    fn streams_differ_everywhere() {
        let [client, server] = [Stream::CLIENT, Stream::SERVER].map(|it| it.bytes(0, 8000));
        for (one, other) in client.chunks(8).zip(server.chunks(8)) {
            assert_ne!(one, other);
        }
        assert_eq!(Stream::numbered(1), Stream::SERVER);
    }

    #[test]
    fn a_missing_byte_is_found_where_it_is_missing() {
        let mut bytes = Stream::CLIENT.bytes(1000, 100);
        Stream::CLIENT.check(1000, &bytes).unwrap();
        bytes.remove(40);
        let mismatch = Stream::CLIENT.check(1000, &bytes).unwrap_err();
        assert_eq!(mismatch.offset, 1040);
        assert_eq!(mismatch.expected, Stream::CLIENT.bytes(1040, 8));
        assert_eq!(mismatch.found, Stream::CLIENT.bytes(1041, 8));
    }
}
