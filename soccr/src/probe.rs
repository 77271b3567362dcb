//! What this kernel and these privileges allow, found out by doing it: features are ported back to older kernels, and
//! taken away by security modules, so that no version number tells.

use crate::endpoints::Family;
use crate::fin::MARK;
use crate::ingress::MARKED_ONLY;
use crate::raw::{self, Opt, TCP_SEND_QUEUE, TCPI_OPT_USEC_TS};
use crate::switch::Switch;
use crate::sys;
use crate::window::Window;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Something that a kernel, or a set of privileges, may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Ability {
    /// Repair mode: without it there is no save and no restore. By the helper that is in force, if one is
    /// ([`with_helper`](crate::with_helper)); so are the two that follow.
    Repair,
    /// Leaving it without a window probe, which an unsent tail needs (kernel 4.19).
    QuietOff,
    /// Reading and setting windows, of the length that this library knows (kernel 4.8).
    RepairWindow,
    /// Timestamps in microseconds (kernel 6.7).
    MicrosecondTimestamps,
    /// `SO_PEEK_OFF` on TCP (kernel 6.9).
    PeekOffset,
    /// `SO_BUF_LOCK` (kernel 5.15).
    BufferLock,
    /// `SO_RCVBUFFORCE` and `SO_SNDBUFFORCE`: `CAP_NET_ADMIN` in the initial user namespace.
    ForceBuffers,
    /// Raw IPv4 sockets, for [`FinMode::Inject`](crate::FinMode::Inject): `CAP_NET_RAW`.
    RawIpv4,
    /// Raw IPv6 sockets.
    RawIpv6,
    /// The mark of injected packets (`SO_MARK`): `CAP_NET_ADMIN` or `CAP_NET_RAW`.
    Mark,
    /// A socket filter, for the ingress lock.
    IngressLock,
    /// Reading where a socket was connected to (`SO_PEERNAME`).
    Destination,
    /// Telling network namespaces apart (`SO_NETNS_COOKIE`, kernel 5.14).
    NetworkCookie,
}

/// Why something is not available.
#[derive(Debug)]
pub enum Unavailable {
    /// The kernel refuses just this.
    Refused(io::Error),
    /// It did not come to that: what it builds on is refused.
    Unprepared(&'static str, io::Error),
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Repair,
        Self::QuietOff,
        Self::RepairWindow,
        Self::MicrosecondTimestamps,
        Self::PeekOffset,
        Self::BufferLock,
        Self::ForceBuffers,
        Self::RawIpv4,
        Self::RawIpv6,
        Self::Mark,
        Self::IngressLock,
        Self::Destination,
        Self::NetworkCookie,
    ];

    /// A name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Repair => "TCP_REPAIR",
            Self::QuietOff => "TCP_REPAIR_OFF_NO_WP",
            Self::RepairWindow => "TCP_REPAIR_WINDOW",
            Self::MicrosecondTimestamps => "timestamps in microseconds",
            Self::PeekOffset => "SO_PEEK_OFF on TCP",
            Self::BufferLock => "SO_BUF_LOCK",
            Self::ForceBuffers => "SO_RCVBUFFORCE",
            Self::RawIpv4 => "raw sockets, IPv4",
            Self::RawIpv6 => "raw sockets, IPv6",
            Self::Mark => "SO_MARK",
            Self::IngressLock => "SO_ATTACH_FILTER",
            Self::Destination => "SO_PEERNAME",
            Self::NetworkCookie => "SO_NETNS_COOKIE",
        }
    }

    /// Tries it, on a socket of its own in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Why it is not available.
    pub fn attempt(self) -> Result<(), Unavailable> {
        let socket = new_socket()?;
        let set = |option, value| raw::set_int(&socket, option, value);
        let answer = match self {
            Self::Repair => Switch::current().enter(socket.as_fd()),
            Self::QuietOff => {
                repair(&socket)?;
                Switch::current().leave_quietly(socket.as_fd())
            }
            Self::RepairWindow => {
                repair(&socket)?;
                raw::get(&socket, Opt::TCP_REPAIR_WINDOW, &mut [0; Window::SIZE]).map(drop)
            }
            Self::MicrosecondTimestamps => {
                repair(&socket)?;
                microseconds(&socket)
            }
            Self::PeekOffset => set(Opt::SO_PEEK_OFF, 0),
            Self::BufferLock => raw::get_int(&socket, Opt::SO_BUF_LOCK).map(drop),
            Self::ForceBuffers => {
                set(Opt::SO_RCVBUFFORCE, 1 << 16).and_then(|()| set(Opt::SO_SNDBUFFORCE, 1 << 16))
            }
            Self::RawIpv4 => sys::raw_socket(Family::V4).map(drop),
            Self::RawIpv6 => sys::raw_socket(Family::V6).map(drop),
            Self::Mark => set(Opt::SO_MARK, MARK as i32),
            Self::IngressLock => raw::set_filter(&socket, &MARKED_ONLY),
            Self::Destination => destination(&socket),
            Self::NetworkCookie => sys::netns_cookie(socket.as_fd()).and_then(|cookie| {
                cookie
                    .map(drop)
                    .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOPROTOOPT))
            }),
        };
        answer.map_err(Unavailable::Refused)
    }
}

fn new_socket() -> Result<OwnedFd, Unavailable> {
    raw::tcp_socket(Family::V4).map_err(|error| Unavailable::Unprepared("a TCP socket", error))
}

fn repair(socket: &OwnedFd) -> Result<(), Unavailable> {
    let entered = Switch::current().enter(socket.as_fd());
    entered.map_err(|error| Unavailable::Unprepared(Ability::Repair.name(), error))
}

/// Older kernels take the odd value as a value; only `TCP_INFO` tells the two apart.
fn microseconds(socket: &OwnedFd) -> io::Result<()> {
    raw::set_int(socket, Opt::TCP_TIMESTAMP, 1)?;
    match raw::tcp_info(socket)?.options & TCPI_OPT_USEC_TS {
        0 => Err(io::Error::other("bit 0 of TCP_TIMESTAMP selects nothing")),
        _ => Ok(()),
    }
}

/// A socket that was never connected has none, and the kernel says so.
fn destination(socket: &OwnedFd) -> io::Result<()> {
    sys::destination(socket.as_fd(), Family::V4).map(drop)
}

/// An ability that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tried {
    /// What was tried.
    pub ability: Ability,
    /// Why it is not available; `None` where it is.
    pub missing: Option<String>,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Probe {
    /// Every ability.
    pub abilities: Vec<Tried>,
    /// The lengths of `TCP_REPAIR_WINDOW` that the kernel takes, bytes; this library knows 20.
    pub window_lengths: Vec<usize>,
    /// The user namespace of this process, as `/proc/self/ns/user` names it.
    pub user_namespace: Option<String>,
    /// Whether the namespace maps every user to itself, as the initial one does.
    pub initial_user_namespace: bool,
}

impl Probe {
    /// Whether something is available.
    #[must_use]
    pub fn has(&self, ability: Ability) -> bool {
        let tried = self.abilities.iter().find(|tried| tried.ability == ability);
        tried.is_some_and(|tried| tried.missing.is_none())
    }
}

/// Finds out what this kernel and these privileges allow, in the network namespace of the calling thread; with the
/// helper that is in force on it, if one is.
#[must_use]
pub fn probe() -> Probe {
    let tried = |ability: Ability| Tried {
        ability,
        missing: ability.attempt().err().map(|why| why.to_string()),
    };
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let name = std::fs::read_link("/proc/self/ns/user").ok();
    Probe {
        abilities: Ability::ALL.into_iter().map(tried).collect(),
        window_lengths: window_lengths(),
        user_namespace: name.map(|name| name.to_string_lossy().into_owned()),
        initial_user_namespace: map.split_whitespace().eq(["0", "0", "4294967295"]),
    }
}

/// Every length up to one that no kernel has: 20 since 4.8, longer ones were discussed.
fn window_lengths() -> Vec<usize> {
    const LONGEST: usize = 64;
    let Ok(socket) = new_socket() else {
        return Vec::new();
    };
    if repair(&socket).is_err()
        || raw::set_int(&socket, Opt::TCP_REPAIR_QUEUE, TCP_SEND_QUEUE).is_err()
    {
        return Vec::new();
    }
    (4..=LONGEST)
        .step_by(4)
        .filter(|length| {
            raw::get(
                &socket,
                Opt::TCP_REPAIR_WINDOW,
                &mut [0; LONGEST][..*length],
            )
            .is_ok()
        })
        .collect()
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Unprepared(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for Unavailable {}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Tried { ability, missing } in &self.abilities {
            match missing {
                None => writeln!(f, "{:<27} yes", ability.name())?,
                Some(why) => writeln!(f, "{:<27} no: {why}", ability.name())?,
            }
        }
        writeln!(f, "{:<27} {:?}", "window lengths", self.window_lengths)?;
        let whole = match self.initial_user_namespace {
            true => "the initial one, or one like it",
            false => "not the initial one",
        };
        let name = self.user_namespace.as_deref().unwrap_or("unknown");
        writeln!(f, "{:<27} {name}, {whole}", "user namespace")
    }
}
