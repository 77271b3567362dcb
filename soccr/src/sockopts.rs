//! What the application has set on its socket.
//!
//! An option is carried where its value is not that of a new socket: so "unset" stays unset, and takes the defaults of the
//! new host, although the kernel reads it as the default of the old one (guide D2).

use crate::endpoints::{Endpoints, Family};
use crate::losses::{Loss, Lost};
use crate::raw::Opt;
use crate::state::TcpState;
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An option that the application has set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SocketOption {
    /// Which one.
    pub option: Opt,
    /// Its value, as `getsockopt` gives it and `setsockopt` takes it.
    pub value: Vec<u8>,
}

/// When an option has to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before an address is bound: it decides about addresses, routes, devices, or about the SYN.
    Unbound,
    /// Once connected, before the queues.
    Connected,
    /// After everything else.
    Last,
}

/// What is special about an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Nothing,
    /// Reads the default of the network if unset.
    NetworkDefault,
    /// The two low bits are ECN's, which are the kernel's.
    WithoutEcn,
    /// Set by another option as well: carried with it.
    WithTos,
    /// Means something only while there is no connection.
    UnconnectedOnly,
    /// Means something only before the first connection; afterwards it reads what that one had.
    NeverConnected,
    /// Means something only while there is one.
    ConnectedOnly,
    /// IPv6 sockets only.
    V6Only,
    /// IPv6 sockets only; reads the default of the network if unset.
    V6NetworkDefault,
    /// IPv6 sockets only, and without the bits of ECN.
    V6WithoutEcn,
}

use Moment::{Connected, Last, Unbound};
use Special::{
    ConnectedOnly, NetworkDefault, NeverConnected, Nothing, UnconnectedOnly, V6NetworkDefault,
    V6Only, V6WithoutEcn, WithTos, WithoutEcn,
};

/// Every option that is carried, in the order in which they are set.
const CARRIED: &[(Opt, Moment, Special)] = &[
    (Opt::IPV6_V6ONLY, Unbound, V6Only),
    (Opt::IP_FREEBIND, Unbound, Nothing),
    (Opt::IPV6_FREEBIND, Unbound, V6Only),
    (Opt::IP_TRANSPARENT, Unbound, Nothing),
    (Opt::IPV6_TRANSPARENT, Unbound, V6Only),
    (Opt::IP_BIND_ADDRESS_NO_PORT, Unbound, Nothing),
    (Opt::IP_LOCAL_PORT_RANGE, Unbound, Nothing),
    (Opt::IPV6_ADDR_PREFERENCES, Unbound, V6Only),
    (Opt::SO_REUSEPORT, Unbound, Nothing),
    (Opt::SO_BINDTODEVICE, Unbound, Nothing),
    (Opt::SO_MARK, Unbound, Nothing),
    (Opt::SO_DONTROUTE, Unbound, Nothing),
    (Opt::SO_BROADCAST, Unbound, Nothing),
    (Opt::SO_NO_CHECK, Unbound, Nothing),
    (Opt::IP_TOS, Unbound, WithoutEcn),
    (Opt::IPV6_TCLASS, Unbound, V6WithoutEcn),
    // After IP_TOS, which sets it.
    (Opt::SO_PRIORITY, Unbound, WithTos),
    (Opt::IP_TTL, Unbound, NetworkDefault),
    (Opt::IPV6_UNICAST_HOPS, Unbound, V6NetworkDefault),
    (Opt::IP_MINTTL, Unbound, Nothing),
    (Opt::IPV6_MINHOPCOUNT, Unbound, V6Only),
    (Opt::IP_MTU_DISCOVER, Unbound, NetworkDefault),
    (Opt::IPV6_MTU_DISCOVER, Unbound, V6NetworkDefault),
    (Opt::IPV6_DONTFRAG, Unbound, V6Only),
    (Opt::IP_RECVERR, Unbound, Nothing),
    (Opt::IPV6_RECVERR, Unbound, V6Only),
    (Opt::IP_RECVERR_RFC4884, Unbound, Nothing),
    (Opt::IPV6_RECVERR_RFC4884, Unbound, V6Only),
    (Opt::IP_PKTINFO, Unbound, Nothing),
    (Opt::IPV6_RECVPKTINFO, Unbound, V6Only),
    (Opt::IP_RECVTTL, Unbound, Nothing),
    (Opt::IPV6_RECVHOPLIMIT, Unbound, V6Only),
    (Opt::IP_RECVTOS, Unbound, Nothing),
    (Opt::IPV6_RECVTCLASS, Unbound, V6Only),
    (Opt::IP_RECVOPTS, Unbound, Nothing),
    (Opt::IP_RETOPTS, Unbound, Nothing),
    (Opt::IPV6_AUTOFLOWLABEL, Unbound, V6NetworkDefault),
    (Opt::IPV6_FLOWINFO_SEND, Unbound, V6Only),
    (Opt::TCP_CONGESTION, Unbound, NetworkDefault),
    (Opt::TCP_MAXSEG, Unbound, NeverConnected),
    (Opt::TCP_FASTOPEN_NO_COOKIE, Unbound, Nothing),
    (Opt::TCP_SAVE_SYN, Unbound, Nothing),
    (Opt::TCP_DEFER_ACCEPT, Unbound, Nothing),
    (Opt::TCP_SYNCNT, Unbound, NetworkDefault),
    (Opt::TCP_KEEPIDLE, Unbound, NetworkDefault),
    (Opt::TCP_KEEPINTVL, Unbound, NetworkDefault),
    (Opt::TCP_KEEPCNT, Unbound, NetworkDefault),
    (Opt::SO_KEEPALIVE, Unbound, Nothing),
    (Opt::TCP_LINGER2, Unbound, NetworkDefault),
    (Opt::TCP_USER_TIMEOUT, Unbound, Nothing),
    (Opt::TCP_THIN_LINEAR_TIMEOUTS, Unbound, Nothing),
    (Opt::TCP_INQ, Unbound, Nothing),
    (Opt::TCP_TX_DELAY, Unbound, Nothing),
    (Opt::TCP_RTO_MAX_MS, Unbound, NetworkDefault),
    (Opt::TCP_RTO_MIN_US, Unbound, NetworkDefault),
    (Opt::TCP_DELACK_MAX_US, Unbound, NetworkDefault),
    (Opt::SO_OOBINLINE, Unbound, Nothing),
    (Opt::SO_LINGER, Unbound, Nothing),
    (Opt::SO_RCVLOWAT, Unbound, Nothing),
    (Opt::SO_RCVTIMEO, Unbound, Nothing),
    (Opt::SO_SNDTIMEO, Unbound, Nothing),
    (Opt::SO_MAX_PACING_RATE, Unbound, Nothing),
    (Opt::SO_ZEROCOPY, Unbound, Nothing),
    (Opt::SO_TXREHASH, Unbound, NetworkDefault),
    (Opt::SO_RESERVE_MEM, Unbound, Nothing),
    (Opt::SO_BUSY_POLL, Unbound, NetworkDefault),
    (Opt::SO_PREFER_BUSY_POLL, Unbound, Nothing),
    (Opt::SO_BUSY_POLL_BUDGET, Unbound, Nothing),
    (Opt::SO_SELECT_ERR_QUEUE, Unbound, Nothing),
    (Opt::SO_TIMESTAMP, Unbound, Nothing),
    (Opt::SO_TIMESTAMPNS, Unbound, Nothing),
    // Some of its flags ask for a connection.
    (Opt::SO_TIMESTAMPING, Connected, Nothing),
    // Connecting sets it afresh.
    (Opt::TCP_WINDOW_CLAMP, Connected, ConnectedOnly),
    // Setting them pushes what is queued.
    (Opt::TCP_CORK, Connected, Nothing),
    (Opt::TCP_NODELAY, Connected, Nothing),
    // It would hold back what was never sent.
    (Opt::TCP_NOTSENT_LOWAT, Last, NetworkDefault),
    // It would hold back the connect to the double of a peer.
    (Opt::TCP_FASTOPEN_CONNECT, Last, UnconnectedOnly),
    // It would move the start of the receive queue.
    (Opt::SO_PEEK_OFF, Last, Nothing),
];

/// Every option that an image can name.
#[cfg(test)]
pub(crate) fn carried() -> impl Iterator<Item = Opt> {
    let others = CARRIED.iter().map(|(option, ..)| *option);
    others.chain([Opt::IP_OPTIONS])
}

/// The longest value: IP options, the name of a device.
const MAX_VALUE: usize = 64;

impl SocketOption {
    /// The carried option with this name, as the kernel's headers write it.
    #[must_use]
    pub fn named(label: &str) -> Option<Opt> {
        let mut carried = CARRIED.iter().map(|(option, ..)| *option);
        carried
            .find(|option| option.label() == label)
            .or((label == Opt::IP_OPTIONS.label()).then_some(Opt::IP_OPTIONS))
    }
}

/// What an application has set, as it is read before the pause.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) options: Vec<SocketOption>,
    pub(crate) losses: Vec<Loss>,
}

/// What a new socket has.
pub(crate) struct NewSocket {
    socket: OwnedFd,
    /// Whether it is in the network namespace of the socket that is saved: else their defaults cannot be compared.
    same_network: bool,
}

impl NewSocket {
    /// One of the same family as `fd`.
    pub(crate) fn like(fd: BorrowedFd<'_>, family: Family) -> io::Result<Self> {
        let socket = sys::tcp_socket(family)?;
        let same_network = sys::netns_cookie(fd)? == sys::netns_cookie(socket.as_fd())?;
        Ok(Self {
            socket,
            same_network,
        })
    }
}

impl Found {
    /// Reads every option that is not as a new socket has it.
    pub(crate) fn read(
        fd: BorrowedFd<'_>,
        endpoints: &Endpoints,
        state: TcpState,
        new: &NewSocket,
    ) -> Self {
        let mut found = Self::default();
        for &(option, _, special) in CARRIED {
            if special.applies(endpoints, state) {
                found.read_one(fd, option, special, new);
            }
        }
        found.read_one(fd, Opt::IP_OPTIONS, Nothing, new);
        if !new.same_network {
            let detail = "saved from another network namespace: options that read as a default of their network are \
                          carried as if they were set";
            found.losses.push(Loss::new(Lost::SocketOption, detail));
        }
        found
    }

    fn read_one(&mut self, fd: BorrowedFd<'_>, option: Opt, special: Special, new: &NewSocket) {
        let value = match value_of(fd, option, special) {
            Ok(value) => value,
            // What this kernel does not have, or has for other sockets only, no application can have set.
            Err(error) if is_missing(&error) => return,
            Err(error) => {
                let detail = format!("{} could not be read: {error}", option.label());
                return self.losses.push(Loss::new(Lost::SocketOption, detail));
            }
        };
        let default = value_of(new.socket.as_fd(), option, special);
        if let Err(error) = &default {
            let label = option.label();
            let detail = format!(
                "{label} of a new socket could not be read: {error}; carried as if it were set"
            );
            self.losses.push(Loss::new(Lost::SocketOption, detail));
        }
        let comparable = new.same_network || !special.is_network_default();
        let with_tos = special == WithTos && self.has(Opt::IP_TOS);
        if !comparable || with_tos || default.ok().as_ref() != Some(&value) {
            self.options.push(SocketOption { option, value });
        }
    }

    fn has(&self, option: Opt) -> bool {
        self.options.iter().any(|found| found.option == option)
    }
}

impl Special {
    fn applies(self, endpoints: &Endpoints, state: TcpState) -> bool {
        match self {
            UnconnectedOnly => state == TcpState::Close,
            NeverConnected => state == TcpState::Close && !endpoints.has_remote(),
            ConnectedOnly => state.is_synchronized(),
            V6Only | V6NetworkDefault | V6WithoutEcn => endpoints.family() == Family::V6,
            Nothing | NetworkDefault | WithoutEcn | WithTos => true,
        }
    }

    fn is_network_default(self) -> bool {
        matches!(self, NetworkDefault | V6NetworkDefault)
    }
}

/// Of an option of all sockets that TCP does not have, such as `SO_PEEK_OFF` before kernel 6.9, the errno is another one.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP)
    )
}

fn value_of(fd: BorrowedFd<'_>, option: Opt, special: Special) -> io::Result<Vec<u8>> {
    let mut value = [0; MAX_VALUE];
    let length = sys::get(fd, option, &mut value)?.min(MAX_VALUE);
    if matches!(special, WithoutEcn | V6WithoutEcn) {
        let tos = i32::from_ne_bytes([value[0], value[1], value[2], value[3]]);
        return Ok((tos & !3).to_ne_bytes().to_vec());
    }
    Ok(value[..length].to_vec())
}

/// Sets the options whose moment it is; returns those that did not come out as they were.
pub(crate) fn apply(fd: BorrowedFd<'_>, options: &[SocketOption], moment: Moment) -> Vec<Loss> {
    let mut losses = Vec::new();
    for &(option, when, special) in CARRIED {
        if when != moment {
            continue;
        }
        if let Some(wanted) = options.iter().find(|found| found.option == option) {
            losses.extend(set(fd, wanted, special));
        }
    }
    losses
}

fn set(fd: BorrowedFd<'_>, wanted: &SocketOption, special: Special) -> Option<Loss> {
    let label = wanted.option.label();
    let lost = |detail| Some(Loss::new(Lost::SocketOption, detail));
    if let Err(error) = sys::set(fd, wanted.option, &wanted.value) {
        return lost(format!(
            "{label} could not be set to {:?}: {error}",
            wanted.value
        ));
    }
    match value_of(fd, wanted.option, special) {
        Ok(value) if value == wanted.value => None,
        Ok(value) => lost(format!(
            "{label} is {value:?} instead of {:?}",
            wanted.value
        )),
        Err(error) => lost(format!("{label} could not be read again: {error}")),
    }
}

/// The IP options that an application has set, for the call that restores them.
pub(crate) fn ip_options(options: &[SocketOption]) -> &[u8] {
    let found = options.iter().find(|found| found.option == Opt::IP_OPTIONS);
    found.map_or(&[], |found| &found.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_carried_option_is_there_once_and_found_by_its_name() {
        let mut labels = HashSet::new();
        for (option, ..) in CARRIED {
            assert!(labels.insert(option.label()), "{option:?} is there twice");
            assert_eq!(SocketOption::named(option.label()), Some(*option));
        }
        assert_eq!(SocketOption::named("SO_ATTACH_FILTER"), None);
    }
}
