//! A save and a restore in which nothing is copied and nothing compared but by the library itself: for those who measure one.

use super::errno;
use super::failed::Failed;
use super::memory::{Block, taken_in_place};
use super::symbols::Today;
use super::{FIELDS, Generation, Paused, UNSET, from_numbers};
use crate::{Address, SOCCR_MEM_EXCL, SkData};
use libc::{c_int, c_uint, c_void};
use std::net::SocketAddr;

const SIZE: c_uint = size_of::<SkData>() as c_uint;

/// What a save has given, the queues in the memory that the library has handed over.
#[derive(Debug)]
pub struct Taken {
    /// The numbers.
    pub data: SkData,
    /// What was received and not read; `None` where the library has given no memory for it.
    pub receive: Option<Block>,
    /// What was written and not acknowledged.
    pub send: Option<Block>,
}

impl Paused {
    /// Saves the connection, as [`save`](Self::save) does, and leaves the bytes of the queues where the library has put them.
    ///
    /// # Errors
    /// [`Failed`] with the call; always, through the staged interface, which is not measured.
    pub fn take(&mut self) -> Result<Taken, Failed> {
        self.today()?.take_in_place(self.handle.sk())
    }

    /// Restores what was taken, as [`restore`](Self::restore) does. The bytes stay the caller's, and are lent.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn give(
        &mut self,
        taken: &Taken,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(), Failed> {
        let today = self.today()?;
        today.give_in_place(self.handle.sk(), taken, local, remote)
    }

    fn today(&self) -> Result<Today, Failed> {
        match self.handle.library.generation {
            Generation::Today(today) => Ok(today),
            Generation::Staged(_) => Err(Failed {
                call: "libsoccr_save",
                returned: "nothing: it is of the other interface".to_owned(),
                errno: 0,
            }),
        }
    }
}

impl Today {
    fn take_in_place(self, sk: *mut c_void) -> Result<Taken, Failed> {
        let mut data = from_numbers([UNSET; FIELDS.len()]);
        errno::clear();
        // SAFETY: the handle has not ended, and the structure is as large as said.
        let returned = unsafe { (self.save)(sk, &mut data, SIZE) };
        if returned < 0 {
            return Err(Failed::new("libsoccr_save", returned));
        }
        let take = |queue, length| {
            errno::clear();
            // SAFETY: the handle has not ended.
            let bytes = unsafe { (self.get_queue_bytes)(sk, queue, SOCCR_MEM_EXCL) };
            taken_in_place("libsoccr_get_queue_bytes", bytes, length)
        };
        Ok(Taken {
            receive: take(soccr::raw::TCP_RECV_QUEUE, data.inq_len)?,
            send: take(soccr::raw::TCP_SEND_QUEUE, data.outq_len)?,
            data,
        })
    }

    fn give_in_place(
        self,
        sk: *mut c_void,
        taken: &Taken,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(), Failed> {
        const LENT: c_uint = 0;
        // The library may write to what it is lent, and has to leave it as it is (guide G12): a suite asks that, not this.
        let mut data = taken.data;
        let mut addresses = [Address::new(remote), Address::new(local)];
        for (whose, address) in (0..).zip(&mut addresses) {
            let whose: c_int = whose;
            errno::clear();
            // SAFETY: the handle has not ended; the address lives until the restore has returned.
            let returned = unsafe { (self.set_addr)(sk, whose, address, LENT) };
            Failed::unless_zero("libsoccr_set_addr", returned)?;
        }
        for (queue, block) in [
            (soccr::raw::TCP_RECV_QUEUE, &taken.receive),
            (soccr::raw::TCP_SEND_QUEUE, &taken.send),
        ] {
            let Some(block) = block.as_ref().filter(|block| !block.is_empty()) else {
                continue;
            };
            errno::clear();
            // SAFETY: the handle has not ended; the bytes are from malloc(), and live until the restore has returned.
            let returned = unsafe { (self.set_queue_bytes)(sk, queue, block.place(), LENT) };
            Failed::unless_zero("libsoccr_set_queue_bytes", returned)?;
        }
        errno::clear();
        // SAFETY: the handle has not ended, and the structure is as large as said.
        let returned = unsafe { (self.restore)(sk, &mut data, SIZE) };
        Failed::unless_zero("libsoccr_restore", returned)
    }
}
