//! A caller of this crate's own library who passes whatever comes to hand: null, other sizes, other numbers.
//!
//! What would be undefined in C as well it leaves out: a handle is not used once it has ended, memory that is given is as long
//! as the numbers of the restore say, and is kept until the handle ends.

use super::errno;
use crate::{Address, Fault, Handle, SkData, arguments};
use libc::{c_char, c_int, c_uint, c_void};
use std::os::fd::RawFd;
use std::ptr;

/// More than this no queue can have: it is refused before a byte is read.
const LONGEST: usize = (1 << 31) - 1;
/// Where the lengths of both queues stand in the structure.
const INQ_LEN: usize = 4;
const OUTQ_LEN: usize = 12;

/// What a call has returned, and `errno` after it, which was 0 before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number; 0 for a pointer that is not null, -1 for one that is.
    pub returned: i32,
    /// Why it has failed.
    pub errno: i32,
}

type Call = unsafe extern "C" fn(*mut Handle, *mut SkData, c_uint) -> c_int;

/// The calls that take the structure and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they have the names of their functions")]
pub enum WithData {
    Restore,
    SetSkDataUnbound,
    SetSkDataNoq,
    SetSkData,
}

/// Reads the structure as every call does that takes one: from so many bytes and not one more.
///
/// # Errors
/// What such a call fails with where they are too few.
pub fn read(bytes: &[u8]) -> Result<SkData, Fault> {
    let copy: Box<[u8]> = bytes.into();
    // SAFETY: it is as long as said.
    let read = unsafe { arguments::data(copy.as_ptr().cast(), copy.len() as c_uint, ()) };
    read.map_err(|failed| failed.fault)
}

/// A caller, with the handles and the memory that the library has of him.
#[derive(Debug, Default)]
pub struct Careless {
    handles: Vec<Held>,
    lent: Vec<Box<[u8]>>,
}

/// A handle that has not ended.
#[derive(Debug)]
struct Held {
    sk: *mut Handle,
    /// How many bytes the library was given for either queue, where it was.
    given: [Option<usize>; 2],
}

impl Careless {
    /// How many handles have not ended.
    #[must_use]
    pub fn handles(&self) -> usize {
        self.handles.len()
    }

    /// `libsoccr_pause`: whatever the descriptor is. The handle is the last one then.
    pub fn pause(&mut self, fd: RawFd) -> Answer {
        errno::clear();
        let sk = crate::libsoccr_pause(fd);
        let answer = pointer(sk);
        if !sk.is_null() {
            let given = [None, None];
            self.handles.push(Held { sk, given });
        }
        answer
    }

    /// `libsoccr_resume` or `libsoccr_release`, of the handle at a place or of none.
    pub fn end(&mut self, at: usize, resume: bool) {
        let sk = match at < self.handles.len() {
            true => self.handles.remove(at).sk,
            false => ptr::null_mut(),
        };
        match resume {
            // SAFETY: it is null, or has not ended, and nobody has it any more.
            true => unsafe { crate::libsoccr_resume(sk) },
            // SAFETY: as above.
            false => unsafe { crate::libsoccr_release(sk) },
        }
    }

    /// `libsoccr_save` or `libsoccr_get_sk_data`, with room for so many bytes and not one more, or null.
    ///
    /// Returns what was written, too.
    pub fn save(&mut self, at: usize, staged: bool, room: Option<usize>) -> (Answer, Vec<u8>) {
        let sk = self.sk(at);
        let mut memory = vec![0x55; room.unwrap_or(0)];
        memory.shrink_to_fit();
        let data = match room {
            Some(_) => memory.as_mut_ptr().cast(),
            None => ptr::null_mut(),
        };
        let size = memory.len() as c_uint;
        let call = match staged {
            true => crate::libsoccr_get_sk_data,
            false => crate::libsoccr_save as Call,
        };
        errno::clear();
        // SAFETY: the handle is null or has not ended, and the memory is null or as long as said.
        let answer = number(unsafe { call(sk, data, size) });
        if let (Some(held), true) = (self.handles.get_mut(at), answer.returned > 0) {
            // The library has bytes of its own now, and knows how many.
            held.given = [None, None];
        }
        (answer, memory)
    }

    /// A call that takes the structure: so many bytes of it and not one more, or null.
    ///
    /// Returns whether the library has left it as it was, too.
    pub fn with_data(&mut self, at: usize, which: WithData, data: Option<&[u8]>) -> (Answer, bool) {
        let sk = self.sk(at);
        let given = self.handles.get(at).map_or([None, None], |held| held.given);
        let mut memory = data.unwrap_or_default().to_vec();
        if which == WithData::Restore {
            claim(&mut memory, INQ_LEN, given[0]);
            claim(&mut memory, OUTQ_LEN, given[1]);
        }
        let before = memory.clone();
        let size = memory.len() as c_uint;
        let place: *mut SkData = match data {
            Some(_) => memory.as_mut_ptr().cast(),
            None => ptr::null_mut(),
        };
        let call: Call = match which {
            WithData::Restore => crate::libsoccr_restore,
            WithData::SetSkDataUnbound => crate::libsoccr_set_sk_data_unbound,
            WithData::SetSkDataNoq => crate::libsoccr_set_sk_data_noq,
            WithData::SetSkData => crate::libsoccr_set_sk_data,
        };
        errno::clear();
        // SAFETY: the handle is null or has not ended; the structure is null or as long as said; what was given before is
        // there, and as long as the structure says.
        let answer = number(unsafe { call(sk, place, size) });
        (answer, memory == before)
    }

    /// `libsoccr_get_queue_bytes` of either interface; what changes hands is freed.
    pub fn get_queue_bytes(&mut self, at: usize, staged: bool, queue: i32, flags: u32) -> Answer {
        let sk = self.sk(at);
        let (steal, exclusive) = (flags as i32, flags & crate::SOCCR_MEM_EXCL != 0);
        let taken = if staged { steal != 0 } else { exclusive };
        errno::clear();
        let bytes = match staged {
            // SAFETY: the handle is null or has not ended.
            true => unsafe { crate::libsoccr_staged_get_queue_bytes(sk, queue, steal) },
            // SAFETY: as above.
            false => unsafe { crate::libsoccr_get_queue_bytes(sk, queue, flags) },
        };
        let answer = pointer(bytes);
        if taken && !bytes.is_null() {
            self.forget(at, queue);
            // What was lent is the caller's already.
            if !self.is_lent(bytes) {
                // SAFETY: it is from malloc(), and the caller's now.
                unsafe { libc::free(bytes.cast()) };
            }
        }
        answer
    }

    /// `libsoccr_set_queue_bytes` of today's interface: lent, or given away.
    pub fn set_queue_bytes(
        &mut self,
        at: usize,
        queue: i32,
        bytes: Option<&[u8]>,
        flags: u32,
    ) -> Answer {
        let sk = self.sk(at);
        let exclusive = flags & crate::SOCCR_MEM_EXCL != 0;
        let place = self.place(bytes, exclusive);
        errno::clear();
        // SAFETY: the handle is null or has not ended; the memory is null, lent until then, or from malloc().
        let answer =
            number(unsafe { crate::libsoccr_set_queue_bytes(sk, queue, place.cast(), flags) });
        match answer.returned {
            0 => self.note(at, queue, bytes.map(<[u8]>::len)),
            // SAFETY: it is null or from malloc(), and still the caller's.
            _ if exclusive => unsafe { libc::free(place) },
            _ => {}
        }
        answer
    }

    /// `libsoccr_set_queue_bytes` of the staged interface: as many bytes as the structure says, if it is long enough to say it.
    pub fn staged_set_queue_bytes(
        &mut self,
        at: usize,
        queue: i32,
        data: Option<&[u8]>,
        bytes: Option<&[u8]>,
    ) -> Answer {
        let sk = self.sk(at);
        let mut memory = data.unwrap_or_default().to_vec();
        let there = bytes.map(<[u8]>::len);
        claim(&mut memory, INQ_LEN, there);
        claim(&mut memory, OUTQ_LEN, there);
        let size = memory.len() as c_uint;
        let place: *mut SkData = match data {
            Some(_) => memory.as_mut_ptr().cast(),
            None => ptr::null_mut(),
        };
        let mut copy = bytes.map(<[u8]>::to_vec);
        let from: *mut c_char = copy
            .as_mut()
            .map_or(ptr::null_mut(), |it| it.as_mut_ptr().cast());
        errno::clear();
        // SAFETY: the handle is null or has not ended; both pieces of memory are null or as long as said.
        number(unsafe { crate::libsoccr_staged_set_queue_bytes(sk, place, size, queue, from) })
    }

    /// `libsoccr_set_addr`: so much of an address as a `sockaddr_in6` has, lent or given away.
    pub fn set_addr(
        &mut self,
        at: usize,
        local: i32,
        address: Option<&[u8; size_of::<Address>()]>,
        flags: u32,
    ) -> Answer {
        let sk = self.sk(at);
        let exclusive = flags & crate::SOCCR_MEM_EXCL != 0;
        let place = self.place(address.map(|it| &it[..]), exclusive);
        errno::clear();
        // SAFETY: the handle is null or has not ended; the memory is null, lent until then, or from malloc().
        let answer = number(unsafe { crate::libsoccr_set_addr(sk, local, place.cast(), flags) });
        if answer.returned != 0 && exclusive {
            // SAFETY: it is null or from malloc(), and still the caller's.
            unsafe { libc::free(place) };
        }
        answer
    }

    /// `libsoccr_get_addr`; what changes hands is freed.
    pub fn get_addr(&mut self, at: usize, local: i32, flags: u32) -> Answer {
        let sk = self.sk(at);
        errno::clear();
        // SAFETY: the handle is null or has not ended.
        let address = unsafe { crate::libsoccr_get_addr(sk, local, flags) };
        let answer = pointer(address);
        if flags & crate::SOCCR_MEM_EXCL != 0 && !self.is_lent(address.cast()) {
            // SAFETY: it is null, or from malloc() and the caller's now.
            unsafe { libc::free(address.cast()) };
        }
        answer
    }

    /// The handle at a place, or null.
    fn sk(&self, at: usize) -> *mut Handle {
        self.handles.get(at).map_or(ptr::null_mut(), |held| held.sk)
    }

    /// Memory with these bytes and not one more: from malloc(), or the caller's own.
    fn place(&mut self, bytes: Option<&[u8]>, exclusive: bool) -> *mut c_void {
        let Some(bytes) = bytes else {
            return ptr::null_mut();
        };
        if !exclusive {
            let mut lent: Box<[u8]> = bytes.into();
            let place = lent.as_mut_ptr();
            self.lent.push(lent);
            return place.cast();
        }
        // SAFETY: any length may be asked for.
        let memory = unsafe { libc::malloc(bytes.len()) };
        if !memory.is_null() {
            // SAFETY: it is as long, and new.
            unsafe {
                memory
                    .cast::<u8>()
                    .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            };
        }
        memory
    }

    fn is_lent(&self, memory: *const c_char) -> bool {
        let lent = self.lent.iter();
        lent.map(|it| it.as_ptr()).any(|it| it == memory.cast())
    }

    fn note(&mut self, at: usize, queue: i32, length: Option<usize>) {
        let held = self.handles.get_mut(at);
        let given = held.and_then(|held| held.given.get_mut(index(queue)?));
        if let Some(given) = given {
            *given = length;
        }
    }

    fn forget(&mut self, at: usize, queue: i32) {
        self.note(at, queue, None);
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        while self.handles() > 0 {
            self.end(0, false);
        }
    }
}

fn index(queue: i32) -> Option<usize> {
    match queue {
        soccr::raw::TCP_RECV_QUEUE => Some(0),
        soccr::raw::TCP_SEND_QUEUE => Some(1),
        _ => None,
    }
}

/// Lets a structure claim no more bytes than there are, unless that is more than any queue can have.
fn claim(data: &mut [u8], at: usize, there: Option<usize>) {
    let place = data.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>);
    if let (Some(place), Some(there)) = (place, there) {
        let claimed = u32::from_ne_bytes(*place) as usize;
        if claimed <= LONGEST {
            *place = (claimed.min(there) as u32).to_ne_bytes();
        }
    }
}

fn number(returned: c_int) -> Answer {
    Answer {
        returned,
        errno: errno::last(),
    }
}

fn pointer<T>(returned: *mut T) -> Answer {
    Answer {
        returned: if returned.is_null() { -1 } else { 0 },
        errno: errno::last(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Answer = Answer {
        returned: -1,
        errno: libc::EINVAL,
    };

    #[test]
    fn without_a_handle_everything_is_refused() {
        let mut caller = Careless::default();
        assert_eq!(caller.pause(-1).errno, libc::EBADF);
        assert_eq!(caller.handles(), 0);
        caller.end(0, true);
        caller.end(0, false);
        assert_eq!(caller.save(0, false, Some(70)), (REFUSED, vec![0x55; 70]));
        assert_eq!(caller.save(0, true, None), (REFUSED, vec![]));
        for call in [
            WithData::Restore,
            WithData::SetSkDataUnbound,
            WithData::SetSkDataNoq,
            WithData::SetSkData,
        ] {
            assert_eq!(caller.with_data(0, call, Some(&[1; 68])), (REFUSED, true));
        }
        for flags in 0..4 {
            assert_eq!(caller.get_queue_bytes(0, false, 1, flags), REFUSED);
            assert_eq!(caller.get_queue_bytes(0, true, 1, flags), REFUSED);
            assert_eq!(caller.set_queue_bytes(0, 1, Some(b"abc"), flags), REFUSED);
            assert_eq!(caller.set_addr(0, 1, Some(&[2; 28]), flags), REFUSED);
            assert_eq!(caller.get_addr(0, 1, flags), REFUSED);
        }
        let answer = caller.staged_set_queue_bytes(0, 1, Some(&[9; 68]), Some(b"abc"));
        assert_eq!(answer, REFUSED);
    }

    #[test]
    fn no_more_is_claimed_than_there_is_but_for_what_is_refused_anyway() {
        for (claimed, there, left) in [
            (5, Some(3), 3),
            (2, Some(3), 2),
            (5, None, 5),
            (u32::MAX, Some(3), u32::MAX),
            (1 << 31, Some(3), 1 << 31),
            ((1 << 31) - 1, Some(0), 0),
        ] {
            let mut data = [[0; 4], claimed.to_ne_bytes()].concat();
            claim(&mut data, INQ_LEN, there);
            assert_eq!(data[4..], left.to_ne_bytes(), "{claimed} {there:?}");
        }
        // What is too short says nothing.
        claim(&mut [9; 7], INQ_LEN, Some(3));
    }
}
