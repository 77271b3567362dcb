//! The two ends of a connection.

use crate::error::Step;
use crate::lint::{Fate, Finding, Rule};
use std::fmt;
use std::net::SocketAddr;

/// The local and the remote address, as the socket itself names them.
///
/// An IPv6 socket that talks IPv4 has v4-mapped addresses (`::ffff:192.0.2.1`) at both ends; the restored socket
/// is an IPv6 socket again. A link-local address carries its scope id, which is the number of its link on the host that
/// saved: [`Snapshot::link`](crate::Snapshot::link) has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Endpoints {
    /// What `getsockname` says.
    pub local: SocketAddr,
    /// What `getpeername` says, or said while the connection lived; unspecified (`0.0.0.0:0`, `[::]:0`) for a
    /// socket that was never connected.
    pub remote: SocketAddr,
}

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl Family {
    pub(crate) fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }
}

impl Family {
    /// The number of the family (`AF_*`).
    pub(crate) fn domain(self) -> libc::c_int {
        match self {
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "AF_INET",
            Self::V6 => "AF_INET6",
        })
    }
}

impl Endpoints {
    /// Whether the socket is, or was, connected.
    #[must_use]
    pub fn has_remote(&self) -> bool {
        self.remote.port() != 0
    }

    /// The family of the socket, not of the packets: a v4-mapped connection has an IPv6 socket.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.local)
    }

    /// Whether this is an IPv6 socket whose packets are IPv4.
    #[must_use]
    pub fn is_v4_mapped(&self) -> bool {
        is_v4_mapped(self.local)
    }

    /// Whether both can be addresses of one connection; of a socket that has none, only whether they are of one family.
    ///
    /// `link` names the link of those that are link-local.
    pub(crate) fn lint(&self, connected: bool, link: Option<&str>, found: &mut Vec<Finding>) {
        let (local, remote) = (self.local, self.remote);
        if local.is_ipv4() != remote.is_ipv4() {
            let errno = match local {
                SocketAddr::V4(_) => libc::EAFNOSUPPORT,
                SocketAddr::V6(_) => libc::EINVAL,
            };
            found.push(Finding::refused_by_the_kernel(
                (Rule::Address, Step::Connect, errno),
                "endpoints.remote",
                remote,
                format!("must be of one family with endpoints.local, {local}"),
            ));
            return;
        }
        if !connected {
            return;
        }
        let unspecified = |address: SocketAddr| address.ip().to_canonical().is_unspecified();
        let mixed = is_v4_mapped(local) != is_v4_mapped(remote);
        if mixed && !unspecified(local) && !unspecified(remote) {
            let errno = match is_v4_mapped(local) {
                true => libc::EAFNOSUPPORT,
                false => libc::ENETUNREACH,
            };
            found.push(Finding::refused_by_the_kernel(
                (Rule::Address, Step::Connect, errno),
                "endpoints.remote",
                remote,
                format!("must be v4-mapped exactly if endpoints.local, {local}, is"),
            ));
        }
        lint_address("endpoints.local", local, Step::Bind, found);
        lint_address("endpoints.remote", remote, Step::Connect, found);
        if link.is_none() {
            lint_scope("endpoints.local", local, Step::Bind, found);
            lint_scope("endpoints.remote", remote, Step::Connect, found);
        }
    }
}

/// Whether it can be the address of one host, and of a port of it.
fn lint_address(field: &'static str, address: SocketAddr, step: Step, found: &mut Vec<Finding>) {
    let ip = address.ip().to_canonical();
    let other = (
        Rule::Address,
        step,
        "the connection has another address or port",
    );
    if address.port() == 0 {
        let must = "must have a port";
        found.push(Finding::taken_by_the_kernel(other, field, address, must));
    }
    let must = "must be the address of one host";
    if ip.is_unspecified() {
        found.push(Finding::taken_by_the_kernel(other, field, address, must));
    }
    if ip.is_multicast() {
        found.push(match multicast_errno(address, step) {
            Some((step, errno)) => {
                let refused = (Rule::Address, step, errno);
                Finding::refused_by_the_kernel(refused, field, address, must)
            }
            None => Finding::taken_by_the_kernel(other, field, address, must),
        });
    }
}

/// Whether it says by a number which link it belongs to, where no name says so.
fn lint_scope(field: &'static str, address: SocketAddr, step: Step, found: &mut Vec<Finding>) {
    if matches!(address, SocketAddr::V6(v6) if v6.scope_id() == 0) && is_link_local(address) {
        found.push(
            Finding::refused_by_the_kernel(
                (Rule::Address, step, libc::EINVAL),
                field,
                address,
                "must have the number of its link (scope id), or link its name, being link-local",
            )
            .but(Fate::Left),
        );
    }
}

/// What the kernel says to the address of many hosts, and where.
fn multicast_errno(address: SocketAddr, step: Step) -> Option<(Step, i32)> {
    match (step, address) {
        // An IPv4 socket that is bound to it has any address of the host.
        (Step::Bind, SocketAddr::V4(_)) => None,
        (Step::Bind, _) if is_v4_mapped(address) => Some((Step::Connect, libc::EINVAL)),
        (Step::Bind, _) => Some((Step::Bind, libc::EINVAL)),
        _ => Some((Step::Connect, libc::ENETUNREACH)),
    }
}

/// Whether the address means something on one link only; one of IPv4 (`169.254.0.0/16`) is routed as any other.
pub(crate) fn is_link_local(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local(),
    }
}

/// The family of the packets of a socket with this address: IPv4 for a v4-mapped one.
pub(crate) fn packet_family(local: SocketAddr) -> Family {
    match is_v4_mapped(local) {
        true => Family::V4,
        false => Family::of(local),
    }
}

/// Whether the address lies in `::ffff:0:0/96`: all six leading words are looked at, since
/// `fd77::ffff:a4d:1` shares the last three with a mapped address and is none (guide G5).
fn is_v4_mapped(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(v6) => v6.ip().to_ipv4_mapped().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(local: &str, remote: &str) -> Endpoints {
        Endpoints {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    fn found(local: &str, remote: &str) -> Vec<Finding> {
        let mut found = Vec::new();
        endpoints(local, remote).lint(true, None, &mut found);
        found
    }

    #[test]
    fn an_address_that_only_ends_like_a_mapped_one_is_not_mapped() {
        assert!(endpoints("[::ffff:10.77.0.1]:1", "[::ffff:10.77.0.2]:2").is_v4_mapped());
        assert!(!endpoints("[fd77::ffff:a4d:1]:1", "[fd77::2]:2").is_v4_mapped());
        assert!(!endpoints("10.77.0.1:1", "10.77.0.2:2").is_v4_mapped());
    }

    #[test]
    fn what_cannot_be_one_connection_is_refused_by_name() {
        for (local, remote, field) in [
            ("10.0.0.1:1", "[fd77::2]:2", "endpoints.remote"),
            ("[::ffff:10.0.0.1]:1", "[fd77::2]:2", "endpoints.remote"),
            ("10.0.0.1:0", "10.0.0.2:2", "endpoints.local"),
            ("10.0.0.1:1", "0.0.0.0:2", "endpoints.remote"),
            (
                "[::ffff:0.0.0.0]:1",
                "[::ffff:10.0.0.2]:2",
                "endpoints.local",
            ),
            ("10.0.0.1:1", "224.0.0.1:2", "endpoints.remote"),
        ] {
            let found = found(local, remote);
            assert_eq!(found[0].field, field, "{local} {remote}");
        }
        assert!(found("[fd77::ffff:a4d:1]:1", "[fd77::2]:2").is_empty());
    }
}
