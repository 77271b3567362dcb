//! A socket of the caller's own: whether the connection can be restored into it, and what of it is to stay.

use crate::buffers::Buffers;
use crate::endpoints::Family;
use crate::error::{At, Error, Step};
use crate::held::chosen_reuse;
use crate::link;
use crate::queue::Queue;
use crate::raw::{self, Opt, TCP_NO_QUEUE};
use crate::reading::require_tcp;
use crate::seq::Seq;
use crate::snapshot::Snapshot;
use crate::sockopts::SocketOption;
use crate::state::TcpState;
use crate::sys;
use std::os::fd::{AsFd, BorrowedFd};

/// The longest value of `IP_OPTIONS`, bytes (RFC 791, section 3.1).
const IP_OPTIONS: usize = 40;

impl Snapshot {
    /// Takes from a socket what a restore into it ([`create_from`](crate::restore::create_from)) is to leave as it is: buffer
    /// sizes and their locks, `O_NONBLOCK`, `IP_OPTIONS`, `SO_REUSEADDR` unless repair mode has overwritten it, and the
    /// link that it is bound to, where link-local addresses have no number of theirs.
    ///
    /// For those who carry these themselves, as CRIU does.
    ///
    /// # Errors
    /// What the kernel says; the snapshot is as before.
    pub fn keep_settings_of(&mut self, socket: &impl AsFd) -> Result<(), Error> {
        let (fd, step) = (socket.as_fd(), Step::Inspect);
        let buffers = Buffers::read(fd, step)?;
        let nonblocking = sys::is_nonblocking(fd).at(step, "fcntl(F_GETFL)")?;
        let reuse = sys::get_int(fd, Opt::SO_REUSEADDR).at(step, Opt::SO_REUSEADDR.getting)?;
        let mut ip_options = vec![0; IP_OPTIONS];
        let length = sys::get(fd, Opt::IP_OPTIONS, &mut ip_options);
        ip_options.truncate(length.at(step, Opt::IP_OPTIONS.getting)?);
        let link = match self.link.is_none() && link::is_unnumbered(&self.endpoints) {
            true => link::of(fd, step)?,
            false => self.link.take(),
        };
        self.socket_options
            .retain(|it| it.option != Opt::IP_OPTIONS);
        if !ip_options.is_empty() {
            self.socket_options.push(SocketOption {
                option: Opt::IP_OPTIONS,
                value: ip_options,
            });
        }
        self.reuse_address = chosen_reuse(reuse).unwrap_or(self.reuse_address);
        (self.buffers, self.nonblocking, self.link) = (buffers, nonblocking, link);
        Ok(())
    }
}

/// Refuses what is not an unconnected TCP socket of the snapshot's family.
pub(crate) fn check(fd: BorrowedFd<'_>, snapshot: &Snapshot) -> Result<(), Error> {
    check_kind(fd, snapshot, Step::Create)?;
    check_state(fd, Step::Create, &[TcpState::Close])
}

/// Refuses what is not the snapshot's connection so far: made by standard calls in repair mode, after the sequence numbers
/// were set. An attempt to connect was made outside of it.
pub(crate) fn check_connected(
    fd: BorrowedFd<'_>,
    snapshot: &Snapshot,
    receive_start: Seq,
) -> Result<(), Error> {
    let step = Step::Connect;
    check_kind(fd, snapshot, step)?;
    let attempt = snapshot.state == TcpState::SynSent;
    match attempt {
        true => check_state(fd, step, &[TcpState::SynSent, TcpState::Established])?,
        false => check_state(fd, step, &[TcpState::Established])?,
    }
    let wanted = link::endpoints(snapshot);
    let local = sys::local_address(fd).at(step, "getsockname")?;
    let local = link::check(fd, snapshot, local)?;
    if local != wanted.local {
        return Err(Error::mismatch(
            step,
            "the local address",
            wanted.local,
            local,
        ));
    }
    if attempt {
        return Ok(());
    }
    let starts = [
        (
            Queue::Send,
            "the start of the send queue",
            snapshot.send.start(),
        ),
        (
            Queue::Receive,
            "the start of the receive queue",
            receive_start,
        ),
    ];
    for (queue, what, wanted) in starts {
        let set = |value| sys::set_int(fd, Opt::TCP_REPAIR_QUEUE, value);
        set(queue.number()).at(step, Opt::TCP_REPAIR_QUEUE.setting)?;
        let found = sys::get_int(fd, Opt::TCP_QUEUE_SEQ).at(step, Opt::TCP_QUEUE_SEQ.getting)?;
        set(TCP_NO_QUEUE).at(step, Opt::TCP_REPAIR_QUEUE.setting)?;
        if Seq(found as u32) != wanted {
            return Err(Error::mismatch(step, what, wanted, Seq(found as u32)));
        }
    }
    Ok(())
}

fn check_kind(fd: BorrowedFd<'_>, snapshot: &Snapshot, step: Step) -> Result<(), Error> {
    require_tcp(fd, step)?;
    let local = sys::local_address(fd).at(step, "getsockname")?;
    let (wanted, found) = (snapshot.endpoints.family(), Family::of(local));
    match found == wanted {
        true => Ok(()),
        false => Err(Error::mismatch(
            step,
            "the family of the socket",
            wanted,
            found,
        )),
    }
}

/// Refuses a socket that is in none of these states, of which there is one at least.
fn check_state(fd: BorrowedFd<'_>, step: Step, wanted: &[TcpState]) -> Result<(), Error> {
    let state = raw::read_info(fd).at(step, Opt::TCP_INFO.getting)?.state;
    let found = TcpState::from_kernel(state);
    if found.is_some_and(|found| wanted.contains(&found)) {
        return Ok(());
    }
    let found = found.map_or("unknown", TcpState::name);
    Err(Error::mismatch(
        step,
        "the state of the socket",
        wanted[0],
        found,
    ))
}
