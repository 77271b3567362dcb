//! Defects of a save: what is not set aside, not put back, or read in the wrong moment.

use super::Saboteur;
use super::meddling::{Made, forget, forget_int, is, number};
use soccr::faults::Call;
use soccr::raw::{self, Opt, TCP_REPAIR_OFF, TCP_REPAIR_ON};
use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

/// What was read first of a paused socket is what is read ever after, so that no change is seen.
fn reads_once(call: &mut Call<'_>) -> Made {
    static READ: Mutex<BTreeMap<(i32, &str), Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let socket = call.socket().as_raw_fd();
    if is(call, "setsockopt(TCP_REPAIR)", TCP_REPAIR_ON) {
        read.retain(|(of, _), _| *of != socket);
    }
    let again = [
        "getsockopt(TCP_INFO)",
        "ioctl(SIOCINQ)",
        "ioctl(SIOCOUTQ)",
        "ioctl(SIOCOUTQNSD)",
        "getsockopt(TCP_REPAIR_WINDOW)",
    ];
    let paused = raw::get_int(&call.socket(), Opt::TCP_REPAIR).is_ok_and(|on| on == 1);
    if !paused || !again.contains(&call.name()) {
        return call.make();
    }
    let made = call.make()?;
    let first = read
        .entry((socket, call.name()))
        .or_insert_with(|| call.bytes().to_vec());
    call.bytes().copy_from_slice(first);
    Ok(made)
}

/// All of this group.
pub(super) static SABOTEURS: &[Saboteur] = &[
    Saboteur::call(
        "given-up-stays-paused",
        "does not resume a connection whose save is given up",
        &["save/given-up/*"],
        |call| forget_int(call, "setsockopt(TCP_REPAIR)", TCP_REPAIR_OFF),
    ),
    Saboteur::call(
        "sends-behind-the-release",
        "lets a socket that is released go on sending",
        &["save/left-meanwhile/*"],
        |call| {
            let closes =
                call.name() == "setsockopt(TCP_REPAIR_WINDOW)" && number(call.bytes(), 1) == 0;
            match closes {
                true => Ok(call.bytes().len()),
                false => call.make(),
            }
        },
    ),
    Saboteur::call(
        "peek-offset-not-set-aside",
        "peeks at the queue from where the application would",
        &["save/options/peek-offset/*"],
        |call| forget_int(call, "setsockopt(SO_PEEK_OFF)", -1),
    ),
    Saboteur::call(
        "peek-offset-not-put-back",
        "does not put the peek offset back",
        &["save/options/peek-offset/*"],
        |call| {
            let offset =
                call.name() == "setsockopt(SO_PEEK_OFF)" && number(call.bytes(), 0) as i32 >= 0;
            match offset {
                true => Ok(call.bytes().len()),
                false => call.make(),
            }
        },
    ),
    Saboteur::call(
        "out-of-band-not-put-back",
        "does not put SO_OOBINLINE back",
        &["save/options/out-of-band/*"],
        |call| forget_int(call, "setsockopt(SO_OOBINLINE)", 0),
    ),
    Saboteur::call(
        "reuse-address-not-put-back",
        "does not put SO_REUSEADDR back, which repair mode has cleared",
        &["save/options/reuse-address/*"],
        |call| forget(call, "setsockopt(SO_REUSEADDR)"),
    ),
    Saboteur::call(
        "acknowledgement-in-the-pause",
        "does not let an acknowledgement that is due leave before the pause",
        &["restore/window/update-due/*"],
        |call| {
            let paused = raw::get_int(&call.socket(), Opt::TCP_REPAIR).is_ok_and(|on| on == 1);
            match call.name() == "recv" && !paused {
                true => Ok(1),
                false => call.make(),
            }
        },
    ),
    Saboteur::call(
        "reads-once",
        "believes what it has read first, though traffic has changed it",
        &["save/traffic/*"],
        reads_once,
    ),
    Saboteur::call(
        "queue-left-selected",
        "leaves a queue selected between its steps",
        &["save/guard/foreign-write/*"],
        |call| forget_int(call, "setsockopt(TCP_REPAIR_QUEUE)", raw::TCP_NO_QUEUE),
    ),
    Saboteur::call(
        "peeks-again-and-again",
        "looks once at a queue for each kilobyte that it has",
        &["save/cost/*"],
        |call| {
            if call.name() == "recv" {
                for _ in 0..call.bytes().len() / 1_000 {
                    call.make()?;
                }
            }
            call.make()
        },
    ),
    Saboteur::saved(
        "buffer-sizes-halved",
        "saves half of the sizes of the buffers",
        &["restore/buffers/fixed/*"],
        |snapshot| {
            snapshot.buffers.send /= 2;
            snapshot.buffers.receive /= 2;
        },
    ),
    Saboteur::saved(
        "buffer-locks-lost",
        "does not save which buffer sizes the application had fixed",
        &["restore/buffers/fixed/*"],
        |snapshot| snapshot.buffers.locks = Some(0),
    ),
    Saboteur::saved(
        "windows-not-saved",
        "does not save the windows",
        &["restore/small-both/*"],
        |snapshot| snapshot.window = None,
    ),
    Saboteur::saved(
        "losses-not-named",
        "does not say what is lost",
        &["restore/losses/*", "restore/lost/*"],
        |snapshot| snapshot.unsaved.clear(),
    ),
    Saboteur::saved(
        "path-not-saved",
        "does not save what the connection had learned of its path",
        &["save/path/*"],
        |snapshot| snapshot.path = soccr::Path::default(),
    ),
];
