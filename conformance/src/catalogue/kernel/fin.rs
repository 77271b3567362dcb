//! The FIN of the socket itself, in repair mode; and that there is none of the peer's to be written.

use super::live::Live;
use super::peek::{LOOK, stalled};
use super::repair_window::RepairWindow;
use super::subject::{
    Lone, RCV_NXT, connect, expect_soon, fresh_in_repair, pattern, queue_seq, repair_on, select,
    set_options, state,
};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::oracle::table;
use crate::verdict::{Stop, Verdict, expect, expect_eq, expect_ok};
use lab::{Direction, Family, Segment};
use soccr::raw::{
    self, MSG_DONTWAIT, Opt, TCP_NO_QUEUE, TCP_RECV_QUEUE, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP,
    TCP_SEND_QUEUE,
};
use soccr::{Endpoints, TcpState};
use socket2::SockRef;
use std::net::Shutdown;

/// Mark: the writing side is about to be shut.
const SHUTTING: &str = "shutting";

/// More than the first congestion window lets out.
const MUCH: usize = 40_000;
/// Less.
const LITTLE: usize = 1_000;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/fin/end-of-record",
            "nothing that can be written to the receive queue stands for a FIN of the peer",
            &["F8", "E4"],
            end_of_record,
        )
        .level(Level::Info),
        Case::new(
            "kernel/fin/peer-double",
            "a second socket in repair mode, with the addresses and numbers of the peer, can send the peer's FIN and vanish",
            &["F5"],
            peer_double,
        )
        .level(Level::Info)
        .needs(&[Need::RepairWindow, Need::QuietOff]),
        Case::new(
            "kernel/fin/queue/send",
            "a FIN with the send queue selected counts as sent: only a timer sends it",
            &["H8", "E2", "C30"],
            by_timer,
        )
        .level(Level::Should)
        .needs(&[Need::RepairWindow]),
    ];
    for (name, queue) in [("none", TCP_NO_QUEUE), ("receive", TCP_RECV_QUEUE)] {
        cases.push(
            Case::new(
                format!("kernel/fin/queue/{name}"),
                "a FIN without the send queue selected leaves at once, in repair mode too",
                &["H8", "C30"],
                move |ctx| at_once(ctx, queue),
            )
            .level(Level::Info)
            .needs(&[Need::RepairWindow]),
        );
    }
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/fin/counted/sent/{family}"),
            "a FIN that was sent counts in SIOCOUTQ, not in SIOCOUTQNSD, and no peek shows it",
            &["A26", "E2"],
            move |ctx| counted(ctx, family, LITTLE),
        ));
        cases.push(Case::new(
            format!("kernel/fin/counted/unsent/{family}"),
            "a FIN behind data that waits counts in SIOCOUTQ and in SIOCOUTQNSD, and no peek shows it",
            &["A26", "E2"],
            move |ctx| counted(ctx, family, MUCH),
        ));
    }
    cases
}

fn counted(ctx: &Context, family: Family, bytes: usize) -> Verdict {
    let (live, _deaf) = stalled(ctx, family, &pattern(bytes))?;
    repair_on(&live.subject)?;
    let before = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    raw::set_int(&live.subject, Opt::TCP_REPAIR, TCP_REPAIR_OFF)?;
    live.subject.shutdown(Shutdown::Write)?;
    repair_on(&live.subject)?;
    let queued = raw::siocoutq(&live.subject)?;
    expect_eq("SIOCOUTQ", queued, bytes as i32 + 1)?;
    // The FIN lets go of the end of the data, where the congestion window had room for it and it was kept to become larger.
    let info = raw::tcp_info(&live.subject)?;
    let waits = bytes as u64 - (info.bytes_sent - info.bytes_retrans);
    expect_eq("data waits", waits > 0, bytes == MUCH)?;
    let waits = waits as i32 + i32::from(bytes == MUCH);
    expect_eq("SIOCOUTQNSD", raw::siocoutqnsd(&live.subject)?, waits)?;
    let end = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    expect_eq("the end of the send queue", end, before.wrapping_add(1))?;
    let mut peeked = vec![0; 2 * bytes];
    let count = expect_ok("a peek", raw::recv(&live.subject, &mut peeked, LOOK))?;
    expect_eq("bytes peeked at", count, bytes)
}

/// A connection with a peer that hears, its subject put back in repair mode with room to send.
fn put_back(ctx: &Context, queue: i32) -> Result<Live, Stop> {
    let live = Live::in_repair(ctx, Family::V4)?;
    let (options, window) = (live.negotiated()?, RepairWindow::get(&live.subject)?);
    let live = live.replace(&options)?;
    expect_ok("TCP_REPAIR_WINDOW", window.set(&live.subject))?;
    select(&live.subject, queue)?;
    live.capture.mark(SHUTTING)?;
    live.subject.shutdown(Shutdown::Write)?;
    Ok(live)
}

fn at_once(ctx: &Context, queue: i32) -> Verdict {
    let live = put_back(ctx, queue)?;
    let sent = live.capture.trace()?.after(SHUTTING)?.along(&live.flow);
    let fins = sent.count(|segment| segment.flags.fin());
    expect("FINs on the wire", "one", &sent, fins == 1)
}

/// What a timer sends is counted as sent again, whenever that was.
fn by_timer(ctx: &Context) -> Verdict {
    let live = put_back(ctx, TCP_SEND_QUEUE)?;
    expect_eq("the state", state(&live.subject)?, Some(TcpState::FinWait1))?;
    expect_eq("SIOCOUTQ", raw::siocoutq(&live.subject)?, 1)?;
    let fin = |segment: &Segment| segment.flags.fin();
    live.expect_segment("the FIN", Direction::Egress, fin)?;
    let again = raw::tcp_info(&live.subject)?.total_retrans;
    expect("tcpi_total_retrans", "at least 1", again, again > 0)
}

fn end_of_record(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    select(&lone.socket, TCP_RECV_QUEUE)?;
    for flags in [0, libc::MSG_EOR] {
        let written = raw::send(&lone.socket, b"", MSG_DONTWAIT | flags);
        ctx.note(
            format!("an empty write, flags {flags:#x}"),
            format!("{written:?}"),
        );
    }
    raw::send(&lone.socket, b"R", MSG_DONTWAIT | libc::MSG_EOR)?;
    let end = queue_seq(&lone.socket, TCP_RECV_QUEUE)?;
    expect_eq("the end of the receive queue", end, RCV_NXT + 1)?;
    let established = Some(TcpState::Established);
    expect_eq("the state", state(&lone.socket)?, established)
}

/// No packet is made up: the kernel of the double builds it, with the right clock, window and checksum.
fn peer_double(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let options = live.negotiated()?;
    let rcv_nxt = queue_seq(&live.subject, TCP_RECV_QUEUE)?;
    let write_seq = queue_seq(&live.subject, TCP_SEND_QUEUE)?;
    raw::set_int(&live.subject, Opt::TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)?;
    repair_on(&live.peer)?;
    let clock = raw::get_int(&live.peer, Opt::TCP_TIMESTAMP)?;
    let window = RepairWindow::get(&live.peer)?;
    let endpoints = Endpoints {
        local: live.peer.local_addr()?,
        remote: live.peer.peer_addr()?,
    };
    drop(live.peer);
    let double = fresh_in_repair(live.pair.b(), Family::V4)?;
    connect(&double, endpoints, rcv_nxt, write_seq)?;
    set_options(&double, &options)?;
    raw::set_int(&double, Opt::TCP_TIMESTAMP, clock)?;
    window.set(&double)?;
    raw::set_int(&double, Opt::TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)?;
    SockRef::from(&double).shutdown(Shutdown::Write)?;
    let reached = || Ok(state(&live.subject)? == Some(TcpState::CloseWait));
    expect_soon("the subject", "comes to CLOSE_WAIT", reached)?;
    repair_on(&double)?;
    drop(double);
    table::expect_absent(live.pair.b(), &live.flow.reversed())?;
    repair_on(&live.subject)?;
    let end = queue_seq(&live.subject, TCP_RECV_QUEUE)?;
    expect_eq("the end of the receive queue", end, rcv_nxt.wrapping_add(1))
}
