//! Defects of what the application has set: options, filters, and the addresses.

use super::meddling::{forget, forget_int, is, late, pretend, set, told};
use super::{Defect, Saboteur};
use soccr::Endpoints;
use soccr::raw::{Opt, TCP_REPAIR_OFF};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

thread_local! {
    /// Whether this thread has just resumed a socket.
    static RESUMED: Cell<bool> = const { Cell::new(false) };
}

/// All of this group.
pub(super) static SABOTEURS: &[Saboteur] = &[
    Saboteur::call(
        "keepalive-lost",
        "does not restore SO_KEEPALIVE",
        &["restore/option/so-keepalive"],
        |call| pretend(call, "setsockopt(SO_KEEPALIVE)", "getsockopt(SO_KEEPALIVE)"),
    ),
    Saboteur::call(
        "keepalive-time-lost",
        "does not restore TCP_KEEPIDLE",
        &["restore/option/tcp-keepidle"],
        |call| pretend(call, "setsockopt(TCP_KEEPIDLE)", "getsockopt(TCP_KEEPIDLE)"),
    ),
    Saboteur::call(
        "no-delay-lost",
        "does not restore TCP_NODELAY",
        &["restore/option/tcp-nodelay"],
        |call| pretend(call, "setsockopt(TCP_NODELAY)", "getsockopt(TCP_NODELAY)"),
    ),
    Saboteur::call(
        "cork-lost",
        "does not restore TCP_CORK",
        &["restore/option/tcp-cork"],
        |call| pretend(call, "setsockopt(TCP_CORK)", "getsockopt(TCP_CORK)"),
    ),
    Saboteur::call(
        "user-timeout-lost",
        "does not restore TCP_USER_TIMEOUT",
        &["restore/option/tcp-user-timeout"],
        |call| {
            pretend(
                call,
                "setsockopt(TCP_USER_TIMEOUT)",
                "getsockopt(TCP_USER_TIMEOUT)",
            )
        },
    ),
    Saboteur::call(
        "congestion-control-lost",
        "does not restore TCP_CONGESTION",
        &["restore/option/tcp-congestion"],
        |call| {
            pretend(
                call,
                "setsockopt(TCP_CONGESTION)",
                "getsockopt(TCP_CONGESTION)",
            )
        },
    ),
    Saboteur::call(
        "type-of-service-lost",
        "does not restore IP_TOS",
        &["restore/option/ip-tos"],
        |call| pretend(call, "setsockopt(IP_TOS)", "getsockopt(IP_TOS)"),
    ),
    Saboteur::call(
        "traffic-class-lost",
        "does not restore IPV6_TCLASS",
        &["restore/option/ipv6-tclass"],
        |call| pretend(call, "setsockopt(IPV6_TCLASS)", "getsockopt(IPV6_TCLASS)"),
    ),
    Saboteur::call(
        "time-to-live-lost",
        "does not restore IP_TTL",
        &["restore/option/ip-ttl"],
        |call| pretend(call, "setsockopt(IP_TTL)", "getsockopt(IP_TTL)"),
    ),
    Saboteur::call(
        "linger-lost",
        "does not restore SO_LINGER",
        &["restore/option/so-linger"],
        |call| pretend(call, "setsockopt(SO_LINGER)", "getsockopt(SO_LINGER)"),
    ),
    Saboteur::call(
        "out-of-band-inline-lost",
        "does not restore SO_OOBINLINE",
        &["restore/option/so-oobinline"],
        |call| pretend(call, "setsockopt(SO_OOBINLINE)", "getsockopt(SO_OOBINLINE)"),
    ),
    Saboteur::call(
        "peek-offset-lost",
        "does not restore SO_PEEK_OFF",
        &["restore/option/so-peek-off"],
        |call| pretend(call, "setsockopt(SO_PEEK_OFF)", "getsockopt(SO_PEEK_OFF)"),
    ),
    Saboteur::call(
        "reuse-port-lost",
        "does not restore SO_REUSEPORT",
        &["restore/option/so-reuseport"],
        |call| pretend(call, "setsockopt(SO_REUSEPORT)", "getsockopt(SO_REUSEPORT)"),
    ),
    Saboteur::call(
        "device-lost",
        "does not restore SO_BINDTODEVICE",
        &["restore/option/so-bindtodevice"],
        |call| {
            pretend(
                call,
                "setsockopt(SO_BINDTODEVICE)",
                "getsockopt(SO_BINDTODEVICE)",
            )
        },
    ),
    Saboteur::call(
        "mark-lost",
        "does not restore SO_MARK",
        &["restore/option/so-mark"],
        |call| pretend(call, "setsockopt(SO_MARK)", "getsockopt(SO_MARK)"),
    ),
    Saboteur::call(
        "low-water-mark-lost",
        "does not restore SO_RCVLOWAT",
        &["restore/option/so-rcvlowat"],
        |call| pretend(call, "setsockopt(SO_RCVLOWAT)", "getsockopt(SO_RCVLOWAT)"),
    ),
    Saboteur::call(
        "receive-timeout-lost",
        "does not restore SO_RCVTIMEO",
        &["restore/option/so-rcvtimeo"],
        |call| pretend(call, "setsockopt(SO_RCVTIMEO)", "getsockopt(SO_RCVTIMEO)"),
    ),
    Saboteur::call(
        "window-clamp-lost",
        "does not restore TCP_WINDOW_CLAMP",
        &["restore/option/tcp-window-clamp"],
        |call| {
            pretend(
                call,
                "setsockopt(TCP_WINDOW_CLAMP)",
                "getsockopt(TCP_WINDOW_CLAMP)",
            )
        },
    ),
    Saboteur::saved(
        "options-not-saved",
        "saves no option that the application has set",
        &["restore/option/*"],
        |snapshot| snapshot.socket_options.clear(),
    ),
    Saboteur::call(
        "priority-before-tos",
        "sets the priority before the type of service, which changes it",
        &["restore/option/priority-after-tos*"],
        |call| {
            late(
                call,
                "setsockopt(IP_TOS)",
                Opt::IP_TOS,
                "setsockopt(TCP_REPAIR_OPTIONS)",
            )
        },
    ),
    Saboteur::saved(
        "nonblocking-lost",
        "makes calls wait that never did",
        &["restore/option/o-nonblock"],
        |snapshot| snapshot.nonblocking = false,
    ),
    Saboteur::saved(
        "waiting-lost",
        "makes calls return at once that waited",
        &["restore/option/o-nonblock"],
        |snapshot| snapshot.nonblocking = true,
    ),
    Saboteur::saved(
        "reuse-address-not-saved",
        "does not save SO_REUSEADDR",
        &["save/options/reuse-address/*"],
        |snapshot| snapshot.reuse_address = false,
    ),
    Saboteur {
        name: "reuse-address-not-restored",
        does: "clears SO_REUSEADDR when it resumes",
        area: &["save/options/reuse-address/*"],
        defect: Defect::Resumed(|socket| set(socket, Opt::SO_REUSEADDR, 0)),
    },
    Saboteur::call(
        "no-delay-left-on",
        "leaves TCP_NODELAY on, by which it has sent what was waiting",
        &["restore/held/*", "restore/empty-unsent/*", "restore/tail/*"],
        |call| forget_int(call, "setsockopt(TCP_NODELAY)", 0),
    ),
    Saboteur::call(
        "cork-pulled",
        "sends what the application holds back by a cork",
        &["restore/held/cork/*", "restore/option/cork-holds*"],
        |call| {
            // The save reads it as well, and has to find it.
            if is(call, "setsockopt(TCP_REPAIR)", TCP_REPAIR_OFF) {
                RESUMED.set(true);
            }
            match call.name() == "getsockopt(TCP_CORK)" && RESUMED.take() {
                true => told(call, "getsockopt(TCP_CORK)", |bytes| bytes.fill(0)),
                false => call.make(),
            }
        },
    ),
    Saboteur::saved(
        "filter-lost",
        "does not save the socket filter",
        &["save/filter/*"],
        |snapshot| snapshot.filter.program.clear(),
    ),
    Saboteur::call(
        "filter-unlocked",
        "does not lock the socket filter again",
        &["save/filter/locked*"],
        |call| forget(call, "setsockopt(SO_LOCK_FILTER)"),
    ),
    Saboteur::saved(
        "mapped-as-v4",
        "saves a mapped address as one of IPv4",
        &["restore/address/*"],
        |snapshot| {
            let Endpoints { local, remote } = &mut snapshot.endpoints;
            for address in [local, remote] {
                address.set_ip(address.ip().to_canonical());
            }
        },
    ),
    Saboteur::saved(
        "looks-mapped",
        "takes every address with ffff in its sixth word for a mapped one",
        &["restore/address/*"],
        |snapshot| {
            let Endpoints { local, remote } = &mut snapshot.endpoints;
            for address in [local, remote] {
                if let IpAddr::V6(v6) = address.ip() {
                    let [.., marker, high, low] = v6.segments();
                    if marker == 0xffff {
                        let v4 = (u32::from(high) << 16 | u32::from(low)).into();
                        address.set_ip(IpAddr::V4(v4));
                    }
                }
            }
        },
    ),
    Saboteur::call(
        "v6-only-by-default",
        "does not clear IPV6_V6ONLY for a mapped address",
        &["restore/address/*"],
        |call| forget(call, "setsockopt(IPV6_V6ONLY)"),
    ),
    Saboteur::saved(
        "link-lost",
        "does not save which link a link-local address belongs to",
        &["restore/link-local/*"],
        |snapshot| snapshot.link = None,
    ),
    Saboteur::saved(
        "scope-lost",
        "saves a link-local address without its scope",
        &["restore/link-local/*"],
        |snapshot| {
            let Endpoints { local, remote } = &mut snapshot.endpoints;
            for address in [local, remote] {
                if let SocketAddr::V6(v6) = address {
                    v6.set_scope_id(0);
                }
            }
        },
    ),
    Saboteur::saved(
        "ports-swapped",
        "swaps the two ports",
        &["restore/empty-empty/*"],
        |snapshot| {
            let Endpoints { local, remote } = &mut snapshot.endpoints;
            let (ours, theirs) = (local.port(), remote.port());
            local.set_port(theirs);
            remote.set_port(ours);
        },
    ),
];
