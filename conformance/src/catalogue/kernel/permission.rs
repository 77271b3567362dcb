//! Who may enter repair mode: whoever administers the network that the socket was made in, and nobody else.

use super::live::Live;
use super::subject::{PATIENCE, endpoints, fresh, repair, repair_on};
use crate::case::Case;
use crate::context::Context;
use crate::verdict::{Stop, Verdict, expect_eq, expect_errno, expect_ok};
use crate::victim::{self, Whose};
use lab::{Family, wait};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use soccr::raw::{self, Opt, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, TCP_REPAIR_ON};
use socket2::Socket;
use std::io;
use std::os::fd::AsFd;
use std::thread;

/// What `TCP_REPAIR` can be set to, and what it cannot.
const VALUES: [i32; 5] = [TCP_REPAIR_ON, TCP_REPAIR_OFF, TCP_REPAIR_OFF_NO_WP, 2, -2];

/// A process in a user namespace of its own, and what it is told by the kernel.
const NAMESPACES: [(&str, &str, Whose, i32); 3] = [
    (
        "user",
        "root of a user namespace is nobody to a socket of the network around it: EPERM",
        Whose::Given,
        libc::EPERM,
    ),
    (
        "user-and-network",
        "it is the network where the socket was made that counts, not the one that the process is in: EPERM",
        Whose::GivenFromElsewhere,
        libc::EPERM,
    ),
    (
        "own",
        "whoever has made a user and a network namespace may repair the sockets in it",
        Whose::Own,
        0,
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "kernel/permission/no-capability",
            "without CAP_NET_ADMIN every value is EPERM, in every state, and TCP_REPAIR can still be read",
            &["A1", "A3", "A5", "B27"],
            no_capability,
        ),
        Case::new(
            "kernel/permission/accepted-elsewhere",
            "a connection can be repaired by who has accepted it while in another network namespace",
            &["A1", "B25"],
            accepted_elsewhere,
        ),
    ];
    for (name, statement, whose, errno) in NAMESPACES {
        cases.push(Case::new(
            format!("kernel/permission/namespace/{name}"),
            statement,
            &["A1"],
            move |ctx| in_namespace(ctx, whose, errno),
        ));
    }
    cases
}

/// Runs `f` on a thread that may do all that this one may, but what needs `CAP_NET_ADMIN`.
fn without_capability(f: impl FnOnce() -> Verdict + Send) -> Verdict {
    let run = || -> Verdict {
        let mut sets = capabilities(None).map_err(io::Error::from)?;
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, sets).map_err(io::Error::from)?;
        f()
    };
    let ended = thread::scope(|scope| scope.spawn(run).join());
    ended.unwrap_or_else(|_| Err(Stop::Broken("the thread panicked".to_owned())))
}

fn no_capability(ctx: &Context) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let closed = fresh(live.pair.a(), Family::V4)?;
    let listener = Socket::from(fresh(live.pair.a(), Family::V4)?);
    raw::bind(&listener, endpoints(&live.pair, Family::V4).local)?;
    listener.listen(1)?;
    let (subject, closed, listener) = (live.subject.as_fd(), closed.as_fd(), listener.as_fd());
    let sockets = [
        ("established", subject),
        ("closed", closed),
        ("listening", listener),
    ];
    without_capability(|| {
        for (state, socket) in &sockets {
            for value in VALUES {
                let set = raw::set_int(socket, Opt::TCP_REPAIR, value);
                expect_errno(format!("TCP_REPAIR = {value}, {state}"), set, libc::EPERM)?;
            }
            let get = expect_ok(format!("reading TCP_REPAIR, {state}"), repair(socket))?;
            expect_eq("TCP_REPAIR", get, 0)?;
        }
        Ok(())
    })?;
    // The same socket, with the capability.
    expect_ok("TCP_REPAIR_ON with the capability", repair_on(&subject))?;
    without_capability(|| expect_eq("TCP_REPAIR in repair mode", repair(&subject)?, 1))
}

fn accepted_elsewhere(ctx: &Context) -> Verdict {
    let pair = ctx.pair()?;
    let listener = Socket::from(fresh(pair.a(), Family::V4)?);
    let address = endpoints(&pair, Family::V4).local;
    raw::bind(&listener, address)?;
    listener.listen(1)?;
    let client = fresh(pair.b(), Family::V4)?;
    raw::connect(&client, address)?;
    wait::readable("a connection to accept", PATIENCE, &listener)?;
    pair.b().enter(|| {
        let (accepted, _) = listener.accept()?;
        expect_ok("TCP_REPAIR_ON", repair_on(&accepted))?;
        expect_eq("TCP_REPAIR", repair(&accepted)?, 1)
    })?
}

fn in_namespace(ctx: &Context, whose: Whose, errno: i32) -> Verdict {
    let live = Live::open(ctx, Family::V4)?;
    let told = victim::repairs(live.pair.a(), live.subject.as_fd(), whose)?;
    expect_eq("the errno of TCP_REPAIR_ON", told, errno)?;
    expect_eq("TCP_REPAIR of the connection", repair(&live.subject)?, 0)
}
