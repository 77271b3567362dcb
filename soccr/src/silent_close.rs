//! Ending a connection of which the peer is not told.

use crate::error::{At, Error, ErrorKind, Step, Unsupported};
use crate::raw::{self, Opt};
use crate::reading::{refuse_upper_layer, require_tcp};
use crate::repair::Repair;
use crate::state::TcpState;
use crate::sys;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Ends a connection and closes its socket without a packet: the peer believes that it still lives.
///
/// No FIN, no RST and no TIME-WAIT, in every state but LISTEN and whatever is in the queues, which is dropped
/// (guide A10, C23). It is what a server does to clients that it neither wants to serve nor to set free.
///
/// **The peer's next packet draws a RST**, as this host knows the connection no longer. For longer silence let a
/// firewall drop what the peer sends, or the RSTs of this host, from before this call.
///
/// The connection is gone for everybody. Another descriptor of the socket (`dup`, `fork`) is one of a CLOSED socket
/// afterwards, which is not in repair mode and has the error `ECONNABORTED` (guide A11); a mere close in repair mode
/// would leave it a live connection that it can neither read nor write.
///
/// # Errors
/// [`NotClosed`] gives the socket back; the connection runs on as before. Why: [`Unsupported::State`] for LISTEN, as
/// those who wait to be accepted would be told; [`Unsupported::Protocol`] for MPTCP and what is not TCP;
/// [`Unsupported::UpperLayer`] for a layer such as kTLS, which may send when it is closed;
/// [`ErrorKind::AlreadyInRepair`]; or what the kernel says. Needs `CAP_NET_ADMIN` in the user namespace that owns the
/// socket's network namespace, and kernel 3.5; in states other than ESTABLISHED and CLOSED, 4.10.
#[doc(alias("silent-drop", "TCP_REPAIR"))]
pub fn silent_close<T: AsFd + Into<OwnedFd>>(socket: T) -> Result<(), NotClosed<T>> {
    match vanish(socket.as_fd()) {
        Ok(()) => {
            drop(socket.into());
            Ok(())
        }
        Err(error) => Err(NotClosed { socket, error }),
    }
}

fn vanish(fd: BorrowedFd<'_>) -> Result<(), Error> {
    require_tcp(fd, Step::Close)?;
    let info = raw::read_info(fd).at(Step::Close, Opt::TCP_INFO.getting)?;
    if info.state == TcpState::Listen as u8 {
        let listens = ErrorKind::Unsupported(Unsupported::State(TcpState::Listen));
        return Err(Error::new(Step::Close, listens));
    }
    refuse_upper_layer(fd, Step::Close)?;
    // Left on drop: after a failure the connection runs on, and otherwise there is none to speak.
    let _repair = Repair::enter_to_close(fd)?;
    sys::disconnect(fd).at(Step::Close, "connect(AF_UNSPEC)")
}

/// A connection that was not closed silently, with its socket: dropping this closes the connection as usual.
#[derive(Debug)]
pub struct NotClosed<T> {
    /// The socket, running as before.
    pub socket: T,
    /// Why.
    pub error: Error,
}

impl<T> fmt::Display for NotClosed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for NotClosed<T> {}
