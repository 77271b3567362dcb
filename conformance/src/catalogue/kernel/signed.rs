//! Connections whose segments are signed (TCP-MD5, RFC 2385).

use super::SOCKETS;
use super::live::Live;
use super::subject::{eventually, expect_soon, fresh, repair_on};
use crate::case::Case;
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect, expect_eq, expect_errno, expect_ok};
use lab::{Family, Segment, TcpOption};
use soccr::raw::{self, Opt};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;

const KEY: &[u8] = b"between the two of us";

/// The kind of the option that carries a signature (RFC 2385).
const SIGNATURE: u8 = 19;

/// What the host of the peer counts where a signature is missing.
const NOT_SIGNED: &str = "TcpExt.TCPMD5NotFound";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new(
        "kernel/signed/md5-unreadable",
        "a key of TCP-MD5 that was set cannot be read: ENOPROTOOPT",
        &["D11"],
        unreadable,
    )];
    for family in SOCKETS {
        cases.push(Case::new(
            format!("kernel/signed/md5-before/{family}"),
            "with its key set before the connect in repair mode a connection signs what it sends, and its peer listens",
            &["D11"],
            move |ctx| replaced(ctx, family, true),
        ));
        cases.push(Case::new(
            format!("kernel/signed/md5-missing/{family}"),
            "without its key the peer of a restored connection drops all that it sends, and counts it",
            &["D11"],
            move |ctx| replaced(ctx, family, false),
        ));
    }
    cases
}

/// Sets the key for segments of this address: `struct tcp_md5sig`.
fn set_key(socket: &impl AsFd, address: IpAddr) -> io::Result<()> {
    const ADDRESS: usize = 128;
    const LENGTH: usize = ADDRESS + 2;
    const TEXT: usize = ADDRESS + 8;
    const ALL: usize = TEXT + 80;
    let mut bytes = [0; ALL];
    let family = match address {
        IpAddr::V4(v4) => {
            bytes[4..8].copy_from_slice(&v4.octets());
            libc::AF_INET
        }
        IpAddr::V6(v6) => {
            bytes[8..24].copy_from_slice(&v6.octets());
            libc::AF_INET6
        }
    };
    bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    bytes[LENGTH..LENGTH + 2].copy_from_slice(&(KEY.len() as u16).to_ne_bytes());
    bytes[TEXT..TEXT + KEY.len()].copy_from_slice(KEY);
    raw::set(socket, Opt::TCP_MD5SIG, &bytes)
}

/// Skips where this kernel has no TCP-MD5.
fn needs_md5(socket: &impl AsFd, address: IpAddr) -> Verdict {
    match set_key(socket, address) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            Err(Stop::Skip(format!("no TCP-MD5 in this kernel: {error}")))
        }
        set => expect_ok("TCP_MD5SIG", set),
    }
}

fn unreadable(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let socket = fresh(pair.a(), Family::V4)?;
    needs_md5(&socket, pair.b().v4().into())?;
    let read = raw::get(&socket, Opt::TCP_MD5SIG, &mut [0; 216]);
    expect_errno("reading TCP_MD5SIG", read, libc::ENOPROTOOPT)
}

fn replaced(ctx: &Context, family: Family, with_key: bool) -> Verdict {
    let pair = ctx.pair()?;
    let [a, b] = pair.hosts().map(|host| host.address(family));
    needs_md5(&fresh(pair.a(), family)?, b)?;
    let opening = pair.connection(family);
    let opening = opening.on_client(|socket| set_key(&**socket, b));
    let connection = opening.on_server(|socket| set_key(&**socket, a)).open()?;
    let live = Live {
        capture: ctx.capture(pair.a())?,
        flow: connection.flow(),
        subject: connection.client,
        peer: connection.server,
        pair,
    };
    repair_on(&live.subject)?;
    let options = live.negotiated()?;
    let same = |write_seq, rcv_nxt| (write_seq, rcv_nxt);
    let live = live.replace_by(&options, same, |socket| match with_key {
        true => set_key(socket, b),
        false => Ok(()),
    })?;
    let counters = live.pair.b().counters()?;
    raw::set_int(&live.subject, Opt::TCP_REPAIR, raw::TCP_REPAIR_OFF)?;
    (&live.subject).write_all(b"signed?")?;
    let moved =
        || -> Result<i64, Stop> { Ok(live.pair.b().counters()?.since(&counters).by(NOT_SIGNED)) };
    let arrived = || Ok(raw::siocinq(&live.peer)? == 7);
    if with_key {
        expect_soon("the peer", "reads what was sent", arrived)?;
        expect_eq(NOT_SIGNED, moved()?, 0)?;
        let data = |segment: &&Segment| segment.payload_len > 0;
        let trace = live.capture.trace()?.along(&live.flow);
        let signed = |segment: &Segment| {
            let is = |option: &TcpOption| {
                matches!(
                    option,
                    TcpOption::Unknown {
                        kind: SIGNATURE,
                        ..
                    }
                )
            };
            segment.options.iter().any(is)
        };
        let all = trace.segments().filter(data).all(signed);
        return expect("what was sent", "has a signature", &trace, all);
    }
    eventually("the peer has counted it", || {
        Ok(moved().is_ok_and(|count| count > 0))
    })?;
    expect_eq("bytes at the peer", raw::siocinq(&live.peer)?, 0)
}
