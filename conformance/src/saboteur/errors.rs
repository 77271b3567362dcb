//! Defects of errors and images: swallowed, another one, or nothing where something has to be refused.

use super::meddling::{Made, told};
use super::{Defect, Saboteur};
use soccr::faults::Call;
use std::io;

/// The call of this name is said to have succeeded, whatever came of it.
fn swallowed(call: &mut Call<'_>, name: &str) -> Made {
    match call.make() {
        Err(_) if call.name() == name => Ok(call.bytes().len()),
        made => made,
    }
}

/// All of this group.
pub(super) static SABOTEURS: &[Saboteur] = &[
    Saboteur {
        name: "everything-accepted",
        does: "restores what cannot be a connection",
        area: &["snapshot/refused/*", "snapshot/lint/*"],
        defect: Defect::Accepted,
    },
    Saboteur::call(
        "refused-connect-ignored",
        "goes on where the connection is still there",
        &["restore/refused/*"],
        |call| swallowed(call, "connect"),
    ),
    Saboteur::call(
        "refused-bind-ignored",
        "goes on where the address is not there",
        &["restore/refused/*"],
        |call| swallowed(call, "bind"),
    ),
    Saboteur::call(
        "refused-windows-ignored",
        "goes on where the kernel does not take the windows",
        &["fault/every-call/established/inject/*"],
        |call| swallowed(call, "setsockopt(TCP_REPAIR_WINDOW)"),
    ),
    Saboteur::call(
        "refused-options-ignored",
        "goes on where the kernel does not take what was negotiated",
        &["fault/every-call/established/inject/*"],
        |call| swallowed(call, "setsockopt(TCP_REPAIR_OPTIONS)"),
    ),
    Saboteur::call(
        "refused-shutdown-ignored",
        "goes on where a FIN could not be put back",
        &["fault/every-call/fin-wait-1/inject/*"],
        |call| swallowed(call, "shutdown(SHUT_WR)"),
    ),
    Saboteur::call(
        "refused-clock-ignored",
        "goes on where the kernel does not take the clock",
        &["fault/every-call/close-wait/inject/*"],
        |call| swallowed(call, "setsockopt(TCP_TIMESTAMP)"),
    ),
    Saboteur::call(
        "refused-write-ignored",
        "goes on where a queue could not be written",
        &["fault/every-call/established-full/*"],
        |call| swallowed(call, "send"),
    ),
    Saboteur::call(
        "refused-lock-ignored",
        "goes on without the ingress lock where there is no memory for it",
        &["fault/memory/filter/*"],
        |call| swallowed(call, "setsockopt(SO_ATTACH_FILTER)"),
    ),
    Saboteur::call(
        "refused-read-ignored",
        "saves what was in its memory where a queue could not be read",
        &["fault/every-call/established-full/*"],
        |call| swallowed(call, "recv"),
    ),
    Saboteur::call(
        "refused-resume-ignored",
        "calls a connection resumed that is still paused",
        &["fault/resume/established/inject/*"],
        |call| swallowed(call, "setsockopt(TCP_REPAIR)"),
    ),
    Saboteur::call(
        "refused-silence-ignored",
        "goes on where the kernel does not leave repair mode without a probe",
        &["fault/older-kernel/quiet-off/*"],
        |call| swallowed(call, "setsockopt(TCP_REPAIR)"),
    ),
    Saboteur::call(
        "another-errno",
        "tells another reason than the kernel has given",
        &[
            "restore/refused/still-there/*",
            "restore/refused/address-elsewhere/*",
        ],
        |call| {
            let asked = ["bind", "connect"].contains(&call.name());
            match call.make() {
                Err(_) if asked => Err(io::Error::from_raw_os_error(libc::EIO)),
                made => made,
            }
        },
    ),
    Saboteur::call(
        "urgent-data-saved",
        "saves the bytes before an urgent mark as if they were all",
        &["save/refused/urgent-*"],
        |call| match call.name() {
            "setsockopt(SO_OOBINLINE)" => Ok(call.bytes().len()),
            _ => told(call, "ioctl(SIOCATMARK)", |bytes| bytes.fill(0)),
        },
    ),
    Saboteur::call(
        "another-protocol-saved",
        "saves a socket that is not TCP",
        &["save/refused/mptcp*", "save/refused/udp*"],
        |call| {
            told(call, "getsockopt(SO_PROTOCOL)", |bytes| {
                bytes.copy_from_slice(&libc::IPPROTO_TCP.to_ne_bytes());
            })
        },
    ),
    Saboteur::call(
        "paused-socket-saved",
        "saves a socket that somebody else has paused",
        &["save/refused/in-repair*"],
        |call| told(call, "getsockopt(TCP_REPAIR)", |bytes| bytes.fill(0)),
    ),
    Saboteur {
        name: "image-byte-changed",
        does: "changes a byte of every image",
        area: &["restore/small-both/*"],
        defect: Defect::Imaged(|image| {
            let middle = image.len() / 2;
            image[middle] ^= 1;
        }),
    },
    Saboteur {
        name: "image-cut-off",
        does: "does not write the last byte of an image",
        area: &["restore/small-both/*"],
        defect: Defect::Imaged(|image| {
            image.pop();
        }),
    },
];
