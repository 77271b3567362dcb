//! The ways in which a system call can go wrong.

use soccr::TcpState;
use soccr::faults::Call;
use soccr::raw::{self, Opt};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// What comes of a call.
pub(super) type Made = io::Result<usize>;

/// The call of this name is not made, and said to have succeeded.
pub(super) fn forget(call: &mut Call<'_>, name: &str) -> Made {
    match call.name() == name {
        true => Ok(call.bytes().len()),
        false => call.make(),
    }
}

/// The call of this name is not made where it gives this `int`.
pub(super) fn forget_int(call: &mut Call<'_>, name: &str, value: i32) -> Made {
    match is(call, name, value) {
        true => Ok(call.bytes().len()),
        false => call.make(),
    }
}

/// The call of this name gives another `int` where it would give this one.
pub(super) fn another_int(call: &mut Call<'_>, name: &str, value: i32, other: i32) -> Made {
    match is(call, name, value) {
        true => call.make_with(&mut other.to_ne_bytes()),
        false => call.make(),
    }
}

/// An option is not set, and reads once as if it were: so that what looks at it again sees nothing.
pub(super) fn pretend(call: &mut Call<'_>, set: &'static str, get: &'static str) -> Made {
    static PRETENDED: Mutex<BTreeMap<(RawFd, &str), Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut pretended = PRETENDED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (call.socket().as_raw_fd(), get);
    if call.name() == set {
        let bytes = call.bytes().to_vec();
        let length = bytes.len();
        pretended.insert(key, bytes);
        return Ok(length);
    }
    let due = (call.name() == get)
        .then(|| pretended.remove(&key))
        .flatten();
    drop(pretended);
    let made = call.make()?;
    let Some(bytes) = due else {
        return Ok(made);
    };
    let room = call.bytes().len().min(bytes.len());
    call.bytes()[..room].copy_from_slice(&bytes[..room]);
    Ok(room)
}

/// The call of this name is made twice.
pub(super) fn twice(call: &mut Call<'_>, name: &str) -> Made {
    if call.name() == name {
        call.make()?;
    }
    call.make()
}

/// The call of this name gives other bytes, and is said to have taken all of the right ones.
pub(super) fn given(call: &mut Call<'_>, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Made {
    if call.name() != name {
        return call.make();
    }
    let mut bytes = call.bytes().to_vec();
    let length = bytes.len();
    change(&mut bytes);
    call.make_with(&mut bytes)?;
    Ok(length)
}

/// The call of this name tells something else.
pub(super) fn told(call: &mut Call<'_>, name: &str, change: impl FnOnce(&mut [u8])) -> Made {
    let made = call.make()?;
    if call.name() == name {
        change(call.bytes());
    }
    Ok(made)
}

/// What is given by an option is set only before the call `until`, in the place where it belongs not at all.
pub(super) fn late(call: &mut Call<'_>, name: &'static str, option: Opt, until: &str) -> Made {
    static HELD: Mutex<BTreeMap<(RawFd, &str), Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (call.socket().as_raw_fd(), name);
    if call.name() == name {
        let bytes = call.bytes().to_vec();
        let length = bytes.len();
        held.insert(key, bytes);
        return Ok(length);
    }
    let due = (call.name() == until).then(|| held.remove(&key)).flatten();
    drop(held);
    if let Some(bytes) = due {
        // Whether the kernel takes it that late is not asked: that is the defect.
        let _ = raw::set(&call.socket(), option, &bytes);
    }
    call.make()
}

/// Changes the 32-bit number at this place by `by`.
pub(super) fn add(bytes: &mut [u8], word: usize, by: i32) {
    if let Some(slot) = bytes.chunks_exact_mut(4).nth(word) {
        let value = number(slot, 0).wrapping_add_signed(by);
        slot.copy_from_slice(&value.to_ne_bytes());
    }
}

/// The 32-bit number at this place; 0 where there is none.
pub(super) fn number(bytes: &[u8], word: usize) -> u32 {
    let slot = bytes.chunks_exact(4).nth(word);
    slot.map_or(0, |it| u32::from_ne_bytes([it[0], it[1], it[2], it[3]]))
}

/// The state of the socket of a call.
pub(super) fn state(call: &Call<'_>) -> Option<TcpState> {
    let info = raw::tcp_info(&call.socket()).ok()?;
    TcpState::from_kernel(info.state)
}

/// An option of the socket of a call, as an `int`; −1 where it cannot be read.
pub(super) fn option(call: &Call<'_>, option: Opt) -> i32 {
    raw::get_int(&call.socket(), option).unwrap_or(-1)
}

/// Sets an option by hand. What the kernel says to it is nobody's concern here.
pub(super) fn set(socket: BorrowedFd<'_>, option: Opt, value: i32) {
    let _ = raw::set_int(&socket, option, value);
}

/// Leaves repair mode in this way, and enters it again.
pub(super) fn blink(socket: BorrowedFd<'_>, mode: i32) {
    set(socket, Opt::TCP_REPAIR, mode);
    set(socket, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON);
}

/// Opens another descriptor of a socket, which nobody closes.
pub(super) fn leak(socket: BorrowedFd<'_>) {
    let _ = socket
        .as_fd()
        .try_clone_to_owned()
        .map(IntoRawFd::into_raw_fd);
}

/// Whether an `int` that is given or told is this one.
pub(super) fn is(call: &mut Call<'_>, name: &str, value: i32) -> bool {
    call.name() == name && number(call.bytes(), 0) == value as u32
}
