//! Connections whose handshake has agreed on ECN.

use super::Traveller;
use crate::context::Context;
use crate::verdict::{Stop, Verdict};
use lab::{Family, Pair};
use soccr::raw::{self, TCPI_OPT_ECN};
use std::os::fd::AsFd;
use std::sync::Arc;

/// Makes both hosts ask for Accurate ECN, and grant it.
///
/// # Errors
/// [`Stop::Skip`] where the kernel does not have it.
pub fn ask_for_accurate_ecn(pair: &Pair) -> Verdict {
    for host in pair.hosts() {
        host.sysctl("net.ipv4.tcp_ecn", "3")
            .map_err(|error| Stop::Skip(format!("needs net.ipv4.tcp_ecn = 3: {error}")))?;
    }
    Ok(())
}

/// Skips the case where what was asked for is no ECN at all.
///
/// Kernel 5.10 takes every number for `net.ipv4.tcp_ecn`, and 3 means nothing to it.
///
/// # Errors
/// [`Stop::Skip`].
pub fn require_ecn(socket: &impl AsFd) -> Verdict {
    match raw::tcp_info(socket)?.options & TCPI_OPT_ECN {
        0 => Err(Stop::Skip(
            "net.ipv4.tcp_ecn = 3 negotiates no ECN here".to_owned(),
        )),
        _ => Ok(()),
    }
}

impl Traveller {
    /// Opens a connection with classic ECN.
    ///
    /// # Errors
    /// [`Stop::Broken`] where the lab cannot.
    pub fn open_with_ecn(ctx: &Context) -> Result<Self, Stop> {
        Self::open_in(
            ctx,
            ctx.build(Pair::builder().sysctl("net.ipv4.tcp_ecn", "1"))?,
        )
    }

    /// Opens a connection with Accurate ECN.
    ///
    /// # Errors
    /// [`Stop::Skip`] where the kernel does not have it.
    pub fn open_with_accurate_ecn(ctx: &Context) -> Result<Self, Stop> {
        let pair = ctx.pair()?;
        ask_for_accurate_ecn(&pair)?;
        let traveller = Self::open_in(ctx, pair)?;
        require_ecn(&traveller.subject)?;
        Ok(traveller)
    }

    fn open_in(ctx: &Context, pair: Arc<Pair>) -> Result<Self, Stop> {
        let capture = ctx.capture(pair.a())?;
        let connection = pair.connection(Family::V4).open()?;
        Ok(Self::new(ctx, pair, capture, connection))
    }
}
