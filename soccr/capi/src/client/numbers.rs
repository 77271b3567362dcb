//! The numbers of the structure, by their names.

use crate::SkData;

/// Their names, in the order of the structure.
pub const FIELDS: [&str; 17] = [
    "state",
    "inq_len",
    "inq_seq",
    "outq_len",
    "outq_seq",
    "unsq_len",
    "opt_mask",
    "mss_clamp",
    "snd_wscale",
    "rcv_wscale",
    "timestamp",
    "flags",
    "snd_wl1",
    "snd_wnd",
    "max_window",
    "rcv_wnd",
    "rcv_wup",
];

/// The numbers, in the order of the structure.
#[must_use]
pub fn numbers(data: &SkData) -> [u32; 17] {
    [
        data.state,
        data.inq_len,
        data.inq_seq,
        data.outq_len,
        data.outq_seq,
        data.unsq_len,
        data.opt_mask,
        data.mss_clamp,
        data.snd_wscale,
        data.rcv_wscale,
        data.timestamp,
        data.flags,
        data.snd_wl1,
        data.snd_wnd,
        data.max_window,
        data.rcv_wnd,
        data.rcv_wup,
    ]
}

/// The structure of these numbers.
#[must_use]
pub fn from_numbers(numbers: [u32; 17]) -> SkData {
    let [
        state,
        inq_len,
        inq_seq,
        outq_len,
        outq_seq,
        unsq_len,
        opt_mask,
        mss_clamp,
        snd_wscale,
        rcv_wscale,
        timestamp,
        flags,
        snd_wl1,
        snd_wnd,
        max_window,
        rcv_wnd,
        rcv_wup,
    ] = numbers;
    SkData {
        state,
        inq_len,
        inq_seq,
        outq_len,
        outq_seq,
        unsq_len,
        opt_mask,
        mss_clamp,
        snd_wscale,
        rcv_wscale,
        timestamp,
        flags,
        snd_wl1,
        snd_wnd,
        max_window,
        rcv_wnd,
        rcv_wup,
    }
}

/// What has become of numbers that were to stay as they are.
pub(super) fn edits(before: &SkData, after: &SkData) -> Vec<String> {
    let pairs = numbers(before).into_iter().zip(numbers(after));
    FIELDS
        .iter()
        .zip(pairs)
        .filter(|(_, (before, after))| before != after)
        .map(|(field, (before, after))| format!("{field} was {before}, and is {after}"))
        .collect()
}
