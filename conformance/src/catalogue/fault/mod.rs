//! System calls that fail, and processes that are killed: in every state, at every call; and what a process, a host or the
//! kernel has too little of: descriptors, room in buffers, memory.

mod descriptors;
mod every_call;
mod helper;
mod kill;
mod memory;
mod older;
mod resume;
mod small_target;
mod through_c;
mod told;

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Plan, Receive, Send, Traveller};
use crate::verdict::{Failure, Stop, Verdict, expect};
use lab::Family;
use soccr::raw::{self, Opt};
use soccr::{FinMode, Settings, Snapshot};
use std::os::fd::AsFd;
use std::time::Duration;

/// How long a case may take that saves and restores once for every system call of both: on a busy machine a minute is too
/// little for that.
const BOUND: Duration = Duration::from_secs(180);

/// Sizes of the send buffers: the smallest, that of a new socket, and how far one grows, bytes.
const WRITE_BUFFERS: &str = "4096 16384 131072";

/// All cases of this area.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = every_call::cases();
    cases.extend(resume::cases());
    cases.extend(kill::cases());
    cases.extend(helper::cases());
    cases.extend(through_c::cases());
    cases.extend(older::cases());
    cases.extend(told::cases());
    cases.extend(descriptors::cases());
    cases.extend(small_target::cases());
    cases.extend(memory::cases());
    cases
}

/// The states that the faults go through, with their names: each with every way of putting FINs back that it has.
fn plans() -> Vec<(Plan, String)> {
    let mut plans = Vec::new();
    for (ending, send, state) in [
        (Ending::None, Send::Empty, "established"),
        (Ending::None, Send::Both, "established-full"),
        (Ending::FinWait1, Send::Unacked, "fin-wait-1"),
        (Ending::FinWait1, Send::Unsent, "fin-wait-1-unsent"),
        (Ending::FinWait2, Send::Empty, "fin-wait-2"),
        (Ending::CloseWait, Send::Unsent, "close-wait"),
        (Ending::LastAck, Send::Unacked, "last-ack"),
        (Ending::Closing, Send::Empty, "closing"),
    ] {
        for fin in [FinMode::Inject, FinMode::Emulate] {
            if fin == FinMode::Emulate && matches!(ending, Ending::None | Ending::FinWait1) {
                continue;
            }
            for family in [Family::V4, Family::V6, Family::V4Mapped] {
                let plan = Plan {
                    family,
                    receive: Receive::Small,
                    send,
                    ending,
                    settings: Settings::new().fin(fin),
                    ..Plan::PLAIN
                };
                plans.push((plan, format!("{state}/{fin}/{family}")));
            }
        }
    }
    plans
}

/// Whether a call only asks for an option, which leaves the socket as it is.
fn asks(call: &str) -> bool {
    call.starts_with("getsockopt(")
}

/// Opens the connection of a plan and brings it to where it is saved, its traffic blocked: as whoever saves it has to.
fn prepared(ctx: &Context, plan: Plan) -> Result<Traveller, Stop> {
    let mut traveller = plan.depart(ctx)?;
    // Queues are read and written hundreds of times: there is no need for megabytes.
    for host in traveller.pair.hosts() {
        host.sysctl("net.ipv4.tcp_wmem", WRITE_BUFFERS)?;
    }
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    traveller
        .lock
        .block_ingress(&traveller.pair, traveller.flow)?;
    // Values of the application's own, which a save sets aside.
    raw::set_int(&traveller.subject, Opt::SO_REUSEADDR, 1)?;
    raw::set_int(&traveller.subject, Opt::TCP_KEEPIDLE, 77)?;
    Ok(traveller)
}

/// A save that succeeded in spite of a fault has to say the same as one without, or name what it lacks.
fn expect_as_good(told: &str, snapshot: &Snapshot, clean: &Snapshot) -> Verdict {
    let (mut found, mut wanted) = (snapshot.clone(), clean.clone());
    for snapshot in [&mut found, &mut wanted] {
        // The clock goes on, and so do timers.
        if let Some(timestamps) = &mut snapshot.options.timestamps {
            timestamps.value = 0;
        }
        snapshot.path = soccr::Path::default();
    }
    if found.unsaved.len() > wanted.unsaved.len() {
        found.unsaved.clone_from(&wanted.unsaved);
        found.socket_options.clone_from(&wanted.socket_options);
    }
    if found == wanted {
        return Ok(());
    }
    let bytes = |of: &Snapshot| (of.receive.bytes.clone(), of.send.bytes.clone());
    expect(
        format!("the bytes of both queues after {told}"),
        "those that were saved without it",
        "others",
        bytes(snapshot) == bytes(clean),
    )?;
    let (found, wanted) = (format!("{found:#?}"), format!("{wanted:#?}"));
    let differing = |of: &str, from: &str| {
        let lines = of
            .lines()
            .filter(|line| !from.lines().any(|other| other == *line));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    };
    let (expected, actual) = (differing(&wanted, &found), differing(&found, &wanted));
    Err(Failure::new(format!("the snapshot after {told}"), expected, actual).into())
}

/// What a save must leave as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Before {
    repair: i32,
    reuse_address: i32,
    inline: i32,
    peek_offset: Option<i32>,
    receive_buffer: i32,
    send_buffer: i32,
}

impl Before {
    fn read(socket: &impl AsFd) -> Result<Self, Stop> {
        let option = |option| raw::get_int(socket, option);
        Ok(Self {
            repair: option(Opt::TCP_REPAIR)?,
            reuse_address: option(Opt::SO_REUSEADDR)?,
            inline: option(Opt::SO_OOBINLINE)?,
            peek_offset: option(Opt::SO_PEEK_OFF).ok(),
            receive_buffer: option(Opt::SO_RCVBUF)?,
            send_buffer: option(Opt::SO_SNDBUF)?,
        })
    }
}
