//! An eBPF program, for programs under test that treat one differently from a classic filter.

use crate::sys;
use std::io;
use std::os::fd::OwnedFd;

/// `r0 = -1`, a length that no packet has, and `exit`: two instructions of eight bytes.
const PASS_ALL: [u64; 2] = [0xffff_ffff_0000_00b7_u64.to_le(), 0x95_u64.to_le()];

/// Loads a socket filter that lets everything pass, to be attached by `SO_ATTACH_BPF`.
///
/// # Errors
/// What the kernel says to `bpf(BPF_PROG_LOAD)`: mostly `EPERM` for whoever lacks `CAP_BPF` in the initial user namespace.
pub fn pass_all() -> io::Result<OwnedFd> {
    sys::load_socket_filter(&PASS_ALL)
}
