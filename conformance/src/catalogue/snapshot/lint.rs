//! What a lint says of a snapshot is what the kernel does: the same step, the same errno.

use super::{good, unscoped};
use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::verdict::{Failure, Verdict, expect_eq};
use lab::{Family, Pair};
use soccr::raw::{self, Opt};
use soccr::{Endpoints, Fate, Queue, Snapshot, Step, TcpState, Timestamps, Window, WindowScale};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A change that makes a good snapshot a bad one.
type Spoil = fn(&mut Snapshot);

/// Each with the field that is to be named, and what becomes of it.
const SPOILS: [(&str, &str, Fate, Spoil); 23] = [
    ("state", "state", Fate::Refused, |it| {
        it.state = TcpState::TimeWait;
    }),
    ("two-families", "endpoints.remote", Fate::Refused, |it| {
        it.endpoints.remote = match it.endpoints.remote {
            SocketAddr::V4(_) => ([0xfd77, 0, 0, 0, 0, 0, 0, 2], 2).into(),
            SocketAddr::V6(_) => ([10, 77, 0, 2], 2).into(),
        };
    }),
    ("local-port", "endpoints.local", Fate::Refused, |it| {
        it.endpoints.local.set_port(0);
    }),
    ("remote-port", "endpoints.remote", Fate::Refused, |it| {
        it.endpoints.remote.set_port(0);
    }),
    (
        "local-unspecified",
        "endpoints.local",
        Fate::Refused,
        |it| {
            unspecify(&mut it.endpoints.local);
        },
    ),
    (
        "remote-unspecified",
        "endpoints.remote",
        Fate::Refused,
        |it| {
            unspecify(&mut it.endpoints.remote);
        },
    ),
    (
        "remote-multicast",
        "endpoints.remote",
        Fate::Refused,
        |it| multicast(&mut it.endpoints.remote),
    ),
    ("local-multicast", "endpoints.local", Fate::Refused, |it| {
        multicast(&mut it.endpoints.local);
    }),
    (
        "send-shift",
        "options.window_scale.snd",
        Fate::Refused,
        |it| {
            it.options.window_scale = Some(WindowScale { snd: 15, rcv: 0 });
        },
    ),
    (
        "receive-shift",
        "options.window_scale.rcv",
        Fate::Refused,
        |it| {
            it.options.window_scale = Some(WindowScale { snd: 0, rcv: 15 });
        },
    ),
    ("segment-size", "options.mss_clamp", Fate::Refused, |it| {
        it.options.mss_clamp = 0;
    }),
    (
        "odd-milliseconds",
        "options.timestamps.value",
        Fate::Mended,
        |it| {
            it.options.timestamps = Some(Timestamps {
                value: 1001,
                microseconds: false,
            });
        },
    ),
    ("unsent-beyond-queue", "send.unsent", Fate::Refused, |it| {
        it.send.unsent = 4;
    }),
    (
        "queue-of-another-state",
        "send.bytes",
        Fate::Refused,
        |it| it.state = TcpState::FinWait2,
    ),
    (
        "fin-of-another-state",
        "send.fin_unsent",
        Fate::Refused,
        |it| it.send.fin_unsent = true,
    ),
    ("buffer-locks", "buffers.locks", Fate::Refused, |it| {
        it.buffers.locks = Some(4);
    }),
    (
        "window-above-maximum",
        "window.max_window",
        Fate::Refused,
        |it| {
            it.window = Some(Window {
                snd_wnd: 2,
                max_window: 1,
                ..window(it)
            });
        },
    ),
    (
        "window-never-counted",
        "window.rcv_wnd",
        Fate::Refused,
        |it| {
            it.window = Some(Window {
                rcv_wnd: 1 << 31,
                ..window(it)
            });
        },
    ),
    (
        "received-after-the-end",
        "window.rcv_wup",
        Fate::Refused,
        |it| {
            it.window = Some(Window {
                rcv_wup: it.receive.end + 1,
                ..window(it)
            });
        },
    ),
    ("received-long-ago", "window.rcv_wup", Fate::Refused, |it| {
        it.window = Some(Window {
            rcv_wup: it.receive.end.back((1 << 30) + 1),
            ..window(it)
        });
    }),
    (
        "update-beyond-the-edge",
        "window.snd_wl1",
        Fate::Mended,
        |it| {
            it.window = Some(Window {
                snd_wl1: it.receive.end + 301,
                ..window(it)
            });
        },
    ),
    ("update-far-ahead", "window.snd_wl1", Fate::Refused, |it| {
        it.window = Some(Window {
            snd_wl1: it.receive.end + ((1 << 30) + 1),
            ..window(it)
        });
    }),
    ("update-far-behind", "window.snd_wl1", Fate::Refused, |it| {
        it.window = Some(Window {
            snd_wl1: it.receive.end.back((1 << 30) + 1),
            ..window(it)
        });
    }),
];

pub(super) fn cases() -> Vec<Case> {
    let spoiled = SPOILS.into_iter().flat_map(|(name, field, fate, spoil)| {
        [Family::V4, Family::V6, Family::V4Mapped].map(|family| {
            let case = Case::new(
                format!("snapshot/lint/{name}/{family}"),
                format!("a lint names {field}, and the step and the errno with which this kernel meets it"),
                &["G9"],
                move |ctx| {
                    let mut snapshot = good_one(&*ctx.pair()?, family);
                    expect_eq("findings in a good snapshot", snapshot.lint(), Vec::new())?;
                    spoil(&mut snapshot);
                    told(ctx, &snapshot, field, fate)
                },
            );
            match name {
                // A kernel without the option meets good values as it meets bad ones.
                "buffer-locks" => case.needs(&[Need::BufferLock]),
                _ => case,
            }
        })
    });
    let unscoped = ["local", "remote"].map(|end| {
        Case::new(
            format!("snapshot/lint/{end}-without-scope/v6"),
            "a lint names a link-local address without its link, and the step and the errno with which this kernel meets it",
            &["C17"],
            move |ctx| without_scope(ctx, end),
        )
    });
    let name = Case::new(
        "snapshot/lint/link-name/v6",
        "a lint names a link whose name no link can have, and that this kernel cuts it",
        &["C17"],
        cut_name,
    );
    let mixed = [Family::V6, Family::V4Mapped].map(|family| {
        Case::new(
            format!("snapshot/lint/mapped-at-one-end/{family}"),
            "a lint names an end that is v4-mapped where the other is not, and the step and the errno with which this \
             kernel meets it",
            &["G5"],
            move |ctx| {
                let pair = ctx.pair()?;
                let mut snapshot = good_one(&pair, family);
                let other = match family {
                    Family::V6 => Family::V4Mapped,
                    _ => Family::V6,
                };
                snapshot.endpoints.remote = good_one(&pair, other).endpoints.remote;
                told(ctx, &snapshot, "endpoints.remote", Fate::Refused)
            },
        )
    });
    let cases = spoiled.chain(unscoped).chain([name]).chain(mixed);
    // Another kernel may say another errno: then the lint is wrong there, and nothing is damaged.
    cases.map(|case| case.level(Level::Should)).collect()
}

/// An address of a link that is not named.
fn without_scope(ctx: &Context, end: &str) -> Verdict {
    let pair = ctx.pair()?;
    let mut snapshot = good_one(&pair, Family::V6);
    match end {
        "local" => {
            snapshot.endpoints.local = unscoped(1);
            told(ctx, &snapshot, "endpoints.local", Fate::Left)
        }
        _ => {
            snapshot.endpoints.remote = unscoped(2);
            told(ctx, &snapshot, "endpoints.remote", Fate::Left)
        }
    }
}

/// Up to the byte 0 it is the name of the link.
fn cut_name(ctx: &Context) -> Verdict {
    let (local, remote) = (unscoped(1), unscoped(2));
    let [a, b] = [1, 2].map(|host| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host));
    let pair = ctx.build(Pair::builder().extra_v6(a, b, 64))?;
    let mut snapshot = good(Endpoints { local, remote });
    snapshot.link = Some("veth0".to_owned());
    expect_eq("findings in a good snapshot", snapshot.lint(), Vec::new())?;
    snapshot.link = Some("veth0\0of-nobody".to_owned());
    told_on(&pair, ctx, &snapshot, "link", Fate::Refused)
}

/// Compares what a lint says with what the kernel does.
fn told(ctx: &Context, snapshot: &Snapshot, field: &str, fate: Fate) -> Verdict {
    told_on(&*ctx.pair()?, ctx, snapshot, field, fate)
}

fn told_on(pair: &Pair, ctx: &Context, snapshot: &Snapshot, field: &str, fate: Fate) -> Verdict {
    let findings = snapshot.lint();
    let Some(finding) = findings.iter().find(|finding| finding.field == field) else {
        return Err(Failure::new(
            "the lint",
            format!("a finding of {field}"),
            format!("{findings:?}"),
        )
        .into());
    };
    ctx.note("finding", finding);
    expect_eq("the fate", finding.fate, fate)?;
    let refused = snapshot.validate().is_err();
    expect_eq(
        "the snapshot does not validate",
        refused,
        fate == Fate::Refused,
    )?;
    let plain = pair.a().enter(|| restore_as_it_is(snapshot))?;
    let met = plain
        .err()
        .map(|(step, error)| (step, error.raw_os_error()));
    let told = findings.iter().find(|finding| finding.errno.is_some());
    expect_eq(
        "the step and the errno of a restore by plain calls",
        met,
        told.map(|finding| (finding.step, finding.errno)),
    )
}

/// The calls of a restore with the values as they are, and where they fail.
fn restore_as_it_is(snapshot: &Snapshot) -> Result<(), (Step, io::Error)> {
    let at = |step| move |error| (step, error);
    let socket = raw::tcp_socket(snapshot.endpoints.family()).map_err(at(Step::Create))?;
    let set = |step, option, value| raw::set_int(&socket, option, value).map_err(at(step));
    set(Step::Pause, Opt::TCP_REPAIR, raw::TCP_REPAIR_ON)?;
    let queues = [
        (
            Queue::Send,
            raw::TCP_SEND_QUEUE,
            snapshot.send.start(),
            &snapshot.send.bytes,
        ),
        (
            Queue::Receive,
            raw::TCP_RECV_QUEUE,
            snapshot.receive.start(),
            &snapshot.receive.bytes,
        ),
    ];
    for (_, number, start, _) in queues {
        set(Step::UnboundData, Opt::TCP_REPAIR_QUEUE, number)?;
        set(Step::UnboundData, Opt::TCP_QUEUE_SEQ, start.0 as i32)?;
    }
    if let Some(link) = &snapshot.link {
        raw::set(&socket, Opt::SO_BINDTODEVICE, link.as_bytes()).map_err(at(Step::Bind))?;
    }
    raw::bind(&socket, snapshot.endpoints.local).map_err(at(Step::Bind))?;
    raw::connect(&socket, snapshot.endpoints.remote).map_err(at(Step::Connect))?;
    let scale = snapshot.options.window_scale.unwrap_or_default();
    let shifts = u32::from(scale.snd) | u32::from(scale.rcv) << 16;
    let options = [
        raw::tcp_repair_opt(raw::TCPOPT_MSS, snapshot.options.mss_clamp.into()),
        raw::tcp_repair_opt(raw::TCPOPT_WINDOW, shifts),
    ];
    raw::set(&socket, Opt::TCP_REPAIR_OPTIONS, &options.concat()).map_err(at(Step::NoQueueData))?;
    if let Some(clock) = snapshot.options.timestamps {
        set(Step::NoQueueData, Opt::TCP_TIMESTAMP, clock.value as i32)?;
    }
    for (queue, number, _, bytes) in queues {
        let step = Step::WriteQueue(queue);
        set(step, Opt::TCP_REPAIR_QUEUE, number)?;
        if !bytes.is_empty() {
            raw::send(&socket, bytes, raw::MSG_DONTWAIT).map_err(at(step))?;
        }
    }
    if let Some(window) = snapshot.window {
        let words = [
            window.snd_wl1.0,
            window.snd_wnd,
            window.max_window,
            window.rcv_wnd,
            window.rcv_wup.0,
        ];
        let bytes = words.map(u32::to_ne_bytes).concat();
        raw::set(&socket, Opt::TCP_REPAIR_WINDOW, &bytes).map_err(at(Step::RemainingData))?;
    }
    match snapshot.buffers.locks {
        Some(locks) => set(Step::RemainingData, Opt::SO_BUF_LOCK, locks.into()),
        None => Ok(()),
    }
}

fn good_one(pair: &Pair, family: Family) -> Snapshot {
    let address = |v4: Ipv4Addr, v6: Ipv6Addr, port| -> SocketAddr {
        match family {
            Family::V4 => (v4, port).into(),
            Family::V6 => (v6, port).into(),
            Family::V4Mapped => (v4.to_ipv6_mapped(), port).into(),
        }
    };
    let mut snapshot = good(Endpoints {
        local: address(pair.a().v4(), pair.a().v6(), 40_001),
        remote: address(pair.b().v4(), pair.b().v6(), 40_002),
    });
    snapshot.receive.end = soccr::Seq(u32::MAX - 5);
    snapshot.window = Some(window(&snapshot));
    snapshot
}

fn window(snapshot: &Snapshot) -> Window {
    Window {
        snd_wl1: snapshot.receive.end,
        snd_wnd: 100,
        max_window: 200,
        rcv_wnd: 300,
        rcv_wup: snapshot.receive.end,
    }
}

/// Puts another address into the place of one that is of the same family.
fn replace(address: &mut SocketAddr, v4: Ipv4Addr, v6: Ipv6Addr) {
    address.set_ip(match address.ip() {
        IpAddr::V4(_) => v4.into(),
        IpAddr::V6(old) if old.to_ipv4_mapped().is_some() => v4.to_ipv6_mapped().into(),
        IpAddr::V6(_) => v6.into(),
    });
}

/// The address of no host.
fn unspecify(address: &mut SocketAddr) {
    replace(address, Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
}

/// An address of many hosts.
fn multicast(address: &mut SocketAddr) {
    let v6 = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    replace(address, Ipv4Addr::new(224, 0, 0, 1), v6);
}
