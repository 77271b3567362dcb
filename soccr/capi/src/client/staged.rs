//! The staged interface: the caller binds and connects himself.

use super::errno;
use super::failed::Failed;
use super::memory::taken;
use super::numbers::edits;
use super::symbols::Staged;
use super::{Given, Outcome};
use crate::SkData;
use libc::{c_int, c_uint, c_void};
use std::io;
use std::os::fd::OwnedFd;

const SIZE: c_uint = size_of::<SkData>() as c_uint;

impl Staged {
    pub(super) fn save(
        self,
        sk: *mut c_void,
        data: &mut SkData,
    ) -> Result<(c_int, Vec<u8>, Vec<u8>), Failed> {
        errno::clear();
        // SAFETY: the handle has not ended, and the structure is as large as said.
        let returned = unsafe { (self.get_sk_data)(sk, data, SIZE) };
        if returned < 0 {
            return Err(Failed::new("libsoccr_get_sk_data", returned));
        }
        let take = |queue, length| {
            errno::clear();
            // SAFETY: the handle has not ended.
            let bytes = unsafe { (self.get_queue_bytes)(sk, queue, 1) };
            taken("libsoccr_get_queue_bytes", bytes, length)
        };
        let receive = take(soccr::raw::TCP_RECV_QUEUE, data.inq_len)?;
        let send = take(soccr::raw::TCP_SEND_QUEUE, data.outq_len)?;
        Ok((returned, receive, send))
    }

    pub(super) fn restore(self, sk: *mut c_void, socket: &OwnedFd, given: &Given<'_>) -> Outcome {
        let mut data = *given.data;
        let (mut receive, mut send) = (given.receive.to_vec(), given.send.to_vec());
        let result = self.steps(sk, socket, given, &mut data, [&mut receive, &mut send]);
        let mut edited = edits(given.data, &data);
        if receive != given.receive {
            edited.push("the bytes of the receive queue are others".to_owned());
        }
        if send != given.send {
            edited.push("the bytes of the send queue are others".to_owned());
        }
        Outcome { result, edited }
    }

    fn steps(
        self,
        sk: *mut c_void,
        socket: &OwnedFd,
        given: &Given<'_>,
        data: &mut SkData,
        [receive, send]: [&mut Vec<u8>; 2],
    ) -> Result<(), Failed> {
        errno::clear();
        // SAFETY: the handle has not ended, and the structure is as large as said.
        let returned = unsafe { (self.set_sk_data_unbound)(sk, data, SIZE) };
        Failed::unless_zero("libsoccr_set_sk_data_unbound", returned)?;
        own("bind", soccr::raw::bind(socket, given.local))?;
        match soccr::raw::connect(socket, given.remote) {
            // The SYN of an attempt to connect is sent here.
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            other => own("connect", other)?,
        }
        errno::clear();
        // SAFETY: as above.
        let returned = unsafe { (self.set_sk_data_noq)(sk, data, SIZE) };
        Failed::unless_zero("libsoccr_set_sk_data_noq", returned)?;
        for (queue, bytes) in [
            (soccr::raw::TCP_RECV_QUEUE, receive),
            (soccr::raw::TCP_SEND_QUEUE, send),
        ] {
            if bytes.is_empty() {
                continue;
            }
            let bytes = bytes.as_mut_ptr().cast();
            errno::clear();
            // SAFETY: as above; the bytes are as many as the structure says, and are copied.
            let returned = unsafe { (self.set_queue_bytes)(sk, data, SIZE, queue, bytes) };
            Failed::unless_zero("libsoccr_set_queue_bytes", returned)?;
        }
        errno::clear();
        // SAFETY: as above.
        let returned = unsafe { (self.set_sk_data)(sk, data, SIZE) };
        Failed::unless_zero("libsoccr_set_sk_data", returned)
    }
}

/// A call that the caller makes himself.
fn own(call: &'static str, result: io::Result<()>) -> Result<(), Failed> {
    result.map_err(|error| Failed {
        call,
        returned: (-1).to_string(),
        errno: error.raw_os_error().unwrap_or(0),
    })
}
