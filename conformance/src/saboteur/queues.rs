//! Defects of sequence numbers and queues: the wrong number, the wrong bytes, the wrong queue.

use super::Saboteur;
use super::meddling::{Made, add, given, option, told};
use soccr::faults::Call;
use soccr::raw::{self, Opt, TCP_RECV_QUEUE, TCP_SEND_QUEUE};

const SETS_SEQUENCE: &str = "setsockopt(TCP_QUEUE_SEQ)";
const READS_SEQUENCE: &str = "getsockopt(TCP_QUEUE_SEQ)";

/// The sequence number of a queue is set to another one.
fn restored_at(call: &mut Call<'_>, queue: i32, by: i32) -> Made {
    match option(call, Opt::TCP_REPAIR_QUEUE) == queue {
        true => given(call, SETS_SEQUENCE, |bytes| add(bytes, 0, by)),
        false => call.make(),
    }
}

/// The sequence number of a queue is read as another one.
fn read_at(call: &mut Call<'_>, queue: i32, by: i32) -> Made {
    match option(call, Opt::TCP_REPAIR_QUEUE) == queue {
        true => told(call, READS_SEQUENCE, |bytes| add(bytes, 0, by)),
        false => call.make(),
    }
}

/// What is written to a queue in repair mode is changed; without repair mode it is the unsent tail.
fn written(call: &mut Call<'_>, queue: Option<i32>, change: impl FnOnce(&mut Vec<u8>)) -> Made {
    let selected = match option(call, Opt::TCP_REPAIR) {
        1 => Some(option(call, Opt::TCP_REPAIR_QUEUE)),
        _ => None,
    };
    match selected == queue {
        true => given(call, "send", change),
        false => call.make(),
    }
}

fn lose_last(bytes: &mut Vec<u8>) {
    bytes.pop();
}

fn double_last(bytes: &mut Vec<u8>) {
    bytes.extend(bytes.last().copied());
}

fn flip_last(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}

/// All of this group.
pub(super) static SABOTEURS: &[Saboteur] = &[
    Saboteur::call(
        "receive-sequence-behind",
        "starts the receive queue one byte too early",
        &["restore/small-both/*"],
        |call| restored_at(call, TCP_RECV_QUEUE, -1),
    ),
    Saboteur::call(
        "receive-sequence-ahead",
        "starts the receive queue one byte too late",
        &["restore/small-both/*"],
        |call| restored_at(call, TCP_RECV_QUEUE, 1),
    ),
    Saboteur::call(
        "send-sequence-behind",
        "starts the send queue one byte too early",
        &["restore/small-both/*"],
        |call| restored_at(call, TCP_SEND_QUEUE, -1),
    ),
    Saboteur::call(
        "send-sequence-ahead",
        "starts the send queue one byte too late",
        &["restore/small-both/*"],
        |call| restored_at(call, TCP_SEND_QUEUE, 1),
    ),
    Saboteur::call(
        "receive-end-read-behind",
        "saves an end of the receive queue that is one byte too early",
        &["restore/small-both/*"],
        |call| read_at(call, TCP_RECV_QUEUE, -1),
    ),
    Saboteur::call(
        "receive-end-read-ahead",
        "saves an end of the receive queue that is one byte too late",
        &["restore/small-both/*"],
        |call| read_at(call, TCP_RECV_QUEUE, 1),
    ),
    Saboteur::call(
        "send-end-read-behind",
        "saves an end of the send queue that is one byte too early",
        &["restore/small-both/*"],
        |call| read_at(call, TCP_SEND_QUEUE, -1),
    ),
    Saboteur::call(
        "send-end-read-ahead",
        "saves an end of the send queue that is one byte too late",
        &["restore/small-both/*"],
        |call| read_at(call, TCP_SEND_QUEUE, 1),
    ),
    Saboteur::call(
        "sequences-swapped",
        "sets the number of each queue on the other one",
        &["restore/small-both/*"],
        |call| {
            let queue = option(call, Opt::TCP_REPAIR_QUEUE);
            if call.name() != SETS_SEQUENCE {
                return call.make();
            }
            let other = TCP_RECV_QUEUE + TCP_SEND_QUEUE - queue;
            raw::set_int(&call.socket(), Opt::TCP_REPAIR_QUEUE, other)?;
            call.make()
        },
    ),
    Saboteur::call(
        "queues-swapped",
        "writes what was received into the send queue, and what was sent into the receive queue",
        &["restore/small-both/*"],
        |call| {
            let queue = option(call, Opt::TCP_REPAIR_QUEUE);
            if call.name() == "send" && option(call, Opt::TCP_REPAIR) == 1 {
                let other = TCP_RECV_QUEUE + TCP_SEND_QUEUE - queue;
                raw::set_int(&call.socket(), Opt::TCP_REPAIR_QUEUE, other)?;
            }
            call.make()
        },
    ),
    Saboteur::call(
        "receive-queue-not-written",
        "does not write the receive queue",
        &["restore/small-empty/*"],
        |call| written(call, Some(TCP_RECV_QUEUE), Vec::clear),
    ),
    Saboteur::call(
        "sent-queue-not-written",
        "does not write what was sent and not acknowledged",
        &["restore/empty-unacked/*"],
        |call| written(call, Some(TCP_SEND_QUEUE), Vec::clear),
    ),
    Saboteur::call(
        "receive-last-byte-lost",
        "writes all of the receive queue but its last byte",
        &["restore/small-empty/*"],
        |call| written(call, Some(TCP_RECV_QUEUE), lose_last),
    ),
    Saboteur::call(
        "sent-last-byte-lost",
        "writes all that was sent but its last byte",
        &["restore/empty-unacked/*"],
        |call| written(call, Some(TCP_SEND_QUEUE), lose_last),
    ),
    Saboteur::call(
        "receive-byte-doubled",
        "writes the last byte of the receive queue twice",
        &["restore/small-empty/*"],
        |call| written(call, Some(TCP_RECV_QUEUE), double_last),
    ),
    Saboteur::call(
        "sent-byte-doubled",
        "writes the last byte that was sent twice",
        &["restore/empty-unacked/*"],
        |call| written(call, Some(TCP_SEND_QUEUE), double_last),
    ),
    Saboteur::call(
        "receive-byte-changed",
        "changes a bit of the receive queue",
        &["restore/small-empty/*"],
        |call| written(call, Some(TCP_RECV_QUEUE), |bytes| flip_last(bytes)),
    ),
    Saboteur::call(
        "sent-byte-changed",
        "changes a bit of what was sent",
        &["restore/empty-unacked/*"],
        |call| written(call, Some(TCP_SEND_QUEUE), |bytes| flip_last(bytes)),
    ),
    Saboteur::call(
        "tail-lost",
        "does not write what was never sent",
        &["restore/empty-unsent/*"],
        |call| written(call, None, Vec::clear),
    ),
    Saboteur::call(
        "tail-last-byte-lost",
        "writes all of the unsent tail but its last byte",
        &["restore/empty-unsent/*"],
        |call| written(call, None, lose_last),
    ),
    Saboteur::call(
        "tail-byte-changed",
        "changes a bit of the unsent tail",
        &["restore/empty-unsent/*"],
        |call| written(call, None, |bytes| flip_last(bytes)),
    ),
    Saboteur::saved(
        "tail-counted-as-sent",
        "saves what was never sent as if it had been",
        &["restore/empty-unsent/*", "restore/small-both/*"],
        |snapshot| snapshot.send.unsent = 0,
    ),
    Saboteur::saved(
        "sent-counted-as-tail",
        "saves what was sent as if it had not been",
        &["restore/empty-unacked/*"],
        |snapshot| snapshot.send.unsent = snapshot.send.bytes.len() as u32,
    ),
    Saboteur::call(
        "peeks-from-the-head",
        "takes the first bytes that a peek at the send queue shows, though some of them are acknowledged",
        &["restore/partly-acknowledged/*"],
        |call| {
            let surplus = option(call, Opt::TCP_REPAIR_QUEUE) == TCP_SEND_QUEUE;
            let unacknowledged = raw::siocoutq(&call.socket()).unwrap_or(0).unsigned_abs() as usize;
            told(call, "recv", |bytes| {
                if surplus && unacknowledged < bytes.len() {
                    let over = bytes.len() - unacknowledged;
                    bytes.rotate_right(over);
                }
            })
        },
    ),
    Saboteur::call(
        "part-of-a-long-queue",
        "writes a long receive queue once, and not what the kernel has left of it",
        &["restore/large-empty/*"],
        |call| {
            let receiving = option(call, Opt::TCP_REPAIR_QUEUE) == TCP_RECV_QUEUE;
            let made = call.make()?;
            Ok(match (call.name(), receiving) {
                ("send", true) => call.bytes().len(),
                _ => made,
            })
        },
    ),
];
