//! A lock on what comes in, for one socket and without a firewall: a socket filter that lets nothing through.
//!
//! What is dropped is not acknowledged, and draws no RST: the peer sends it again (guide F9). Packets with the mark that
//! put a FIN back pass. The lock does not stop what the kernel sends of itself, and it goes with its socket: where there
//! is no socket, between a close and a restore, only a firewall keeps the kernel from answering with a RST.

use crate::error::{At, Error, Step};
use crate::fin::MARK;
use crate::sys;
use std::os::fd::BorrowedFd;

/// One instruction of a classic BPF program (`struct sock_filter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(C)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions to skip if it is true.
    pub jt: u8,
    /// How many instructions to skip if it is false.
    pub jf: u8,
    /// Its operand.
    pub k: u32,
}

/// A socket filter that an application has attached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Filter {
    /// Its program; empty without one (`SO_ATTACH_FILTER`).
    pub program: Vec<Instruction>,
    /// Whether it can be changed no more (`SO_LOCK_FILTER`).
    pub locked: bool,
}

/// Where the kernel's filters read the mark of a packet: `SKF_AD_OFF` + `SKF_AD_MARK`.
const MARK_OF_PACKET: u32 = (-0x1000_i32 + 20) as u32;

/// Lets through what has the mark, and nothing else.
pub(crate) const MARKED_ONLY: [Instruction; 4] = [
    instruction(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        0,
        0,
        MARK_OF_PACKET,
    ),
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, MARK),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
];

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// Attaches the lock.
pub(crate) fn lock(fd: BorrowedFd<'_>, step: Step) -> Result<(), Error> {
    sys::set_filter(fd, &MARKED_ONLY).at(step, "setsockopt(SO_ATTACH_FILTER)")
}

impl Filter {
    /// Puts the filter on a socket, in the place of whatever is there.
    pub(crate) fn attach(&self, fd: BorrowedFd<'_>, step: Step) -> Result<(), Error> {
        sys::set_filter(fd, &self.program).at(step, "setsockopt(SO_ATTACH_FILTER)")?;
        match self.locked {
            true => sys::set_int(fd, crate::raw::Opt::SO_LOCK_FILTER, 1)
                .at(step, crate::raw::Opt::SO_LOCK_FILTER.setting),
            false => Ok(()),
        }
    }
}
