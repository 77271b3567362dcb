//! The repair interface of the kernel, call by call, with no policy and no order: safe to call, easy to misuse.
//!
//! This is for those who ask what the kernel does rather than move a connection: the conformance suite asks its
//! questions here, and a kernel developer can put the same ones from a ten-line program. Everything else wants
//! [`save`](crate::save()) and [`Snapshot::restore`](crate::Snapshot::restore).
//!
//! Every function makes exactly one system call and returns what the kernel said.

mod opt;

pub use opt::Opt;

use crate::endpoints::Family;
use crate::faults::by_hand;
use crate::sys;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Value of [`Opt::TCP_REPAIR`]: enter repair mode.
pub const TCP_REPAIR_ON: i32 = 1;
/// Value of [`Opt::TCP_REPAIR`]: leave repair mode; an ESTABLISHED socket sends one window probe.
pub const TCP_REPAIR_OFF: i32 = 0;
/// Value of [`Opt::TCP_REPAIR`]: leave repair mode without a window probe.
pub const TCP_REPAIR_OFF_NO_WP: i32 = -1;

/// Value of [`Opt::TCP_REPAIR_QUEUE`]: no queue.
pub const TCP_NO_QUEUE: i32 = 0;
/// Value of [`Opt::TCP_REPAIR_QUEUE`]: the receive queue.
pub const TCP_RECV_QUEUE: i32 = 1;
/// Value of [`Opt::TCP_REPAIR_QUEUE`]: the send queue.
pub const TCP_SEND_QUEUE: i32 = 2;

/// Code of a [`tcp_repair_opt`] entry: maximum segment size.
pub const TCPOPT_MSS: u32 = 2;
/// Code of a [`tcp_repair_opt`] entry: window scale; low 16 bits the send shift, high 16 bits the receive shift.
pub const TCPOPT_WINDOW: u32 = 3;
/// Code of a [`tcp_repair_opt`] entry: SACK permitted; its value must be 0.
pub const TCPOPT_SACK_PERM: u32 = 4;
/// Code of a [`tcp_repair_opt`] entry: timestamps; its value must be 0.
pub const TCPOPT_TIMESTAMP: u32 = 8;

/// Bit of [`TcpInfo::options`]: timestamps were negotiated.
pub const TCPI_OPT_TIMESTAMPS: u8 = 1;
/// Bit of [`TcpInfo::options`]: SACK was negotiated.
pub const TCPI_OPT_SACK: u8 = 2;
/// Bit of [`TcpInfo::options`]: window scaling was negotiated.
pub const TCPI_OPT_WSCALE: u8 = 4;
/// Bit of [`TcpInfo::options`]: ECN was negotiated.
pub const TCPI_OPT_ECN: u8 = 8;
/// Value of [`TcpInfo::ecn_mode`]: ECN was not negotiated.
pub const TCPI_ECN_MODE_DISABLED: u8 = 0;
/// Value of [`TcpInfo::ecn_mode`]: classic ECN (RFC 3168).
pub const TCPI_ECN_MODE_RFC3168: u8 = 1;
/// Value of [`TcpInfo::ecn_mode`]: Accurate ECN (RFC 9768).
pub const TCPI_ECN_MODE_ACCECN: u8 = 2;
/// Value of [`TcpInfo::ecn_mode`]: Accurate ECN is asked for, and not answered yet.
pub const TCPI_ECN_MODE_PENDING: u8 = 3;
/// Bit of [`TcpInfo::options`]: this end's timestamps count microseconds (kernel 6.7).
pub const TCPI_OPT_USEC_TS: u8 = 64;

/// Receive flag: look, do not take.
pub const MSG_PEEK: i32 = libc::MSG_PEEK;
/// Send and receive flag: never block.
pub const MSG_DONTWAIT: i32 = libc::MSG_DONTWAIT;
/// Send and receive flag: urgent data.
pub const MSG_OOB: i32 = libc::MSG_OOB;
/// Send flag: open the connection with this data (TCP Fast Open).
pub const MSG_FASTOPEN: i32 = libc::MSG_FASTOPEN;

/// Reads an option as bytes; returns how many the kernel wrote.
///
/// # Errors
/// What `getsockopt` returns.
#[doc(alias = "getsockopt")]
pub fn get(socket: &impl AsFd, option: Opt, value: &mut [u8]) -> io::Result<usize> {
    by_hand(|| sys::get(socket.as_fd(), option, value))
}

/// Writes an option as bytes.
///
/// # Errors
/// What `setsockopt` returns.
#[doc(alias = "setsockopt")]
pub fn set(socket: &impl AsFd, option: Opt, value: &[u8]) -> io::Result<()> {
    by_hand(|| sys::set(socket.as_fd(), option, value))
}

/// Reads an option that is an `int`.
///
/// # Errors
/// What `getsockopt` returns.
pub fn get_int(socket: &impl AsFd, option: Opt) -> io::Result<i32> {
    by_hand(|| sys::get_int(socket.as_fd(), option))
}

/// Writes an option that is an `int`.
///
/// # Errors
/// What `setsockopt` returns.
pub fn set_int(socket: &impl AsFd, option: Opt, value: i32) -> io::Result<()> {
    by_hand(|| sys::set_int(socket.as_fd(), option, value))
}

/// Sets an option to nothing: a null pointer and a length of zero.
///
/// # Errors
/// What `setsockopt` returns.
pub fn clear(socket: &impl AsFd, option: Opt) -> io::Result<()> {
    by_hand(|| sys::clear(socket.as_fd(), option))
}

/// One entry of [`Opt::TCP_REPAIR_OPTIONS`]: a code and its value, 8 bytes in host byte order.
#[must_use]
pub fn tcp_repair_opt(code: u32, value: u32) -> [u8; 8] {
    let mut entry = [0; 8];
    entry[..4].copy_from_slice(&code.to_ne_bytes());
    entry[4..].copy_from_slice(&value.to_ne_bytes());
    entry
}

/// How many system calls this thread has made through this crate so far, here and in its operations.
///
/// The difference of two readings is what lies between them: it is how the benchmarks count.
#[must_use]
pub fn calls_made() -> u64 {
    sys::made()
}

/// Creates a blocking, close-on-exec TCP socket.
///
/// # Errors
/// What `socket` returns.
pub fn tcp_socket(family: Family) -> io::Result<OwnedFd> {
    by_hand(|| sys::tcp_socket(family))
}

/// Binds a socket to a local address.
///
/// # Errors
/// What `bind` returns.
pub fn bind(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    by_hand(|| sys::bind(socket.as_fd(), address))
}

/// Connects a socket to a remote address: in repair mode at once and without a packet.
///
/// # Errors
/// What `connect` returns.
pub fn connect(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    by_hand(|| sys::connect(socket.as_fd(), address))
}

/// The local address of a socket.
///
/// # Errors
/// What `getsockname` returns.
#[doc(alias = "getsockname")]
pub fn local_address(socket: &impl AsFd) -> io::Result<SocketAddr> {
    by_hand(|| sys::local_address(socket.as_fd()))
}

/// Where a socket of this family was connected to, if it ever was: also before the peer has answered, and after the end of
/// the connection, when `getpeername` does not say it.
///
/// # Errors
/// What `getsockopt` returns.
#[doc(alias = "SO_PEERNAME")]
pub fn destination(socket: &impl AsFd, family: Family) -> io::Result<Option<SocketAddr>> {
    by_hand(|| sys::destination(socket.as_fd(), family))
}

/// Receives into `buffer` with the given flags; returns the count as the kernel gives it.
///
/// In repair mode with the send queue selected the count is the length of the whole queue even where the buffer
/// is shorter (guide A24).
///
/// # Errors
/// What `recv` returns.
pub fn recv(socket: &impl AsFd, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
    by_hand(|| sys::recv(socket.as_fd(), buffer, flags))
}

/// Sends `bytes` with the given flags and without `SIGPIPE`; returns how many bytes the kernel took.
///
/// # Errors
/// What `send` returns.
pub fn send(socket: &impl AsFd, bytes: &[u8], flags: i32) -> io::Result<usize> {
    by_hand(|| sys::send(socket.as_fd(), bytes, flags))
}

/// Gives a socket this filter in the place of the one it has; none, where `program` is empty.
///
/// # Errors
/// What `setsockopt` returns.
#[doc(alias = "SO_ATTACH_FILTER")]
pub fn set_filter(socket: &impl AsFd, program: &[crate::Instruction]) -> io::Result<()> {
    by_hand(|| sys::set_filter(socket.as_fd(), program))
}

/// What `poll` says of a socket at this moment: the bits `POLL*`, without waiting.
///
/// # Errors
/// What `poll` returns.
pub fn poll(socket: &impl AsFd) -> io::Result<i16> {
    by_hand(|| sys::poll_now(socket.as_fd()))
}

/// Bytes in the receive queue up to an urgent mark; a received FIN does not count.
///
/// # Errors
/// What the ioctl returns.
#[doc(alias = "SIOCINQ")]
pub fn siocinq(socket: &impl AsFd) -> io::Result<i32> {
    by_hand(|| sys::siocinq(socket.as_fd()))
}

/// Bytes in the send queue that are not acknowledged; a FIN counts as one.
///
/// # Errors
/// What the ioctl returns.
#[doc(alias = "SIOCOUTQ")]
pub fn siocoutq(socket: &impl AsFd) -> io::Result<i32> {
    by_hand(|| sys::siocoutq(socket.as_fd()))
}

/// Bytes in the send queue that were never sent; a FIN counts as one.
///
/// # Errors
/// What the ioctl returns.
#[doc(alias = "SIOCOUTQNSD")]
pub fn siocoutqnsd(socket: &impl AsFd) -> io::Result<i32> {
    by_hand(|| sys::siocoutqnsd(socket.as_fd()))
}

/// The part of `struct tcp_info` that a checkpoint looks at, and the length that the kernel gave.
///
/// The structure grows with the kernel: 232 bytes on 5.10, 248 on 6.12, 280 on 6.18. Bytes that an older kernel
/// does not have read as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// `tcpi_state`, a number of `enum tcp_state`.
    pub state: u8,
    /// `tcpi_options`: bits `TCPI_OPT_*`.
    pub options: u8,
    /// `tcpi_snd_wscale`: how far this end shifts the windows that it receives; 0 unless negotiated.
    pub snd_wscale: u8,
    /// `tcpi_rcv_wscale`: how far this end shifts the windows that it sends; 0 unless negotiated.
    pub rcv_wscale: u8,
    /// `tcpi_rto`, microseconds.
    pub rto: u32,
    /// `tcpi_snd_mss`: payload of a full segment, options subtracted.
    pub snd_mss: u32,
    /// `tcpi_rcv_mss`.
    pub rcv_mss: u32,
    /// `tcpi_unacked`, segments.
    pub unacked: u32,
    /// `tcpi_pmtu`, bytes.
    pub pmtu: u32,
    /// `tcpi_rtt`, microseconds.
    pub rtt: u32,
    /// `tcpi_rttvar`, microseconds.
    pub rttvar: u32,
    /// `tcpi_snd_ssthresh`, segments.
    pub snd_ssthresh: u32,
    /// `tcpi_snd_cwnd`, segments.
    pub snd_cwnd: u32,
    /// `tcpi_total_retrans`, segments.
    pub total_retrans: u32,
    /// `tcpi_bytes_acked`: payload of ours that the peer has acknowledged since the connection began (kernel 4.1).
    pub bytes_acked: u64,
    /// `tcpi_bytes_received`: payload that was acknowledged to the peer since the connection began (kernel 4.1).
    pub bytes_received: u64,
    /// `tcpi_segs_out`: segments that have left since the socket was connected (kernel 4.2).
    pub segs_out: u32,
    /// `tcpi_notsent_bytes`: bytes in the send queue that were not sent yet, a FIN counted as one (kernel 4.6).
    pub notsent_bytes: u32,
    /// `tcpi_delivered_ce`: segments of ours that reached the peer with a mark of congestion, as it says (kernel 4.18).
    pub delivered_ce: u32,
    /// `tcpi_bytes_sent`: payload that has left since the connection began, what was sent again included (kernel 4.19).
    pub bytes_sent: u64,
    /// `tcpi_bytes_retrans`: of it, what was sent again (kernel 4.19).
    pub bytes_retrans: u64,
    /// `tcpi_rcv_ooopack`: segments that ever came beyond a hole (kernel 5.4).
    pub rcv_ooopack: u32,
    /// `tcpi_ecn_mode`: a value `TCPI_ECN_MODE_*` (kernel 7.0). In its place 6.18 and 6.19, which negotiate no Accurate
    /// ECN, have `tcpi_accecn_fail_mode`, which is 0 without.
    pub ecn_mode: u8,
    /// `tcpi_snd_wnd`: how much the peer lets us send beyond what it has acknowledged, bytes (kernel 5.4).
    pub snd_wnd: u32,
    /// How many bytes the kernel wrote.
    pub length: usize,
}

impl TcpInfo {
    /// Decodes the bytes that the kernel wrote; what is missing at the end reads as zero.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let word =
            |at: usize| u32::from_ne_bytes([byte(at), byte(at + 1), byte(at + 2), byte(at + 3)]);
        let long = |at: usize| {
            let bytes = std::array::from_fn(|index| byte(at + index));
            u64::from_ne_bytes(bytes)
        };
        // Two four-bit fields in one byte, the first in the low half (linux/tcp.h, little-endian bit fields).
        let (low, high) = (byte(6) & 0xf, byte(6) >> 4);
        let (snd_wscale, rcv_wscale) = if cfg!(target_endian = "little") {
            (low, high)
        } else {
            (high, low)
        };
        // The first two bits of a word of bit fields.
        let ecn_mode = if cfg!(target_endian = "little") {
            byte(276) & 3
        } else {
            byte(276) >> 6
        };
        Self {
            state: byte(0),
            options: byte(5),
            snd_wscale,
            rcv_wscale,
            rto: word(8),
            snd_mss: word(16),
            rcv_mss: word(20),
            unacked: word(24),
            pmtu: word(60),
            rtt: word(68),
            rttvar: word(72),
            snd_ssthresh: word(76),
            snd_cwnd: word(80),
            total_retrans: word(100),
            bytes_acked: long(120),
            bytes_received: long(128),
            segs_out: word(136),
            notsent_bytes: word(144),
            delivered_ce: word(196),
            bytes_sent: long(200),
            bytes_retrans: long(208),
            rcv_ooopack: word(224),
            snd_wnd: word(228),
            ecn_mode,
            length: bytes.len(),
        }
    }
}

/// Reads `TCP_INFO`, of whatever length.
///
/// # Errors
/// What `getsockopt` returns.
#[doc(alias = "TCP_INFO")]
pub fn tcp_info(socket: &impl AsFd) -> io::Result<TcpInfo> {
    by_hand(|| read_info(socket.as_fd()))
}

/// As [`tcp_info`], for the library's own operations.
pub(crate) fn read_info(fd: BorrowedFd<'_>) -> io::Result<TcpInfo> {
    // Twice the longest that any kernel has today.
    let mut bytes = [0; 560];
    let length = sys::get(fd, Opt::TCP_INFO, &mut bytes)?;
    Ok(TcpInfo::decode(&bytes[..length.min(bytes.len())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn tcp_info_is_read_at_the_offsets_of_the_kernels_structure() {
        assert_eq!(offset_of!(libc::tcp_info, tcpi_state), 0);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_options), 5);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_snd_rcv_wscale), 6);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_rto), 8);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_snd_mss), 16);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_rcv_mss), 20);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_unacked), 24);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_pmtu), 60);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_rtt), 68);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_rttvar), 72);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_snd_ssthresh), 76);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_snd_cwnd), 80);
        assert_eq!(offset_of!(libc::tcp_info, tcpi_total_retrans), 100);
    }

    #[test]
    fn the_kind_of_ecn_is_the_first_bits_of_its_word() {
        // As kernel 7.3 wrote it on x86-64 with AccECN and its option: 0xa at 276; 280 bytes in all.
        let mut bytes = [0; 280];
        bytes[276..].copy_from_slice(&0xa_u32.to_le_bytes());
        if cfg!(target_endian = "big") {
            bytes[276] = 0xa0;
        }
        assert_eq!(TcpInfo::decode(&bytes).ecn_mode, TCPI_ECN_MODE_ACCECN);
        assert_eq!(TcpInfo::decode(&bytes[..276]).ecn_mode, 0);
    }

    #[test]
    fn a_short_tcp_info_reads_as_zeros_at_its_end() {
        let info = TcpInfo::decode(&[1, 0, 0, 0, 0, 7, 0x7a]);
        assert_eq!(
            (info.state, info.options, info.snd_wscale, info.rcv_wscale),
            (1, 7, 10, 7)
        );
        assert_eq!((info.total_retrans, info.length), (0, 7));
    }
}
