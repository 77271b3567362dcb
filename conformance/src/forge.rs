//! Connections with chosen numbers: both ends are restored from snapshots that were written by hand.

use crate::context::Context;
use crate::journey::{Lock, Traveller};
use crate::oracle::stream::Talk;
use crate::verdict::Stop;
use lab::{Family, Flow, Host, Pair};
use soccr::{Endpoints, Seq, Snapshot, Timestamps, Window, WindowScale};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const SUBJECT_PORT: u16 = 40_001;
const PEER_PORT: u16 = 40_002;

/// The largest segment that each end of a forged connection has offered the other, bytes.
pub const MSS: u16 = 1_440;

/// The window that both ends start with, bytes.
const WINDOW: u32 = 65_536;

/// The numbers of a forged connection.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The first sequence number of the subject.
    pub subject: u32,
    /// The first sequence number of the peer.
    pub peer: u32,
    /// The timestamp clock of the subject.
    pub timestamp: u32,
    /// Whether that clock counts microseconds.
    pub microseconds: bool,
}

impl Ends {
    /// Numbers far from any wrap.
    pub const PLAIN: Self = Self {
        subject: 1_000_000,
        peer: 2_000_000,
        timestamp: 100_000,
        microseconds: false,
    };
}

/// Makes a connection that never had a handshake.
///
/// # Errors
/// [`Stop::Broken`] where the lab cannot, [`Stop::Fail`] where the library refuses the snapshots.
pub fn forge(ctx: &Context, family: Family, ends: Ends) -> Result<Traveller, Stop> {
    forge_in(ctx, ctx.pair()?, family, ends)
}

/// Makes one between hosts of the caller's own.
///
/// # Errors
/// As [`forge`].
pub fn forge_in(
    ctx: &Context,
    pair: Arc<Pair>,
    family: Family,
    ends: Ends,
) -> Result<Traveller, Stop> {
    let capture = ctx.capture(pair.a())?;
    let mapped = family == Family::V4Mapped;
    let address = |host: &Host, port, mapped| {
        let ip = match host.address(family) {
            IpAddr::V4(v4) if mapped => IpAddr::V6(v4.to_ipv6_mapped()),
            ip => ip,
        };
        SocketAddr::new(ip, port)
    };
    let endpoints = |mapped| Endpoints {
        local: address(pair.a(), SUBJECT_PORT, mapped),
        remote: address(pair.b(), PEER_PORT, mapped),
    };
    let subject = snapshot(
        endpoints(mapped),
        ends.subject,
        ends.peer,
        ends.timestamp,
        ends.microseconds,
    );
    let Endpoints { local, remote } = endpoints(false);
    let across = Endpoints {
        local: remote,
        remote: local,
    };
    let peer = snapshot(
        across,
        ends.peer,
        ends.subject,
        Ends::PLAIN.timestamp,
        false,
    );
    let subject = pair.a().enter(|| subject.restore())??;
    let peer = pair.b().enter(|| peer.restore())??;
    let flow = Flow::new(local, remote);
    ctx.connected(flow);
    Ok(Traveller {
        pair,
        capture,
        flow,
        subject: subject.resume()?,
        peer: peer.resume()?,
        talk: Talk::default(),
        lock: Lock::default(),
        settings: soccr::Settings::new(),
        privileges: crate::journey::Privileges::default(),
        library: ctx.library(),
    })
}

fn snapshot(
    endpoints: Endpoints,
    send: u32,
    receive: u32,
    timestamp: u32,
    microseconds: bool,
) -> Snapshot {
    let mut snapshot = Snapshot::new(endpoints);
    snapshot.options.mss_clamp = MSS;
    snapshot.options.window_scale = Some(WindowScale { snd: 7, rcv: 7 });
    snapshot.options.sack = true;
    snapshot.options.timestamps = Some(Timestamps {
        value: timestamp,
        microseconds,
    });
    snapshot.send.end = Seq(send);
    snapshot.receive.end = Seq(receive);
    snapshot.window = Some(Window {
        snd_wl1: Seq(receive),
        snd_wnd: WINDOW,
        max_window: WINDOW,
        rcv_wnd: WINDOW,
        rcv_wup: Seq(receive),
    });
    snapshot
}
