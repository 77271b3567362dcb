//! Today's interface: one call saves, one restores.

use super::errno;
use super::failed::Failed;
use super::memory::{bytes_of, copied, taken};
use super::numbers::edits;
use super::symbols::Today;
use super::{Given, Outcome};
use crate::{Address, SOCCR_MEM_EXCL, SkData};
use libc::{c_char, c_int, c_uint, c_void};

/// The memory stays whose it is.
const LENT: c_uint = 0;

const ITSELF: c_int = 1;
const PEER: c_int = 0;

const SIZE: c_uint = size_of::<SkData>() as c_uint;

impl Today {
    pub(super) fn save(
        self,
        sk: *mut c_void,
        data: &mut SkData,
    ) -> Result<(c_int, Vec<u8>, Vec<u8>), Failed> {
        errno::clear();
        // SAFETY: the handle has not ended, and the structure is as large as said.
        let returned = unsafe { (self.save)(sk, data, SIZE) };
        if returned < 0 {
            return Err(Failed::new("libsoccr_save", returned));
        }
        let take = |queue, length| {
            errno::clear();
            // SAFETY: the handle has not ended.
            let bytes = unsafe { (self.get_queue_bytes)(sk, queue, SOCCR_MEM_EXCL) };
            taken("libsoccr_get_queue_bytes", bytes, length)
        };
        let receive = take(soccr::raw::TCP_RECV_QUEUE, data.inq_len)?;
        let send = take(soccr::raw::TCP_SEND_QUEUE, data.outq_len)?;
        Ok((returned, receive, send))
    }

    pub(super) fn restore(self, sk: *mut c_void, given: &Given<'_>) -> Outcome {
        let mut data = *given.data;
        let mut local = Address::new(given.local);
        let mut receive = given.receive.to_vec();
        let result = self
            .give(sk, given, &mut local, &mut receive)
            .and_then(|()| {
                errno::clear();
                // SAFETY: the handle has not ended, and the structure is as large as said.
                let returned = unsafe { (self.restore)(sk, &mut data, SIZE) };
                Failed::unless_zero("libsoccr_restore", returned)
            });
        let mut edited = edits(given.data, &data);
        if bytes_of(&local) != bytes_of(&Address::new(given.local)) {
            edited.push("the local address is another".to_owned());
        }
        if receive != given.receive {
            edited.push("the bytes of the receive queue are others".to_owned());
        }
        Outcome { result, edited }
    }

    /// Of what is lent, the caller has to keep until the restore has returned what he gives here.
    fn give(
        self,
        sk: *mut c_void,
        given: &Given<'_>,
        local: &mut Address,
        receive: &mut [u8],
    ) -> Result<(), Failed> {
        self.set_addr(sk, ITSELF, local, LENT)?;
        let remote = copied(bytes_of(&Address::new(given.remote)))?;
        self.set_addr(sk, PEER, remote.cast(), SOCCR_MEM_EXCL)?;
        if !receive.is_empty() {
            let bytes = receive.as_mut_ptr().cast();
            self.set_queue_bytes(sk, soccr::raw::TCP_RECV_QUEUE, bytes, LENT)?;
        }
        if !given.send.is_empty() {
            let bytes = copied(given.send)?;
            self.set_queue_bytes(sk, soccr::raw::TCP_SEND_QUEUE, bytes, SOCCR_MEM_EXCL)?;
        }
        Ok(())
    }

    fn set_addr(
        self,
        sk: *mut c_void,
        whose: c_int,
        address: *mut Address,
        flags: c_uint,
    ) -> Result<(), Failed> {
        errno::clear();
        // SAFETY: the handle has not ended; the address is from malloc(), or lives until the restore has returned.
        let returned = unsafe { (self.set_addr)(sk, whose, address, flags) };
        Failed::unless_zero("libsoccr_set_addr", returned)
    }

    fn set_queue_bytes(
        self,
        sk: *mut c_void,
        queue: c_int,
        bytes: *mut c_char,
        flags: c_uint,
    ) -> Result<(), Failed> {
        errno::clear();
        // SAFETY: the handle has not ended; the bytes are from malloc(), or live until the restore has returned.
        let returned = unsafe { (self.set_queue_bytes)(sk, queue, bytes, flags) };
        Failed::unless_zero("libsoccr_set_queue_bytes", returned)
    }
}
