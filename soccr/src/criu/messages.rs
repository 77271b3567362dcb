//! CRIU's messages, with the names and numbers that `images/*.proto` of its sources give to their fields.
//!
//! The fields are those of CRIU 4.2; older versions have fewer, and left out is what only they write. All are in the
//! order of their numbers, which is that in which CRIU writes them. A field that CRIU requires has a plain type.

/// `tcp_stream_entry` (`tcp-stream.proto`): the numbers of a connection.
///
/// Sequence numbers are in host byte order; lengths are bytes. What they count, at a FIN too, is what `libsoccr_save`
/// reads from the kernel.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[doc(alias = "tcp_stream_entry")]
pub struct TcpStreamEntry {
    /// Length of the receive queue, without a FIN (`SIOCINQ`).
    #[prost(uint32, required, tag = "1")]
    pub inq_len: u32,
    /// The next sequence number expected from the peer, its FIN counted (kernel `rcv_nxt`).
    #[prost(uint32, required, tag = "2")]
    pub inq_seq: u32,
    /// Length of the send queue, sent and unsent, without a FIN.
    #[prost(uint32, required, tag = "3")]
    pub outq_len: u32,
    /// The sequence number after everything that was written, our FIN counted (kernel `write_seq`).
    #[prost(uint32, required, tag = "4")]
    pub outq_seq: u32,
    /// What was negotiated: the `TCPI_OPT_*` bits of `tcpi_options`.
    #[prost(uint32, required, tag = "5")]
    pub opt_mask: u32,
    /// Shift of the peer's windows; 0 where scaling was not negotiated.
    #[prost(uint32, required, tag = "6")]
    pub snd_wscale: u32,
    /// The largest segment that the peer accepts, bytes.
    #[prost(uint32, required, tag = "7")]
    pub mss_clamp: u32,
    /// Shift of our windows; there where scaling was negotiated.
    #[prost(uint32, optional, tag = "8")]
    pub rcv_wscale: Option<u32>,
    /// What `TCP_TIMESTAMP` read; there where timestamps were negotiated.
    #[prost(uint32, optional, tag = "9")]
    pub timestamp: Option<u32>,
    /// `TCP_CORK` by older versions (3.17); newer ones (4.1) have [`TcpOptsEntry`].
    #[prost(bool, optional, tag = "10")]
    pub cork: Option<bool>,
    /// `TCP_NODELAY`, likewise.
    #[prost(bool, optional, tag = "11")]
    pub nodelay: Option<bool>,
    /// How many bytes at the end of the send queue were never sent, without a FIN.
    #[prost(uint32, optional, tag = "12")]
    pub unsq_len: Option<u32>,
    /// The first of five values of `TCP_REPAIR_WINDOW`; all there or none.
    #[prost(uint32, optional, tag = "13")]
    pub snd_wl1: Option<u32>,
    /// The send window, bytes.
    #[prost(uint32, optional, tag = "14")]
    pub snd_wnd: Option<u32>,
    /// The largest send window ever, bytes.
    #[prost(uint32, optional, tag = "15")]
    pub max_window: Option<u32>,
    /// The receive window, bytes from `rcv_wup`.
    #[prost(uint32, optional, tag = "16")]
    pub rcv_wnd: Option<u32>,
    /// What was received when a window was last announced.
    #[prost(uint32, optional, tag = "17")]
    pub rcv_wup: Option<u32>,
}

/// `tcp_opts_entry` (`tcp-stream.proto` of newer versions, such as 4.1): options of TCP.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[doc(alias = "tcp_opts_entry")]
pub struct TcpOptsEntry {
    /// `TCP_CORK`.
    #[prost(bool, optional, tag = "1")]
    pub cork: Option<bool>,
    /// `TCP_NODELAY`.
    #[prost(bool, optional, tag = "2")]
    pub nodelay: Option<bool>,
    /// `TCP_KEEPCNT`, a number of probes.
    #[prost(uint32, optional, tag = "3")]
    pub keepcnt: Option<u32>,
    /// `TCP_KEEPIDLE`, seconds.
    #[prost(uint32, optional, tag = "4")]
    pub keepidle: Option<u32>,
    /// `TCP_KEEPINTVL`, seconds.
    #[prost(uint32, optional, tag = "5")]
    pub keepintvl: Option<u32>,
}

/// `inet_sk_entry` (`sk-inet.proto`): a socket, its addresses and its state.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[doc(alias = "inet_sk_entry")]
pub struct InetSkEntry {
    /// The number by which descriptors name the file.
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    /// The inode of the socket, which is in the name of its `tcp-stream` image.
    #[prost(uint32, required, tag = "2")]
    pub ino: u32,
    /// `AF_INET` (2) or `AF_INET6` (10).
    #[prost(uint32, required, tag = "3")]
    pub family: u32,
    /// `SOCK_STREAM` (1) of a TCP socket.
    #[prost(uint32, required, tag = "4")]
    #[doc(alias = "type")]
    pub kind: u32,
    /// `IPPROTO_TCP` (6).
    #[prost(uint32, required, tag = "5")]
    pub proto: u32,
    /// The kernel's number of the state (`tcpi_state`).
    #[prost(uint32, required, tag = "6")]
    pub state: u32,
    /// The local port, host byte order; 0 where the socket is not bound.
    #[prost(uint32, required, tag = "7")]
    pub src_port: u32,
    /// The remote port, host byte order; 0 where the socket was never connected.
    #[prost(uint32, required, tag = "8")]
    pub dst_port: u32,
    /// The flags of the open file (`F_GETFL`): access mode, `O_NONBLOCK`.
    #[prost(uint32, required, tag = "9")]
    pub flags: u32,
    /// Of a listening socket its backlog; of another one the kernel's count of unacknowledged bytes.
    #[prost(uint32, required, tag = "10")]
    pub backlog: u32,
    /// The local address in words of 32 bits as they lie in memory, that is in network byte order: one of IPv4, four
    /// of IPv6.
    #[prost(uint32, repeated, packed = "false", tag = "11")]
    pub src_addr: Vec<u32>,
    /// The remote address, likewise.
    #[prost(uint32, repeated, packed = "false", tag = "12")]
    pub dst_addr: Vec<u32>,
    /// Who gets its signals.
    #[prost(message, required, tag = "13")]
    pub fown: FownEntry,
    /// Its options.
    #[prost(message, required, tag = "14")]
    pub opts: SkOptsEntry,
    /// `IPV6_V6ONLY`, of an IPv6 socket.
    #[prost(bool, optional, tag = "15")]
    pub v6only: Option<bool>,
    /// Options of IP.
    #[prost(message, optional, tag = "16")]
    pub ip_opts: Option<IpOptsEntry>,
    /// The device of a link-local address, as text.
    #[prost(bytes = "vec", optional, tag = "17")]
    pub ifname: Option<Vec<u8>>,
    /// The network namespace, a number within the images.
    #[prost(uint32, optional, tag = "18")]
    pub ns_id: Option<u32>,
    /// The sides that are shut: bit 0 reading, bit 1 writing (`sk_shutdown`); older versions (3.17)
    /// write it of UDP only.
    #[prost(int32, optional, tag = "19")]
    pub shutdown: Option<i32>,
    /// Options of TCP, by newer versions (4.1).
    #[prost(message, optional, tag = "20")]
    pub tcp_opts: Option<TcpOptsEntry>,
}

/// `fown_entry` (`fown.proto`): who gets the signals of a file (`F_SETOWN`).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[doc(alias = "fown_entry")]
pub struct FownEntry {
    /// User.
    #[prost(uint32, required, tag = "1")]
    pub uid: u32,
    /// Effective user.
    #[prost(uint32, required, tag = "2")]
    pub euid: u32,
    /// Which signal; 0: `SIGIO`.
    #[prost(uint32, required, tag = "3")]
    pub signum: u32,
    /// Whether `pid` is a thread, a process or a group.
    #[prost(uint32, required, tag = "4")]
    pub pid_type: u32,
    /// To whom; 0: nobody.
    #[prost(uint32, required, tag = "5")]
    pub pid: u32,
}

/// `sk_opts_entry` (`sk-opts.proto`): options of any socket (`SO_*`).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[doc(alias = "sk_opts_entry")]
pub struct SkOptsEntry {
    /// Send buffer, bytes as the kernel counts them.
    #[prost(uint32, required, tag = "1")]
    pub so_sndbuf: u32,
    /// Receive buffer, bytes as the kernel counts them.
    #[prost(uint32, required, tag = "2")]
    pub so_rcvbuf: u32,
    /// `SO_SNDTIMEO`, seconds.
    #[prost(uint64, required, tag = "3")]
    pub so_snd_tmo_sec: u64,
    /// `SO_SNDTIMEO`, microseconds on top.
    #[prost(uint64, required, tag = "4")]
    pub so_snd_tmo_usec: u64,
    /// `SO_RCVTIMEO`, seconds.
    #[prost(uint64, required, tag = "5")]
    pub so_rcv_tmo_sec: u64,
    /// `SO_RCVTIMEO`, microseconds on top.
    #[prost(uint64, required, tag = "6")]
    pub so_rcv_tmo_usec: u64,
    /// `SO_REUSEADDR`.
    #[prost(bool, optional, tag = "7")]
    pub reuseaddr: Option<bool>,
    /// `SO_PRIORITY`.
    #[prost(uint32, optional, tag = "8")]
    pub so_priority: Option<u32>,
    /// `SO_RCVLOWAT`, bytes.
    #[prost(uint32, optional, tag = "9")]
    pub so_rcvlowat: Option<u32>,
    /// `SO_MARK`.
    #[prost(uint32, optional, tag = "10")]
    pub so_mark: Option<u32>,
    /// `SO_PASSCRED`, which means something on Unix sockets only.
    #[prost(bool, optional, tag = "11")]
    pub so_passcred: Option<bool>,
    /// `SO_PASSSEC`, likewise.
    #[prost(bool, optional, tag = "12")]
    pub so_passsec: Option<bool>,
    /// `SO_DONTROUTE`.
    #[prost(bool, optional, tag = "13")]
    pub so_dontroute: Option<bool>,
    /// `SO_NO_CHECK`, which means something on UDP sockets only.
    #[prost(bool, optional, tag = "14")]
    pub so_no_check: Option<bool>,
    /// `SO_BINDTODEVICE`: the name of the device, as text.
    #[prost(bytes = "vec", optional, tag = "15")]
    pub so_bound_dev: Option<Vec<u8>>,
    /// The classic socket filter, a word an instruction: `code`, `jt`, `jf` and `k` from the highest bits down.
    #[prost(fixed64, repeated, packed = "false", tag = "16")]
    pub so_filter: Vec<u64>,
    /// `SO_REUSEPORT`.
    #[prost(bool, optional, tag = "17")]
    pub so_reuseport: Option<bool>,
    /// `SO_BROADCAST`, which means something on datagram sockets only.
    #[prost(bool, optional, tag = "18")]
    pub so_broadcast: Option<bool>,
    /// `SO_KEEPALIVE`.
    #[prost(bool, optional, tag = "19")]
    pub so_keepalive: Option<bool>,
    /// `TCP_KEEPCNT` by older versions (3.17); newer ones (4.1) have [`TcpOptsEntry`].
    #[prost(uint32, optional, tag = "20")]
    pub tcp_keepcnt: Option<u32>,
    /// `TCP_KEEPIDLE`, likewise.
    #[prost(uint32, optional, tag = "21")]
    pub tcp_keepidle: Option<u32>,
    /// `TCP_KEEPINTVL`, likewise.
    #[prost(uint32, optional, tag = "22")]
    pub tcp_keepintvl: Option<u32>,
    /// `SO_OOBINLINE`: 0 or 1.
    #[prost(uint32, optional, tag = "23")]
    pub so_oobinline: Option<u32>,
    /// `SO_LINGER`, seconds; there where the socket lingers.
    #[prost(uint32, optional, tag = "24")]
    pub so_linger: Option<u32>,
    /// Which buffer sizes the application has fixed (`SO_BUF_LOCK`): bit 0 send, bit 1 receive.
    #[prost(uint32, optional, tag = "25")]
    pub so_buf_lock: Option<u32>,
}

/// `ip_opts_entry` (`sk-inet.proto`): options of IP.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[doc(alias = "ip_opts_entry")]
pub struct IpOptsEntry {
    /// `IP_FREEBIND`, or `IPV6_FREEBIND`.
    #[prost(bool, optional, tag = "1")]
    pub freebind: Option<bool>,
    /// What only raw sockets have, encoded.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub raw: Option<Vec<u8>>,
    /// `IP_PKTINFO`, or `IPV6_RECVPKTINFO`.
    #[prost(bool, optional, tag = "5")]
    pub pktinfo: Option<bool>,
    /// `IP_TOS`, of an IPv4 socket.
    #[prost(uint32, optional, tag = "6")]
    pub tos: Option<u32>,
    /// `IP_TTL`, of an IPv4 socket: what it uses, set or not.
    #[prost(uint32, optional, tag = "7")]
    pub ttl: Option<u32>,
}

/// `file_entry` (`fdinfo.proto`): an open file of any kind.
///
/// Of files that are no inet sockets this version knows no more than kind and number.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[doc(alias = "file_entry")]
pub struct FileEntry {
    /// The kind of file (`fd_types`); [`INETSK`](Self::INETSK) is 4.
    #[prost(int32, required, tag = "1")]
    #[doc(alias = "type")]
    pub kind: i32,
    /// The number by which descriptors name the file.
    #[prost(uint32, required, tag = "2")]
    pub id: u32,
    /// The socket, if it is one.
    #[prost(message, optional, tag = "4")]
    pub isk: Option<InetSkEntry>,
}

impl FileEntry {
    /// The kind of an inet socket.
    pub const INETSK: i32 = 4;
}

impl From<InetSkEntry> for FileEntry {
    fn from(socket: InetSkEntry) -> Self {
        Self {
            kind: Self::INETSK,
            id: socket.id,
            isk: Some(socket),
        }
    }
}
