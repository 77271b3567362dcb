//! What is known of CRIU's messages: which fields they have, and which CRIU cannot do without.

use crate::criu::entry::{Record, Sealed};
use crate::criu::error::STREAM;
use crate::criu::messages::{FileEntry, InetSkEntry, TcpStreamEntry};
use crate::criu::wire::Layout;

/// The number of the socket in a `file_entry`.
pub(super) const ISK: u32 = 4;

const STREAM_LAYOUT: Layout = Layout {
    name: STREAM,
    known: &[1..=17],
    required: &[
        (1, "inq_len"),
        (2, "inq_seq"),
        (3, "outq_len"),
        (4, "outq_seq"),
        (5, "opt_mask"),
        (6, "snd_wscale"),
        (7, "mss_clamp"),
    ],
    nested: &[],
};

const TCP_OPTS_LAYOUT: Layout = Layout {
    name: "tcp_opts_entry",
    known: &[1..=5],
    required: &[],
    nested: &[],
};

const INET_SK_LAYOUT: Layout = Layout {
    name: "inet_sk_entry",
    known: &[1..=20],
    required: &[
        (1, "id"),
        (2, "ino"),
        (3, "family"),
        (4, "type"),
        (5, "proto"),
        (6, "state"),
        (7, "src_port"),
        (8, "dst_port"),
        (9, "flags"),
        (10, "backlog"),
        (13, "fown"),
        (14, "opts"),
    ],
    nested: &[
        (13, "fown", &FOWN_LAYOUT),
        (14, "opts", &SK_OPTS_LAYOUT),
        (16, "ip_opts", &IP_OPTS_LAYOUT),
        (20, "tcp_opts", &TCP_OPTS_LAYOUT),
    ],
};

const FOWN_LAYOUT: Layout = Layout {
    name: "fown_entry",
    known: &[1..=5],
    required: &[
        (1, "uid"),
        (2, "euid"),
        (3, "signum"),
        (4, "pid_type"),
        (5, "pid"),
    ],
    nested: &[],
};

const SK_OPTS_LAYOUT: Layout = Layout {
    name: "sk_opts_entry",
    known: &[1..=25],
    required: &[
        (1, "so_sndbuf"),
        (2, "so_rcvbuf"),
        (3, "so_snd_tmo_sec"),
        (4, "so_snd_tmo_usec"),
        (5, "so_rcv_tmo_sec"),
        (6, "so_rcv_tmo_usec"),
    ],
    nested: &[],
};

const IP_OPTS_LAYOUT: Layout = Layout {
    name: "ip_opts_entry",
    known: &[1..=1, 4..=7],
    required: &[],
    nested: &[],
};

const FILE_LAYOUT: Layout = Layout {
    name: "file_entry",
    known: &[1..=2, 4..=4],
    required: &[(1, "type"), (2, "id")],
    nested: &[(ISK, "isk", &INET_SK_LAYOUT)],
};

/// Ties messages to what is known of their encoding.
macro_rules! records {
    ($($message:ty = $layout:ident;)*) => {
        $(impl Record for $message {}
        impl Sealed for $message {
            const LAYOUT: &'static Layout = &$layout;
        })*
    };
}

records! {
    TcpStreamEntry = STREAM_LAYOUT;
    InetSkEntry = INET_SK_LAYOUT;
    FileEntry = FILE_LAYOUT;
}
