//! What an application sees of its socket.

use crate::verdict::{Failure, Stop, Verdict};
use soccr::raw::{self, Opt};
use std::net::TcpStream;
use std::os::fd::AsFd;

/// Options that an application reads back as it has set them.
const OPTIONS: [Opt; 11] = [
    Opt::SO_KEEPALIVE,
    Opt::SO_OOBINLINE,
    Opt::SO_PRIORITY,
    Opt::SO_PEEK_OFF,
    Opt::TCP_NODELAY,
    Opt::TCP_CORK,
    Opt::TCP_NOTSENT_LOWAT,
    Opt::TCP_USER_TIMEOUT,
    Opt::TCP_CONGESTION,
    Opt::IP_TOS,
    Opt::IPV6_TCLASS,
];

/// Buffers, and their bits of `SO_BUF_LOCK`: one that the application has not fixed grows and shrinks as the kernel likes.
const BUFFERS: [(Opt, i32); 2] = [(Opt::SO_SNDBUF, 1), (Opt::SO_RCVBUF, 2)];

/// What an application sees of its socket: option by option, as far as this kernel has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visible {
    options: Vec<(Opt, Vec<u8>)>,
    /// What the sockets of a library with the C interface come back without: its caller keeps them himself.
    kept_by_callers: Vec<(Opt, Vec<u8>)>,
}

impl Visible {
    pub(super) fn read(socket: &TcpStream) -> Self {
        let read = |option: Opt| {
            let mut value = vec![0; 16];
            let length = raw::get(socket, option, &mut value).ok()?;
            value.truncate(length);
            Some((option, value))
        };
        let mut seen: Vec<_> = OPTIONS.into_iter().filter_map(read).collect();
        let kept_by_callers = seen.clone();
        let locks = raw::get_int(socket, Opt::SO_BUF_LOCK).unwrap_or(0);
        let locked = BUFFERS.into_iter().filter(|(_, lock)| locks & lock != 0);
        seen.extend(locked.filter_map(|(option, _)| read(option)));
        seen.extend(
            [Opt::SO_REUSEADDR, Opt::SO_BUF_LOCK]
                .into_iter()
                .filter_map(read),
        );
        Self {
            options: seen,
            kept_by_callers,
        }
    }

    /// Sets what a caller in C sets himself on a socket that is restored, but for what lets go what waits: that he has set
    /// before the queues.
    pub(super) fn give(&self, socket: &impl AsFd) -> Result<(), Stop> {
        let pushes = |option: &Opt| [Opt::TCP_NODELAY, Opt::TCP_CORK].contains(option);
        let given = self.kept_by_callers.iter();
        for (option, value) in given.filter(|(option, _)| !pushes(option)) {
            raw::set(socket, *option, value)?;
        }
        Ok(())
    }

    /// Fails with every option that is not what it was.
    pub(super) fn expect_equal(&self, before: &Self) -> Verdict {
        if self.options == before.options {
            return Ok(());
        }
        let pairs = before.options.iter().zip(&self.options);
        let differs: Vec<_> = pairs.filter(|(before, after)| before != after).collect();
        let told = |(option, value): &(Opt, Vec<u8>)| match value[..] {
            [a, b, c, d] => format!("{} {}", option.label(), i32::from_ne_bytes([a, b, c, d])),
            _ => format!("{} {:?}", option.label(), String::from_utf8_lossy(value)),
        };
        let list = |texts: Vec<String>| texts.join(", ");
        Err(Failure::new(
            "the options of the socket",
            list(differs.iter().map(|(before, _)| told(before)).collect()),
            list(differs.iter().map(|(_, after)| told(after)).collect()),
        )
        .into())
    }
}
