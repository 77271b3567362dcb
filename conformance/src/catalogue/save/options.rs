//! What an application has set on its socket is as it was after a save, whether it ended well or not.

use crate::case::{Case, Need};
use crate::context::Context;
use crate::journey::{Receive, Send, Traveller};
use crate::oracle::table;
use crate::oracle::wire::{CLOSING, Probes};
use crate::verdict::{Stop, Verdict, expect_eq};
use lab::Family;
use soccr::raw::{self, MSG_DONTWAIT, MSG_PEEK, Opt};
use soccr::{SaveSettings, Snapshot};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "save/options/peek-offset/v4",
            "a peek offset neither shortens a saved receive queue nor moves",
            &["A28", "G7"],
            peek_offset,
        )
        .needs(&[Need::PeekOffset])
        .in_c(),
        Case::new(
            "save/options/reuse-address/v4",
            "SO_REUSEADDR is as it was after a save, and after a restore as it was before",
            &["A6", "G13"],
            reuse_address,
        )
        .in_c(),
        Case::new(
            "save/options/out-of-band/v4",
            "SO_OOBINLINE is as it was after a save",
            &["A29"],
            oob_inline,
        )
        .in_c(),
        Case::new(
            "save/guard/drop-resumes/v4",
            "a save that is abandoned after any step leaves the connection running",
            &["E13", "G10"],
            drop_resumes,
        ),
        Case::new(
            "save/guard/release-then-close/v4",
            "a released socket closes without a packet",
            &["A10", "C23"],
            release_then_close,
        )
        .in_c(),
        Case::new(
            "save/guard/foreign-write/v4",
            "between the steps of a save no queue is selected, so that a foreign write is refused",
            &["A30"],
            foreign_write,
        ),
        Case::new(
            "save/again/same-snapshot/v4",
            "a second save of an idle connection reads what the first one read",
            &["G11"],
            same_snapshot,
        )
        .not_in_c("a resume asks the peer for its window, which changes what the next save reads"),
    ]
}

/// Saves by the library that is judged, and lets the connection run on.
fn save(traveller: &Traveller) -> Result<Snapshot, Stop> {
    let host = traveller.pair.a();
    traveller.library.save(host, &traveller.subject)
}

fn peek_offset(ctx: &Context) -> Verdict {
    const OFFSET: i32 = 4;
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Empty)?;
    raw::set_int(&traveller.subject, Opt::SO_PEEK_OFF, OFFSET)?;
    let snapshot = save(&traveller)?;
    expect_eq(
        "bytes in the saved receive queue",
        snapshot.receive.bytes.len(),
        5_000,
    )?;
    traveller.talk.check_received(&snapshot.receive.bytes)?;
    let offset = raw::get_int(&traveller.subject, Opt::SO_PEEK_OFF)?;
    expect_eq("SO_PEEK_OFF after the save", offset, OFFSET)?;
    let mut peeked = [0; 8];
    raw::recv(&traveller.subject, &mut peeked, MSG_PEEK | MSG_DONTWAIT)?;
    expect_eq(
        "what the application peeks at",
        &peeked[..],
        &snapshot.receive.bytes[4..12],
    )
}

fn reuse_address(ctx: &Context) -> Verdict {
    for reuse in [0, 1] {
        let mut traveller = Traveller::open(ctx, Family::V4)?;
        raw::set_int(&traveller.subject, Opt::SO_REUSEADDR, reuse)?;
        let snapshot = save(&traveller)?;
        expect_eq("the saved SO_REUSEADDR", snapshot.reuse_address, reuse == 1)?;
        let after = raw::get_int(&traveller.subject, Opt::SO_REUSEADDR)?;
        expect_eq("SO_REUSEADDR after the save", after, reuse)?;
        let saved = traveller.save()?;
        let restored = traveller.arrive(&saved)?;
        let after = raw::get_int(&restored, Opt::SO_REUSEADDR)?;
        expect_eq("SO_REUSEADDR after the restore", after, reuse)?;
        traveller.conclude(ctx, &saved, &restored, Probes::One)?;
    }
    Ok(())
}

fn oob_inline(ctx: &Context) -> Verdict {
    let traveller = Traveller::open(ctx, Family::V4)?;
    for inline in [0, 1] {
        raw::set_int(&traveller.subject, Opt::SO_OOBINLINE, inline)?;
        save(&traveller)?;
        let after = raw::get_int(&traveller.subject, Opt::SO_OOBINLINE)?;
        expect_eq("SO_OOBINLINE after the save", after, inline)?;
    }
    Ok(())
}

fn drop_resumes(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Empty)?;
    raw::set_int(&traveller.subject, Opt::SO_REUSEADDR, 1)?;
    for step in 0..3 {
        let paused = soccr::pause(&traveller.subject)?;
        expect_eq("TCP_REPAIR in the pause", repair(&traveller)?, 1)?;
        match step {
            0 => drop(paused),
            1 => drop(paused.read_data()?),
            _ => drop(paused.read_data()?.queue_bytes()?),
        }
        expect_eq("TCP_REPAIR after the drop", repair(&traveller)?, 0)?;
        let reuse = raw::get_int(&traveller.subject, Opt::SO_REUSEADDR)?;
        expect_eq("SO_REUSEADDR after the drop", reuse, 1)?;
    }
    traveller
        .talk
        .exchange(&traveller.subject, &traveller.peer, 10_000)?;
    traveller.talk.close(&traveller.subject, &traveller.peer)
}

fn repair(traveller: &Traveller) -> std::io::Result<i32> {
    raw::get_int(&traveller.subject, Opt::TCP_REPAIR)
}

fn release_then_close(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Empty)?;
    traveller.capture.mark("released")?;
    let flow = traveller.flow;
    let Traveller {
        subject,
        capture,
        pair,
        library,
        privileges,
        ..
    } = traveller;
    let paused = library.pause(pair.a(), &subject, SaveSettings::new(), &privileges)?;
    let snapshot = paused.save(pair.a(), &privileges)?.release()?;
    drop(subject);
    table::expect_absent(pair.a(), &flow)?;
    capture.mark(CLOSING)?;
    let leaked = capture.trace()?.of(&flow).between("released", CLOSING)?;
    expect_eq(
        "segments between the save and after the close",
        leaked.segments().count(),
        0,
    )?;
    expect_eq(
        "bytes in the saved receive queue",
        snapshot.receive.bytes.len(),
        5_000,
    )
}

fn foreign_write(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    let write = || {
        let written = raw::send(&traveller.subject, b"foreign", MSG_DONTWAIT);
        written.map_err(|error| error.raw_os_error())
    };
    let paused = soccr::pause(&traveller.subject)?;
    expect_eq("a write once paused", write(), Err(Some(libc::EINVAL)))?;
    let paused = paused.read_data()?;
    expect_eq("a write after the data", write(), Err(Some(libc::EINVAL)))?;
    let saved = paused.queue_bytes()?;
    expect_eq("a write after the bytes", write(), Err(Some(libc::EINVAL)))?;
    let snapshot = saved.resume()?;
    traveller.talk.check_received(&snapshot.receive.bytes)?;
    traveller.talk.check_sent(&snapshot.send.bytes)
}

fn same_snapshot(ctx: &Context) -> Verdict {
    let mut traveller = Traveller::open(ctx, Family::V4)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    let first = save(&traveller)?;
    let mut second = save(&traveller)?;
    // The clock goes on.
    second.options.timestamps = first.options.timestamps;
    expect_eq("the second snapshot is the first", first == second, true)
}
