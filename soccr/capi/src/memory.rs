//! Memory that C gives and takes: who has to free what.

use crate::fault::Fault;
use std::ffi::c_char;
use std::ptr;
use std::slice;

/// Memory that a caller has given.
#[derive(Debug)]
pub(crate) struct Given<T> {
    at: *mut T,
    /// Whether it is ours to free: it came from `malloc` then.
    owned: bool,
}

impl<T> Given<T> {
    /// Nothing, where the pointer is null.
    pub(crate) fn new(at: *mut T, owned: bool) -> Option<Self> {
        (!at.is_null()).then_some(Self { at, owned })
    }

    pub(crate) fn as_ptr(&self) -> *mut T {
        self.at
    }

    /// Gives it away, with the duty to free it.
    pub(crate) fn into_raw(mut self) -> *mut T {
        self.owned = false;
        self.at
    }

    /// Puts something in the place of what a caller had given before. The same memory once more is the library's if it was
    /// before: a caller can give it only once.
    pub(crate) fn replace(place: &mut Option<Self>, at: *mut T, owned: bool) {
        match place {
            Some(given) if given.at == at => given.owned |= owned,
            _ => *place = Self::new(at, owned),
        }
    }
}

impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: the caller said that it is from `malloc` and no longer his, and it is freed only here.
            unsafe { libc::free(self.at.cast()) };
        }
    }
}

/// The bytes of a queue.
#[derive(Debug, Default)]
pub(crate) enum Bytes {
    #[default]
    None,
    /// Read from a socket.
    Saved(Vec<u8>),
    /// From the caller: as many as his numbers will say.
    Given(Given<c_char>),
}

impl Bytes {
    /// Shows them; null where there are none.
    pub(crate) fn show(&mut self) -> *mut c_char {
        match self {
            Self::Saved(bytes) if !bytes.is_empty() => bytes.as_mut_ptr().cast(),
            Self::Given(given) => given.as_ptr(),
            Self::None | Self::Saved(_) => ptr::null_mut(),
        }
    }

    /// Gives them away, for the caller to free.
    pub(crate) fn take(&mut self) -> Result<*mut c_char, Fault> {
        if let Self::Saved(bytes) = self {
            let copy = copy(bytes)?;
            *self = Self::None;
            return Ok(copy);
        }
        Ok(match std::mem::take(self) {
            Self::Given(given) => given.into_raw(),
            Self::None | Self::Saved(_) => ptr::null_mut(),
        })
    }

    /// Takes memory of the caller's in their place.
    pub(crate) fn give(&mut self, at: *mut c_char, owned: bool) {
        let mut place = match std::mem::take(self) {
            Self::Given(given) => Some(given),
            Self::None | Self::Saved(_) => None,
        };
        Given::replace(&mut place, at, owned);
        *self = place.map_or(Self::None, Self::Given);
    }

    /// A copy of `length` bytes, none of them where there are fewer.
    pub(crate) fn to_vec(&self, length: u32) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Saved(bytes) => bytes.clone(),
            // SAFETY: who gives bytes and numbers promises that there are as many (`soccr.h`).
            Self::Given(given) => unsafe { bytes_at(given.as_ptr(), length) },
        }
    }
}

/// A copy of bytes of the caller's.
///
/// # Safety
/// `at` is valid for reads of `length` bytes.
pub(crate) unsafe fn bytes_at(at: *const c_char, length: u32) -> Vec<u8> {
    // SAFETY: as the caller of this promises.
    unsafe { slice::from_raw_parts(at.cast::<u8>(), length as usize) }.to_vec()
}

/// A copy in memory from `malloc`; null of nothing.
fn copy(bytes: &[u8]) -> Result<*mut c_char, Fault> {
    if bytes.is_empty() {
        return Ok(ptr::null_mut());
    }
    let copy: *mut u8 = allocate(bytes.len())?.cast();
    // SAFETY: the copy is as long, and new, so that the two do not overlap.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len()) };
    Ok(copy.cast())
}

/// Memory from `malloc`, for the caller to free.
pub(crate) fn allocate(length: usize) -> Result<*mut libc::c_void, Fault> {
    // SAFETY: any length is allowed.
    let memory = unsafe { libc::malloc(length) };
    match memory.is_null() {
        false => Ok(memory),
        true => {
            let message = format!("no memory for {length} bytes");
            Err(Fault::new(libc::ENOMEM, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malloced(bytes: &[u8]) -> *mut c_char {
        copy(bytes).unwrap()
    }

    #[test]
    fn saved_bytes_are_shown_as_often_as_wanted_and_taken_once() {
        let mut bytes = Bytes::Saved(b"abc".to_vec());
        assert_eq!(bytes.show(), bytes.show());
        let taken = bytes.take().unwrap();
        // SAFETY: three bytes were taken.
        assert_eq!(unsafe { bytes_at(taken, 3) }, b"abc");
        assert!(bytes.show().is_null());
        assert!(bytes.take().unwrap().is_null());
        // SAFETY: it came from `malloc`, and was given away.
        unsafe { libc::free(taken.cast()) };
    }

    #[test]
    fn nothing_is_null() {
        let mut bytes = Bytes::Saved(Vec::new());
        assert!(bytes.show().is_null());
        assert!(bytes.take().unwrap().is_null());
        bytes.give(ptr::null_mut(), true);
        assert!(bytes.show().is_null());
        assert_eq!(bytes.to_vec(0), b"");
    }

    #[test]
    fn what_was_given_can_be_taken_back_with_the_duty_to_free_it() {
        let mut bytes = Bytes::default();
        let given = malloced(b"abcd");
        bytes.give(given, true);
        // The same once more, as borrowed: it stays the library's.
        bytes.give(given, false);
        assert_eq!(bytes.to_vec(2), b"ab");
        assert_eq!(bytes.take().unwrap(), given);
        drop(bytes);
        // SAFETY: it came from `malloc`, and was given back.
        unsafe { libc::free(given.cast()) };
    }

    #[test]
    fn borrowed_memory_is_not_freed_and_given_memory_is_freed_once() {
        let mut borrowed = *b"borrowed";
        let mut bytes = Bytes::default();
        bytes.give(malloced(b"owned"), true);
        bytes.give(borrowed.as_mut_ptr().cast(), false);
        assert_eq!(bytes.to_vec(8), b"borrowed");
        bytes.give(malloced(b"owned again"), true);
    }
}
