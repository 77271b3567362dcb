//! Windows and segments: what the kernel would refuse or forget without help.

use crate::case::{Case, Level, Need};
use crate::context::Context;
use crate::journey::{Lock, Negotiated, PATIENCE, Plan, Receive, Saved, Send, Traveller};
use crate::oracle::stream::End;
use crate::oracle::wire::{Probes, RESTORED};
use crate::verdict::{Failure, Verdict, expect, expect_eq};
use lab::{Direction, Family, Match, Pair, Segment, Trace, wait};
use soccr::Seq;
use soccr::raw::{self, Opt};

/// What timestamps take of every segment, in bytes (`TCPOLEN_TSTAMP_ALIGNED`).
const TIMESTAMPS_LEN: u32 = 12;

/// More than the receive buffer of the baseline, and no more than an ordinary user may ask for where
/// `net.core.rmem_max` has its default of 212992.
const ROOM: i32 = 200_000;

/// The bit of the receive buffer in `SO_BUF_LOCK`.
const RECEIVE_LOCK: u8 = 2;

const FAMILIES: [Family; 3] = [Family::V4, Family::V6, Family::V4Mapped];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        cases.push(Case::new(
            format!("restore/window/beyond-its-edge/{family}"),
            "a socket whose last window update lies beyond its own, since retracted, window is restored",
            &["A54", "G1", "H1", "H2"],
            move |ctx| beyond_its_edge(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/window/update-due/{family}"),
            "a window update that is due when the socket is paused does not leave during the pause",
            &["A9"],
            move |ctx| update_due(ctx, family),
        ));
        cases.push(
            Case::new(
                format!("restore/window/told-when-read/{family}"),
                "a peer that waits for room is told of it as soon as the application of a restored connection reads",
                &["A4"],
                move |ctx| told_when_read(ctx, family),
            )
            .level(Level::Should)
            .needs(&[Need::QuietOff]),
        );
        cases.push(Case::new(
            format!("restore/segments/full-size/{family}"),
            "a restored connection goes on with full segments",
            &["A46", "G2"],
            move |ctx| full_size(ctx, family),
        ));
        cases.push(Case::new(
            format!("restore/tail/at-once/{family}"),
            "an unsent tail leaves with the resume, before the peer has answered the probe",
            &["G16", "H9"],
            move |ctx| tail_at_once(ctx, family),
        ));
        for negotiated in [Negotiated::ALL, Negotiated::NONE] {
            let name = if negotiated == Negotiated::ALL {
                "all-to-none"
            } else {
                "none-to-all"
            };
            cases.push(Case::new(
                format!("restore/options/{name}/{family}"),
                "what was negotiated on the old host wins over what the new host would offer",
                &["D15b", "A47"],
                move |ctx| other_host(ctx, family, negotiated),
            ));
        }
    }
    cases.into_iter().map(Case::in_c).collect()
}

/// What a full receiver does under memory pressure is written into a snapshot that is otherwise live.
fn beyond_its_edge(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Small, Send::Unacked)?;
    let mut saved = traveller.save()?;
    let rcv_nxt = saved.snapshot.receive.end;
    let Some(window) = &mut saved.snapshot.window else {
        return Err(Failure::new("the saved window", "there is one", "none").into());
    };
    window.snd_wl1 = rcv_nxt + window.rcv_wnd + 1_000;
    saved.view.window[0] = window.snd_wl1.0;
    saved.view.window[3] = window.snd_wl1.0.wrapping_sub(window.rcv_wup.0);
    let restored = traveller.arrive(&saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// The window is closed, the buffer has room again, and nobody has told the peer.
fn update_due(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Full, Send::Empty)?;
    // From here on no probe of the peer asks for the window.
    traveller
        .lock
        .block_ingress(&traveller.pair, traveller.flow)?;
    raw::set_int(&traveller.subject, Opt::SO_RCVBUF, ROOM)?;
    traveller.travel(ctx, Probes::One)
}

/// The restored buffer has more room: a resume that asks for the peer's window tells of it, in a segment from which the peer
/// takes none, and the kernel has nothing more to tell when the application reads.
fn told_when_read(ctx: &Context, family: Family) -> Verdict {
    let mut traveller = Traveller::open(ctx, family)?;
    traveller.fill(Receive::Full, Send::Empty)?;
    let mut saved = traveller.save()?;
    saved.snapshot.buffers.receive = 2 * ROOM as u32;
    saved.snapshot.buffers.locks = Some(RECEIVE_LOCK);
    // A resume would take the lock away: no probe of the peer is to ask for the window.
    let lock = std::mem::take(&mut traveller.lock);
    let restored = traveller.arrive(&saved)?;
    while raw::siocinq(&restored)? > 0 {
        traveller.talk.read(End::Subject, &restored)?;
    }
    let snd_nxt = saved.snapshot.write_seq();
    let tells = |it: &Segment| it.window > 0 && Seq(it.seq) == snd_nxt;
    let told = || since_restored(&traveller).is_ok_and(|trace| trace.segments().any(tells));
    let told = wait::until("the peer is told of the room", PATIENCE, told).is_ok();
    expect(
        "an acknowledgement from which the peer takes a window, when all is read",
        "one",
        "none",
        told,
    )?;
    drop(lock);
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// A flight that was lost is restored as if it had never been sent, while nothing of the peer comes through.
fn tail_at_once(ctx: &Context, family: Family) -> Verdict {
    const TAIL: usize = 5_000;
    let mut traveller = Traveller::open(ctx, family)?;
    let flow = traveller.flow;
    let hole = traveller
        .pair
        .b()
        .blackhole(Direction::Ingress, Match::tcp().flow(flow))?;
    traveller
        .talk
        .write(End::Subject, &traveller.subject, TAIL)?;
    let mut saved = traveller.save()?;
    saved.snapshot.send.unsent = TAIL as u32;
    drop(hole);
    let restored = traveller.restore(&saved.snapshot)?;
    traveller.capture.mark(RESTORED)?;
    let restored = restored.resume()?;
    let trace = traveller.capture.trace()?.of(&flow).after(RESTORED)?;
    let sent: u32 = trace
        .outgoing()
        .segments()
        .map(|segment| segment.payload_len)
        .sum();
    expect_eq("bytes sent by the resume", sent, TAIL as u32)?;
    traveller.lock = Lock::default();
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// Without segmentation offload every segment stands on the wire as it was cut.
fn full_size(ctx: &Context, family: Family) -> Verdict {
    let pair = ctx.build(Pair::builder().offload(false))?;
    let capture = ctx.capture(pair.a())?;
    let connection = pair.connection(family).open()?;
    let mut traveller = Traveller::new(ctx, pair, capture, connection);
    traveller
        .talk
        .write(End::Subject, &traveller.subject, 50_000)?;
    traveller.talk.drain(&traveller.subject, &traveller.peer)?;
    let largest = |trace: &Trace| trace.segments().map(|segment| segment.payload_len).max();
    let before = largest(&traveller.capture.trace()?.of(&traveller.flow).outgoing());
    let saved = traveller.save()?;
    let restored = traveller.arrive(&saved)?;
    traveller.talk.write(End::Subject, &restored, 50_000)?;
    traveller.talk.drain(&restored, &traveller.peer)?;
    let trace = traveller
        .capture
        .trace()?
        .of(&traveller.flow)
        .after(RESTORED)?
        .outgoing();
    let first = trace.segments().find(|segment| segment.payload_len > 0);
    let first = first.map(|segment| segment.payload_len);
    expect(
        "the payload of the first segment after the restore",
        format!("{before:?}, that of a full segment before"),
        format!("{first:?}"),
        first == before,
    )?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// The sysctls are turned round between the save and the restore.
fn other_host(ctx: &Context, family: Family, negotiated: Negotiated) -> Verdict {
    let plan = Plan {
        family,
        receive: Receive::Small,
        send: Send::Unacked,
        negotiated,
        ..Plan::PLAIN
    };
    let mut traveller = plan.depart(ctx)?;
    traveller.fill(plan.receive, plan.send)?;
    let mut saved = traveller.save()?;
    let turned = if negotiated == Negotiated::ALL {
        "0"
    } else {
        "1"
    };
    for name in ["tcp_timestamps", "tcp_sack", "tcp_window_scaling"] {
        traveller
            .pair
            .a()
            .sysctl(&format!("net.ipv4.{name}"), turned)?;
    }
    // tcpi_snd_mss leaves room for the options of the new host (`tcp_connect_init`); the segments themselves are cut
    // for those of the connection (`tcp_current_mss`).
    match negotiated.timestamps {
        true => saved.view.snd_mss += TIMESTAMPS_LEN,
        false => saved.view.snd_mss -= TIMESTAMPS_LEN,
    }
    let restored = traveller.arrive(&saved)?;
    expect_first_window(&traveller, &saved)?;
    traveller.conclude(ctx, &saved, &restored, Probes::One)
}

/// The first segment after the resume takes nothing back of the window that was announced: with a wrong scale the streams
/// would come whole all the same, and crawl.
fn expect_first_window(traveller: &Traveller, saved: &Saved) -> Verdict {
    let options = saved.snapshot.options.window_scale;
    let shift = options.map_or(0, |scale| scale.rcv);
    let Some(window) = saved.snapshot.window else {
        return Err(Failure::new("the saved window", "there is one", "none").into());
    };
    let spoken = || since_restored(traveller).is_ok_and(|trace| trace.segments().next().is_some());
    wait::until("the subject speaks", PATIENCE, spoken)?;
    let edge = |first: &Segment| Seq(first.ack) + (u32::from(first.window) << shift);
    let first = since_restored(traveller)?.segments().next().map(edge);
    // What does not fit the field, at its scale, is not told.
    let told = window.rcv_wup + ((window.rcv_wnd >> shift).min(u16::MAX.into()) << shift);
    expect(
        "the edge of the window after the resume",
        format!("{told} or further"),
        format!("{first:?}"),
        first.is_some_and(|edge| !edge.before(told)),
    )
}

/// What the subject has said since it was restored.
fn since_restored(traveller: &Traveller) -> Result<Trace, lab::Error> {
    let trace = traveller.capture.trace()?;
    trace.along(&traveller.flow).after(RESTORED)
}
