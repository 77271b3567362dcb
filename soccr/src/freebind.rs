//! An address that is not on this host yet, or not usable yet: bound, and connected from, all the same.

use crate::endpoints::{Endpoints, Family, packet_family};
use crate::error::{At, Error, Step};
use crate::raw::Opt;
use crate::sys;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// Binds to an address that this host may not have.
pub(crate) fn bind(fd: BorrowedFd<'_>, local: SocketAddr) -> Result<(), Error> {
    // Of an IPv6 socket too, also where there is no IPV6_FREEBIND yet (before kernel 4.15).
    with(fd, Step::Bind, Opt::IP_FREEBIND, || {
        sys::bind(fd, local).at(Step::Bind, "bind")
    })
}

/// Connects, in repair mode, from an address that this host may not have.
pub(crate) fn connect(fd: BorrowedFd<'_>, endpoints: Endpoints) -> Result<(), Error> {
    let connect = || sys::connect(fd, endpoints.remote).at(Step::Connect, "connect");
    match packet_family(endpoints.local) {
        // Without it IPv4 has no route from such an address (guide A36).
        Family::V4 => with(fd, Step::Connect, Opt::IP_TRANSPARENT, connect),
        Family::V6 => connect(),
    }
}

/// Makes a call with an option set, which then has the value of before.
fn with(
    fd: BorrowedFd<'_>,
    step: Step,
    option: Opt,
    call: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let before = sys::get_int(fd, option).at(step, option.getting)?;
    sys::set_int(fd, option, 1).at(step, option.setting)?;
    call()?;
    sys::set_int(fd, option, before).at(step, option.setting)
}
