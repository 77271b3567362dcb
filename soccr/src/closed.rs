//! Sockets whose connection is over: what is left to read, and the error or the end behind it.
//!
//! No packet of the old connection is needed for them, nor its place in the table of connections. The socket is connected
//! to a double of the peer on its own address, is given what was left to read, and the double resets the connection:
//! the kernel itself then brings the socket to where it was. The only packet goes from this host to this host.

use crate::endpoints::{Family, packet_family};
use crate::error::{At, Error, ErrorKind, Step};
use crate::finishing::set_window;
use crate::losses::{Loss, Lost};
use crate::raw::{self, Opt, TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_SEND_QUEUE};
use crate::seq::Seq;
use crate::snapshot::{PendingError, Snapshot};
use crate::state::TcpState;
use crate::switch::Switch;
use crate::sys;
use crate::wait::until;
use crate::window::Window;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The first sequence number of the socket; any will do.
const START: Seq = Seq(1);
/// Enough for the double's FIN to be sent.
const WINDOW: u32 = 65_535;

/// A socket on the same address that plays the peer.
#[derive(Debug)]
pub(crate) struct Double {
    socket: OwnedFd,
    address: SocketAddr,
}

impl Double {
    /// Creates it: in repair mode, with a port of its own.
    ///
    /// `beside` is the socket whose peer it plays.
    pub(crate) fn create(beside: BorrowedFd<'_>) -> Result<Self, Error> {
        let step = Step::Connect;
        let mut address = sys::local_address(beside).at(step, "getsockname")?;
        let family = Family::of(address);
        let socket = sys::tcp_socket(family).at(step, "socket")?;
        if packet_family(address) != family {
            sys::set_int(socket.as_fd(), Opt::IPV6_V6ONLY, 0).at(step, Opt::IPV6_V6ONLY.setting)?;
        }
        address.set_port(0);
        sys::bind(socket.as_fd(), address).at(step, "bind")?;
        let address = sys::local_address(socket.as_fd()).at(step, "getsockname")?;
        Ok(Self { socket, address })
    }

    /// Connects both sockets to each other without a packet. The other one is in repair mode and bound.
    pub(crate) fn connect(
        &self,
        socket: BorrowedFd<'_>,
        snapshot: &Snapshot,
        switch: &Switch,
    ) -> Result<(), Error> {
        let (step, double) = (Step::Connect, self.socket.as_fd());
        let (start, end) = (snapshot.receive.start(), snapshot.receive.end);
        let local = sys::local_address(socket).at(step, "getsockname")?;
        switch.enter(double).at(step, Opt::TCP_REPAIR.setting)?;
        for (fd, send, receive, to) in [
            (socket, START, start, self.address),
            (double, end, START, local),
        ] {
            set_queue_seq(fd, TCP_SEND_QUEUE, send)?;
            set_queue_seq(fd, TCP_RECV_QUEUE, receive)?;
            sys::connect(fd, to).at(step, "connect")?;
            set(fd, step, Opt::TCP_REPAIR_QUEUE, TCP_NO_QUEUE)?;
        }
        Ok(())
    }

    /// Ends the connection as it had ended.
    pub(crate) fn end(
        self,
        socket: BorrowedFd<'_>,
        snapshot: &Snapshot,
        switch: &Switch,
    ) -> Result<Vec<Loss>, Error> {
        let (step, double) = (Step::RemainingData, self.socket.as_fd());
        for (fd, rcv_nxt) in [(socket, snapshot.receive.end), (double, START)] {
            let window = Window {
                snd_wl1: rcv_nxt.back(1),
                snd_wnd: WINDOW,
                max_window: WINDOW,
                rcv_wnd: WINDOW,
                rcv_wup: rcv_nxt,
            };
            set_window(fd, step, window)?;
            switch.leave_quietly(fd).at(step, Opt::TCP_REPAIR.setting)?;
        }
        // A reset after the peer's FIN is a broken pipe, before it is a reset (kernel `tcp_reset`).
        if snapshot.pending_error == Some(PendingError::Errno(libc::EPIPE)) {
            sys::shutdown(double, Shutdown::Write).at(step, "shutdown(SHUT_WR)")?;
            reaches(socket, TcpState::CloseWait)?;
        }
        // Linger for no time at all: closing resets.
        let linger = [1_i32.to_ne_bytes(), 0_i32.to_ne_bytes()].concat();
        sys::set(double, Opt::SO_LINGER, &linger).at(step, Opt::SO_LINGER.setting)?;
        drop(self.socket);
        reaches(socket, TcpState::Close)?;
        settle_error(socket, snapshot.pending_error)
    }
}

/// Leaves the error of the reset where there was one, and takes it away where there was none.
fn settle_error(socket: BorrowedFd<'_>, pending: Option<PendingError>) -> Result<Vec<Loss>, Error> {
    match pending {
        None => {
            sys::get_int(socket, Opt::SO_ERROR).at(Step::RemainingData, Opt::SO_ERROR.getting)?;
            Ok(Vec::new())
        }
        Some(PendingError::Errno(libc::ECONNRESET | libc::EPIPE)) => Ok(Vec::new()),
        Some(pending) => {
            let detail = format!("{pending} comes back as a reset connection (ECONNRESET)");
            Ok(vec![Loss::new(Lost::PendingError, detail)])
        }
    }
}

/// Brings a bound socket that is not in repair mode to where a refused attempt had left it: by a refused attempt, to
/// a port of its own address that is taken and does not listen.
pub(crate) fn refuse(socket: BorrowedFd<'_>) -> Result<(), Error> {
    let step = Step::Connect;
    let deaf = Double::create(socket)?;
    let nonblocking = sys::is_nonblocking(socket).at(step, "fcntl(F_GETFL)")?;
    sys::set_nonblocking(socket, true).at(step, "fcntl(F_SETFL)")?;
    match sys::connect(socket, deaf.address) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => other.at(step, "connect")?,
    }
    reaches(socket, TcpState::Close)?;
    sys::set_nonblocking(socket, nonblocking).at(step, "fcntl(F_SETFL)")
}

fn reaches(socket: BorrowedFd<'_>, state: TcpState) -> Result<(), Error> {
    let step = Step::RemainingData;
    let reached = until(|| {
        let info = raw::read_info(socket).at(step, Opt::TCP_INFO.getting)?;
        Ok(TcpState::from_kernel(info.state) == Some(state))
    })?;
    match reached {
        true => Ok(()),
        false => Err(Error::new(step, ErrorKind::NotInjected { wanted: state })),
    }
}

fn set_queue_seq(fd: BorrowedFd<'_>, queue: i32, seq: Seq) -> Result<(), Error> {
    set(fd, Step::Connect, Opt::TCP_REPAIR_QUEUE, queue)?;
    set(fd, Step::Connect, Opt::TCP_QUEUE_SEQ, seq.0 as i32)
}

fn set(fd: BorrowedFd<'_>, step: Step, option: Opt, value: i32) -> Result<(), Error> {
    sys::set_int(fd, option, value).at(step, option.setting)
}
