//! eBPF programs, for programs under test that treat one differently from a classic filter, or whose connections one
//! looks at.

use crate::sys;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// `r0 = -1`, a length that no packet has, and `exit`: two instructions of eight bytes.
const PASS_ALL: [u64; 2] = [0xffff_ffff_0000_00b7_u64.to_le(), 0x95_u64.to_le()];

/// Loads a socket filter that lets everything pass, to be attached by `SO_ATTACH_BPF`.
///
/// # Errors
/// What the kernel says to `bpf(BPF_PROG_LOAD)`: mostly `EPERM` for whoever lacks `CAP_BPF` in the initial user namespace.
pub fn pass_all() -> io::Result<OwnedFd> {
    sys::load_program(sys::SOCKET_FILTER, &PASS_ALL)
}

/// A program that the kernel runs as connections of this process' cgroup are established by `connect`
/// (`BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB`), as long as this lives; a process that ends takes it along.
///
/// It looks at no sockets but those that have a certain `SO_MARK`. Of such a one it
/// - adds 1 to the mark, so that the mark tells how often it was run, and [`WITH_PACKET`] where there was a packet;
/// - asks for an option of the packet's header, whether there is a packet or not;
/// - sets the first congestion window (`TCP_BPF_IW`);
/// - asks to be run for the header of every packet that comes in from then on, and does nothing then.
#[derive(Debug)]
#[must_use = "it is detached as soon as it is dropped"]
pub struct AtConnect {
    _link: OwnedFd,
}

/// What [`AtConnect`] adds to the mark of a socket that a packet has established.
pub const WITH_PACKET: u32 = 0x100;

impl AtConnect {
    /// Attaches it for sockets with this mark, below 2^31, and sets their congestion window to so many segments.
    ///
    /// # Errors
    /// What the kernel says: `EPERM` to whoever lacks `CAP_BPF` and `CAP_NET_ADMIN` in the initial user namespace, or
    /// where somebody else has attached a program that admits no other; [`io::ErrorKind::NotFound`] where no cgroup of
    /// version 2 is mounted.
    pub fn attach(mark: u32, window: u32) -> io::Result<Self> {
        let program = sys::load_program(sys::SOCK_OPS, &at_connect(mark, window))?;
        let cgroup = File::open(own_cgroup()?)?;
        let link = sys::link_sock_ops(program.as_fd(), cgroup.as_fd())?;
        Ok(Self { _link: link })
    }
}

/// The directory of this process' cgroup of version 2.
fn own_cgroup() -> io::Result<PathBuf> {
    let missing = |what| io::Error::new(io::ErrorKind::NotFound, what);
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let place = mounts.lines().find_map(mount_point);
    let place = place.ok_or_else(|| missing("no cgroup of version 2 is mounted"))?;
    let cgroups = fs::read_to_string("/proc/self/cgroup")?;
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::/"));
    let path = path.ok_or_else(|| missing("this process has no cgroup of version 2"))?;
    Ok(PathBuf::from(place).join(path))
}

/// Where a line of `mountinfo` says that all cgroups of version 2 are.
fn mount_point(line: &str) -> Option<&str> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    (kind.starts_with("cgroup2 ") && root == "/").then_some(point)
}

/// One instruction: operation, the registers that it writes and reads, offset, and number (`struct bpf_insn`).
const fn instruction(code: u8, to: u8, from: u8, offset: i16, number: i32) -> u64 {
    let registers = (from << 4 | to) as u64;
    (code as u64 | registers << 8 | (offset as u16 as u64) << 16 | (number as u32 as u64) << 32)
        .to_le()
}

/// The instructions of [`AtConnect`].
///
/// Offsets are those of `struct bpf_sock_ops` and `struct bpf_sock` (`include/uapi/linux/bpf.h`), as are the numbers of the
/// helpers.
const fn at_connect(mark: u32, window: u32) -> [u64; 40] {
    const ACTIVE_ESTABLISHED: i32 = 4;
    const OP: i16 = 0;
    const SOCKET: i16 = 184;
    const SOCKET_MARK: i16 = 16;
    const PACKET_LENGTH: i16 = 208;
    const SET_OPTION: i32 = 49;
    const SET_FLAGS: i32 = 59;
    const LOAD_HEADER_OPTION: i32 = 142;
    const PARSE_ALL_HEADERS: i32 = 1 << 4;
    const TCP_BPF_IW: i32 = 1_001;
    const LOAD: u8 = 0x61;
    const LOAD_LONG: u8 = 0x79;
    const MOVE: u8 = 0xbf;
    const SET: u8 = 0xb7;
    const ADD: u8 = 0x07;
    const STORE: u8 = 0x63;
    const STORE_NUMBER: u8 = 0x62;
    const STORE_LONG_NUMBER: u8 = 0x7a;
    const IF_NOT: u8 = 0x55;
    const IF: u8 = 0x15;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    const STACK: u8 = 10;
    [
        instruction(MOVE, 6, 1, 0, 0),
        instruction(LOAD, 2, 6, OP, 0),
        instruction(IF_NOT, 2, 0, 35, ACTIVE_ESTABLISHED),
        instruction(LOAD_LONG, 7, 6, SOCKET, 0),
        instruction(IF, 7, 0, 33, 0),
        instruction(LOAD, 8, 7, SOCKET_MARK, 0),
        instruction(IF_NOT, 8, 0, 31, mark as i32),
        instruction(ADD, 8, 0, 0, 1),
        instruction(LOAD, 2, 6, PACKET_LENGTH, 0),
        instruction(IF, 2, 0, 1, 0),
        instruction(ADD, 8, 0, 0, WITH_PACKET as i32),
        // bpf_load_hdr_opt(context, what to look for: the MSS option, its length, 0)
        instruction(STORE_LONG_NUMBER, STACK, 0, -16, 2),
        instruction(STORE_LONG_NUMBER, STACK, 0, -8, 0),
        instruction(MOVE, 1, 6, 0, 0),
        instruction(MOVE, 2, STACK, 0, 0),
        instruction(ADD, 2, 0, 0, -16),
        instruction(SET, 3, 0, 0, 16),
        instruction(SET, 4, 0, 0, 0),
        instruction(CALL, 0, 0, 0, LOAD_HEADER_OPTION),
        // bpf_setsockopt(context, IPPROTO_TCP, TCP_BPF_IW, &window, 4)
        instruction(STORE_NUMBER, STACK, 0, -4, window as i32),
        instruction(MOVE, 1, 6, 0, 0),
        instruction(SET, 2, 0, 0, libc::IPPROTO_TCP),
        instruction(SET, 3, 0, 0, TCP_BPF_IW),
        instruction(MOVE, 4, STACK, 0, 0),
        instruction(ADD, 4, 0, 0, -4),
        instruction(SET, 5, 0, 0, 4),
        instruction(CALL, 0, 0, 0, SET_OPTION),
        // bpf_setsockopt(context, SOL_SOCKET, SO_MARK, &mark, 4)
        instruction(STORE, STACK, 8, -4, 0),
        instruction(MOVE, 1, 6, 0, 0),
        instruction(SET, 2, 0, 0, libc::SOL_SOCKET),
        instruction(SET, 3, 0, 0, libc::SO_MARK),
        instruction(MOVE, 4, STACK, 0, 0),
        instruction(ADD, 4, 0, 0, -4),
        instruction(SET, 5, 0, 0, 4),
        instruction(CALL, 0, 0, 0, SET_OPTION),
        // bpf_sock_ops_cb_flags_set(context, flags)
        instruction(MOVE, 1, 6, 0, 0),
        instruction(SET, 2, 0, 0, PARSE_ALL_HEADERS),
        instruction(CALL, 0, 0, 0, SET_FLAGS),
        instruction(SET, 0, 0, 0, 1),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_as_the_kernel_reads_it() {
        let exit = instruction(0x95, 0, 0, 0, 0).to_ne_bytes();
        assert_eq!(exit, [0x95, 0, 0, 0, 0, 0, 0, 0]);
        let jump = instruction(0x55, 8, 2, -1, 0x0102_0304).to_ne_bytes();
        assert_eq!(jump, [0x55, 0x28, 0xff, 0xff, 4, 3, 2, 1]);
    }

    #[test]
    fn the_place_of_cgroups_is_found_among_the_mounts() {
        let line = |kind, root| format!("36 25 0:31 {root} /sys/fs/cgroup rw,nosuid - {kind} x rw");
        assert_eq!(mount_point(&line("cgroup2", "/")), Some("/sys/fs/cgroup"));
        assert_eq!(mount_point(&line("cgroup", "/")), None);
        assert_eq!(mount_point(&line("cgroup2", "/elsewhere")), None);
        assert_eq!(mount_point("nonsense"), None);
    }
}
