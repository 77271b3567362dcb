//! What to do about an error, where that is known.

use super::{Error, ErrorKind, Step, Unsupported};
use crate::queue::Queue;
use crate::state::TcpState;

impl Error {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match &*self.kind {
            ErrorKind::System { call, source } => system_hint(call, source.raw_os_error()?),
            ErrorKind::Helper(failure) => Some(failure.hint()),
            ErrorKind::AlreadyInRepair => {
                Some("leave repair mode first: setsockopt(TCP_REPAIR, 0)")
            }
            ErrorKind::Unstable { .. } => {
                Some("block the traffic of this connection while it is saved")
            }
            ErrorKind::Buffer { queue, .. } => Some(match queue {
                Queue::Receive => {
                    "raise net.core.rmem_max and net.ipv4.tcp_rmem, or run with CAP_NET_ADMIN in the initial user \
                     namespace"
                }
                Queue::Send => {
                    "raise net.core.wmem_max, or run with CAP_NET_ADMIN in the initial user namespace"
                }
            }),
            ErrorKind::Memory { .. } => Some(
                "raise net.ipv4.tcp_mem, or the limit of the control group (memory.max; memory.kmem.tcp.limit_in_bytes), or \
                 restore fewer connections at a time",
            ),
            ErrorKind::NotInjected { .. } => Some(
                "let packets with the mark 0xC114 pass the firewall, or choose FinMode::Emulate",
            ),
            ErrorKind::NoLink { .. } => {
                Some("put the name of the link that leads to the peer here into Snapshot::link")
            }
            ErrorKind::Unsupported(Unsupported::State(_) | Unsupported::UpperLayer(_))
                if self.step == Step::Close =>
            {
                Some("it would not be silent: close the socket as usual")
            }
            ErrorKind::Unsupported(unsupported) => unsupported.hint(),
            ErrorKind::Refused(_) | ErrorKind::Mismatch { .. } => None,
        }
    }
}

impl Unsupported {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Protocol(libc::IPPROTO_MPTCP) => Some(
                "MPTCP cannot be repaired: open the connection as plain TCP (Go: GODEBUG=multipathtcp=0)",
            ),
            Self::UrgentData { .. } => {
                Some("let the application read up to and past the urgent mark first")
            }
            Self::UpperLayer(_) => {
                Some("the keys and records of that layer are not part of the TCP state")
            }
            Self::EbpfFilter => Some("detach it first, and attach it to the restored socket"),
            Self::LockedFilter => Some("block the traffic of the connection by a firewall instead"),
            Self::Authentication => {
                Some("the peer would drop the unsigned segments of a restored connection")
            }
            Self::AccurateEcn => Some(
                "the peer would slow down for marks that never were: choose SaveSettings::accurate_ecn to let it, or open \
                 such connections with net.ipv4.tcp_ecn below 3",
            ),
            Self::QuietOff => Some("needs a kernel of 4.19 or newer"),
            Self::State(TcpState::Listen) => Some(
                "create and bind the listening socket anew; connections it has not accepted yet: accept first",
            ),
            Self::State(TcpState::SynReceived) => Some("wait until the handshake is over"),
            Self::State(TcpState::TimeWait) => Some(
                "nothing is left to carry: let the kernel of the old host answer what still comes",
            ),
            Self::Protocol(_) | Self::State(_) | Self::UnknownState(_) => None,
        }
    }
}

/// What the kernel means by an errno at this call.
fn system_hint(call: &str, errno: i32) -> Option<&'static str> {
    Some(match (call, errno) {
        ("setsockopt(TCP_REPAIR)", libc::EPERM) => {
            "needs CAP_NET_ADMIN in the user namespace that owns the network namespace in which the socket was \
             created, here or in a helper (soccr::helper), and a socket that does not listen"
        }
        ("socket(SOCK_RAW)" | "setsockopt(SO_MARK)", libc::EPERM | libc::EACCES) => {
            "needs CAP_NET_RAW, or choose FinMode::Emulate"
        }
        ("socket" | "socket(SOCK_RAW)", libc::EMFILE) => {
            "this process has no descriptor left: raise RLIMIT_NOFILE (ulimit -n); a save needs one for a moment, a restore one \
             for each connection, and one more for a moment where a FIN is put back"
        }
        ("socket" | "socket(SOCK_RAW)", libc::ENFILE) => {
            "this machine has no descriptor left: raise fs.file-max"
        }
        ("setsockopt(SO_ATTACH_FILTER)", libc::ENOMEM) => {
            "raise net.core.optmem_max: a socket filter does not fit"
        }
        ("bind", libc::EADDRNOTAVAIL) => {
            "the local address is not on this host, or still tentative: move it here and wait for it first, or choose \
             Settings::freebind and do so before the resume"
        }
        ("connect", libc::EADDRNOTAVAIL) => {
            "this connection still exists in this network namespace: close the original first"
        }
        ("connect", libc::ENETUNREACH | libc::EHOSTUNREACH) => {
            "there is no route to the remote address"
        }
        ("setsockopt(TCP_REPAIR_OPTIONS)", libc::EPERM) => {
            "the socket has already sent data: restore options before queues, and into a new socket"
        }
        _ => return None,
    })
}
