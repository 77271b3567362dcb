//! Saves in the middle of traffic, with no lock: consistent, or an error; and the connection runs on.

use super::interrupted::{BURST, interrupted};
use crate::case::Case;
use crate::context::Context;
use crate::journey::{PATIENCE, Traveller};
use crate::oracle::stream::End;
use crate::subject::Refusal;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::{Family, wait};
use soccr::{ErrorKind, PauseReport, SaveSettings, Snapshot, faults, raw};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;

/// How soon a flood that found no room asks whether it is to end.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Saves per case.
const SAVES: u32 = 250;
/// A short queue is saved fast, so that there is time for many saves: the buffer of the subject, bytes.
const RECEIVE_BUFFER: usize = 32 << 10;
/// What both ends write once the saves are over.
const AFTERWARDS: usize = 20_000;

/// What the subject writes: more than the first congestion window.
const MORE_THAN_A_FLIGHT: usize = 100_000;

pub(super) fn cases() -> Vec<Case> {
    let families = [Family::V4, Family::V6, Family::V4Mapped].into_iter();
    let arriving = families.clone().map(|family| {
        Case::new(
            format!("save/traffic/arriving/{family}"),
            "a save while data arrives is consistent with itself, or says that it could not be, and the \
             connection runs on",
            &["A9", "G10", "E12"],
            move |ctx| arriving(ctx, family),
        )
        .in_c()
    });
    let each_call = families.clone().map(|family| {
        Case::new(
            format!("save/traffic/before-each-call/{family}"),
            "data that comes in before any system call of a pause leaves the snapshot consistent with itself",
            &["A9", "G10", "E12"],
            move |ctx| before_each_call(ctx, family),
        )
        .not_in_c("the moment is found by counting the calls of the Rust library")
    });
    let acknowledged = families.map(|family| {
        Case::new(
            format!("save/traffic/acknowledged-meanwhile/{family}"),
            "an acknowledgement that comes while the send queue is read makes no unsent byte a sent one, neither for \
             the connection that runs on nor for the restored one",
            &["A65", "G10"],
            move |ctx| acknowledged(ctx, family),
        )
        .not_in_c("the moment is found by counting the calls of the Rust library")
    });
    arriving.chain(each_call).chain(acknowledged).collect()
}

/// The peer speaks at the worst time: just before the bytes of the send queue are read.
fn acknowledged(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    let unsent = write_more_than_a_flight(&mut traveller)?;
    let host = Arc::clone(&traveller.pair);
    let mut snapshot = host.a().enter(|| soccr::save(&traveller.subject))??;
    let whole = |subject: &TcpStream| soccr::save(subject).map(drop);
    let (report, again) = spoken_to(&mut traveller, whole, |subject| {
        soccr::save_into(subject, &mut snapshot, SaveSettings::new())
    })?;
    expect_unsent(ctx, &snapshot, unsent, again)?;
    ctx.note("bytes that the kernel took as sent", report.taken_as_sent);
    expect_told(&traveller, report, unsent, again)?;
    traveller.talk.drain(&traveller.subject, &traveller.peer)?;

    let unsent = write_more_than_a_flight(&mut traveller)?;
    // A timer may send what the snapshot calls unsent; from what the peer then acknowledges a restored connection does not
    // recover (kernel `tcp_ack`).
    traveller
        .lock
        .block_egress(&traveller.pair, traveller.flow)?;
    let staged = |subject: &TcpStream| {
        let read = soccr::pause(subject)?.read_data()?;
        read.queue_bytes().map(drop)
    };
    let ((report, snapshot), again) = spoken_to(&mut traveller, staged, |subject| {
        let saved = soccr::pause(subject)?.read_data()?.queue_bytes()?;
        Ok((saved.report(), saved.release()))
    })?;
    expect_unsent(ctx, &snapshot, unsent, again)?;
    expect_told(&traveller, report, unsent, again)?;
    traveller
        .lock
        .block_ingress(&traveller.pair, traveller.flow)?;
    traveller.close_subject()?;
    let restored = host.a().enter(|| snapshot.restore())??;
    let restored = traveller.resume(restored)?;
    traveller.talk.drain(&restored, &traveller.peer)?;
    traveller.talk.close(&restored, &traveller.peer)
}

/// Writes until no acknowledgement lets out any more; returns how much is unsent.
fn write_more_than_a_flight(traveller: &mut Traveller) -> Result<u32, Stop> {
    traveller.send_unacknowledged(MORE_THAN_A_FLIGHT)?;
    let unsent = raw::siocoutqnsd(&traveller.subject)?.unsigned_abs();
    expect("unsent bytes", "some", unsent, unsent > 0)?;
    Ok(unsent)
}

/// All that is saved is unsent; of what a timer has sent meanwhile (`again`), `save/sent-by-timer` knows more.
fn expect_unsent(ctx: &Context, snapshot: &Snapshot, unsent: u32, again: bool) -> Verdict {
    let valid = snapshot.validate().map_err(|refusal| refusal.to_string());
    expect_eq("the saved snapshot is valid", valid, Ok(()))?;
    if again {
        ctx.note("a timer went off", "during a save, which took so long");
        return Ok(());
    }
    let saved = (snapshot.send.bytes.len(), snapshot.send.unsent);
    expect_eq(
        "the saved send queue, and what of it is unsent",
        saved,
        (unsent as usize, unsent),
    )
}

/// What the kernel took as sent is told; nobody says of what a timer has sent meanwhile (`again`) that it never was.
fn expect_told(traveller: &Traveller, report: PauseReport, unsent: u32, again: bool) -> Verdict {
    let left = raw::siocoutqnsd(&traveller.subject)?.unsigned_abs();
    let told = left + report.taken_as_sent;
    expect(
        "what is unsent still, and what was taken as sent",
        unsent,
        told,
        told == unsent || again && told < unsent,
    )
}

/// Saves the subject, and lets the peer be heard meanwhile ([`interrupted`]). Returns, too, whether the subject has sent anything
/// again by the end of it.
fn spoken_to<T>(
    traveller: &mut Traveller,
    rehearse: impl FnOnce(&TcpStream) -> Result<(), soccr::Error>,
    save: impl FnOnce(&TcpStream) -> Result<T, soccr::Error>,
) -> Result<(T, bool), Stop> {
    let subject = traveller.subject.try_clone()?;
    let sent_again = raw::tcp_info(&subject)?.bytes_retrans;
    let wanted = raw::siocinq(&subject)? + BURST as i32;
    let heard = move || {
        let arrived = || raw::siocinq(&subject).is_ok_and(|unread| unread == wanted);
        wait::until("the peer has spoken", PATIENCE, arrived)
    };
    let (saved, ()) = interrupted(traveller, rehearse, save, heard)?;
    let again = raw::tcp_info(&traveller.subject)?.bytes_retrans != sent_again;
    Ok((saved, again))
}

/// What comes in between two readings may be in the one and not in the other.
fn before_each_call(ctx: &Context, family: Family) -> Verdict {
    let traveller = Traveller::open(ctx, family)?;
    let Traveller {
        pair,
        subject,
        peer,
        talk,
        ..
    } = &traveller;
    peer.set_nodelay(true)?;
    let save = || pair.a().enter(|| soccr::save(subject));
    let (clean, calls) = faults::record(save);
    let origin = clean??.receive.end;
    let switches = |call: &&str| *call == "setsockopt(TCP_REPAIR)";
    let from = calls.iter().position(switches).unwrap_or(0);
    let until = calls.iter().rposition(switches).unwrap_or(0);
    expect("the calls", "a pause", format!("{calls:?}"), until > from)?;
    for (number, call) in calls.iter().enumerate().take(until + 1).skip(from + 1) {
        let snapshot = spoken_to_before(&traveller, number, save)?;
        talk.check_received(&snapshot.receive.bytes)?;
        expect_eq(
            format!(
                "the start of the receive queue, where data came in before {call}, call {number}"
            ),
            snapshot.receive.start(),
            origin + talk.was_read(End::Subject) as u32,
        )?;
        let valid = snapshot.validate().map_err(|refusal| refusal.to_string());
        expect_eq("the saved snapshot is valid", valid, Ok(()))?;
        talk.drain(subject, peer)?;
    }
    talk.exchange(subject, peer, AFTERWARDS)?;
    talk.close(subject, peer)
}

/// Saves by a thread that lets the peer speak, and be heard, before its system call of this number.
fn spoken_to_before(
    traveller: &Traveller,
    number: usize,
    save: impl FnOnce() -> Result<Result<Snapshot, soccr::Error>, lab::Error> + Send,
) -> Result<Snapshot, Stop> {
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel::<()>();
    let meanwhile = move || {
        // Whoever does not answer has ended with an error of its own.
        let _ = ask.send(());
        let _ = answered.recv();
    };
    std::thread::scope(|scope| {
        let saving = scope.spawn(move || faults::meanwhile_at(number, meanwhile, save));
        asked
            .recv()
            .map_err(|_| Stop::Broken("the save made other calls".to_owned()))?;
        let wanted = raw::siocinq(&traveller.subject)? + BURST as i32;
        traveller.talk.write(End::Peer, &traveller.peer, BURST)?;
        let arrived = || raw::siocinq(&traveller.subject).is_ok_and(|unread| unread == wanted);
        wait::until("the peer has spoken", PATIENCE, arrived)?;
        // Or where this ends otherwise.
        drop(answer);
        let saved = saving.join();
        Ok(saved.map_err(|_| Stop::Broken("the save panicked".to_owned()))???)
    })
}

/// One thread floods the subject while the other saves it.
fn arriving(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let opening = pair
        .connection(family)
        .on_client(|socket| socket.set_recv_buffer_size(RECEIVE_BUFFER));
    let traveller = Traveller::new(ctx, Arc::clone(&pair), capture, opening.open()?);
    let Traveller {
        subject,
        peer,
        talk,
        library,
        ..
    } = &traveller;
    peer.set_nodelay(true)?;
    let origin = library.save(pair.a(), subject)?.receive.end;
    let (mut saves, mut unstable) = (0, 0);
    std::thread::scope(|scope| -> Verdict {
        let (stop, stopped) = mpsc::channel::<()>();
        let flood = scope.spawn(move || -> Verdict {
            // The channel closes when the saves are done, or have failed.
            while stopped.try_recv() != Err(TryRecvError::Disconnected) {
                if talk.write(End::Peer, peer, BURST)? == 0 {
                    // Until something is read, or the saves are done.
                    let _ = wait::writable("room", LOOK_AGAIN, peer);
                }
            }
            Ok(())
        });
        for _ in 0..SAVES {
            match library.try_save(pair.a(), subject)? {
                Ok(snapshot) => {
                    saves += 1;
                    talk.check_received(&snapshot.receive.bytes)?;
                    let wanted = origin + talk.was_read(End::Subject) as u32;
                    expect_eq(
                        "the start of the saved receive queue",
                        snapshot.receive.start(),
                        wanted,
                    )?;
                    let valid = snapshot.validate().map_err(|refusal| refusal.to_string());
                    expect_eq("the saved snapshot is valid", valid, Ok(()))?;
                }
                Err(Refusal::ByRust(error))
                    if matches!(error.kind(), ErrorKind::Unstable { .. }) =>
                {
                    unstable += 1;
                }
                Err(Refusal::ByC { errno, .. }) if errno == libc::EAGAIN => unstable += 1,
                Err(error) => return Err(error.into()),
            }
            let repair = raw::get_int(subject, raw::Opt::TCP_REPAIR)?;
            expect_eq("TCP_REPAIR after a save", repair, 0)?;
            talk.read(End::Subject, subject)?;
        }
        drop(stop);
        flood
            .join()
            .unwrap_or_else(|_| Err(Stop::Broken("the flood panicked".to_owned())))
    })?;
    ctx.note("saves", saves);
    ctx.note("saves that said the connection was not stable", unstable);
    expect(
        "saves that succeeded",
        "most of them",
        saves,
        saves > SAVES / 2,
    )?;
    talk.drain(subject, peer)?;
    talk.exchange(subject, peer, AFTERWARDS)?;
    talk.close(subject, peer)
}
