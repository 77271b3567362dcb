//! CRIU's messages once more, for the second decoder: from `images/*.proto` of CRIU 4.2, not from the declarations of `soccr`.

/// A message: its fields in the order of their numbers.
pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

/// A field: its number, whether CRIU refuses the message without it, and what it holds.
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) required: bool,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Int32,
    Uint32,
    Uint64,
    Bytes,
    /// Any number of them.
    Uint32s,
    /// Any number of them.
    Fixed64s,
    Message(&'static Message),
}

use Kind::{Bool, Bytes, Fixed64s, Int32, Uint32, Uint32s, Uint64};

const fn required(number: u32, kind: Kind) -> Field {
    Field {
        number,
        required: true,
        kind,
    }
}

const fn optional(number: u32, kind: Kind) -> Field {
    Field {
        required: false,
        ..required(number, kind)
    }
}

/// `tcp_stream_entry`.
pub(super) const TCP_STREAM: Message = Message {
    fields: &[
        required(1, Uint32),
        required(2, Uint32),
        required(3, Uint32),
        required(4, Uint32),
        required(5, Uint32),
        required(6, Uint32),
        required(7, Uint32),
        optional(8, Uint32),
        optional(9, Uint32),
        optional(10, Bool),
        optional(11, Bool),
        optional(12, Uint32),
        optional(13, Uint32),
        optional(14, Uint32),
        optional(15, Uint32),
        optional(16, Uint32),
        optional(17, Uint32),
    ],
};

/// `tcp_opts_entry`.
const TCP_OPTS: Message = Message {
    fields: &[
        optional(1, Bool),
        optional(2, Bool),
        optional(3, Uint32),
        optional(4, Uint32),
        optional(5, Uint32),
    ],
};

/// `fown_entry`.
const FOWN: Message = Message {
    fields: &[
        required(1, Uint32),
        required(2, Uint32),
        required(3, Uint32),
        required(4, Uint32),
        required(5, Uint32),
    ],
};

/// `sk_opts_entry`.
const SK_OPTS: Message = Message {
    fields: &[
        required(1, Uint32),
        required(2, Uint32),
        required(3, Uint64),
        required(4, Uint64),
        required(5, Uint64),
        required(6, Uint64),
        optional(7, Bool),
        optional(8, Uint32),
        optional(9, Uint32),
        optional(10, Uint32),
        optional(11, Bool),
        optional(12, Bool),
        optional(13, Bool),
        optional(14, Bool),
        optional(15, Bytes),
        optional(16, Fixed64s),
        optional(17, Bool),
        optional(18, Bool),
        optional(19, Bool),
        optional(20, Uint32),
        optional(21, Uint32),
        optional(22, Uint32),
        optional(23, Uint32),
        optional(24, Uint32),
        optional(25, Uint32),
    ],
};

/// `ip_opts_entry`. What raw sockets have is not looked into.
const IP_OPTS: Message = Message {
    fields: &[
        optional(1, Bool),
        optional(4, Bytes),
        optional(5, Bool),
        optional(6, Uint32),
        optional(7, Uint32),
    ],
};

/// `inet_sk_entry`.
pub(super) const INET_SK: Message = Message {
    fields: &[
        required(1, Uint32),
        required(2, Uint32),
        required(3, Uint32),
        required(4, Uint32),
        required(5, Uint32),
        required(6, Uint32),
        required(7, Uint32),
        required(8, Uint32),
        required(9, Uint32),
        required(10, Uint32),
        optional(11, Uint32s),
        optional(12, Uint32s),
        required(13, Kind::Message(&FOWN)),
        required(14, Kind::Message(&SK_OPTS)),
        optional(15, Bool),
        optional(16, Kind::Message(&IP_OPTS)),
        optional(17, Bytes),
        optional(18, Uint32),
        optional(19, Int32),
        optional(20, Kind::Message(&TCP_OPTS)),
    ],
};

/// `file_entry`, of whose files only sockets are looked into.
pub(super) const FILE: Message = Message {
    fields: &[
        required(1, Int32),
        required(2, Uint32),
        optional(4, Kind::Message(&INET_SK)),
    ],
};
