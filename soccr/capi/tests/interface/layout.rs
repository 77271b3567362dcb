//! The layout of what C programs share with the library. The same numbers are in tests/c/layout.c.

use soccr_capi::{Address, SkData};
use std::mem::offset_of;

macro_rules! at {
    ($type:ty: $($field:ident $offset:literal),* $(,)?) => {
        $(const _: () = assert!(offset_of!($type, $field) == $offset);)*
    };
}

const _: () = assert!(size_of::<SkData>() == 68);
at! { SkData:
    state 0, inq_len 4, inq_seq 8, outq_len 12, outq_seq 16, unsq_len 20, opt_mask 24, mss_clamp 28, snd_wscale 32,
    rcv_wscale 36, timestamp 40, flags 44, snd_wl1 48, snd_wnd 52, max_window 56, rcv_wnd 60, rcv_wup 64,
}

const _: () = assert!(size_of::<Address>() == 28);
at! { Address: sa 0, v4 0, v6 0 }

const _: () = assert!(soccr_capi::SOCCR_FLAGS_WINDOW == 1);
const _: () = assert!(soccr_capi::SOCCR_LOG_ERR == 1);
const _: () = assert!(soccr_capi::SOCCR_LOG_DBG == 2);
const _: () = assert!(soccr_capi::SOCCR_MEM_EXCL == 1);
const _: () = assert!(soccr::MARK == 0xC114);
const _: () = assert!(soccr::raw::TCP_RECV_QUEUE == 1 && soccr::raw::TCP_SEND_QUEUE == 2);
