//! The options on the wire, and what no option brings back.

use super::live::Live;
use super::subject::repair_on;
use crate::case::{Case, Level};
use crate::context::Context;
use crate::journey::{ask_for_accurate_ecn, require_ecn};
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Family, Pair};
use soccr::raw::{
    self, TCPI_ECN_MODE_ACCECN, TCPI_ECN_MODE_DISABLED, TCPI_OPT_ECN, TCPOPT_TIMESTAMP,
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/options/ecn",
            "a connect in repair mode forgets ECN, and no option switches it on again",
            &["A48"],
            ecn,
        )
        .level(Level::Info),
        Case::new(
            "kernel/options/accurate-ecn",
            "a connect in repair mode forgets AccECN, and the peer counts marks that never were",
            &["A48", "H4"],
            accurate_ecn,
        )
        .level(Level::Info),
    ];
    for family in Family::ALL {
        cases.push(Case::new(
            format!("kernel/options/wire/timestamps/{family}"),
            "with the timestamp option segments carry timestamps, whatever the host asks for",
            &["A44", "D15b"],
            move |ctx| timestamps(ctx, family, true),
        ));
        cases.push(Case::new(
            format!("kernel/options/wire/no-timestamps/{family}"),
            "without the timestamp option segments carry none, whatever the host asks for",
            &["A44", "D15b"],
            move |ctx| timestamps(ctx, family, false),
        ));
    }
    cases
}

/// The host asks for the opposite by the time that the connection is put back.
fn timestamps(ctx: &Context, family: Family, negotiated: bool) -> Verdict {
    let (then, now) = if negotiated { ("1", "0") } else { ("0", "1") };
    let pair = ctx.build(Pair::builder().sysctl("net.ipv4.tcp_timestamps", then))?;
    let live = Live::open_in(ctx, pair, family)?;
    live.pair.a().sysctl("net.ipv4.tcp_timestamps", now)?;
    repair_on(&live.subject)?;
    let options = live.negotiated()?;
    let asked = options.iter().any(|&(code, _)| code == TCPOPT_TIMESTAMP);
    expect_eq("timestamps were negotiated", asked, negotiated)?;
    let live = live.replace(&options)?;
    let carried = live.probe()?.timestamps().is_some();
    expect_eq("the probe has timestamps", carried, negotiated)
}

fn ecn(ctx: &Context) -> Verdict {
    let pair = ctx.build(Pair::builder().sysctl("net.ipv4.tcp_ecn", "1"))?;
    let live = Live::open_in(ctx, pair, Family::V4)?;
    let ecn = |live: &Live| -> Result<u8, Stop> {
        Ok(raw::tcp_info(&live.subject)?.options & TCPI_OPT_ECN)
    };
    expect_eq("TCPI_OPT_ECN at first", ecn(&live)?, TCPI_OPT_ECN)?;
    repair_on(&live.subject)?;
    let options = live.negotiated()?;
    expect_eq("TCPI_OPT_ECN afterwards", ecn(&live.replace(&options)?)?, 0)
}

fn accurate_ecn(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    ask_for_accurate_ecn(&pair)?;
    let live = Live::open_in(ctx, pair, Family::V4)?;
    require_ecn(&live.subject)?;
    live.receive(b"before")?;
    let mode = raw::tcp_info(&live.subject)?.ecn_mode;
    expect_eq("tcpi_ecn_mode at first", mode, TCPI_ECN_MODE_ACCECN)?;
    let marks = raw::tcp_info(&live.peer)?.delivered_ce;
    expect_eq("tcpi_delivered_ce of the peer at first", marks, 0)?;
    repair_on(&live.subject)?;
    let options = live.negotiated()?;
    let live = live.replace(&options)?;
    let mode = raw::tcp_info(&live.subject)?.ecn_mode;
    expect_eq("tcpi_ecn_mode afterwards", mode, TCPI_ECN_MODE_DISABLED)?;
    live.leave(raw::TCP_REPAIR_OFF)?;
    live.receive(b"after")?;
    let marks = raw::tcp_info(&live.peer)?.delivered_ce;
    ctx.note("marks that the peer has counted", marks);
    let what = "tcpi_delivered_ce of the peer afterwards";
    expect(what, "more than 0", marks, marks > 0)
}
