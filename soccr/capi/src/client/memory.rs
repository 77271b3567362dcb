//! Memory of a caller in C: from `malloc`, and on the stack.

use super::failed::Failed;
use crate::Address;
use libc::{c_char, c_void};
use std::ops::Deref;
use std::ptr::NonNull;

/// All bytes of an address.
pub(super) fn bytes_of(address: &Address) -> &[u8] {
    let place = std::ptr::from_ref(address).cast::<u8>();
    // SAFETY: every byte of it is initialized, by its largest member, which has no padding.
    unsafe { std::slice::from_raw_parts(place, size_of::<Address>()) }
}

/// A copy of some bytes that `free()` takes.
///
/// # Errors
/// [`Failed`] where there is no memory.
pub(super) fn copied(bytes: &[u8]) -> Result<*mut c_char, Failed> {
    // SAFETY: any size may be asked for.
    let copy = unsafe { libc::malloc(bytes.len().max(1)) };
    if copy.is_null() {
        return Err(Failed::null("malloc"));
    }
    // SAFETY: the copy is of that many bytes, and nobody else has it.
    unsafe {
        copy.cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    };
    Ok(copy.cast())
}

/// Bytes that a library has handed over; freed when it is dropped.
#[derive(Debug)]
pub struct Block {
    place: NonNull<c_char>,
    length: usize,
}

impl Block {
    pub(super) fn place(&self) -> *mut c_char {
        self.place.as_ptr()
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the allocation is at least as large as that, and belongs to the caller.
        unsafe { std::slice::from_raw_parts(self.place().cast::<u8>(), self.length) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the library says that it is from malloc(). If it is not, this process ends, which is a result.
        unsafe { libc::free(self.place().cast::<c_void>()) };
    }
}

/// The bytes that a library has handed over, where they are; `None` where there are none, and need not be.
///
/// # Errors
/// [`Failed`] where there are none, or not as many as it has said: what lies behind is somebody else's.
pub(super) fn taken_in_place(
    call: &'static str,
    bytes: *mut c_char,
    length: u32,
) -> Result<Option<Block>, Failed> {
    let Some(place) = NonNull::new(bytes) else {
        return match length {
            0 => Ok(None),
            _ => Err(Failed::new(
                call,
                format!("NULL for a queue of {length} bytes"),
            )),
        };
    };
    let length = length as usize;
    // SAFETY: the library says that it is from malloc(). If it is not, this process ends, which is a result.
    let usable = unsafe { libc::malloc_usable_size(bytes.cast::<c_void>()) };
    let block = Block {
        place,
        length: length.min(usable),
    };
    match usable < length {
        false => Ok(Some(block)),
        true => Err(Failed::new(
            call,
            format!("a block of {usable} bytes for a queue of {length}"),
        )),
    }
}

/// A copy of the bytes that a library has handed over, which are freed.
///
/// # Errors
/// As [`taken_in_place`].
pub(super) fn taken(
    call: &'static str,
    bytes: *mut c_char,
    length: u32,
) -> Result<Vec<u8>, Failed> {
    let block = taken_in_place(call, bytes, length)?;
    Ok(block.map_or_else(Vec::new, |block| block.to_vec()))
}
