//! VLAN tags (IEEE 802.1Q): four bytes behind the Ethernet addresses of a frame.
//!
//! The kernel takes the outermost tag out of every frame that it receives, and keeps it beside the frame. A packet
//! socket is told which one it was; here it is put back, so that a frame is what it was on the link.

use crate::error::Error;
use crate::sys::VnetHeader;
use std::borrow::Cow;

/// The two Ethernet addresses, behind which tags stand.
const ADDRESSES: usize = 12;
const ETHERTYPE: usize = 2;
/// Customer and service tags; both have the same form.
const TPIDS: [u16; 2] = [0x8100, 0x88a8];
/// What of a tag is the number of the VLAN; the rest is a priority.
const ID: u16 = 0x0fff;

/// EtherType and tag control information, in network byte order.
pub(crate) type Tag = [u8; 4];

/// The tag of VLAN `id`, without a priority.
pub(crate) fn tag(id: u16) -> Tag {
    let [[a, b], [c, d]] = [TPIDS[0], id].map(u16::to_be_bytes);
    [a, b, c, d]
}

/// Refuses what is no number of a VLAN: 0 and 4095 are reserved.
pub(crate) fn check(id: u16) -> Result<(), Error> {
    match id {
        1..ID => Ok(()),
        _ => Err(Error::Invalid {
            what: "the number of a VLAN",
            value: id.to_string(),
            why: "IEEE 802.1Q has 1 to 4094",
        }),
    }
}

/// A frame with a tag in front of those that it has.
pub(crate) fn put_in(frame: &[u8], tag: Option<Tag>) -> Cow<'_, [u8]> {
    match (tag, frame.split_at_checked(ADDRESSES)) {
        (Some(tag), Some((addresses, rest))) => [addresses, &tag, rest].concat().into(),
        _ => frame.into(),
    }
}

/// What is still to be done to a frame, once a tag has been put into it.
pub(crate) fn shift(offload: VnetHeader) -> VnetHeader {
    const HEADERS_LENGTH: usize = 2;
    const CHECKSUM_START: usize = 6;
    const NEEDS_CHECKSUM: u8 = 1;
    let mut shifted = offload;
    let mut add = |at: usize| {
        if let Some([a, b]) = shifted.get_mut(at..at + 2) {
            let length = u16::from_ne_bytes([*a, *b]).saturating_add(size_of::<Tag>() as u16);
            [*a, *b] = length.to_ne_bytes();
        }
    };
    let [flags, cut_into, ..] = offload;
    if flags & NEEDS_CHECKSUM != 0 {
        add(CHECKSUM_START);
    }
    if cut_into != 0 {
        add(HEADERS_LENGTH);
    }
    shifted
}

/// The number of the outermost VLAN that a frame belongs to.
pub(crate) fn id(frame: &[u8]) -> Option<u16> {
    let (ethertype, rest) = field(frame.get(ADDRESSES..)?)?;
    let (control, _) = field(rest)?;
    TPIDS.contains(&ethertype).then_some(control & ID)
}

/// What a frame carries, behind all tags: EtherType and packet.
pub(crate) fn payload(frame: &[u8]) -> Option<(u16, &[u8])> {
    let (mut ethertype, mut rest) = field(frame.get(ADDRESSES..)?)?;
    while TPIDS.contains(&ethertype) {
        (ethertype, rest) = field(rest.get(ETHERTYPE..)?)?;
    }
    Some((ethertype, rest))
}

fn field(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (field, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*field), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x00, 42, 43];

    #[test]
    fn a_frame_is_read_behind_its_tags() {
        assert_eq!(
            (id(&PLAIN), payload(&PLAIN)),
            (None, Some((0x0800, &[42, 43][..])))
        );
        let once = put_in(&PLAIN, Some(tag(7)));
        assert_eq!(once[ADDRESSES..][..6], [0x81, 0, 0, 7, 0x08, 0]);
        // The highest priority, and "may be dropped", are no part of the number.
        let twice = put_in(&once, Some([0x88, 0xa8, 0xff, 0xfe]));
        assert_eq!([id(&once), id(&twice)], [Some(7), Some(4094)]);
        assert_eq!(payload(&twice), payload(&PLAIN));
        for length in 0..twice.len() - 2 {
            assert_eq!(payload(&twice[..length]), None, "{length}");
        }
    }

    #[test]
    fn what_is_to_be_done_moves_with_the_headers() {
        let offload = |flags, cut_into, headers: u16, start: u16| {
            let [a, b] = headers.to_ne_bytes();
            let [c, d] = start.to_ne_bytes();
            [flags, cut_into, a, b, 9, 9, c, d, 16, 0]
        };
        assert_eq!(shift([0; 10]), [0; 10]);
        assert_eq!(shift(offload(1, 0, 0, 34)), offload(1, 0, 0, 38));
        assert_eq!(shift(offload(1, 1, 66, 34)), offload(1, 1, 70, 38));
    }

    #[test]
    fn reserved_numbers_are_refused() {
        for (number, fits) in [
            (0, false),
            (1, true),
            (4094, true),
            (4095, false),
            (u16::MAX, false),
        ] {
            assert_eq!(check(number).is_ok(), fits, "{number}");
        }
    }
}
