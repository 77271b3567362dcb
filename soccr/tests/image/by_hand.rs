//! Images put together by hand, from the description of the format and without the code that writes them.

/// The bytes around `records`, all of them right.
pub(crate) fn image(records: &[Vec<u8>]) -> Vec<u8> {
    let mut image = b"\x93soccr\r\n\x1a\n".to_vec();
    image.extend(1_u16.to_le_bytes());
    image.extend([0; 8]);
    image.extend(records.concat());
    image.extend([0; 4]);
    seal(&mut image);
    image
}

/// Puts the right length and the right checksum into an image that was changed.
pub(crate) fn seal(image: &mut [u8]) {
    let length = image.len();
    image[12..20].copy_from_slice(&(length as u64).to_le_bytes());
    let checksum = crc32(&image[..length - 4]);
    image[length - 4..].copy_from_slice(&checksum.to_le_bytes());
}

/// Bit by bit, as in IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    })
}

pub(crate) fn record(tag: u16, flags: u16, value: &[u8]) -> Vec<u8> {
    let mut record = [tag.to_le_bytes(), flags.to_le_bytes()].concat();
    record.extend((value.len() as u64).to_le_bytes());
    record.extend(value);
    record
}

/// Bytes, or a text, with their number before them.
pub(crate) fn bytes(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// The records that every image has, of [`nobody`](crate::samples::nobody), with their tags in ascending order.
pub(crate) fn mandatory() -> Vec<Vec<u8>> {
    let address = [4, 0, 0, 0, 0, 0, 0];
    vec![
        record(1, 1, &[1]),
        record(2, 1, &[address, address].concat()),
        record(3, 1, &[0; 5]),
        record(5, 1, &[0; 12]),
        record(6, 1, &[0; 17]),
        record(7, 1, &[0; 9]),
        record(8, 1, &[0; 3]),
    ]
}

/// An image of the records that every image has, and `more`.
pub(crate) fn with(more: &[Vec<u8>]) -> Vec<u8> {
    let mut records = mandatory();
    records.extend_from_slice(more);
    records.sort_by_key(|record| u16::from_le_bytes([record[0], record[1]]));
    image(&records)
}
