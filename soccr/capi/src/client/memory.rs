//! Memory of a caller in C: from `malloc`, and on the stack.

use super::failed::Failed;
use crate::Address;
use libc::{c_char, c_void};

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

/// The bytes that a library has handed over, which are freed.
///
/// # Errors
/// [`Failed`] where there are none, or not as many as it has said: what lies behind is somebody else's.
pub(super) fn taken(
    call: &'static str,
    bytes: *mut c_char,
    length: u32,
) -> Result<Vec<u8>, Failed> {
    if bytes.is_null() {
        return match length {
            0 => Ok(Vec::new()),
            _ => Err(Failed::new(
                call,
                format!("NULL for a queue of {length} bytes"),
            )),
        };
    }
    let (place, length) = (bytes.cast::<c_void>(), length as usize);
    // SAFETY: the library says that it is from malloc(). If it is not, this process ends, which is a result.
    let usable = unsafe { libc::malloc_usable_size(place) };
    let copy = match usable {
        enough if enough >= length => {
            // SAFETY: the allocation is as large as that, and belongs to the caller.
            let all = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
            Ok(all.to_vec())
        }
        short => Err(Failed::new(
            call,
            format!("a block of {short} bytes for a queue of {length}"),
        )),
    };
    // SAFETY: as above; nobody uses it any more.
    unsafe { libc::free(place) };
    copy
}
