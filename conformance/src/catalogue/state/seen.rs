//! What an application sees of its socket, in every state that has a connection: the same before the save and after the
//! resume.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Ending, Lock, Plan, Receive};
use crate::oracle::wire::RESTORED;
use crate::verdict::{Verdict, expect_eq};
use lab::Family;
use soccr::raw::{self, MSG_DONTWAIT, MSG_PEEK, Opt};
use std::io;
use std::net::{SocketAddr, TcpStream};

const ENDINGS: [(Ending, &str); 6] = [
    (Ending::None, "established"),
    (Ending::FinWait1, "fin-wait-1"),
    (Ending::FinWait2, "fin-wait-2"),
    (Ending::CloseWait, "close-wait"),
    (Ending::LastAck, "last-ack"),
    (Ending::Closing, "closing"),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ending, state) in ENDINGS {
        for receive in [Receive::Empty, Receive::Small] {
            for family in [Family::V4, Family::V6, Family::V4Mapped] {
                let plan = Plan {
                    family,
                    receive,
                    ending,
                    ..Plan::PLAIN
                };
                let left = match receive {
                    Receive::Empty => "nothing-to-read",
                    _ => "something-to-read",
                };
                let case = Case::new(
                    format!("state/seen/{state}/{left}/{family}"),
                    "what poll, reads, writes, ioctls, names and tcpi_state tell the application is the same after the \
                     resume",
                    &["E14"],
                    move |ctx| seen(ctx, plan),
                );
                cases.push(case.in_c());
            }
        }
    }
    cases
}

/// What calls tell that change nothing: a value, or the number of an error.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    state: u8,
    poll: i16,
    peek: Result<usize, Option<i32>>,
    empty_write: Result<usize, Option<i32>>,
    siocinq: i32,
    siocoutq: i32,
    siocoutqnsd: i32,
    local: Result<SocketAddr, Option<i32>>,
    remote: Result<SocketAddr, Option<i32>>,
    error: i32,
}

impl Seen {
    fn look(socket: &TcpStream) -> io::Result<Self> {
        let mut bytes = vec![0; 1 << 16];
        Ok(Self {
            state: raw::tcp_info(socket)?.state,
            poll: raw::poll(socket)?,
            peek: told(raw::recv(socket, &mut bytes, MSG_PEEK | MSG_DONTWAIT)),
            empty_write: told(raw::send(socket, &[], MSG_DONTWAIT)),
            siocinq: raw::siocinq(socket)?,
            siocoutq: raw::siocoutq(socket)?,
            siocoutqnsd: raw::siocoutqnsd(socket)?,
            local: told(socket.local_addr()),
            remote: told(socket.peer_addr()),
            error: raw::get_int(socket, Opt::SO_ERROR)?,
        })
    }
}

fn told<T>(answer: io::Result<T>) -> Result<T, Option<i32>> {
    answer.map_err(|error| error.raw_os_error())
}

/// The lock stays until both have been looked at: nothing that comes in makes a difference.
fn seen(ctx: &Context, plan: Plan) -> Verdict {
    let mut traveller = plan.depart(ctx)?;
    traveller.fill_and_end(plan.receive, plan.send, plan.ending)?;
    let before = Seen::look(&traveller.subject)?;
    let saved = traveller.save()?;
    let restored = traveller.restore(&saved.snapshot)?;
    traveller.capture.mark(RESTORED)?;
    let restored = restored.resume()?;
    let after = Seen::look(&restored)?;
    expect_eq("what the application sees", after, before)?;
    traveller.lock = Lock::default();
    traveller.conclude(ctx, &saved, &restored, plan.probes())
}
