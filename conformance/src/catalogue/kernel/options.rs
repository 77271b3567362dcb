//! `TCP_REPAIR_OPTIONS`: what the handshake would have negotiated.

use super::live::Live;
use super::subject::{Lone, fresh_in_repair, pattern, repair_on, select, set_options, shifts};
use crate::case::{Case, Level};
use crate::context::Context;
use crate::verdict::{Verdict, expect_eq, expect_errno, expect_ok};
use lab::{Direction, Family, Segment};
use soccr::raw::{
    self, Opt, TCPI_OPT_SACK, TCPI_OPT_TIMESTAMPS, TCPI_OPT_WSCALE, TCPOPT_MSS, TCPOPT_SACK_PERM,
    TCPOPT_TIMESTAMP, TCPOPT_WINDOW,
};
use std::io::Write;
use std::os::fd::AsFd;

/// Entries that no option can have.
const MALFORMED: [(&str, (u32, u32), i32); 6] = [
    ("send-shift", (TCPOPT_WINDOW, 15), libc::EFBIG),
    ("receive-shift", (TCPOPT_WINDOW, 15 << 16), libc::EFBIG),
    ("both-shifts", (TCPOPT_WINDOW, u32::MAX), libc::EFBIG),
    ("sack-value", (TCPOPT_SACK_PERM, 1), libc::EINVAL),
    ("timestamp-value", (TCPOPT_TIMESTAMP, 1), libc::EINVAL),
    (
        "high-timestamp-value",
        (TCPOPT_TIMESTAMP, 1 << 31),
        libc::EINVAL,
    ),
];

/// What each option makes visible.
const VISIBLE: [(&str, (u32, u32), u8); 3] = [
    ("sack", (TCPOPT_SACK_PERM, 0), TCPI_OPT_SACK),
    ("timestamps", (TCPOPT_TIMESTAMP, 0), TCPI_OPT_TIMESTAMPS),
    ("window-scale", (TCPOPT_WINDOW, 0), TCPI_OPT_WSCALE),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/options/outside-repair",
            "outside of repair mode options are refused, with EINVAL",
            &["A42"],
            outside_repair,
        ),
        Case::new(
            "kernel/options/closed",
            "a socket that is not established has no options to repair: EPERM",
            &["A42"],
            closed,
        ),
        Case::new(
            "kernel/options/after-data",
            "once a connection has sent data, its options stay: EPERM",
            &["A42", "B20"],
            after_data,
        ),
        Case::new(
            "kernel/options/restored-data",
            "data that was put into the send queue in repair mode does not count as sent by it",
            &["A42", "H7"],
            restored_data,
        )
        .level(Level::Should),
        Case::new(
            "kernel/options/after-its-timer",
            "once a timer has sent a restored send queue, in repair mode too, its options stay: EPERM",
            &["H7", "A42"],
            after_its_timer,
        ),
        Case::new(
            "kernel/options/shifts",
            "every pair of window shifts up to 14 is taken",
            &["A44"],
            all_shifts,
        ),
        Case::new(
            "kernel/options/not-atomic",
            "the entries before a malformed one have been taken",
            &["A45"],
            not_atomic,
        )
        .level(Level::Info),
        Case::new(
            "kernel/options/length/short",
            "less than four bytes are refused with EINVAL",
            &["A43"],
            short,
        )
        .level(Level::Should),
        Case::new(
            "kernel/options/length/no-entry",
            "four to seven bytes are no entry: taken, and nothing happens",
            &["A43"],
            no_entry,
        )
        .level(Level::Info),
        Case::new(
            "kernel/options/length/partial",
            "what follows the last whole entry is ignored",
            &["A43"],
            partial,
        )
        .level(Level::Info),
        Case::new(
            "kernel/options/unknown",
            "entries of an unknown kind are ignored, and the next one is taken",
            &["A43"],
            unknown,
        )
        .level(Level::Should),
    ];
    for (name, entry, errno) in MALFORMED {
        cases.push(Case::new(
            format!("kernel/options/malformed/{name}"),
            "a value that the option cannot have is refused, and nothing is switched on",
            &["A44"],
            move |ctx| malformed(ctx, entry, errno),
        ));
    }
    for (name, entry, bit) in VISIBLE {
        cases.push(Case::new(
            format!("kernel/options/sets/{name}"),
            "a connect in repair mode negotiates nothing, and the option switches itself on alone",
            &["A44", "A59"],
            move |ctx| sets(ctx, entry, bit),
        ));
    }
    cases
}

/// The bits of `tcpi_options` that are negotiated in a handshake.
fn bits(socket: &impl AsFd) -> std::io::Result<u8> {
    Ok(raw::tcp_info(socket)?.options & (TCPI_OPT_SACK | TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE))
}

fn outside_repair(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let set = set_options(&live.subject, &[(TCPOPT_SACK_PERM, 0)]);
    expect_errno("the options", set, libc::EINVAL)
}

fn closed(ctx: &Context) -> Verdict {
    let socket = fresh_in_repair(ctx.pair()?.a(), Family::V4)?;
    let set = set_options(&socket, &[(TCPOPT_SACK_PERM, 0)]);
    expect_errno("the options", set, libc::EPERM)
}

fn after_data(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    (&live.subject).write_all(b"data")?;
    repair_on(&live.subject)?;
    let before = raw::tcp_info(&live.subject)?.snd_wscale;
    let set = set_options(&live.subject, &[(TCPOPT_WINDOW, 1)]);
    expect_errno("the options", set, libc::EPERM)?;
    let after = raw::tcp_info(&live.subject)?.snd_wscale;
    expect_eq("tcpi_snd_wscale", after, before)
}

fn restored_data(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    select(&lone.socket, raw::TCP_SEND_QUEUE)?;
    raw::send(&lone.socket, &pattern(1_000), 0)?;
    let set = set_options(&lone.socket, &[(TCPOPT_SACK_PERM, 0)]);
    expect_ok("the options", set)
}

fn after_its_timer(ctx: &Context) -> Verdict {
    let live = Live::in_repair(ctx, Family::V4)?;
    let options = live.negotiated()?;
    let live = live.replace(&options)?;
    select(&live.subject, raw::TCP_SEND_QUEUE)?;
    raw::send(&live.subject, &pattern(1_000), 0)?;
    let set = || set_options(&live.subject, &options);
    expect_ok("the options before the timer", set())?;
    let data = |segment: &Segment| segment.payload_len > 0;
    live.expect_segment("the send queue", Direction::Egress, data)?;
    expect_errno("the options afterwards", set(), libc::EPERM)
}

fn all_shifts(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    for (snd, rcv) in (0..=14).flat_map(|snd| (0..=14).map(move |rcv| (snd, rcv))) {
        let set = set_options(&lone.socket, &[(TCPOPT_WINDOW, shifts(snd, rcv))]);
        expect_ok(format!("shifts {snd} and {rcv}"), set)?;
        let info = raw::tcp_info(&lone.socket)?;
        expect_eq("the shifts", (info.snd_wscale, info.rcv_wscale), (snd, rcv))?;
    }
    Ok(())
}

fn malformed(ctx: &Context, entry: (u32, u32), errno: i32) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let set = set_options(&lone.socket, &[entry]);
    expect_errno("the options", set, errno)?;
    expect_eq("tcpi_options", bits(&lone.socket)?, 0)
}

fn sets(ctx: &Context, entry: (u32, u32), bit: u8) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    expect_eq("tcpi_options after the connect", bits(&lone.socket)?, 0)?;
    expect_ok("the option", set_options(&lone.socket, &[entry]))?;
    expect_eq("tcpi_options", bits(&lone.socket)?, bit)
}

fn not_atomic(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let set = set_options(&lone.socket, &[(TCPOPT_SACK_PERM, 0), (TCPOPT_WINDOW, 15)]);
    expect_errno("the options", set, libc::EFBIG)?;
    expect_eq("tcpi_options", bits(&lone.socket)?, TCPI_OPT_SACK)
}

fn short(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    for length in 0..4 {
        let bytes = &raw::tcp_repair_opt(TCPOPT_SACK_PERM, 0)[..length];
        let set = raw::set(&lone.socket, Opt::TCP_REPAIR_OPTIONS, bytes);
        expect_errno(format!("{length} bytes"), set, libc::EINVAL)?;
    }
    Ok(())
}

fn no_entry(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    for length in 4..8 {
        let bytes = &raw::tcp_repair_opt(TCPOPT_SACK_PERM, 0)[..length];
        let set = raw::set(&lone.socket, Opt::TCP_REPAIR_OPTIONS, bytes);
        expect_ok(format!("{length} bytes"), set)?;
    }
    expect_eq("tcpi_options", bits(&lone.socket)?, 0)
}

fn partial(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let mut bytes = raw::tcp_repair_opt(TCPOPT_SACK_PERM, 0).to_vec();
    bytes.extend(&raw::tcp_repair_opt(TCPOPT_TIMESTAMP, 0)[..4]);
    let set = raw::set(&lone.socket, Opt::TCP_REPAIR_OPTIONS, &bytes);
    expect_ok("the options", set)?;
    expect_eq("tcpi_options", bits(&lone.socket)?, TCPI_OPT_SACK)
}

fn unknown(ctx: &Context) -> Verdict {
    let lone = Lone::connect(ctx, Family::V4)?;
    let clamp = raw::get_int(&lone.socket, Opt::TCP_MAXSEG)?;
    let kinds = (0..=255).filter(|kind| {
        ![
            TCPOPT_MSS,
            TCPOPT_WINDOW,
            TCPOPT_SACK_PERM,
            TCPOPT_TIMESTAMP,
        ]
        .contains(kind)
    });
    for kind in kinds {
        let set = set_options(&lone.socket, &[(kind, u32::MAX)]);
        expect_ok(format!("an option of kind {kind}"), set)?;
    }
    expect_eq("tcpi_options", bits(&lone.socket)?, 0)?;
    expect_eq(
        "TCP_MAXSEG",
        raw::get_int(&lone.socket, Opt::TCP_MAXSEG)?,
        clamp,
    )?;
    let set = set_options(&lone.socket, &[(254, 1), (TCPOPT_SACK_PERM, 0)]);
    expect_ok("an unknown option and a known one", set)?;
    expect_eq("tcpi_options", bits(&lone.socket)?, TCPI_OPT_SACK)
}
