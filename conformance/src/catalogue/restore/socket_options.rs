//! What the application has set on its socket: every option that a kernel has, one case each.

use super::held::write_unsent;
use crate::case::{Case, Need};
use crate::context::Context;
use crate::journey::Traveller;
use crate::verdict::{Stop, Verdict, expect_eq};
use lab::Family;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use soccr::Lost;
use soccr::raw::{self, Opt};
use std::io;
use std::os::fd::AsFd;

/// An option, and a value that a new socket does not have.
struct Setting {
    option: Opt,
    value: Vec<u8>,
    family: Family,
}

impl Setting {
    fn int(option: Opt, value: i32) -> Self {
        Self::bytes(option, &value.to_ne_bytes())
    }

    fn bytes(option: Opt, value: &[u8]) -> Self {
        let family = match option.label().starts_with("IPV6_") {
            true => Family::V6,
            false => Family::V4,
        };
        Self {
            option,
            value: value.to_vec(),
            family,
        }
    }
}

fn settings() -> Vec<Setting> {
    let int = Setting::int;
    let seconds = [7_i64.to_ne_bytes(), 500_000_i64.to_ne_bytes()].concat();
    let linger = [1_i32.to_ne_bytes(), 9_i32.to_ne_bytes()].concat();
    vec![
        int(Opt::TCP_NODELAY, 1),
        int(Opt::TCP_CORK, 1),
        int(Opt::SO_KEEPALIVE, 1),
        int(Opt::TCP_KEEPIDLE, 123),
        int(Opt::TCP_KEEPINTVL, 12),
        int(Opt::TCP_KEEPCNT, 3),
        int(Opt::TCP_SYNCNT, 4),
        int(Opt::TCP_LINGER2, 17),
        // Rounded up to what retransmissions add up to: 15, then 15 again.
        int(Opt::TCP_DEFER_ACCEPT, 10),
        int(Opt::TCP_USER_TIMEOUT, 12_345),
        Setting::bytes(Opt::TCP_CONGESTION, b"cubic"),
        int(Opt::TCP_NOTSENT_LOWAT, 16_384),
        int(Opt::TCP_THIN_LINEAR_TIMEOUTS, 1),
        int(Opt::TCP_INQ, 1),
        int(Opt::TCP_TX_DELAY, 1_000),
        int(Opt::TCP_SAVE_SYN, 1),
        int(Opt::TCP_FASTOPEN_NO_COOKIE, 1),
        // Raised to half of the least buffer.
        int(Opt::TCP_WINDOW_CLAMP, 60_000),
        int(Opt::TCP_RTO_MAX_MS, 30_000),
        // Rounded to ticks of the kernel.
        int(Opt::TCP_RTO_MIN_US, 50_001),
        int(Opt::TCP_DELACK_MAX_US, 100_001),
        int(Opt::IP_TOS, 0x10),
        int(Opt::IP_TTL, 33),
        int(Opt::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        int(Opt::IP_RECVERR, 1),
        int(Opt::IP_MINTTL, 2),
        int(Opt::IP_FREEBIND, 1),
        int(Opt::IP_TRANSPARENT, 1),
        int(Opt::IP_BIND_ADDRESS_NO_PORT, 1),
        int(Opt::IP_LOCAL_PORT_RANGE, 50_000 << 16 | 40_000),
        int(Opt::IP_RECVERR_RFC4884, 1),
        int(Opt::IP_PKTINFO, 1),
        int(Opt::IP_RECVTTL, 1),
        int(Opt::IP_RECVTOS, 1),
        int(Opt::IP_RECVOPTS, 1),
        int(Opt::IP_RETOPTS, 1),
        int(Opt::IPV6_TCLASS, 0x20),
        int(Opt::IPV6_UNICAST_HOPS, 44),
        int(Opt::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
        int(Opt::IPV6_RECVERR, 1),
        int(Opt::IPV6_RECVERR_RFC4884, 1),
        int(Opt::IPV6_RECVPKTINFO, 1),
        int(Opt::IPV6_RECVHOPLIMIT, 1),
        int(Opt::IPV6_RECVTCLASS, 1),
        int(Opt::IPV6_MINHOPCOUNT, 2),
        int(Opt::IPV6_FREEBIND, 1),
        int(Opt::IPV6_TRANSPARENT, 1),
        int(Opt::IPV6_AUTOFLOWLABEL, 0),
        int(Opt::IPV6_FLOWINFO_SEND, 1),
        int(Opt::IPV6_DONTFRAG, 1),
        // Prefer a temporary address.
        int(Opt::IPV6_ADDR_PREFERENCES, 1),
        int(Opt::SO_MARK, 0x77),
        int(Opt::SO_PRIORITY, 5),
        Setting::bytes(Opt::SO_BINDTODEVICE, b"veth0"),
        int(Opt::SO_REUSEPORT, 1),
        int(Opt::SO_DONTROUTE, 1),
        int(Opt::SO_BROADCAST, 1),
        int(Opt::SO_NO_CHECK, 1),
        int(Opt::SO_OOBINLINE, 1),
        Setting::bytes(Opt::SO_LINGER, &linger),
        int(Opt::SO_RCVLOWAT, 2),
        Setting::bytes(Opt::SO_RCVTIMEO, &seconds),
        Setting::bytes(Opt::SO_SNDTIMEO, &seconds),
        Setting::bytes(Opt::SO_MAX_PACING_RATE, &50_000_000_u64.to_ne_bytes()),
        int(Opt::SO_ZEROCOPY, 1),
        int(Opt::SO_TXREHASH, 0),
        int(Opt::SO_RESERVE_MEM, 8_192),
        int(Opt::SO_BUSY_POLL, 50),
        int(Opt::SO_PREFER_BUSY_POLL, 1),
        int(Opt::SO_BUSY_POLL_BUDGET, 4),
        int(Opt::SO_SELECT_ERR_QUEUE, 1),
        int(Opt::SO_TIMESTAMP, 1),
        int(Opt::SO_TIMESTAMPNS, 1),
        // SOF_TIMESTAMPING_RX_SOFTWARE and SOF_TIMESTAMPING_SOFTWARE
        int(Opt::SO_TIMESTAMPING, 1 << 3 | 1 << 4),
        int(Opt::SO_PEEK_OFF, 3),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for setting in settings() {
        let name = setting
            .option
            .label()
            .to_ascii_lowercase()
            .replace('_', "-");
        let option = setting.option;
        let case = Case::new(
            format!("restore/option/{name}"),
            format!(
                "{} comes back as the application had set it, and is not set where it had not",
                option.label()
            ),
            guide(option),
            move |ctx| comes_back(ctx, &setting),
        );
        cases.push(match option {
            Opt::SO_PEEK_OFF => case.needs(&[Need::PeekOffset]),
            _ => case,
        });
    }
    cases.push(Case::new(
        "restore/option/unset",
        "what the application has not set is not pinned: the defaults of the new host count",
        &["D2"],
        unset,
    ));
    cases.push(Case::new(
        "restore/option/priority-after-tos",
        "IP_TOS sets SO_PRIORITY as well: a priority that was set afterwards comes back",
        &["D7"],
        priority_after_tos,
    ));
    cases.push(Case::new(
        "restore/option/not-here",
        "an option that the new host does not take is named as a loss, and the connection comes back",
        &["B26", "D8"],
        not_here,
    ));
    cases.push(Case::new(
        "restore/option/signal-driven",
        "that a process is sent signals for its socket (O_ASYNC) is named as a loss",
        &["D8"],
        signal_driven,
    ));
    cases.push(Case::new(
        "restore/option/cork-holds",
        "what a cork held back is held back after the restore, and goes out when it is pulled",
        &["D1"],
        cork_holds,
    ));
    let whose = "the options of the application are its caller's to carry";
    cases.into_iter().map(|case| case.not_in_c(whose)).collect()
}

fn signal_driven(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    let named = |snapshot: &soccr::Snapshot| {
        let mut losses = snapshot.losses().into_iter();
        losses.any(|loss| loss.what == Lost::SocketOption && loss.detail.contains("O_ASYNC"))
    };
    let save = || traveller.pair.a().enter(|| soccr::save(&traveller.subject));
    expect_eq("a loss is named without O_ASYNC", named(&save()??), false)?;
    let flags = fcntl(&traveller.subject, FcntlArg::F_GETFL).map_err(io::Error::from)?;
    let flags = OFlag::from_bits_retain(flags) | OFlag::O_ASYNC;
    fcntl(&traveller.subject, FcntlArg::F_SETFL(flags)).map_err(io::Error::from)?;
    expect_eq("a loss is named with it", named(&save()??), true)
}

fn guide(option: Opt) -> &'static [&'static str] {
    match option.label() {
        "TCP_NODELAY" | "TCP_CORK" => &["D1", "C15"],
        "SO_KEEPALIVE" | "TCP_KEEPIDLE" | "TCP_KEEPINTVL" | "TCP_KEEPCNT" | "TCP_SYNCNT"
        | "TCP_LINGER2" => &["D2", "C15"],
        "TCP_DEFER_ACCEPT" => &["D3"],
        "TCP_FASTOPEN_NO_COOKIE" | "TCP_SAVE_SYN" => &["D6"],
        label if label.starts_with("TCP_") => &["D4"],
        label if label.starts_with("IP") => &["D7", "C15"],
        _ => &["D8"],
    }
}

fn comes_back(ctx: &Context, setting: &Setting) -> Verdict {
    let option = setting.option;
    let mut traveller = match option {
        // Only before the connection.
        Opt::TCP_FASTOPEN_NO_COOKIE => open_with(ctx, setting)?,
        _ => Traveller::open(ctx, setting.family)?,
    };
    let new = || raw::tcp_socket(traveller.family());
    let fresh = read(&traveller.pair.a().enter(new)??, option)?;
    let set = match read(&traveller.subject, option)? == fresh {
        true => raw::set(&traveller.subject, option, &setting.value),
        false => Ok(()),
    };
    if let Err(error) = set {
        let reason = format!("{} cannot be set here: {error}", option.label());
        return Err(Stop::Skip(reason));
    }
    let wanted = read(&traveller.subject, option)?;
    if wanted.is_empty() {
        let reason = format!("{} can be set here, and not read", option.label());
        return Err(Stop::Skip(reason));
    }
    expect_eq(
        "the value that is set is not the one of a new socket",
        wanted == fresh,
        false,
    )?;
    let saved = traveller.save()?;
    let carried = saved.snapshot.socket_options.iter();
    let carried = carried.filter(|carried| carried.option == option).count();
    expect_eq("it is in the snapshot", carried, 1)?;
    let restored = traveller.pair.a().enter(|| saved.snapshot.restore())??;
    let losses: Vec<_> = restored
        .losses()
        .iter()
        .filter(|loss| loss.what == Lost::SocketOption)
        .map(ToString::to_string)
        .collect();
    expect_eq("losses of socket options", losses, Vec::new())?;
    let subject = traveller.resume(restored)?;
    expect_eq(option.label(), read(&subject, option)?, wanted)
}

fn open_with(ctx: &Context, setting: &Setting) -> Result<Traveller, Stop> {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let (option, value) = (setting.option, setting.value.clone());
    let connection = pair
        .connection(setting.family)
        .on_client(move |socket| raw::set(&**socket, option, &value))
        .open()?;
    Ok(Traveller::new(ctx, pair, capture, connection))
}

fn read(socket: &impl AsFd, option: Opt) -> io::Result<Vec<u8>> {
    let mut value = [0; 64];
    let length = match raw::get(socket, option, &mut value) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => 0,
        other => other?,
    };
    Ok(value[..length].to_vec())
}

fn unset(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::TCP_KEEPINTVL, 12)?;
    let saved = traveller.save()?;
    for (name, value) in [
        ("tcp_keepalive_time", "77"),
        ("tcp_keepalive_intvl", "78"),
        ("tcp_syn_retries", "2"),
        ("tcp_fin_timeout", "31"),
    ] {
        let name = format!("net.ipv4.{name}");
        traveller.pair.a().sysctl(&name, value)?;
    }
    let restored = traveller.pair.a().enter(|| saved.snapshot.restore())??;
    let subject = traveller.resume(restored)?;
    for (option, wanted) in [
        (Opt::TCP_KEEPIDLE, 77),
        (Opt::TCP_KEEPINTVL, 12),
        (Opt::TCP_SYNCNT, 2),
        (Opt::TCP_LINGER2, 31),
    ] {
        expect_eq(option.label(), raw::get_int(&subject, option)?, wanted)?;
    }
    Ok(())
}

fn priority_after_tos(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::IP_TOS, 0x10)?;
    raw::set_int(&traveller.subject, Opt::SO_PRIORITY, 0)?;
    let saved = traveller.save()?;
    let restored = traveller.pair.a().enter(|| saved.snapshot.restore())??;
    let subject = traveller.resume(restored)?;
    expect_eq("IP_TOS", raw::get_int(&subject, Opt::IP_TOS)?, 0x10)?;
    expect_eq("SO_PRIORITY", raw::get_int(&subject, Opt::SO_PRIORITY)?, 0)
}

fn not_here(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    raw::set(&traveller.subject, Opt::TCP_CONGESTION, b"cubic")?;
    let mut saved = traveller.save()?;
    for carried in &mut saved.snapshot.socket_options {
        if carried.option == Opt::TCP_CONGESTION {
            carried.value = b"nobody-has-this".to_vec();
        }
    }
    let restored = traveller.pair.a().enter(|| saved.snapshot.restore())??;
    let named = restored
        .losses()
        .iter()
        .any(|loss| loss.what == Lost::SocketOption && loss.detail.contains("TCP_CONGESTION"));
    expect_eq("the loss names the option", named, true)?;
    let subject = traveller.resume(restored)?;
    traveller.talk.exchange(&subject, &traveller.peer, 10_000)?;
    traveller.talk.close(&subject, &traveller.peer)
}

fn cork_holds(ctx: &Context) -> Verdict {
    const HELD: usize = 100;
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    raw::set_int(&traveller.subject, Opt::TCP_CORK, 1)?;
    let saved = write_unsent(&mut traveller, HELD)?;
    let restored = traveller.pair.a().enter(|| saved.snapshot.restore())??;
    let subject = traveller.resume(restored)?;
    expect_eq(
        "SIOCOUTQNSD after the resume",
        raw::siocoutqnsd(&subject)?,
        HELD as i32,
    )?;
    raw::set_int(&subject, Opt::TCP_CORK, 0)?;
    traveller.talk.drain(&subject, &traveller.peer)
}
