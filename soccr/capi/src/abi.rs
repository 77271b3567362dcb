//! The functions of today's interface; `include/soccr.h` says what they promise.

use crate::address::Address;
use crate::arguments::{check_data, data, exclusive, handle};
use crate::border::{Failed, enter};
use crate::data::{SIZE, SkData};
use crate::handle::Handle;
use crate::log::{self, LogFn};
use std::ffi::{c_char, c_int, c_uint};
use std::ptr;

/// Chooses who gets the log, and up to which level.
///
/// # Safety
/// `function` is null, or can be called at any time with a `printf` format and its arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_set_log(level: c_uint, function: Option<LogFn>) {
    log::set(level, function);
}

/// Pauses a socket.
#[unsafe(no_mangle)]
pub extern "C" fn libsoccr_pause(fd: c_int) -> *mut Handle {
    enter("libsoccr_pause", ptr::null_mut(), || {
        let paused = Handle::pause(fd).map_err(|fault| Failed::new(ptr::null_mut(), fault))?;
        Ok(Box::into_raw(Box::new(paused)))
    })
}

/// Resumes the socket, and ends the handle.
///
/// # Safety
/// `sk` is null, or a handle that has not ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_resume(sk: *mut Handle) {
    enter("libsoccr_resume", (), || {
        if sk.is_null() {
            return Ok(());
        }
        // SAFETY: it came from a box, and the caller promises that it has not ended.
        let handle = unsafe { Box::from_raw(sk) };
        handle.resume().map_err(|fault| Failed::new((), fault))
    });
}

/// Ends the handle; the socket stays paused.
///
/// # Safety
/// As [`libsoccr_resume`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_release(sk: *mut Handle) {
    enter("libsoccr_release", (), || {
        if !sk.is_null() {
            // SAFETY: it came from a box, and the caller promises that it has not ended.
            drop(unsafe { Box::from_raw(sk) });
        }
        Ok(())
    });
}

/// Saves a paused connection.
///
/// # Safety
/// `sk` is null or a handle; `data` is null or valid for writes of `data_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_save(
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
) -> c_int {
    // SAFETY: as the caller of this promises.
    unsafe { save("libsoccr_save", sk, data, data_size) }
}

/// Saves a paused connection, in the name of a function.
///
/// # Safety
/// As [`libsoccr_save`].
pub(crate) unsafe fn save(
    name: &str,
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
) -> c_int {
    enter(name, -1, || {
        // SAFETY: as the caller of this promises.
        let handle = unsafe { handle(sk, -1) }?;
        check_data(data, data_size).map_err(|fault| Failed::new(-1, fault))?;
        // SAFETY: the caller promises that many bytes, whatever version of the structure he has.
        unsafe { data.cast::<u8>().write_bytes(0, data_size as usize) };
        let saved = handle.save();
        let numbers = saved.map_err(|(number, fault)| Failed::new(number, fault))?;
        // SAFETY: it is at least as long, as was seen.
        unsafe { data.write_unaligned(numbers) };
        Ok(SIZE as c_int)
    })
}

/// The bytes of a queue.
///
/// # Safety
/// `sk` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_get_queue_bytes(
    sk: *mut Handle,
    queue_id: c_int,
    flags: c_uint,
) -> *mut c_char {
    enter("libsoccr_get_queue_bytes", ptr::null_mut(), || {
        // SAFETY: as the caller of this promises.
        let handle = unsafe { handle(sk, ptr::null_mut()) }?;
        let take = exclusive(flags).map_err(|fault| Failed::new(ptr::null_mut(), fault))?;
        queue_bytes(handle, queue_id, take)
    })
}

/// Shows the bytes of a queue, or gives them away.
pub(crate) fn queue_bytes(
    handle: &mut Handle,
    queue_id: c_int,
    take: bool,
) -> Result<*mut c_char, Failed<*mut c_char>> {
    let failed = |fault| Failed::new(ptr::null_mut(), fault);
    let bytes = handle.queue(queue_id).map_err(failed)?;
    Ok(match take {
        true => bytes.take(),
        false => bytes.show(),
    })
}

/// An address of the socket.
///
/// # Safety
/// `sk` is null or a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_get_addr(
    sk: *mut Handle,
    local: c_int,
    flags: c_uint,
) -> *mut Address {
    enter("libsoccr_get_addr", ptr::null_mut(), || {
        let failed = |fault| Failed::new(ptr::null_mut(), fault);
        // SAFETY: as the caller of this promises.
        let handle = unsafe { handle(sk, ptr::null_mut()) }?;
        let give_away = exclusive(flags).map_err(failed)?;
        handle.address(local != 0, give_away).map_err(failed)
    })
}

/// Gives the bytes of a queue for a restore.
///
/// # Safety
/// `sk` is null or a handle; `bytes` is null, or has as many bytes as the data of the restore will say, and is from `malloc`
/// where the flags give it away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_set_queue_bytes(
    sk: *mut Handle,
    queue_id: c_int,
    bytes: *mut c_char,
    flags: c_uint,
) -> c_int {
    enter("libsoccr_set_queue_bytes", -1, || {
        let failed = |fault| Failed::new(-1, fault);
        // SAFETY: as the caller of this promises.
        let handle = unsafe { handle(sk, -1) }?;
        let owned = exclusive(flags).map_err(failed)?;
        handle.queue(queue_id).map_err(failed)?.give(bytes, owned);
        Ok(0)
    })
}

/// Gives an address for a restore.
///
/// # Safety
/// `sk` is null or a handle; `address` is null, or an address that is there until the restore has returned, and is from
/// `malloc` where the flags give it away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_set_addr(
    sk: *mut Handle,
    local: c_int,
    address: *mut Address,
    flags: c_uint,
) -> c_int {
    enter("libsoccr_set_addr", -1, || {
        // SAFETY: as the caller of this promises.
        let handle = unsafe { handle(sk, -1) }?;
        let owned = exclusive(flags).map_err(|fault| Failed::new(-1, fault))?;
        handle.give_address(local != 0, address, owned);
        Ok(0)
    })
}

/// Restores a connection into a paused, unconnected socket.
///
/// # Safety
/// `sk` is null or a handle; `data` is null or valid for reads of `data_size` bytes; what was given before is still there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn libsoccr_restore(
    sk: *mut Handle,
    data: *mut SkData,
    data_size: c_uint,
) -> c_int {
    enter("libsoccr_restore", -1, || {
        // SAFETY: as the caller of this promises.
        let handle = unsafe { handle(sk, -1) }?;
        // SAFETY: as the caller of this promises.
        let numbers = unsafe { self::data(data, data_size, -1) }?;
        let restored = handle.restore(&numbers);
        restored.map_err(|fault| Failed::new(-1, fault))?;
        Ok(0)
    })
}
