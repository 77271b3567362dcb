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

/// The bytes of a queue: read from a socket, or given by a caller.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    memory: Option<Given<c_char>>,
    /// How many there are, of those that were read; of others the caller's numbers will say it.
    length: Option<u32>,
}

impl Bytes {
    /// A copy of what was read, in memory that can be given away.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if length == 0 {
            return Ok(Self::default());
        }
        let copy: *mut u8 = allocate(bytes.len())?.cast();
        // SAFETY: the copy is as long, and new, so that the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len()) };
        Ok(Self {
            memory: Given::new(copy.cast(), true),
            length: Some(length),
        })
    }

    /// Shows them; null where there are none.
    pub(crate) fn show(&self) -> *mut c_char {
        self.memory.as_ref().map_or(ptr::null_mut(), Given::as_ptr)
    }

    /// Gives them away, for the caller to free: the same memory that was shown.
    pub(crate) fn take(&mut self) -> *mut c_char {
        let memory = std::mem::take(self).memory;
        memory.map_or(ptr::null_mut(), Given::into_raw)
    }

    /// Takes memory of the caller's in their place.
    pub(crate) fn give(&mut self, at: *mut c_char, owned: bool) {
        if at != self.show() {
            self.length = None;
        }
        Given::replace(&mut self.memory, at, owned);
    }

    /// A copy of `length` bytes, or of as many as there are.
    pub(crate) fn to_vec(&self, length: u32) -> Result<Vec<u8>, Fault> {
        let length = self.length.map_or(length, |there| there.min(length));
        match &self.memory {
            None => Ok(Vec::new()),
            // SAFETY: those that were read are there; who gives bytes and numbers promises that there are as many
            // (`soccr.h`).
            Some(memory) => unsafe { bytes_at(memory.as_ptr(), length) },
        }
    }
}

/// A copy of bytes of the caller's.
///
/// # Safety
/// `at` is valid for reads of `length` bytes.
pub(crate) unsafe fn bytes_at(at: *const c_char, length: u32) -> Result<Vec<u8>, Fault> {
    let length = length as usize;
    let mut copy = Vec::new();
    copy.try_reserve_exact(length)
        .map_err(|_| no_memory(length))?;
    // SAFETY: as the caller of this promises.
    copy.extend_from_slice(unsafe { slice::from_raw_parts(at.cast::<u8>(), length) });
    Ok(copy)
}

/// Memory from `malloc`, for the caller to free.
pub(crate) fn allocate(length: usize) -> Result<*mut libc::c_void, Fault> {
    // SAFETY: any length is allowed.
    let memory = unsafe { libc::malloc(length) };
    match memory.is_null() {
        false => Ok(memory),
        true => Err(no_memory(length)),
    }
}

fn no_memory(length: usize) -> Fault {
    Fault::new(libc::ENOMEM, format!("no memory for {length} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malloced(bytes: &[u8]) -> *mut c_char {
        Bytes::read(bytes).unwrap().take()
    }

    fn free(memory: *mut c_char) {
        // SAFETY: the tests free what came from `malloc` and was given to them.
        unsafe { libc::free(memory.cast()) };
    }

    #[test]
    fn what_was_read_is_shown_as_often_as_wanted_and_taken_once() {
        let mut bytes = Bytes::read(b"abc").unwrap();
        let shown = bytes.show();
        assert_eq!(bytes.show(), shown);
        let taken = bytes.take();
        // The same memory: who was shown it before can go on reading.
        assert_eq!(taken, shown);
        // SAFETY: three bytes were taken.
        assert_eq!(unsafe { bytes_at(taken, 3) }.unwrap(), b"abc");
        assert!(bytes.show().is_null() && bytes.take().is_null());
        free(taken);
    }

    #[test]
    fn nothing_is_null() {
        let mut bytes = Bytes::read(b"").unwrap();
        assert!(bytes.show().is_null() && bytes.take().is_null());
        bytes.give(ptr::null_mut(), true);
        assert!(bytes.show().is_null());
        assert_eq!(bytes.to_vec(5).unwrap(), b"");
    }

    #[test]
    fn no_more_is_read_than_was_saved() {
        let mut bytes = Bytes::read(b"abc").unwrap();
        assert_eq!(bytes.to_vec(5).unwrap(), b"abc");
        // Given back as it was shown, it is still what was saved.
        bytes.give(bytes.show(), false);
        assert_eq!(bytes.to_vec(u32::MAX).unwrap(), b"abc");
    }

    #[test]
    fn what_was_given_can_be_taken_back_with_the_duty_to_free_it() {
        let mut bytes = Bytes::default();
        let given = malloced(b"abcd");
        bytes.give(given, true);
        // The same once more, as borrowed: it stays the library's.
        bytes.give(given, false);
        assert_eq!(bytes.to_vec(2).unwrap(), b"ab");
        assert_eq!(bytes.take(), given);
        drop(bytes);
        free(given);
    }

    #[test]
    fn borrowed_memory_is_not_freed_and_given_memory_is_freed_once() {
        let mut borrowed = *b"borrowed";
        let mut bytes = Bytes::default();
        bytes.give(malloced(b"owned"), true);
        bytes.give(borrowed.as_mut_ptr().cast(), false);
        assert_eq!(bytes.to_vec(8).unwrap(), b"borrowed");
        bytes.give(malloced(b"owned again"), true);
    }
}
