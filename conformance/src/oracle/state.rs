//! The kernel's own view of a socket in repair mode, read without the library that is being judged.

use crate::verdict::{Failure, Stop, Verdict};
use soccr::raw::{self, MSG_DONTWAIT, MSG_PEEK, Opt};
use soccr::{Seq, TcpState};
use std::fmt::Debug;
use std::io;
use std::os::fd::AsFd;

/// The bits of `tcpi_options` that must survive; others come and go with traffic (guide H5). Window scaling is
/// compared by its shifts: a connection without it is restored with shifts of zero (guide A47).
const NEGOTIATED: u8 = raw::TCPI_OPT_TIMESTAMPS | raw::TCPI_OPT_SACK | raw::TCPI_OPT_USEC_TS;

/// All that the kernel tells of a socket in repair mode and that a restore must bring back.
#[derive(Clone, PartialEq, Eq)]
pub struct KernelView {
    /// `tcpi_state`.
    pub state: u8,
    /// The bits of `tcpi_options` that were negotiated.
    pub options: u8,
    /// Send and receive window shift.
    pub shifts: (u8, u8),
    /// The peer's maximum segment size.
    pub mss_clamp: i32,
    /// The payload of a full segment.
    pub snd_mss: u32,
    /// snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup.
    pub window: [u32; 5],
    /// Sequence number after the receive queue.
    pub rcv_nxt: u32,
    /// Sequence number after the send queue.
    pub write_seq: u32,
    /// Bytes never sent.
    pub unsent: i32,
    /// Bytes in the receive queue. What they are, the streams tell: a look at them can send a window update
    /// (`tcp_cleanup_rbuf`), also from a socket in repair mode.
    pub received: i32,
    /// The send queue.
    pub sent: Vec<u8>,
    /// What `poll` says, but for room to write, which depends on buffers.
    pub ready: i16,
}

impl KernelView {
    /// Reads a socket that is in repair mode, and leaves no queue selected.
    ///
    /// # Errors
    /// [`Stop::Broken`] where a call fails that cannot.
    pub fn read(socket: &impl AsFd) -> Result<Self, Stop> {
        let info = raw::tcp_info(socket)?;
        let mut window = [0; 20];
        raw::get(socket, Opt::TCP_REPAIR_WINDOW, &mut window)?;
        let mut words = [0; 5];
        for (word, bytes) in words.iter_mut().zip(window.chunks_exact(4)) {
            *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let rcv_nxt = queue_end(socket, raw::TCP_RECV_QUEUE)?;
        let write_seq = queue_end(socket, raw::TCP_SEND_QUEUE)?;
        let sent = send_queue(socket, info.state)?;
        raw::set_int(socket, Opt::TCP_REPAIR_QUEUE, raw::TCP_NO_QUEUE)?;
        Ok(Self {
            state: info.state,
            options: info.options & NEGOTIATED,
            shifts: (info.snd_wscale, info.rcv_wscale),
            mss_clamp: raw::get_int(socket, Opt::TCP_MAXSEG)?,
            snd_mss: info.snd_mss,
            window: words,
            rcv_nxt,
            write_seq,
            unsent: raw::siocoutqnsd(socket)?,
            received: raw::siocinq(socket)?,
            sent,
            ready: raw::poll(socket)? & !libc::POLLOUT,
        })
    }

    /// What this view becomes when an acknowledgement that was due leaves: the one that the timer sends some 40 ms after
    /// a FIN or a segment came in, in repair mode too. It announces the window anew, and never takes any of it back.
    pub fn allow_acknowledgement(&mut self, actual: &Self) {
        let edge = |window: &[u32; 5]| Seq(window[3].wrapping_add(window[4]));
        let acknowledged = actual.window[4] == self.rcv_nxt && actual.window[4] != self.window[4];
        if acknowledged && !edge(&actual.window).before(edge(&self.window)) {
            self.window[3..].copy_from_slice(&actual.window[3..]);
        }
    }

    /// What this view becomes where the kernel would refuse it: a segment that the socket had no room for has updated the
    /// send window, and lies beyond the receive window, which is raised to reach it (guide G1, H1).
    pub fn allow_raised_window(&mut self) {
        let [snd_wl1, _, _, rcv_wnd, rcv_wup] = self.window;
        if Seq(snd_wl1).after(Seq(self.rcv_nxt) + rcv_wnd) {
            self.window[3] = snd_wl1.wrapping_sub(rcv_wup);
        }
    }

    /// Fails with every field in which this view differs from the one before the checkpoint.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the fields, expected and actual.
    pub fn expect_equal(&self, before: &Self) -> Verdict {
        let mut different = Vec::new();
        let mut compare = |field: &'static str, before: &dyn Debug, after: &dyn Debug| {
            let (before, after) = (format!("{before:?}"), format!("{after:?}"));
            if before != after {
                different.push((field, before, after));
            }
        };
        compare("tcpi_state", &before.state, &self.state);
        compare("tcpi_options", &before.options, &self.options);
        compare("window shifts", &before.shifts, &self.shifts);
        compare("mss_clamp", &before.mss_clamp, &self.mss_clamp);
        compare("tcpi_snd_mss", &before.snd_mss, &self.snd_mss);
        for (index, field) in ["snd_wl1", "snd_wnd", "max_window", "rcv_wnd", "rcv_wup"]
            .iter()
            .enumerate()
        {
            compare(field, &before.window[index], &self.window[index]);
        }
        compare("rcv_nxt", &before.rcv_nxt, &self.rcv_nxt);
        compare("write_seq", &before.write_seq, &self.write_seq);
        compare("SIOCOUTQNSD", &before.unsent, &self.unsent);
        compare("SIOCINQ", &before.received, &self.received);
        compare("poll", &before.ready, &self.ready);
        compare("SIOCOUTQ", &before.sent.len(), &self.sent.len());
        compare(
            "the send queue is the same",
            &true,
            &(before.sent == self.sent),
        );
        if different.is_empty() {
            return Ok(());
        }
        let list = |pick: fn(&(&str, String, String)) -> String| {
            different.iter().map(pick).collect::<Vec<_>>().join(", ")
        };
        Err(Failure::new(
            "the kernel's view of the restored socket",
            list(|(field, before, _)| format!("{field} {before}")),
            list(|(field, _, after)| format!("{field} {after}")),
        )
        .into())
    }
}

/// Selects a queue and reads the sequence number at its end.
fn queue_end(socket: &impl AsFd, queue: i32) -> io::Result<u32> {
    raw::set_int(socket, Opt::TCP_REPAIR_QUEUE, queue)?;
    Ok(raw::get_int(socket, Opt::TCP_QUEUE_SEQ)? as u32)
}

/// The bytes of the send queue, which has to be selected.
fn send_queue(socket: &impl AsFd, state: u8) -> Result<Vec<u8>, Stop> {
    // A FIN that is not acknowledged counts, and is no byte.
    let fin = TcpState::from_kernel(state).is_some_and(TcpState::owes_fin);
    let length = raw::siocoutq(socket)?.unsigned_abs() as usize - usize::from(fin);
    if length == 0 {
        return Ok(Vec::new());
    }
    // The queue can begin with a segment of which a part is already acknowledged (guide A25).
    let mut bytes = vec![0; length + (1 << 20)];
    let count = raw::recv(socket, &mut bytes, MSG_PEEK | MSG_DONTWAIT)?;
    if count > bytes.len() || count < length {
        return Err(Stop::Broken(format!(
            "peeking at {length} bytes of the send queue gave {count}"
        )));
    }
    bytes.truncate(count);
    Ok(bytes.split_off(count - length))
}
