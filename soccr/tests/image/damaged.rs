//! Images that are damaged, or whose records are not where they have to be: refused by name, with the place.

use crate::by_hand::{image, mandatory, record, seal, with};
use crate::samples::samples;
use soccr::Snapshot;
use soccr::image::{ImageError, MAGIC};

/// Where the first record behind those of every image begins.
fn behind() -> usize {
    with(&[]).len() - 4
}

pub(crate) fn refused(image: &[u8]) -> ImageError {
    match Snapshot::from_image(image) {
        Err(error) => error,
        Ok(snapshot) => panic!("read as {snapshot:?}"),
    }
}

#[test]
fn no_image_is_read_with_one_byte_changed() {
    for (name, snapshot) in samples().unwrap() {
        let image = snapshot.to_image();
        for at in 0..image.len() {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                let mut damaged = image.clone();
                damaged[at] ^= mask;
                assert!(
                    Snapshot::from_image(&damaged).is_err(),
                    "{name}: byte {at} ^ {mask:#x}"
                );
            }
        }
    }
}

#[test]
fn no_image_is_read_that_is_cut_or_followed_by_something() {
    for (name, snapshot) in samples().unwrap() {
        let mut image = snapshot.to_image();
        for length in 0..image.len() {
            let error = refused(&image[..length]);
            assert!(
                matches!(error, ImageError::Truncated { offset, .. } if offset == length),
                "{name}: {length}: {error}"
            );
        }
        let offset = image.len() as u64;
        image.push(0);
        let length = image.len();
        assert_eq!(
            refused(&image),
            ImageError::TrailingBytes { offset, length }
        );
    }
}

#[test]
fn a_length_that_is_less_than_that_of_any_image_is_no_length() {
    let mut empty = image(&[]);
    assert_eq!(empty.len(), 24);
    empty[12..20].copy_from_slice(&[0; 8]);
    let (offset, length) = (0, 24);
    assert_eq!(
        refused(&empty),
        ImageError::TrailingBytes { offset, length }
    );
    // Its length is right, and there is no room for it and a checksum.
    for offset in 20..24_u8 {
        let mut short = empty[..offset.into()].to_vec();
        short[12] = offset;
        let (offset, length) = (offset.into(), 24);
        assert_eq!(refused(&short), ImageError::Truncated { offset, length });
    }
}

#[test]
fn a_length_beyond_all_memory_is_refused() {
    let mut image = with(&[]);
    image[12..20].copy_from_slice(&[0xff; 8]);
    let (offset, length) = (image.len(), u64::MAX);
    assert_eq!(refused(&image), ImageError::Truncated { offset, length });
}

#[test]
fn a_transfer_as_text_is_recognized() {
    let image = with(&[]);
    let (mut to_unix, mut to_dos) = (image.clone(), image.clone());
    assert_eq!(to_unix.remove(6), b'\r');
    to_dos.insert(9, b'\r');
    let seven_bits: Vec<u8> = image.iter().map(|byte| byte & 0x7f).collect();
    let utf_8 = String::from_utf8_lossy(&image).into_owned().into_bytes();
    for changed in [to_unix, to_dos, seven_bits, utf_8] {
        let error = refused(&changed);
        assert_eq!(
            error,
            ImageError::NotAnImage {
                found: changed[..MAGIC.len()].to_vec()
            }
        );
        assert!(error.hint().contains("as text"), "{error}");
    }
    let error = refused(b"{\"state\":\"Established\"}");
    assert_eq!(
        error.to_string(),
        "reading an image: its first bytes are \"{\\\"state\\\":\\\"\" instead of \"\\x93soccr\\r\\n\\x1a\\n\" (pass what \
         Snapshot::to_image has returned, from its first byte on)"
    );
}

#[test]
fn damage_is_told_with_both_checksums() {
    let mut image = with(&[]);
    image[40] ^= 1;
    let offset = image.len() - 4;
    let stored = u32::from_le_bytes(image[offset..].try_into().unwrap());
    let error = refused(&image);
    seal(&mut image);
    let computed = u32::from_le_bytes(image[offset..].try_into().unwrap());
    assert_eq!(
        error,
        ImageError::Checksum {
            offset,
            stored,
            computed
        }
    );
    assert_eq!(
        error.to_string(),
        format!(
            "reading an image: its checksum, at offset {offset}, is {stored:#010x}, and that of its bytes is \
             {computed:#010x} (it was damaged on its way or in its place: transfer it again)"
        )
    );
}

#[test]
fn records_are_there_once_and_in_their_order() {
    let once = record(12, 0, &[0; 24]);
    let (tag, offset) = (12, behind() + once.len());
    assert_eq!(
        refused(&with(&[once.clone(), once.clone()])),
        ImageError::Duplicate { tag, offset }
    );
    let unknown = record(1000, 0, &[]);
    let offset = behind() + unknown.len();
    assert_eq!(
        refused(&with(&[unknown.clone(), unknown.clone()])),
        ImageError::Duplicate { tag: 1000, offset }
    );
    let mut records = mandatory();
    records.extend([unknown, once]);
    let after = 1000;
    assert_eq!(
        refused(&image(&records)),
        ImageError::Order { tag, offset, after }
    );
}

#[test]
fn every_record_that_is_always_there_is_missed() {
    let names = [
        "state",
        "endpoints",
        "options",
        "receive",
        "send",
        "buffers",
        "application",
    ];
    for (index, wanted) in names.into_iter().enumerate() {
        let mut records = mandatory();
        let removed = records.remove(index);
        let wanted_tag = u16::from_le_bytes([removed[0], removed[1]]);
        match refused(&image(&records)) {
            ImageError::Missing { tag, name } => {
                assert_eq!((tag, name), (wanted_tag, wanted));
            }
            other => panic!("{wanted}: {other}"),
        }
    }
    assert!(matches!(
        refused(&image(&[])),
        ImageError::Missing { tag: 1, .. }
    ));
}

#[test]
fn flags_without_a_meaning_are_refused_also_where_the_record_is_skipped() {
    let offset = behind();
    for (tag, flags) in [(12, 2), (1000, 0x8000)] {
        let image = with(&[record(tag, flags, &[0; 24])]);
        assert_eq!(refused(&image), ImageError::Flags { tag, offset, flags });
    }
}

#[test]
fn a_record_that_is_longer_than_the_image_is_refused() {
    let offset = behind();
    for (length, left) in [(25_u64, 36), (u64::MAX - 11, 36), (u64::MAX, 36)] {
        let mut long = record(12, 0, &[0; 24]);
        long[4..12].copy_from_slice(&length.to_le_bytes());
        let needed = length.saturating_add(12);
        assert_eq!(
            refused(&with(&[long])),
            ImageError::CutRecord {
                offset,
                needed,
                left
            }
        );
    }
    let mut header = record(12, 0, &[]);
    header.truncate(11);
    let (needed, left) = (12, 11);
    let mut records = mandatory();
    records.push(header);
    assert_eq!(
        refused(&image(&records)),
        ImageError::CutRecord {
            offset,
            needed,
            left
        }
    );
}
