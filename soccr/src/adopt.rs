//! A socket of the caller's own: whether the connection can be restored into it.

use crate::endpoints::Family;
use crate::error::{At, Error, Step};
use crate::raw::{self, Opt};
use crate::reading::require_tcp;
use crate::snapshot::Snapshot;
use crate::state::TcpState;
use crate::sys;
use std::os::fd::BorrowedFd;

/// Refuses what is not an unconnected TCP socket of the snapshot's family.
pub(crate) fn check(fd: BorrowedFd<'_>, snapshot: &Snapshot) -> Result<(), Error> {
    let step = Step::Create;
    require_tcp(fd, step)?;
    let local = sys::local_address(fd).at(step, "getsockname")?;
    let (wanted, found) = (snapshot.endpoints.family(), Family::of(local));
    if found != wanted {
        return Err(Error::mismatch(
            step,
            "the family of the socket",
            wanted,
            found,
        ));
    }
    let state = raw::tcp_info(&fd).at(step, Opt::TCP_INFO.getting)?.state;
    let (wanted, found) = (TcpState::Close, TcpState::from_kernel(state));
    if found != Some(wanted) {
        let found = found.map_or("unknown", TcpState::name);
        return Err(Error::mismatch(
            step,
            "the state of the socket",
            wanted,
            found,
        ));
    }
    Ok(())
}
