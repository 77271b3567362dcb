//! What an application sees of its socket.

use crate::verdict::{Failure, Stop, Verdict};
use soccr::raw::{self, Opt};
use std::net::TcpStream;

/// Options that an application reads back as it has set them.
const OPTIONS: [Opt; 12] = [
    Opt::SO_REUSEADDR,
    Opt::SO_KEEPALIVE,
    Opt::SO_OOBINLINE,
    Opt::SO_PRIORITY,
    Opt::SO_PEEK_OFF,
    Opt::TCP_NODELAY,
    Opt::TCP_CORK,
    Opt::TCP_NOTSENT_LOWAT,
    Opt::TCP_USER_TIMEOUT,
    Opt::IP_TOS,
    Opt::IPV6_TCLASS,
    Opt::SO_BUF_LOCK,
];

/// What an application sees of its socket: option by option, as far as this kernel has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visible(Vec<(&'static str, i32)>);

impl Visible {
    pub(super) fn read(socket: &TcpStream) -> Result<Self, Stop> {
        let read = |option: Opt| {
            let value = raw::get_int(socket, option).ok()?;
            Some((option.label(), value))
        };
        let mut seen: Vec<_> = OPTIONS.into_iter().filter_map(read).collect();
        let mut name = [0; 16];
        let length = raw::get(socket, Opt::TCP_CONGESTION, &mut name)?;
        // A name is compared by its number, like everything else.
        let sum = name[..length].iter().fold(0_i32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add((*byte).into())
        });
        seen.push(("TCP_CONGESTION", sum));
        // A buffer that the application has not fixed grows and shrinks as the kernel likes.
        let locks = raw::get_int(socket, Opt::SO_BUF_LOCK).unwrap_or(0);
        for (lock, option) in [(1, Opt::SO_SNDBUF), (2, Opt::SO_RCVBUF)] {
            if locks & lock != 0 {
                seen.extend(read(option));
            }
        }
        Ok(Self(seen))
    }

    /// Fails with every option that is not what it was.
    pub(super) fn expect_equal(&self, before: &Self) -> Verdict {
        if self == before {
            return Ok(());
        }
        let differs = |(one, other): &(&(&'static str, i32), &(&'static str, i32))| one != other;
        let pairs: Vec<_> = before.0.iter().zip(&self.0).filter(differs).collect();
        let list = |pick: fn(&(&(&'static str, i32), &(&'static str, i32))) -> String| {
            pairs.iter().map(pick).collect::<Vec<_>>().join(", ")
        };
        Err(Failure::new(
            "the options of the socket",
            list(|(before, _)| format!("{} {}", before.0, before.1)),
            list(|(_, after)| format!("{} {}", after.0, after.1)),
        )
        .into())
    }
}
