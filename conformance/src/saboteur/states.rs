//! Defects of states: FINs, shut directions, errors that wait, attempts to connect.

use super::meddling::{add, forget, given, set, state, twice};
use super::{Defect, Saboteur};
use soccr::raw::{self, Opt};
use soccr::{PendingError, Snapshot, TcpState};
use std::net::SocketAddr;

/// Saves one state as another one.
fn mistake(snapshot: &mut Snapshot, state: TcpState, other: TcpState) {
    if snapshot.state == state {
        snapshot.state = other;
    }
}

/// All of this group.
pub(super) static SABOTEURS: &[Saboteur] = &[
    Saboteur::saved(
        "close-wait-as-established",
        "saves CLOSE-WAIT as ESTABLISHED",
        &["state/close-wait/*"],
        |it| mistake(it, TcpState::CloseWait, TcpState::Established),
    ),
    Saboteur::saved(
        "fin-wait-1-as-established",
        "saves FIN-WAIT-1 as ESTABLISHED",
        &["state/fin-wait-1/*"],
        |it| mistake(it, TcpState::FinWait1, TcpState::Established),
    ),
    Saboteur::saved(
        "fin-wait-2-as-fin-wait-1",
        "saves FIN-WAIT-2 as FIN-WAIT-1",
        &["state/fin-wait-2/*"],
        |it| mistake(it, TcpState::FinWait2, TcpState::FinWait1),
    ),
    Saboteur::saved(
        "last-ack-as-close-wait",
        "saves LAST-ACK as CLOSE-WAIT",
        &["state/last-ack/*"],
        |it| mistake(it, TcpState::LastAck, TcpState::CloseWait),
    ),
    Saboteur::saved(
        "closing-as-fin-wait-1",
        "saves CLOSING as FIN-WAIT-1",
        &["state/closing/*"],
        |it| mistake(it, TcpState::Closing, TcpState::FinWait1),
    ),
    Saboteur::saved(
        "closing-as-last-ack",
        "saves CLOSING as LAST-ACK",
        &["state/closing/*"],
        |it| mistake(it, TcpState::Closing, TcpState::LastAck),
    ),
    Saboteur::call(
        "peer-fin-lost",
        "does not put back the FIN of the peer",
        &["state/close-wait/*"],
        |call| forget(call, "sendto"),
    ),
    Saboteur::call(
        "peer-fin-doubled",
        "puts the FIN of the peer back twice",
        &["state/*/one-segment/*"],
        |call| twice(call, "sendto"),
    ),
    Saboteur::call(
        "peer-fin-without-mark",
        "puts the FIN of the peer back without the mark that firewalls let through",
        &["save/ingress-lock/moves/*"],
        |call| match call.name() {
            "setsockopt(SO_MARK)" if raw::tcp_info(&call.socket()).is_err() => {
                Ok(call.bytes().len())
            }
            _ => call.make(),
        },
    ),
    Saboteur::call(
        "peer-end-not-emulated",
        "does not let the application read the end that no packet puts back",
        &["state/close-wait/*/emulate/*"],
        |call| forget(call, "shutdown(SHUT_RD)"),
    ),
    Saboteur::call(
        "fin-before-windows",
        "restores the windows only before the FIN of the peer, which changes them",
        &["state/close-wait/*", "state/last-ack/*"],
        |call| match state(call).is_some_and(TcpState::has_peer_fin) {
            true => forget(call, "setsockopt(TCP_REPAIR_WINDOW)"),
            false => call.make(),
        },
    ),
    Saboteur::call(
        "fin-acknowledged-late",
        "leaves the acknowledgement of the FIN that was put back to a timer",
        &["state/*/one-segment/*"],
        |call| forget(call, "setsockopt(TCP_QUICKACK)"),
    ),
    Saboteur::call(
        "clock-behind-the-fin",
        "goes on with a clock that may be behind the acknowledgement of the FIN that was put back",
        &["restore/timestamps/after-a-fin/*"],
        |call| match state(call) {
            Some(TcpState::Established) => call.make(),
            _ => forget(call, "setsockopt(TCP_TIMESTAMP)"),
        },
    ),
    Saboteur::call(
        "own-fin-lost",
        "does not put back our own FIN",
        &["state/fin-wait-1/*"],
        |call| forget(call, "shutdown(SHUT_WR)"),
    ),
    Saboteur::call(
        "own-fin-in-the-open",
        "puts our own FIN back with no queue selected, so that it leaves at once",
        &["state/fin-wait-1/*"],
        |call| {
            if call.name() == "shutdown(SHUT_WR)" {
                set(call.socket(), Opt::TCP_REPAIR_QUEUE, raw::TCP_NO_QUEUE);
            }
            call.make()
        },
    ),
    Saboteur::call(
        "own-fin-unacknowledged",
        "does not put back that our FIN was acknowledged",
        &["state/fin-wait-2/*"],
        |call| forget(call, "sendto"),
    ),
    Saboteur::saved(
        "unsent-fin-as-sent",
        "saves a FIN that was never sent as if it had been",
        &["state/fin-wait-1/*", "state/last-ack/*"],
        |snapshot| snapshot.send.fin_unsent = false,
    ),
    Saboteur::saved(
        "sent-fin-as-unsent",
        "saves a FIN that was sent as if it had not been",
        &["state/fin-wait-1/*", "state/last-ack/*"],
        |snapshot| snapshot.send.fin_unsent = snapshot.state.owes_fin(),
    ),
    Saboteur::saved(
        "fin-counted-as-byte",
        "counts our FIN as a byte of the send queue",
        &["state/fin-wait-1/*"],
        |snapshot| {
            if snapshot.state.owes_fin() {
                snapshot.send.bytes.push(0);
            }
        },
    ),
    Saboteur::saved(
        "shut-reading-lost",
        "does not save that the application reads no more",
        &["state/shut-reading/*"],
        |snapshot| snapshot.shutdown_read = false,
    ),
    Saboteur::call(
        "shut-reading-not-restored",
        "does not shut the reading side again",
        &["state/shut-reading/*"],
        |call| forget(call, "shutdown(SHUT_RD)"),
    ),
    Saboteur::saved(
        "shut-reading-made-up",
        "shuts the reading side of every connection",
        &["restore/empty-empty/*"],
        |snapshot| snapshot.shutdown_read = true,
    ),
    Saboteur::saved(
        "error-lost",
        "does not save the error that waits",
        &["state/closed/*"],
        |snapshot| snapshot.pending_error = None,
    ),
    Saboteur::saved(
        "error-made-up",
        "saves an error where none waits",
        &["state/closed/ended/*", "state/closed/ended-first/*"],
        |snapshot| {
            if snapshot.state == TcpState::Close && snapshot.endpoints.has_remote() {
                snapshot
                    .pending_error
                    .get_or_insert(PendingError::Errno(libc::ECONNRESET));
            }
        },
    ),
    Saboteur::call(
        "error-read-as-another",
        "takes every error that waits for a reset",
        &["state/closed/*"],
        |call| {
            super::meddling::told(call, "getsockopt(SO_ERROR)", |bytes| {
                if bytes.iter().any(|byte| *byte != 0) {
                    bytes.copy_from_slice(&libc::ECONNRESET.to_ne_bytes());
                }
            })
        },
    ),
    Saboteur::call(
        "error-taken",
        "takes the error that waits from an application that runs on",
        &["state/closed/*/left-to-the-application"],
        |call| {
            if call.name() == "setsockopt(TCP_REPAIR)" {
                raw::get_int(&call.socket(), Opt::SO_ERROR)?;
            }
            call.make()
        },
    ),
    Saboteur::saved(
        "closed-as-never-connected",
        "forgets that a closed socket ever had a connection",
        &["state/closed/*"],
        |snapshot| {
            if snapshot.state == TcpState::Close {
                let nowhere = SocketAddr::new(snapshot.endpoints.local.ip(), 0);
                snapshot.endpoints.remote = nowhere;
            }
        },
    ),
    Saboteur::saved(
        "bound-anywhere-lost",
        "forgets the port of a socket that has one of every address",
        &["state/closed/bound-anywhere/*"],
        |snapshot| {
            if snapshot.endpoints.local.ip().is_unspecified() {
                snapshot.endpoints.local.set_port(0);
            }
        },
    ),
    Saboteur::saved(
        "closed-queue-lost",
        "does not save what is left to read of a connection that is over",
        &["state/closed/*"],
        |snapshot| {
            if snapshot.state == TcpState::Close {
                snapshot.receive.bytes.clear();
            }
        },
    ),
    Saboteur::call(
        "syn-number-off-by-one",
        "sends the SYN of an attempt again with the next number",
        &["state/syn-sent/*"],
        |call| given(call, "setsockopt(TCP_QUEUE_SEQ)", |bytes| add(bytes, 0, 1)),
    ),
    Saboteur::saved(
        "attempt-as-closed",
        "saves an attempt to connect as a socket that was never connected",
        &["state/syn-sent/*"],
        |snapshot| {
            if snapshot.state == TcpState::SynSent {
                snapshot.state = TcpState::Close;
            }
        },
    ),
    Saboteur {
        name: "fin-after-the-resume",
        does: "closes a restored connection for writing",
        area: &["restore/small-empty/*"],
        defect: Defect::Resumed(|socket| {
            let _ = socket2::SockRef::from(&socket).shutdown(std::net::Shutdown::Write);
        }),
    },
    Saboteur {
        name: "byte-after-the-resume",
        does: "writes a byte of its own into a restored connection",
        area: &["restore/small-empty/*"],
        defect: Defect::Resumed(|socket| {
            let _ = raw::send(&socket, &[0], raw::MSG_DONTWAIT);
        }),
    },
];
