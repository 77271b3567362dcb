//! The encoding of protocol buffers, as far as it has to be looked at: which fields an encoded message has.
//!
//! `prost` decodes what it knows, drops what it does not, and takes a missing field for a zero. CRIU's own reader
//! refuses a message that lacks a required field, and keeps what it does not know; so does this module.

use crate::criu::CriuError;
use std::ops::RangeInclusive;

/// What is known of a message.
#[derive(Debug)]
pub struct Layout {
    /// Its name in CRIU's sources.
    pub(super) name: &'static str,
    /// The numbers of the fields that this version knows.
    pub(super) known: &'static [RangeInclusive<u32>],
    /// The fields without which CRIU refuses it: number and name.
    pub(super) required: &'static [(u32, &'static str)],
    /// The fields that are messages themselves.
    pub(super) nested: &'static [(u32, &'static str, &'static Layout)],
}

impl Layout {
    /// Checks that nothing required is missing; returns the names of the fields that this version does not know.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<Vec<String>, CriuError> {
        let fields: Vec<_> = Fields { rest: bytes }
            .collect::<Result<_, _>>()
            .map_err(|detail| CriuError::malformed(self.name, detail))?;
        let numbers = || fields.iter().map(|field| field.number);
        if let Some((_, field)) = self
            .required
            .iter()
            .find(|(number, _)| !numbers().any(|it| it == *number))
        {
            return Err(CriuError::Missing {
                message: self.name,
                field,
            });
        }
        let is_known = |number| self.known.iter().any(|range| range.contains(&number));
        let mut unknown: Vec<_> = numbers()
            .filter(|number| !is_known(*number))
            .map(|number| number.to_string())
            .collect();
        for (number, name, layout) in self.nested {
            // A message may come in several pieces, which are merged.
            let pieces: Vec<_> = payloads(&fields, *number).collect();
            if !pieces.is_empty() {
                let inner = layout.check(&pieces.concat())?;
                unknown.extend(inner.iter().map(|field| format!("{name}.{field}")));
            }
        }
        unknown.dedup();
        Ok(unknown)
    }
}

/// The encoded message in a field of an encoded message, its pieces put together; `None` without one.
pub(super) fn nested(bytes: &[u8], number: u32) -> Option<Vec<u8>> {
    let fields: Vec<_> = Fields { rest: bytes }.collect::<Result<_, _>>().ok()?;
    let pieces: Vec<_> = payloads(&fields, number).collect();
    (!pieces.is_empty()).then(|| pieces.concat())
}

fn payloads<'a>(fields: &[Field<'a>], number: u32) -> impl Iterator<Item = &'a [u8]> {
    let of_number = fields.iter().filter(move |field| field.number == number);
    of_number.filter_map(|field| field.payload)
}

/// A field of an encoded message.
struct Field<'a> {
    number: u32,
    /// What it holds, where it says how long it is: a message, a string.
    payload: Option<&'a [u8]>,
}

/// The fields of an encoded message, in the order in which they stand.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Field<'a>, String> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).unwrap_or(0);
        if number == 0 {
            return Err(format!("{} is no number of a field", key >> 3));
        }
        let payload = match key & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => {
                self.take(8)?;
                None
            }
            2 => {
                let length = self.varint()?;
                Some(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                None
            }
            // 3 and 4 are groups, which CRIU has not and its reader does not take.
            other => return Err(format!("field {number} is of the unknown kind {other}")),
        };
        Ok(Field { number, payload })
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number is longer than 64 bits".to_owned())
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let found = self.rest.len();
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length));
        let (taken, rest) =
            taken.ok_or_else(|| format!("a field of {length} bytes has only {found} left"))?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: Layout = Layout {
        name: "inner",
        known: &[1..=2],
        required: &[(1, "one"), (2, "two")],
        nested: &[],
    };
    const OUTER: Layout = Layout {
        name: "outer",
        known: &[1..=1, 3..=3],
        required: &[(1, "id")],
        nested: &[(3, "inner", &INNER)],
    };

    #[test]
    fn what_is_not_known_is_named_at_every_depth() {
        let bytes = [
            // 1: 7, 2 (a gap): eight bytes, 3: { 1: 0, 9: "x" }, 3 again: { 2: 300 }
            &[0x08, 7, 0x11, 1, 2, 3, 4, 5, 6, 7, 8][..],
            &[0x1a, 5, 0x08, 0, 0x4a, 1, b'x', 0x1a, 3, 0x10, 0xac, 0x02],
        ]
        .concat();
        assert_eq!(OUTER.check(&bytes).unwrap(), ["2", "inner.9"]);
        assert_eq!(
            nested(&bytes, 3).unwrap(),
            [8, 0, 0x4a, 1, b'x', 0x10, 0xac, 2]
        );
        assert_eq!(nested(&bytes, 4), None);
    }

    #[test]
    fn a_required_field_that_is_missing_is_named() {
        let missing = |bytes: &[u8]| match OUTER.check(bytes) {
            Err(CriuError::Missing { message, field }) => (message, field),
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&[]), ("outer", "id"));
        assert_eq!(missing(&[0x08, 1, 0x1a, 2, 0x08, 0]), ("inner", "two"));
    }

    #[test]
    fn what_no_message_can_be_is_refused_and_allocates_nothing() {
        for bytes in [
            &[0x08][..],
            // Field 0; a group; a length of 2^63; a number of 77 bits.
            &[0x00, 0],
            &[0x0b],
            &[
                0x1a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
            ],
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        ] {
            let refused = OUTER.check(bytes);
            assert!(
                matches!(refused, Err(CriuError::Malformed { .. })),
                "{bytes:?}: {refused:?}"
            );
        }
    }
}
