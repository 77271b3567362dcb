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
        let (words, skip) = self.words_from(offset);
        let count = (skip + length).div_ceil(WORD);
        let mut bytes = vec![0; count * WORD];
        for (place, word) in bytes.chunks_exact_mut(WORD).zip(words) {
            place.copy_from_slice(&word);
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
        // Word by word, without a copy of what is expected: whole streams of megabytes go through here.
        let (mut words, skip) = self.words_from(offset);
        let first = words.next().unwrap_or_default();
        let (head, rest) = bytes.split_at(bytes.len().min(WORD - skip));
        let mut same = first[skip..].starts_with(head);
        let mut chunks = rest.chunks_exact(WORD);
        same &= chunks
            .by_ref()
            .zip(words.by_ref())
            .all(|(chunk, word)| chunk == word);
        same &= words
            .next()
            .unwrap_or_default()
            .starts_with(chunks.remainder());
        if same {
            return Ok(());
        }
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

    /// The words of the stream from the one on that `offset` is in, and how many bytes of that are before it.
    fn words_from(self, offset: u64) -> (impl Iterator<Item = [u8; WORD]>, usize) {
        let first = splitmix(self.0).wrapping_add(offset / WORD as u64);
        let words = (0..).map(move |index| splitmix(first.wrapping_add(index)).to_le_bytes());
        (words, (offset % WORD as u64) as usize)
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

    #[test]
    fn a_wrong_byte_is_found_wherever_it_is_and_wherever_the_piece_begins() {
        for offset in 0..9 {
            for length in 0..40 {
                let right = Stream::SERVER.bytes(offset, length);
                Stream::SERVER.check(offset, &right).unwrap();
                for at in 0..length {
                    let mut wrong = right.clone();
                    wrong[at] ^= 1;
                    let mismatch = Stream::SERVER.check(offset, &wrong).unwrap_err();
                    assert_eq!(mismatch.offset, offset + at as u64);
                }
            }
        }
    }
}
