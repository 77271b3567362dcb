//! Socket options, each with the name that error messages print.

use std::fmt;

/// `libc` does not have it; sparc alone has another number.
const SO_NETNS_COOKIE: libc::c_int = if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) {
    0x0050
} else {
    71
};

/// A socket option of plain values: none of them carries a pointer, which is why it is safe to pass any bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opt {
    pub(crate) level: libc::c_int,
    pub(crate) name: libc::c_int,
    label: &'static str,
    /// The calls that read and write it, as error messages name them.
    pub(crate) getting: &'static str,
    pub(crate) setting: &'static str,
}

/// Declares the options, so that each carries the name that error messages print.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident = $level:path, $value:expr;)*) => {
        impl Opt {
            $($(#[$doc])*
            pub const $name: Self = Self {
                level: $level,
                name: $value,
                label: stringify!($name),
                getting: concat!("getsockopt(", stringify!($name), ")"),
                setting: concat!("setsockopt(", stringify!($name), ")"),
            };)*
        }
    };
}

options! {
    /// Repair mode: [`TCP_REPAIR_ON`](super::TCP_REPAIR_ON), [`TCP_REPAIR_OFF`](super::TCP_REPAIR_OFF) or [`TCP_REPAIR_OFF_NO_WP`](super::TCP_REPAIR_OFF_NO_WP) (kernel 3.5; the last one 4.19).
    TCP_REPAIR = libc::IPPROTO_TCP, libc::TCP_REPAIR;
    /// The queue that [`recv`](super::recv), [`send`](super::send) and [`Opt::TCP_QUEUE_SEQ`] mean, in repair mode.
    TCP_REPAIR_QUEUE = libc::IPPROTO_TCP, libc::TCP_REPAIR_QUEUE;
    /// The sequence number at the end of the selected queue, in host byte order.
    TCP_QUEUE_SEQ = libc::IPPROTO_TCP, libc::TCP_QUEUE_SEQ;
    /// What the handshake would have negotiated: an array of [`tcp_repair_opt`](super::tcp_repair_opt).
    TCP_REPAIR_OPTIONS = libc::IPPROTO_TCP, libc::TCP_REPAIR_OPTIONS;
    /// The clock behind the timestamp option; bit 0 is the microsecond flag since kernel 6.7.
    TCP_TIMESTAMP = libc::IPPROTO_TCP, libc::TCP_TIMESTAMP;
    /// Five 32-bit window values: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup (kernel 4.8).
    TCP_REPAIR_WINDOW = libc::IPPROTO_TCP, libc::TCP_REPAIR_WINDOW;
    /// The maximum segment size; in repair mode reading it gives the negotiated clamp.
    TCP_MAXSEG = libc::IPPROTO_TCP, libc::TCP_MAXSEG;
    /// `struct tcp_info`, of whatever length the kernel has.
    TCP_INFO = libc::IPPROTO_TCP, libc::TCP_INFO;
    /// No Nagle delay; setting it pushes what is queued.
    TCP_NODELAY = libc::IPPROTO_TCP, libc::TCP_NODELAY;
    /// Whether acknowledgements are sent at once, for a while; setting it sends one that is due and worth it.
    TCP_QUICKACK = libc::IPPROTO_TCP, libc::TCP_QUICKACK;
    /// The name of an upper-layer protocol such as `tls`.
    TCP_ULP = libc::IPPROTO_TCP, libc::TCP_ULP;
    /// IP options; clearing them makes the kernel compute the segment size again.
    IP_OPTIONS = libc::IPPROTO_IP, libc::IP_OPTIONS;
    /// Whether ICMP errors come with their RFC 4884 extensions (kernel 5.9).
    IP_RECVERR_RFC4884 = libc::IPPROTO_IP, 26;
    /// As [`IP_RECVERR_RFC4884`](Self::IP_RECVERR_RFC4884), for IPv6 (kernel 5.9).
    IPV6_RECVERR_RFC4884 = libc::IPPROTO_IPV6, 31;
    /// Whether the address and the device of a packet are told.
    IP_PKTINFO = libc::IPPROTO_IP, libc::IP_PKTINFO;
    /// Whether the address and the device of a packet are told (IPv6).
    IPV6_RECVPKTINFO = libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO;
    /// Whether the time to live of a packet is told.
    IP_RECVTTL = libc::IPPROTO_IP, libc::IP_RECVTTL;
    /// Whether the hop limit of a packet is told.
    IPV6_RECVHOPLIMIT = libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT;
    /// Whether the type of service of a packet is told.
    IP_RECVTOS = libc::IPPROTO_IP, libc::IP_RECVTOS;
    /// Whether the traffic class of a packet is told.
    IPV6_RECVTCLASS = libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS;
    /// Whether the IP options of a packet are told.
    IP_RECVOPTS = libc::IPPROTO_IP, libc::IP_RECVOPTS;
    /// Whether the IP options of a packet are told, as an answer would have them.
    IP_RETOPTS = libc::IPPROTO_IP, libc::IP_RETOPTS;
    /// Whether broadcasts may be sent: nothing to TCP, and kept.
    SO_BROADCAST = libc::SOL_SOCKET, libc::SO_BROADCAST;
    /// Whether checksums may be left out: nothing to TCP, and kept.
    SO_NO_CHECK = libc::SOL_SOCKET, libc::SO_NO_CHECK;
    /// Whether an IPv6 socket refuses IPv4.
    IPV6_V6ONLY = libc::IPPROTO_IPV6, libc::IPV6_V6ONLY;
    /// Address reuse; reads 2 in repair mode.
    SO_REUSEADDR = libc::SOL_SOCKET, libc::SO_REUSEADDR;
    /// Where `MSG_PEEK` starts, or -1.
    SO_PEEK_OFF = libc::SOL_SOCKET, libc::SO_PEEK_OFF;
    /// An eBPF program as the socket's filter: the descriptor of one; it cannot be read.
    SO_ATTACH_BPF = libc::SOL_SOCKET, libc::SO_ATTACH_BPF;
    /// Whether urgent data stays in the stream.
    SO_OOBINLINE = libc::SOL_SOCKET, libc::SO_OOBINLINE;
    /// The error that waits; reading takes it away.
    SO_ERROR = libc::SOL_SOCKET, libc::SO_ERROR;
    /// What a socket does when it is closed: two `int`s, whether to linger and for how many seconds.
    SO_LINGER = libc::SOL_SOCKET, libc::SO_LINGER;
    /// The mark of a socket's packets, for firewalls and routes.
    SO_MARK = libc::SOL_SOCKET, libc::SO_MARK;
    /// A number of the network namespace, 64 bits (kernel 5.14).
    SO_NETNS_COOKIE = libc::SOL_SOCKET, SO_NETNS_COOKIE;
    /// The protocol of a socket.
    SO_PROTOCOL = libc::SOL_SOCKET, libc::SO_PROTOCOL;
    /// The type of a socket.
    SO_TYPE = libc::SOL_SOCKET, libc::SO_TYPE;
    /// Send buffer, bytes; the kernel doubles what is set and locks the size.
    SO_SNDBUF = libc::SOL_SOCKET, libc::SO_SNDBUF;
    /// How much memory a socket takes: nine 32-bit numbers of bytes, `SK_MEMINFO_RMEM_ALLOC` and on (kernel 4.12).
    SO_MEMINFO = libc::SOL_SOCKET, libc::SO_MEMINFO;
    /// Receive buffer, bytes; the kernel doubles what is set and locks the size.
    SO_RCVBUF = libc::SOL_SOCKET, libc::SO_RCVBUF;
    /// Send buffer past `net.core.wmem_max`; needs `CAP_NET_ADMIN` in the initial user namespace.
    SO_SNDBUFFORCE = libc::SOL_SOCKET, libc::SO_SNDBUFFORCE;
    /// Receive buffer past `net.core.rmem_max`; needs `CAP_NET_ADMIN` in the initial user namespace.
    SO_RCVBUFFORCE = libc::SOL_SOCKET, libc::SO_RCVBUFFORCE;
    /// Which buffer sizes are locked against autotuning: bit 0 send, bit 1 receive (kernel 5.15).
    SO_BUF_LOCK = libc::SOL_SOCKET, libc::SO_BUF_LOCK;
    /// Small segments wait until a full one can be sent.
    TCP_CORK = libc::IPPROTO_TCP, libc::TCP_CORK;
    /// Idle time before the first keepalive probe, seconds; reads the default of the network if unset.
    TCP_KEEPIDLE = libc::IPPROTO_TCP, libc::TCP_KEEPIDLE;
    /// Time between keepalive probes, seconds; reads the default of the network if unset.
    TCP_KEEPINTVL = libc::IPPROTO_TCP, libc::TCP_KEEPINTVL;
    /// Unanswered keepalive probes before the connection is given up; reads the default of the network if unset.
    TCP_KEEPCNT = libc::IPPROTO_TCP, libc::TCP_KEEPCNT;
    /// How often a SYN is sent again; reads the default of the network if unset.
    TCP_SYNCNT = libc::IPPROTO_TCP, libc::TCP_SYNCNT;
    /// How long a closed socket stays in FIN-WAIT-2, seconds; reads the default of the network if unset.
    TCP_LINGER2 = libc::IPPROTO_TCP, libc::TCP_LINGER2;
    /// Accept when data has come; seconds, rounded to a number of retransmissions.
    TCP_DEFER_ACCEPT = libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT;
    /// How long data may stay unacknowledged, milliseconds (kernel 2.6.37).
    TCP_USER_TIMEOUT = libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT;
    /// The name of the congestion control.
    TCP_CONGESTION = libc::IPPROTO_TCP, libc::TCP_CONGESTION;
    /// How many unsent bytes still count as writable (kernel 3.12).
    TCP_NOTSENT_LOWAT = libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT;
    /// A bound of the advertised window, bytes; the kernel moves it while it tunes the buffer.
    TCP_WINDOW_CLAMP = libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP;
    /// Linear timeouts for thin streams.
    TCP_THIN_LINEAR_TIMEOUTS = libc::IPPROTO_TCP, libc::TCP_THIN_LINEAR_TIMEOUTS;
    /// Whether a listener keeps the SYN (kernel 4.2).
    TCP_SAVE_SYN = libc::IPPROTO_TCP, libc::TCP_SAVE_SYN;
    /// The SYN that a listener has kept for the socket that was accepted; reading it takes it (kernel 4.2).
    TCP_SAVED_SYN = libc::IPPROTO_TCP, libc::TCP_SAVED_SYN;
    /// Whether connecting waits for the first data (kernel 4.11).
    TCP_FASTOPEN_CONNECT = libc::IPPROTO_TCP, 30;
    /// Whether Fast Open goes without a cookie (kernel 4.15).
    TCP_FASTOPEN_NO_COOKIE = libc::IPPROTO_TCP, 34;
    /// Whether reads tell how much is left (kernel 4.18).
    TCP_INQ = libc::IPPROTO_TCP, 36;
    /// A delay of everything sent, microseconds (kernel 5.3).
    TCP_TX_DELAY = libc::IPPROTO_TCP, 37;
    /// A key of TCP-MD5 for one peer (`struct tcp_md5sig`); it cannot be read.
    TCP_MD5SIG = libc::IPPROTO_TCP, libc::TCP_MD5SIG;
    /// The state of TCP-AO; `ENOENT` without (kernel 6.7).
    TCP_AO_INFO = libc::IPPROTO_TCP, 40;
    /// The longest retransmission timeout, milliseconds (kernel 6.15).
    TCP_RTO_MAX_MS = libc::IPPROTO_TCP, 44;
    /// The shortest retransmission timeout, microseconds (kernel 6.15).
    TCP_RTO_MIN_US = libc::IPPROTO_TCP, 45;
    /// The longest delay of an acknowledgement, microseconds (kernel 6.15).
    TCP_DELACK_MAX_US = libc::IPPROTO_TCP, 46;
    /// Type of service; the two low bits are the kernel's. Setting it sets `SO_PRIORITY` as well.
    IP_TOS = libc::IPPROTO_IP, libc::IP_TOS;
    /// Time to live; reads the default of the network if unset.
    IP_TTL = libc::IPPROTO_IP, libc::IP_TTL;
    /// Path MTU discovery.
    IP_MTU_DISCOVER = libc::IPPROTO_IP, libc::IP_MTU_DISCOVER;
    /// Whether ICMP errors are queued.
    IP_RECVERR = libc::IPPROTO_IP, libc::IP_RECVERR;
    /// The least time to live of what is taken.
    IP_MINTTL = libc::IPPROTO_IP, 21;
    /// Whether an address can be bound that is not here.
    IP_FREEBIND = libc::IPPROTO_IP, libc::IP_FREEBIND;
    /// Transparent proxying.
    IP_TRANSPARENT = libc::IPPROTO_IP, libc::IP_TRANSPARENT;
    /// Whether the port is chosen when connecting (kernel 4.2).
    IP_BIND_ADDRESS_NO_PORT = libc::IPPROTO_IP, 24;
    /// From which ports one is chosen: low 16 bits the first, high 16 bits the last (kernel 6.3).
    IP_LOCAL_PORT_RANGE = libc::IPPROTO_IP, 51;
    /// Traffic class; the two low bits are the kernel's.
    IPV6_TCLASS = libc::IPPROTO_IPV6, libc::IPV6_TCLASS;
    /// Hop limit; reads the default of the network if unset.
    IPV6_UNICAST_HOPS = libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS;
    /// Path MTU discovery.
    IPV6_MTU_DISCOVER = libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER;
    /// Whether ICMP errors are queued.
    IPV6_RECVERR = libc::IPPROTO_IPV6, libc::IPV6_RECVERR;
    /// The least hop limit of what is taken.
    IPV6_MINHOPCOUNT = libc::IPPROTO_IPV6, 73;
    /// Whether an address can be bound that is not here.
    IPV6_FREEBIND = libc::IPPROTO_IPV6, 78;
    /// Transparent proxying.
    IPV6_TRANSPARENT = libc::IPPROTO_IPV6, 75;
    /// Whether flow labels are made up.
    IPV6_AUTOFLOWLABEL = libc::IPPROTO_IPV6, 70;
    /// Whether the flow label of the address is sent.
    IPV6_FLOWINFO_SEND = libc::IPPROTO_IPV6, 33;
    /// Never fragment.
    IPV6_DONTFRAG = libc::IPPROTO_IPV6, 62;
    /// Which source addresses are preferred.
    IPV6_ADDR_PREFERENCES = libc::IPPROTO_IPV6, 72;
    /// Keepalive probes.
    SO_KEEPALIVE = libc::SOL_SOCKET, libc::SO_KEEPALIVE;
    /// The priority of what is sent.
    SO_PRIORITY = libc::SOL_SOCKET, libc::SO_PRIORITY;
    /// The name of the device that the socket is bound to.
    SO_BINDTODEVICE = libc::SOL_SOCKET, libc::SO_BINDTODEVICE;
    /// Several sockets on one port.
    SO_REUSEPORT = libc::SOL_SOCKET, libc::SO_REUSEPORT;
    /// Only to hosts on the same link.
    SO_DONTROUTE = libc::SOL_SOCKET, libc::SO_DONTROUTE;
    /// How many bytes make the socket readable.
    SO_RCVLOWAT = libc::SOL_SOCKET, libc::SO_RCVLOWAT;
    /// How long a read waits: a `struct timeval`.
    SO_RCVTIMEO = libc::SOL_SOCKET, libc::SO_RCVTIMEO;
    /// How long a write waits: a `struct timeval`.
    SO_SNDTIMEO = libc::SOL_SOCKET, libc::SO_SNDTIMEO;
    /// How fast the socket may send, bytes per second, 64 bits (kernel 4.20).
    SO_MAX_PACING_RATE = libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE;
    /// Sending without copying.
    SO_ZEROCOPY = libc::SOL_SOCKET, libc::SO_ZEROCOPY;
    /// Times of what is received, microseconds.
    SO_TIMESTAMP = libc::SOL_SOCKET, libc::SO_TIMESTAMP;
    /// Times of what is received, nanoseconds.
    SO_TIMESTAMPNS = libc::SOL_SOCKET, libc::SO_TIMESTAMPNS;
    /// Which times are wanted: `SOF_TIMESTAMPING_*`.
    SO_TIMESTAMPING = libc::SOL_SOCKET, libc::SO_TIMESTAMPING;
    /// Whether a new path is tried after timeouts (kernel 5.18).
    SO_TXREHASH = libc::SOL_SOCKET, libc::SO_TXREHASH;
    /// Memory that the socket keeps (kernel 5.17).
    SO_RESERVE_MEM = libc::SOL_SOCKET, libc::SO_RESERVE_MEM;
    /// How long to poll the device, microseconds.
    SO_BUSY_POLL = libc::SOL_SOCKET, libc::SO_BUSY_POLL;
    /// Whether polling is preferred to interrupts (kernel 5.11).
    SO_PREFER_BUSY_POLL = libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL;
    /// How many packets one poll takes (kernel 5.11).
    SO_BUSY_POLL_BUDGET = libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET;
    /// Whether `select` reports errors.
    SO_SELECT_ERR_QUEUE = libc::SOL_SOCKET, libc::SO_SELECT_ERR_QUEUE;
    /// Whether the filter can be changed no more.
    SO_LOCK_FILTER = libc::SOL_SOCKET, libc::SO_LOCK_FILTER;
}

impl Opt {
    /// The name of the option in the kernel's headers.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.label
    }
}

impl fmt::Debug for Opt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Opt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Opt {
    /// By its name; only an option that is carried has one here.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        crate::SocketOption::named(&label).ok_or_else(|| {
            serde::de::Error::custom(format!("{label:?} is not an option that is carried"))
        })
    }
}
