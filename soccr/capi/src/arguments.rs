//! What C passes: pointers that may be null, sizes that may be another version's.

use crate::border::Failed;
use crate::data::{SIZE, SkData};
use crate::fault::Fault;
use crate::handle::Handle;
use std::ffi::c_uint;

/// The flag of memory that changes hands.
pub const SOCCR_MEM_EXCL: c_uint = 0x1;

/// The handle, if there is one.
///
/// # Safety
/// `sk` is null, or a handle of which nobody else has a reference.
pub(crate) unsafe fn handle<'a, T>(
    sk: *mut Handle,
    failed: T,
) -> Result<&'a mut Handle, Failed<T>> {
    // SAFETY: as the caller of this promises.
    let handle = unsafe { sk.as_mut() };
    handle.ok_or_else(|| Failed::new(failed, Fault::argument("no handle (NULL)")))
}

/// The data that a caller gives: a copy, so that his are never changed.
///
/// # Safety
/// `data` is null, or valid for reads of `size` bytes.
pub(crate) unsafe fn data<T>(
    data: *const SkData,
    size: c_uint,
    failed: T,
) -> Result<SkData, Failed<T>> {
    match check_data(data, size) {
        // SAFETY: it is at least as long, as was just seen.
        Ok(()) => Ok(unsafe { data.read_unaligned() }),
        Err(fault) => Err(Failed::new(failed, fault)),
    }
}

/// Refuses data that are not there, or shorter than any version had them.
pub(crate) fn check_data(data: *const SkData, size: c_uint) -> Result<(), Fault> {
    if data.is_null() {
        return Err(Fault::argument("no data (NULL)"));
    }
    if (size as usize) < SIZE {
        let rule = format!("must be at least {SIZE}, the size of struct libsoccr_sk_data");
        return Err(Fault::refused("data_size", size, rule));
    }
    Ok(())
}

/// Whether memory changes hands.
pub(crate) fn exclusive(flags: c_uint) -> Result<bool, Fault> {
    match flags & !SOCCR_MEM_EXCL {
        0 => Ok(flags & SOCCR_MEM_EXCL != 0),
        _ => Err(Fault::refused(
            "flags",
            flags,
            "must be 0 or SOCCR_MEM_EXCL (1)",
        )),
    }
}
