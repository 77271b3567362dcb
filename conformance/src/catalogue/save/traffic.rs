//! Saves in the middle of traffic, with no lock: consistent, or an error; and the connection runs on.

use crate::case::Case;
use crate::context::Context;
use crate::journey::Traveller;
use crate::oracle::stream::End;
use crate::verdict::{Stop, Verdict, expect, expect_eq};
use lab::Family;
use soccr::{ErrorKind, raw};
use std::sync::Arc;
use std::sync::mpsc::{self, TryRecvError};

/// Saves per case.
const SAVES: u32 = 2_000;
/// A short queue is saved fast, so that there is time for many saves: the buffer of the subject, bytes.
const RECEIVE_BUFFER: usize = 32 << 10;
/// What the peer writes at a time: small segments arrive often, and so in the middle of a save.
const BURST: usize = 1_000;
/// What both ends write once the saves are over.
const AFTERWARDS: usize = 20_000;

pub(super) fn cases() -> Vec<Case> {
    [Family::V4, Family::V6, Family::V4Mapped]
        .into_iter()
        .map(|family| {
            Case::new(
                format!("save/traffic/arriving/{family}"),
                "a save while data arrives is consistent with itself, or says that it could not be, and the \
                 connection runs on",
                &["A9", "G10", "E12"],
                move |ctx| arriving(ctx, family),
            )
        })
        .collect()
}

/// One thread floods the subject while the other saves it.
fn arriving(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.pair()?;
    let capture = ctx.capture(pair.a())?;
    let opening = pair
        .connection(family)
        .on_client(|socket| socket.set_recv_buffer_size(RECEIVE_BUFFER));
    let traveller = Traveller::new(Arc::clone(&pair), capture, opening.open()?);
    let Traveller {
        subject,
        peer,
        talk,
        ..
    } = &traveller;
    peer.set_nodelay(true)?;
    let origin = soccr::save(subject)?.receive.end;
    let (mut saves, mut unstable) = (0, 0);
    std::thread::scope(|scope| -> Verdict {
        let (stop, stopped) = mpsc::channel::<()>();
        let flood = scope.spawn(move || -> Verdict {
            // The channel closes when the saves are done, or have failed.
            while stopped.try_recv() != Err(TryRecvError::Disconnected) {
                talk.write(End::Peer, peer, BURST)?;
            }
            Ok(())
        });
        for _ in 0..SAVES {
            match soccr::save(subject) {
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
                Err(error) if matches!(error.kind(), ErrorKind::Unstable { .. }) => unstable += 1,
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
