//! What the values of records are made of: numbers, bytes, lists, and values that may be missing.

use super::error::ImageError;
use std::str;

/// Writes fields one behind the other.
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.u8(value.into());
    }

    /// A number of bytes or of elements.
    pub(super) fn length(&mut self, length: usize) {
        // No platform of Rust has a usize of more than 64 bits.
        self.raw(&(length as u64).to_le_bytes());
    }

    /// Bytes whose number the reader knows.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn list<T>(&mut self, elements: &[T], write: impl Fn(&mut Self, &T)) {
        self.length(elements.len());
        for element in elements {
            write(self, element);
        }
    }
}

/// Reads the fields of one record; `name` is the field's, for errors.
pub(super) struct Fields<'a> {
    left: &'a [u8],
    /// Where in the image `left` begins.
    offset: usize,
}

type Result<T> = std::result::Result<T, ImageError>;

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a [u8], offset: usize) -> Self {
        Self {
            left: value,
            offset,
        }
    }

    /// Where in the image the next field begins.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are behind the fields that were read.
    pub(super) fn left(&self) -> usize {
        self.left.len()
    }

    pub(super) fn array<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N]> {
        let (array, left) = self
            .left
            .split_first_chunk()
            .ok_or(self.cut(name, N as u64))?;
        self.left = left;
        self.offset += N;
        Ok(*array)
    }

    pub(super) fn u8(&mut self, name: &'static str) -> Result<u8> {
        self.array(name).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, name: &'static str) -> Result<u16> {
        self.array(name).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, name: &'static str) -> Result<u32> {
        self.array(name).map(u32::from_le_bytes)
    }

    pub(super) fn bool(&mut self, name: &'static str) -> Result<bool> {
        self.checked(name, "must be 0 or 1", Self::u8, |number| match number {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }

    pub(super) fn bytes(&mut self, name: &'static str) -> Result<&'a [u8]> {
        let length = u64::from_le_bytes(self.array(name)?);
        let cut = self.cut(name, length);
        let split = usize::try_from(length).map(|length| self.left.split_at_checked(length));
        let Ok(Some((bytes, left))) = split else {
            return Err(cut);
        };
        self.left = left;
        self.offset += bytes.len();
        Ok(bytes)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<&'a str> {
        let offset = self.offset;
        let bytes = self.bytes(name)?;
        str::from_utf8(bytes).map_err(|_| ImageError::Value {
            field: name,
            offset,
            value: format!("{} bytes", bytes.len()),
            rule: "must be UTF-8",
        })
    }

    /// A value that `read` reads and `accept` takes, or an error that says where it is, and the `rule`.
    pub(super) fn checked<N: ToString + Copy, T>(
        &mut self,
        name: &'static str,
        rule: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<N>,
        accept: impl FnOnce(N) -> Option<T>,
    ) -> Result<T> {
        let offset = self.offset;
        let value = read(self, name)?;
        accept(value).ok_or_else(|| ImageError::Value {
            field: name,
            offset,
            value: value.to_string(),
            rule,
        })
    }

    pub(super) fn option<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.bool(name)? {
            true => read(self).map(Some),
            false => Ok(None),
        }
    }

    /// A number of elements, each of which takes at least `least` bytes: one that cannot be there is refused before
    /// there is room for them.
    pub(super) fn count(&mut self, name: &'static str, least: usize) -> Result<usize> {
        let count = u64::from_le_bytes(self.array(name)?);
        let needed = count.saturating_mul(least as u64);
        match usize::try_from(count) {
            Ok(count) if needed <= self.left.len() as u64 => Ok(count),
            _ => Err(self.cut(name, needed)),
        }
    }

    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        least: usize,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let count = self.count(name, least)?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(read(self)?);
        }
        Ok(elements)
    }

    fn cut(&self, field: &'static str, needed: u64) -> ImageError {
        ImageError::CutField {
            field,
            offset: self.offset,
            needed,
            left: self.left.len(),
        }
    }
}
