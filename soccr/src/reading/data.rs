//! What is read in repair mode, but for the bytes of the queues.

use super::{accurate_ecn, carried, deselect, queue_length, select, unsupported};
use crate::endpoints::Endpoints;
use crate::error::{At, Error, Step, Unsupported};
use crate::losses::{Loss, Lost};
use crate::queue::Queue;
use crate::raw::{Opt, TCPI_OPT_ECN, TcpInfo};
use crate::seq::Seq;
use crate::state::TcpState;
use crate::sys;
use crate::window::Window;
use std::os::fd::BorrowedFd;

/// Length of a `struct tcp_info` that ends with `tcpi_bytes_sent` (kernel 4.19).
const COUNTS_WHAT_LEFT: usize = 208;

/// Length of one that ends with `tcpi_notsent_bytes` (kernel 4.6).
const COUNTS_UNSENT: usize = 148;

/// What is read during the pause, but for the bytes of the queues.
#[derive(Debug)]
pub(crate) struct Data {
    pub(super) state: TcpState,
    pub(crate) info: TcpInfo,
    pub(super) mss_clamp: u16,
    pub(super) window: Option<Window>,
    pub(super) inq: usize,
    pub(super) outq: usize,
    pub(super) outq_unsent: u32,
    pub(super) rcv_nxt: Seq,
    pub(super) write_seq: Seq,
    pub(super) ready: i16,
    /// Whether the receive queue, which is read next, is still selected.
    pub(super) receive_selected: bool,
    untouched: Untouched,
}

impl Data {
    /// Reads everything, of a socket of which no queue was selected yet; leaves the receive queue selected, to be read.
    pub(crate) fn read(fd: BorrowedFd<'_>) -> Result<Self, Error> {
        let (state, info) = carried(fd, Step::ReadData)?;
        Self::read_on(fd, state, info, Untouched::of(&info))
    }

    /// Reads everything once more.
    pub(crate) fn read_again(&self, fd: BorrowedFd<'_>) -> Result<Self, Error> {
        let (state, info) = carried(fd, Step::ReadData)?;
        Self::read_on(fd, state, info, self.untouched)
    }

    fn read_on(
        fd: BorrowedFd<'_>,
        state: TcpState,
        info: TcpInfo,
        untouched: Untouched,
    ) -> Result<Self, Error> {
        if sys::siocatmark(fd).at(Step::ReadData, "ioctl(SIOCATMARK)")? {
            let unread = queue_length(sys::siocinq(fd), Step::ReadData, "ioctl(SIOCINQ)")?;
            let readable = 0;
            return Err(unsupported(
                Step::ReadData,
                Unsupported::UrgentData { readable, unread },
            ));
        }
        // In repair mode this is what the peer announced; outside of it, what a segment now holds (guide A58).
        let mss_clamp =
            sys::get_int(fd, Opt::TCP_MAXSEG).at(Step::ReadData, Opt::TCP_MAXSEG.getting)?;
        // The send queue first, so that it is not selected for long: see `Untouched`.
        let write_seq = queue_end(fd, Queue::Send)?;
        let rcv_nxt = queue_end(fd, Queue::Receive)?;
        Ok(Self {
            state,
            info,
            mss_clamp: u16::try_from(mss_clamp).unwrap_or(u16::MAX),
            window: read_window(fd, Step::ReadData)?,
            inq: queue_length(sys::siocinq(fd), Step::ReadData, "ioctl(SIOCINQ)")?,
            outq: queue_length(sys::siocoutq(fd), Step::ReadData, "ioctl(SIOCOUTQ)")?,
            outq_unsent: unsent_length(fd)?,
            write_seq,
            rcv_nxt,
            ready: sys::poll_now(fd).at(Step::ReadData, "poll")?,
            receive_selected: true,
            untouched,
        })
    }

    /// Selects no queue, so that a write of somebody else fails.
    pub(crate) fn deselect(&mut self, fd: BorrowedFd<'_>) -> Result<(), Error> {
        self.receive_selected = false;
        deselect(fd, Step::ReadData)
    }

    /// Bytes in the send queue: a FIN counts in the kernel's length (guide A26), and of a connection that is gone
    /// the kernel still tells the length though the queue is (guide C28).
    pub(super) fn sent_bytes(&self) -> usize {
        if !self.state.is_synchronized() {
            return 0;
        }
        self.outq.saturating_sub(usize::from(self.state.owes_fin()))
    }

    /// How many of them were never sent, and whether a FIN, which is last, was not: as long as anything is.
    pub(crate) fn unsent(&self) -> (u32, bool) {
        let unsent = self.outq_unsent + self.taken_as_sent();
        let bytes = match self.state.is_synchronized() {
            true => unsent.saturating_sub(u32::from(self.state.owes_fin())),
            false => 0,
        };
        (bytes, self.state.owes_fin() && unsent > 0)
    }

    /// Whether a segment, of whatever kind, has left since; what it has carried counts as sent from here on.
    pub(crate) fn look_what_has_left(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Error> {
        let (state, info) = carried(fd, Step::ReadData)?;
        let before = (self.unsent(), self.info.segs_out);
        self.outq_unsent = unsent_length_by(state, &info, fd)?;
        self.info = info;
        Ok((self.unsent(), self.info.segs_out) != before)
    }

    /// How many bytes the kernel calls sent that never were.
    pub(crate) fn taken_as_sent(&self) -> u32 {
        let unsent = self.untouched.unsent_now(&self.info);
        // A FIN alone: nothing tells whether it was sent.
        match unsent > u32::from(self.state.owes_fin()) {
            true => unsent.saturating_sub(self.outq_unsent),
            false => 0,
        }
    }

    /// Whether the application has shut its reading side: end of stream is reported though no FIN has come.
    pub(super) fn shutdown_read(&self, endpoints: &Endpoints) -> bool {
        let ended =
            self.state.has_peer_fin() || (self.state == TcpState::Close && endpoints.has_remote());
        !ended && self.ready & libc::POLLRDHUP != 0
    }

    /// An error, or a message in the error queue: `poll` does not tell which.
    pub(super) fn error_waits(&self) -> bool {
        self.ready & libc::POLLERR != 0
    }

    pub(super) fn unsaved(&self, endpoints: &Endpoints) -> Vec<Loss> {
        let mut losses = Vec::new();
        let mut lose = |what, detail: String| losses.push(Loss::new(what, detail));
        if self.state.is_synchronized() {
            if self.info.options & TCPI_OPT_ECN != 0 {
                let detail = match accurate_ecn(self.state, &self.info) {
                    true => "AccECN, which the peer goes on with: it counts marks that never were",
                    false => "negotiated, and not used after a restore",
                };
                lose(Lost::Ecn, detail.to_owned());
            }
            if self.info.rcv_ooopack > 0 {
                let detail = format!(
                    "{} segments came beyond a hole so far; what still waits there, the peer sends again",
                    self.info.rcv_ooopack
                );
                lose(Lost::OutOfOrder, detail);
            }
        }
        if self.state != TcpState::Close && self.error_waits() {
            let detail =
                "something waits in the error queue, or an error that did not end the connection";
            lose(Lost::PendingError, detail.to_owned());
        }
        if self.state == TcpState::SynSent {
            let detail = "the SYN that is sent again has the options and the clock of its new host; an answer to the first \
                          one is reset if it echoes that one's clock, and the peer answers the next SYN";
            lose(Lost::Clock, detail.to_owned());
        }
        if self.state == TcpState::Close && endpoints.has_remote() {
            let detail = "what the connection left in TIME-WAIT, if anything, stays on its host";
            lose(Lost::TimeWait, detail.to_owned());
        }
        losses
    }

    /// Whether nothing has moved since: no data, no acknowledgement, no window update, no FIN.
    pub(crate) fn still_holds(&self, fd: BorrowedFd<'_>) -> Result<bool, Error> {
        let (state, info) = carried(fd, Step::ReadData)?;
        // The counters tell data that came and was read, or was written and acknowledged, in between.
        Ok(state == self.state
            && info.options == self.info.options
            && info.bytes_acked == self.info.bytes_acked
            && info.bytes_received == self.info.bytes_received
            && info.bytes_sent == self.info.bytes_sent
            && self.inq == queue_length(sys::siocinq(fd), Step::ReadData, "ioctl(SIOCINQ)")?
            && self.outq == queue_length(sys::siocoutq(fd), Step::ReadData, "ioctl(SIOCOUTQ)")?
            && self.outq_unsent == unsent_length_by(state, &info, fd)?
            && self.window == read_window(fd, Step::ReadData)?)
    }
}

/// What was unsent before the send queue was selected.
///
/// As long as it is selected, an acknowledgement that comes in makes the kernel take all that is unsent as sent, while nothing
/// leaves (guide A65; kernel `tcp_write_xmit`). What has really left it counts apart. Its timer does send, from the oldest byte
/// on (guide A9), also of what never was sent before, and to the kernel that is sent again.
#[derive(Clone, Copy, Debug)]
struct Untouched {
    unsent: u32,
    sent: u64,
}

impl Untouched {
    fn of(info: &TcpInfo) -> Self {
        Self {
            unsent: info.notsent_bytes,
            sent: info.bytes_sent,
        }
    }

    /// What is unsent now, at most; nothing is written meanwhile. Before kernel 4.19, which does not count, it cannot be told.
    ///
    /// Everything that has left since may have been of it. What was in flight before, and is sent again, is taken off for
    /// nothing: a byte that is called sent and never was is sent again by a timer, while one that the peer has and that is
    /// called unsent is acknowledged by nobody (kernel `tcp_ack`).
    fn unsent_now(&self, info: &TcpInfo) -> u32 {
        if info.length < COUNTS_WHAT_LEFT {
            return 0;
        }
        let sent = info.bytes_sent.saturating_sub(self.sent);
        u32::try_from(u64::from(self.unsent).saturating_sub(sent)).unwrap_or(0)
    }
}

/// Both windows, or `None` on a kernel that does not tell (before 4.8).
pub(crate) fn read_window(fd: BorrowedFd<'_>, step: Step) -> Result<Option<Window>, Error> {
    let mut bytes = [0; Window::SIZE];
    match sys::get(fd, Opt::TCP_REPAIR_WINDOW, &mut bytes) {
        Ok(_) => Ok(Some(Window::from_bytes(bytes))),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        Err(error) => Err(error).at(step, Opt::TCP_REPAIR_WINDOW.getting),
    }
}

/// Closes the window of the peer, as far as this socket knows: nothing new leaves any more, whatever makes the kernel send
/// (`tcp_write_xmit`), until the peer says another one. With no queue selected it would, in repair mode, too (guide A9).
///
/// A kernel that knows no window to set (before 4.8) goes on sending.
pub(crate) fn close_window(fd: BorrowedFd<'_>, step: Step) -> Result<(), Error> {
    let Some(window) = read_window(fd, step)? else {
        return Ok(());
    };
    let closed = Window {
        snd_wnd: 0,
        ..window
    };
    sys::set(fd, Opt::TCP_REPAIR_WINDOW, &closed.to_bytes())
        .at(step, Opt::TCP_REPAIR_WINDOW.setting)
}

/// Selects a queue and reads the sequence number at its end.
fn queue_end(fd: BorrowedFd<'_>, queue: Queue) -> Result<Seq, Error> {
    select(fd, queue.number(), Step::ReadData)?;
    let end =
        sys::get_int(fd, Opt::TCP_QUEUE_SEQ).at(Step::ReadData, Opt::TCP_QUEUE_SEQ.getting)?;
    Ok(Seq(end as u32))
}

/// As [`unsent_length`], without a call where `TCP_INFO` has the same number: of an attempt to connect it has another one.
fn unsent_length_by(state: TcpState, info: &TcpInfo, fd: BorrowedFd<'_>) -> Result<u32, Error> {
    match info.length >= COUNTS_UNSENT && state.is_synchronized() {
        true => Ok(info.notsent_bytes),
        false => unsent_length(fd),
    }
}

fn unsent_length(fd: BorrowedFd<'_>) -> Result<u32, Error> {
    let unsent = sys::siocoutqnsd(fd).at(Step::ReadData, "ioctl(SIOCOUTQNSD)")?;
    Ok(unsent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kernel writes it that counts what has left.
    fn info(unsent: u32, sent: u64) -> TcpInfo {
        let mut info = TcpInfo::decode(&[]);
        info.length = COUNTS_WHAT_LEFT;
        info.notsent_bytes = unsent;
        info.bytes_sent = sent;
        info
    }

    #[test]
    fn whatever_has_left_since_may_be_what_was_unsent() {
        let before = Untouched::of(&info(700, 5_000));
        // The kernel says that nothing is unsent, and what has left tells how much of it is true.
        assert_eq!(before.unsent_now(&info(0, 5_000)), 700);
        assert_eq!(before.unsent_now(&info(0, 5_300)), 400);
        assert_eq!(before.unsent_now(&info(0, 5_900)), 0);
    }

    #[test]
    fn a_kernel_that_does_not_count_is_believed() {
        let before = Untouched::of(&info(700, 0));
        let mut older = info(0, 0);
        older.length -= 1;
        assert_eq!(before.unsent_now(&older), 0);
    }
}
