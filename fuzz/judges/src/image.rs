//! Images from hostile hands: refused, or read as a snapshot that is written and read again as it is; in memory that is
//! bounded by their length.
//!
//! An input is an image. It is read as it is, and once more with the right length and the right checksum: a fuzzer does
//! not find these by itself.

use crate::memory::measured;
use soccr::Snapshot;
use soccr::image::{ImageError, MAGIC, VERSION};

/// What the documentation of `soccr::image` promises: so many bytes for each of the image.
const TIMES: usize = 16;
/// What an image of a few bytes takes, such as an error's text.
const CONSTANT: usize = 512;

/// Judges an input.
pub fn judge(input: &[u8]) {
    read(input);
    let mut image = input.to_vec();
    if seal(&mut image) {
        read(&image);
    }
}

fn read(image: &[u8]) {
    let (result, peak) = measured(|| Snapshot::from_image(image));
    let most = TIMES * image.len() + CONSTANT;
    assert!(peak <= most, "{peak} bytes for {} bytes", image.len());
    match result {
        Ok(snapshot) => {
            let again = snapshot.to_image();
            let read = Snapshot::from_image(&again).expect("what was written is read");
            // Queues are printed as their lengths only.
            assert_eq!(read.receive.bytes, snapshot.receive.bytes);
            assert_eq!(read.send.bytes, snapshot.send.bytes);
            assert_eq!(read, snapshot);
            assert_eq!(read.to_image(), again);
            // A snapshot from outside can be anything: checked, it is refused or not, and that is all.
            let _ = read.validate();
        }
        Err(error) => {
            assert!(!error.hint().is_empty());
            assert!(error.to_string().ends_with(&format!("({})", error.hint())));
            // No error keeps more of the image than the start of it.
            if let ImageError::NotAnImage { found } = &error {
                assert!(found.len() <= MAGIC.len());
            }
        }
    }
}

/// Puts the right magic number, version, length and checksum into what is long enough for them.
fn seal(image: &mut [u8]) -> bool {
    let length = image.len() as u64;
    let Some((summed, checksum)) = image.split_last_chunk_mut::<4>() else {
        return false;
    };
    let Some((header, _)) = summed.split_first_chunk_mut::<20>() else {
        return false;
    };
    header[..10].copy_from_slice(&MAGIC);
    header[10..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..].copy_from_slice(&length.to_le_bytes());
    *checksum = crc32fast::hash(summed).to_le_bytes();
    true
}
