//! Connections between link-local addresses: to a host on which their link has another number.

use crate::case::Case;
use crate::context::Context;
use crate::journey::{Left, Mover, PATIENCE, own_link_local};
use crate::oracle::stream::Talk;
use crate::oracle::wire::{self, Probes};
use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Direction, Flow, Host, Match, wait};
use soccr::raw::{self, Opt};
use soccr::restore::create_from;
use soccr::{Error, ErrorKind, Lost, Seq, Snapshot, Step, TcpState};
use socket2::{SockRef, Socket};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::time::Duration;

/// No host has a link of this name.
const NO_LINK: &str = "nowhere0";

/// What the new host does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Nothing,
    Link,
    Address,
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "restore/link-local/other-number/into-bound",
            "a socket that the caller has bound on the link takes the connection, and one that was bound on another link is \
             refused",
            &["C17"],
            into_bound,
        ),
        Case::new(
            "restore/link-local/other-number/attempt",
            "an attempt to connect to a link-local address goes on from a host on which the link has another number",
            &["C17", "E9"],
            attempt,
        ),
        Case::new(
            "restore/link-local/other-number/reset",
            "a socket whose link-local connection was reset moves, with what is left to read and the error behind it",
            &["C17", "C5"],
            |ctx| reset(ctx, Missing::Nothing),
        ),
        Case::new(
            "restore/link-local/no-link",
            "where the link of a link-local connection is missing, the restore says which and what to do, and works once it is \
             done",
            &["C17"],
            no_link,
        ),
        Case::new(
            "restore/link-local/by-number",
            "a snapshot that has no name of the link goes by the number, as its host has it",
            &["C17"],
            by_number,
        ),
    ];
    for (name, missing) in [("link", Missing::Link), ("address", Missing::Address)] {
        cases.push(Case::new(
            format!("restore/link-local/no-{name}/reset"),
            format!(
                "a socket whose link-local connection was reset comes back where its {name} is missing, with another address, \
                 which is named, and all else as it was"
            ),
            &["C17", "C18"],
            move |ctx| reset(ctx, missing),
        ));
    }
    for (name, state) in [
        ("established", TcpState::Established),
        ("close-wait", TcpState::CloseWait),
    ] {
        cases.push(
            Case::new(
                format!("restore/link-local/other-number/{name}"),
                "a link-local connection moves to a host on which its link has another number",
                &["C17", "F1"],
                move |ctx| other_number(ctx, state),
            )
            .in_c(),
        );
    }
    cases
}

/// Opens a link-local connection, brings it to a state, saves it, and moves its address.
fn moved(ctx: &Context, state: TcpState) -> Result<(Mover, Left), Stop> {
    let mut mover = Mover::open_link_local(ctx)?;
    mover.receive()?;
    if state == TcpState::CloseWait {
        mover.end_of_peer()?;
    }
    let left = mover.leave()?;
    let old = mover.trio.old_host();
    let link = left.snapshot.link.as_deref();
    expect_eq(
        "the name of the link in the snapshot",
        link,
        Some(old.link()),
    )?;
    let numbers = scopes(&left.snapshot);
    expect_eq("the numbers in the snapshot", numbers, [old.ifindex(); 2])?;
    if mover.library.is_rust() {
        let devices = left.snapshot.socket_options.iter();
        let devices = devices.filter(|it| it.option == Opt::SO_BINDTODEVICE);
        expect_eq("SO_BINDTODEVICE in the snapshot", devices.count(), 0)?;
    }
    mover.trio.move_address()?;
    if mover.trio.new_host().ifindex() == old.ifindex() {
        return Err(Stop::Broken("both links have one number".to_owned()));
    }
    Ok((mover, left))
}

fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(v6) => v6.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}

fn scopes(snapshot: &Snapshot) -> [u32; 2] {
    let endpoints = snapshot.endpoints;
    [scope(endpoints.local), scope(endpoints.remote)]
}

fn other_number(ctx: &Context, state: TcpState) -> Verdict {
    let (mover, left) = moved(ctx, state)?;
    let new = mover.trio.new_host();
    let restored = mover.restore(&left)?;
    mover.arrived(&left, &restored)?;
    let socket = SockRef::from(&restored);
    for (name, address) in [
        ("getsockname", socket.local_addr()?),
        ("getpeername", socket.peer_addr()?),
    ] {
        let scope = address.as_socket().map(scope);
        expect_eq(
            format!("the link that {name} names"),
            scope,
            Some(new.ifindex()),
        )?;
    }
    let probes = match state {
        TcpState::Established => Probes::One,
        _ => Probes::NoneDue,
    };
    mover.conclude(&left, restored, probes)
}

fn into_bound(ctx: &Context) -> Verdict {
    let (mover, mut left) = moved(ctx, TcpState::Established)?;
    let bound = || -> Result<Socket, Stop> {
        let socket = Socket::from(raw::tcp_socket(soccr::Family::V6)?);
        socket.set_reuse_address(true)?;
        let mut local = left.snapshot.endpoints.local;
        if let SocketAddr::V6(v6) = &mut local {
            v6.set_scope_id(mover.trio.new_host().ifindex());
        }
        socket.bind(&local.into())?;
        Ok(socket)
    };
    let sockets = mover.trio.new_host().enter(|| [bound(), bound()])?;
    let [first, second] = sockets;
    let (first, second) = (first?, second?);
    let restore = |snapshot: &Snapshot, socket| -> Result<_, Error> {
        let connected = create_from(snapshot, socket)?
            .pause()?
            .unbound_data()?
            .connect()?;
        connected.no_queue_data()?.queue_bytes()?.remaining_data()
    };
    let link = left.snapshot.link.replace("lo".to_owned());
    let error = refused(restore(&left.snapshot, first).map(drop))?;
    let said = matches!(
        error.kind(),
        ErrorKind::Mismatch { what, wanted, found, .. }
            if what.contains("link") && wanted == "lo" && Some(found) == link.as_ref()
    );
    expect("the refusal", "which link it is", &error, said)?;
    left.snapshot.link = link;
    let restored = restore(&left.snapshot, second)?;
    mover.arrived(&left, &restored)?;
    mover.conclude(&left, restored, Probes::One)
}

fn refused(result: Result<(), Error>) -> Result<Error, Stop> {
    match result {
        Ok(()) => Err(Failure::new("the restore", "a refusal", "success").into()),
        Err(error) => Ok(error),
    }
}

fn no_link(ctx: &Context) -> Verdict {
    let (mover, mut left) = moved(ctx, TcpState::Established)?;
    let new = mover.trio.new_host();
    let link = left.snapshot.link.replace(NO_LINK.to_owned());
    let error = refused(new.enter(|| left.snapshot.restore().map(drop))?)?;
    expect_eq("the step of the error", error.step(), Step::Bind)?;
    let named = matches!(error.kind(), ErrorKind::NoLink { name, .. } if name == NO_LINK);
    expect("the error", "a missing link, by its name", &error, named)?;
    let hint = error
        .hint()
        .is_some_and(|hint| hint.contains("Snapshot::link"));
    expect("the hint of the error", "what to change", &error, hint)?;
    left.snapshot.link = link;
    let restored = new.enter(|| left.snapshot.restore())??;
    mover.arrived(&left, &restored)?;
    mover.conclude(&left, restored, Probes::One)
}

fn by_number(ctx: &Context) -> Verdict {
    let (mover, mut left) = moved(ctx, TcpState::Established)?;
    let new = mover.trio.new_host();
    left.snapshot.link = None;
    let error = refused(new.enter(|| left.snapshot.restore().map(drop))?)?;
    expect_eq("the step of the error", error.step(), Step::Bind)?;
    let errno = error.raw_os_error();
    expect_eq(
        "the errno of a number that no link has",
        errno,
        Some(libc::ENODEV),
    )?;
    let endpoints = &mut left.snapshot.endpoints;
    for end in [&mut endpoints.local, &mut endpoints.remote] {
        if let SocketAddr::V6(v6) = end {
            v6.set_scope_id(new.ifindex());
        }
    }
    let restored = new.enter(|| left.snapshot.restore())??;
    mover.arrived(&left, &restored)?;
    mover.conclude(&left, restored, Probes::One)
}

/// The connection is over: nothing of it is to be seen on the wire of the new host.
fn reset(ctx: &Context, missing: Missing) -> Verdict {
    let mut mover = Mover::open_link_local(ctx)?;
    mover.receive()?;
    let unread = raw::siocinq(&mover.subject)?.unsigned_abs() as usize;
    SockRef::from(&mover.peer).set_linger(Some(Duration::ZERO))?;
    drop(mover.peer);
    let Mover {
        trio,
        subject,
        flow,
        talk,
        ..
    } = mover;
    let over = || raw::tcp_info(&subject).is_ok_and(|info| info.state == TcpState::Close as u8);
    wait::until("the reset has arrived", PATIENCE, over)?;
    let mut snapshot = trio.old_host().enter(|| soccr::save_and_close(subject))??;
    if missing != Missing::Address {
        trio.move_address()?;
    }
    if missing == Missing::Link {
        snapshot.link = Some(NO_LINK.to_owned());
    }
    let capture = ctx.capture(trio.new_host())?;
    let restored = trio.new_host().enter(|| snapshot.restore())??;
    let named = restored.losses().iter().any(|it| it.what == Lost::Address);
    expect_eq(
        "a loss of the address is named",
        named,
        missing != Missing::Nothing,
    )?;
    let stream = restored.resume()?;
    let mut bytes = vec![0; 1 << 16];
    let count = raw::recv(&stream, &mut bytes, raw::MSG_DONTWAIT)?;
    expect_eq("bytes that are left to read", count, unread)?;
    talk.check_received(&bytes[..count])?;
    let then = raw::recv(&stream, &mut bytes, raw::MSG_DONTWAIT);
    let then = then.map_err(|error| error.raw_os_error());
    expect_eq("what is behind them", then, Err(Some(libc::ECONNRESET)))?;
    let sent = capture.trace()?.of(&flow);
    let silent = sent.segments().next().is_none();
    expect("the wire of the new host", "nothing of it", &sent, silent)
}

/// The SYN of the old host gets lost, that of the new one is answered.
fn attempt(ctx: &Context) -> Verdict {
    let trio = ctx.trio()?;
    let (client, old, new) = (trio.client(), trio.old_host(), trio.new_host());
    let at = |ip, port, host: &Host| SocketAddrV6::new(ip, port, 0, host.ifindex());
    let socket = || raw::tcp_socket(soccr::Family::V6);
    let listener = Socket::from(client.enter(socket)??);
    listener.bind(&SocketAddr::from(at(Ipv6Addr::UNSPECIFIED, 40_002, client)).into())?;
    listener.listen(1)?;
    let remote = at(own_link_local(client)?, 40_002, old);
    let local = at(trio.link_local(), 40_001, old);
    let flow = Flow::new(local.into(), remote.into());
    let _hole = old.blackhole(Direction::Egress, Match::tcp().flow(flow))?;
    let attempt = Socket::from(old.enter(socket)??);
    attempt.set_nonblocking(true)?;
    attempt.bind(&SocketAddr::from(local).into())?;
    match attempt.connect(&SocketAddr::from(remote).into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => other?,
    }
    let snapshot = old.enter(|| soccr::save_and_close(attempt))??;
    expect_eq("the state", snapshot.state, TcpState::SynSent)?;
    trio.move_address()?;
    let capture = ctx.capture(new)?;
    let restored = new.enter(|| snapshot.restore())??;
    capture.mark(wire::RESTORED)?;
    let subject = restored.resume()?;
    let open = || raw::tcp_info(&subject).is_ok_and(|it| it.state == TcpState::Established as u8);
    wait::until("the connection has come about", PATIENCE, open)?;
    let (peer, _) = listener.accept()?;
    let (subject, peer) = (subject, TcpStream::from(peer));
    let talk = Talk::default();
    talk.exchange(&subject, &peer, 20_000)?;
    talk.close(&subject, &peer)?;
    let trace = capture.trace()?.of(&flow);
    let early = trace.before(wire::RESTORED)?;
    let silent = early.segments().next().is_none();
    expect(
        "the wire before the resume",
        "nothing of it",
        &early,
        silent,
    )?;
    let syns = trace.outgoing();
    let syns = syns.segments().filter(|segment| segment.flags.syn());
    let ends: Vec<_> = syns.map(|syn| Seq(syn.end_seq())).collect();
    let wanted = snapshot.write_seq();
    // One that is not answered at once is sent again.
    let same = !ends.is_empty() && ends.iter().all(|end| *end == wanted);
    expect("the numbers after SYNs", wanted, format!("{ends:?}"), same)?;
    let reset = trace.segments().find(|segment| segment.flags.rst());
    expect("the wire", "no RST", format!("{reset:?}"), reset.is_none())
}
