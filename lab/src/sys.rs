//! The only unsafe code: what neither the standard library nor nix wraps.

#![allow(unsafe_code)]

use crate::vlan::Tag;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitStatus};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs `f` in a child process and returns what it answered.
///
/// `f` must not allocate, must not take a lock and must not panic: other threads of this process may have held
/// the allocator's locks at the moment of the fork.
pub(crate) fn in_child(f: impl FnOnce() -> (u8, i32)) -> io::Result<(u8, i32)> {
    let (mut reader, mut writer) = io::pipe()?;
    // SAFETY: the child calls `f`, which by contract makes system calls only, then write(2) and _exit(2).
    match unsafe { fork() }? {
        ForkResult::Child => {
            let (step, errno) = f();
            let [a, b, c, d] = errno.to_ne_bytes();
            let _ = writer.write_all(&[step, a, b, c, d]);
            // SAFETY: _exit has no preconditions; it skips the exit handlers, which belong to the parent.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut answer = [0; 5];
            let read = reader.read_exact(&mut answer);
            while waitpid(child, None) == Err(Errno::EINTR) {}
            read?;
            let [step, a, b, c, d] = answer;
            Ok((step, i32::from_ne_bytes([a, b, c, d])))
        }
    }
}

/// Runs `f` in a copy of this process, and returns how that ended; this process must have one thread.
pub(crate) fn in_copy(f: impl FnOnce() -> u8) -> io::Result<ExitStatus> {
    // SAFETY: there is no other thread, by contract, that could hold a lock or leave anything half done: the child is this
    // process in every respect, and may do what that may.
    match unsafe { fork() }? {
        ForkResult::Child => {
            // What is above this on the stack is the parent's, and is not unwound.
            let code = catch_unwind(AssertUnwindSafe(f)).unwrap_or(101);
            std::process::exit(code.into())
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Err(Errno::EINTR) => {}
                Ok(WaitStatus::Exited(_, code)) => return Ok(ExitStatus::from_raw(code << 8)),
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    return Ok(ExitStatus::from_raw(signal as i32));
                }
                other => return Err(io::Error::other(format!("waiting for the copy: {other:?}"))),
            }
        },
    }
}

/// What the send queue of a TCP socket holds, in bytes; a FIN counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendQueue {
    /// Everything that has not been acknowledged.
    pub(crate) unacknowledged: u32,
    /// What of it has never been sent.
    pub(crate) unsent: u32,
}

/// Asks the kernel what is in the send queue of a TCP socket.
pub(crate) fn send_queue(socket: impl AsFd) -> io::Result<SendQueue> {
    let ask = |request| {
        let mut bytes: libc::c_int = 0;
        // SAFETY: both requests that are made here write one int, to where `bytes` is.
        let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), request, &mut bytes) };
        Errno::result(result)?;
        io::Result::Ok(u32::try_from(bytes).unwrap_or(0))
    };
    // In this order: what is sent and acknowledged in between must not look as if it had never been on its way.
    let unsent = ask(libc::SIOCOUTQNSD as _)?;
    let unacknowledged = ask(libc::TIOCOUTQ as _)?;
    Ok(SendQueue {
        unacknowledged,
        unsent,
    })
}

/// Has the kernel kill what `command` starts when the thread that started it ends, also if that is killed itself.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let ask = move || {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        // The parent may have ended before the kernel was asked.
        if nix::unistd::getppid() == parent {
            Ok(())
        } else {
            Err(Errno::ECHILD.into())
        }
    };
    // SAFETY: between fork and exec this makes two system calls, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(ask) };
}

/// What `SIOCETHTOOL` reads for the commands that take one number.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Sends an ethtool command with one number for `link`, through a socket of the link's namespace.
pub(crate) fn ethtool_set(
    socket: impl AsFd,
    link: &str,
    command: u32,
    data: u32,
) -> io::Result<()> {
    let mut value = EthtoolValue { command, data };
    // SAFETY: ifreq is made of integers, addresses and pointers, for all of which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte stays zero: the name ends there.
    let room = request.ifr_name.len() - 1;
    if link.len() > room {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(link.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = ptr::from_mut(&mut value).cast();
    // SAFETY: the request names a link and points to a value of the size that these commands use; both outlive it.
    let result = unsafe {
        libc::ioctl(
            socket.as_fd().as_raw_fd(),
            libc::SIOCETHTOOL as _,
            &mut request,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// The kernel's number for every protocol, as `sockaddr_ll` wants it.
const ALL_PROTOCOLS: u16 = (libc::ETH_P_ALL as u16).to_be();
/// `TP_STATUS_GSO_TCP`, which libc does not have: the frame is still to be cut into segments (kernel 5.14).
const GSO_TCP: u32 = 1 << 8;

/// Makes a packet socket of the calling thread's namespace that receives nothing yet.
pub(crate) fn packet_socket() -> io::Result<OwnedFd> {
    // Protocol 0: with any other, frames of every link would arrive before the socket is bound to one.
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    Ok(socket)
}

/// Makes a packet socket for somebody in the middle: it does not receive what is sent out of its link, and before each
/// frame stands a [`VnetHeader`], in both directions.
pub(crate) fn forwarding_socket() -> io::Result<OwnedFd> {
    let socket = packet_socket()?;
    set_packet_option(&socket, libc::PACKET_IGNORE_OUTGOING, &1_i32)?;
    set_packet_option(&socket, libc::PACKET_VNET_HDR, &1_i32)?;
    Ok(socket)
}

/// `struct virtio_net_hdr`: what is still to be done to a frame, in the byte order of the machine.
pub(crate) type VnetHeader = [u8; 10];

/// What a packet socket receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receive {
    /// Nothing: it is for sending.
    Nothing,
    /// Every frame, in both directions.
    Everything,
    /// Frames of one EtherType that come in.
    EtherType(u16),
}

/// Binds a packet socket to a link.
pub(crate) fn bind_packet(socket: impl AsFd, index: u32, receive: Receive) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: match receive {
            Receive::Nothing => 0,
            Receive::Everything => ALL_PROTOCOLS,
            Receive::EtherType(number) => number.to_be(),
        },
        sll_ifindex: index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the address is a whole sockaddr_ll, and its size is given.
    let result = unsafe {
        libc::bind(
            socket.as_fd().as_raw_fd(),
            ptr::from_ref(&address).cast(),
            size_of_val(&address) as u32,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// How many frames the kernel could not put into the ring since the last call.
pub(crate) fn frames_lost(socket: impl AsFd) -> io::Result<u32> {
    // SAFETY: tpacket_stats is two integers, for which zero is a value.
    let mut stats: libc::tpacket_stats = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&stats) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `stats`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            ptr::from_mut(&mut stats).cast(),
            &mut length,
        )
    };
    Errno::result(result)?;
    Ok(stats.tp_drops)
}

fn set_packet_option<T>(socket: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads at most the given number of bytes, which is the size of `value`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// A frame in the ring.
pub(crate) struct RingFrame<'a> {
    /// Nanoseconds since the Unix epoch.
    pub(crate) time: u64,
    /// Whether this host sent it.
    pub(crate) outgoing: bool,
    /// Whether its checksum is left to the link.
    pub(crate) partial_checksum: bool,
    /// Whether the kernel has verified its checksum.
    pub(crate) checksum_verified: bool,
    /// Whether it is still to be cut into segments.
    pub(crate) gso: bool,
    /// Its length on the link.
    pub(crate) original_len: u32,
    /// What stands before it; means something on a [`forwarding_socket`] only.
    pub(crate) vnet_header: VnetHeader,
    /// The VLAN tag that the kernel has taken out of it.
    pub(crate) tag: Option<Tag>,
    /// What fitted into the ring.
    pub(crate) bytes: &'a [u8],
}

/// A receive ring (`PACKET_RX_RING`, `TPACKET_V2`): memory that the kernel puts frames into.
///
/// Unlike a receive queue its size is not limited by `net.core.rmem_max`, which an ordinary user cannot raise.
pub(crate) struct Ring {
    memory: *mut u8,
    frame_size: usize,
    frames: usize,
    next: usize,
}

// SAFETY: the memory is a shared mapping that belongs to the ring alone; nothing about it depends on the thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Gives `socket`, which must not be bound yet, a ring of `frames` slots of `frame_size` bytes each.
    ///
    /// Both are powers of two, and their product is a multiple of 64 KiB.
    pub(crate) fn new(socket: &OwnedFd, frame_size: usize, frames: usize) -> io::Result<Self> {
        const BLOCK: usize = 64 * 1024;
        let block = frame_size.max(BLOCK);
        let length = frame_size * frames;
        set_packet_option(
            socket,
            libc::PACKET_VERSION,
            &(libc::tpacket_versions::TPACKET_V2 as i32),
        )?;
        let request = libc::tpacket_req {
            tp_block_size: block as u32,
            tp_block_nr: (length / block) as u32,
            tp_frame_size: frame_size as u32,
            tp_frame_nr: frames as u32,
        };
        set_packet_option(socket, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a fresh mapping at an address that the kernel chooses; the ring has exactly this many bytes.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            memory: memory.cast(),
            frame_size,
            frames,
            next: 0,
        })
    }

    /// Hands the next frame to `f` and gives its slot back to the kernel; `None` when there is no frame.
    pub(crate) fn take<R>(&mut self, f: impl FnOnce(&RingFrame<'_>) -> R) -> Option<R> {
        // `next` is below `frames`: the slot is inside of the mapping.
        let slot = self.memory.wrapping_add(self.next * self.frame_size);
        // SAFETY: a slot begins with its status, which kernel and user change in turn; it is aligned to 16 bytes.
        let status = unsafe { AtomicU32::from_ptr(slot.cast()) };
        let state = status.load(Ordering::Acquire);
        if state & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the slot is ours while TP_STATUS_USER is set, and begins with a tpacket2_hdr.
        let header = unsafe { ptr::read(slot.cast::<libc::tpacket2_hdr>()) };
        // A sockaddr_ll follows the header; a slot is far larger than both.
        let address = slot.wrapping_add(align(size_of::<libc::tpacket2_hdr>()));
        // SAFETY: the address is inside of the slot, which is ours, and sockaddr_ll is made of integers.
        let address = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_ll>()) };
        let start = usize::from(header.tp_mac).min(self.frame_size);
        let length = (header.tp_snaplen as usize).min(self.frame_size - start);
        // SAFETY: the slot is inside of the mapping, and ours until the status is given back.
        let slot = unsafe { std::slice::from_raw_parts(slot, self.frame_size) };
        let bytes = &slot[start..start + length];
        let vnet_header = slot[..start]
            .last_chunk()
            .copied()
            .unwrap_or(VnetHeader::default());
        let result = f(&RingFrame {
            time: u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec),
            outgoing: address.sll_pkttype == libc::PACKET_OUTGOING,
            partial_checksum: state & libc::TP_STATUS_CSUMNOTREADY != 0,
            checksum_verified: state & libc::TP_STATUS_CSUM_VALID != 0,
            gso: state & GSO_TCP != 0,
            original_len: header.tp_len,
            vnet_header,
            tag: tag(state, header.tp_vlan_tpid, header.tp_vlan_tci),
            bytes,
        });
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.frames;
        Some(result)
    }
}

/// The VLAN tag of a frame with this status, in network byte order.
fn tag(status: u32, tpid: u16, control: u16) -> Option<Tag> {
    let known = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
    let tpid = if known {
        tpid
    } else {
        libc::ETH_P_8021Q as u16
    };
    let [[a, b], [c, d]] = [tpid, control].map(u16::to_be_bytes);
    (status & libc::TP_STATUS_VLAN_VALID != 0).then_some([a, b, c, d])
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, has this length, and nothing refers to it any more.
        unsafe { libc::munmap(self.memory.cast(), self.frame_size * self.frames) };
    }
}

/// Rounds up as the kernel's `TPACKET_ALIGN` does.
const fn align(length: usize) -> usize {
    length.next_multiple_of(libc::TPACKET_ALIGNMENT)
}

/// The beginning of `union bpf_attr` for `BPF_PROG_LOAD`; the kernel takes what is missing as zero.
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
}

/// Kinds of eBPF programs: `BPF_PROG_TYPE_SOCKET_FILTER`.
pub(crate) const SOCKET_FILTER: u32 = 1;
/// `BPF_PROG_TYPE_SOCK_OPS`.
pub(crate) const SOCK_OPS: u32 = 13;

/// Loads an eBPF program of a kind.
pub(crate) fn load_program(kind: u32, program: &[u64]) -> io::Result<OwnedFd> {
    const BPF_PROG_LOAD: libc::c_int = 5;
    let load = ProgramLoad {
        kind,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
    };
    // SAFETY: `load` points at the instructions and at a string, both of which live until the call returns.
    unsafe { bpf(BPF_PROG_LOAD, &load) }
}

/// The beginning of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    program: libc::c_int,
    target: libc::c_int,
    kind: u32,
    flags: u32,
}

/// Attaches a program of the kind [`SOCK_OPS`] to a cgroup until the link is closed (kernel 5.7).
pub(crate) fn link_sock_ops(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    const BPF_LINK_CREATE: libc::c_int = 28;
    const BPF_CGROUP_SOCK_OPS: u32 = 3;
    let create = LinkCreate {
        program: program.as_raw_fd(),
        target: cgroup.as_raw_fd(),
        kind: BPF_CGROUP_SOCK_OPS,
        flags: 0,
    };
    // SAFETY: `create` has no pointers.
    unsafe { bpf(BPF_LINK_CREATE, &create) }
}

/// Makes a call of `bpf` that returns a new descriptor.
///
/// # Safety
/// `T` is the beginning of the kernel's structure for `command`, and what it points at lives as long as the call.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<OwnedFd> {
    let attributes: *const T = attributes;
    // SAFETY: the kernel reads so many bytes of `attributes`, and what they point at, which the caller answers for.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    let fd = libc::c_int::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned `fd`: it is open, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
