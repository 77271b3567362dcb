//! One busy connection, whose end moves from host to host, its address with it, while both ends talk.
//!
//! After some moves there is a new network: the old one has to go, too.

use crate::busy::{BUFFERS, Busy, FIXED, Said};
use crate::error::Error;
use crate::gauge::{Gauge, judge_all, read_all};
use crate::goal::{Course, Goal};
use crate::locks;
use crate::plant::Planted;
use crate::resets::Resets;
use lab::{Family, Match, Sandbox, Trio};
use soccr::Snapshot;
use std::net::TcpStream;

/// What both ends hear between two moves, bytes.
const BETWEEN: u64 = 32 << 10;

/// What the moves have come to so far.
#[derive(Debug, Default)]
struct Tally {
    moves: u64,
    networks: u64,
    said: Said,
    again: i64,
}

/// Moves a connection until the goal is reached; tells what was done.
pub(crate) fn run(
    goal: Goal,
    of_a_network: u64,
    mut planted: Planted,
    sandbox: &Sandbox,
) -> Result<String, Error> {
    let mut gauges = Gauge::usual(sandbox);
    gauges.extend(Gauge::of_the_machine());
    let mut tally = Tally::default();
    let course = goal.begin();
    while course.goes_on(tally.moves) {
        let trio = network()?;
        tally.networks += 1;
        let last = tally.moves + of_a_network;
        in_one_network(&trio, &course, last, &planted, &mut tally)?;
        planted.done_with(trio);
        read_all(&mut gauges)?;
    }
    let grown = judge_all(&gauges)?;
    Ok(format!(
        "{} moves between hosts in {:.1} s, in {} networks; {} heard to the last byte; no reset; {} segments sent again; {grown}",
        tally.moves,
        course.elapsed().as_secs_f64(),
        tally.networks,
        tally.said,
        tally.again,
    ))
}

fn network() -> Result<Trio, Error> {
    let mut builder = Trio::builder();
    for (name, value) in BUFFERS {
        builder = builder.sysctl(name, value);
    }
    Ok(builder.build()?)
}

/// Moves a connection to and fro until there were so many moves, or the goal is reached. Every other network speaks IPv6.
fn in_one_network(
    trio: &Trio,
    course: &Course,
    last: u64,
    planted: &Planted,
    tally: &mut Tally,
) -> Result<(), Error> {
    let family = match tally.networks % 2 {
        0 => Family::V6,
        _ => Family::V4,
    };
    let (client, hosts) = (trio.client(), [trio.old_host(), trio.new_host()]);
    let opening = client.connection_to(trio.old_host(), family);
    let addresses = (client.address(family), trio.address(family));
    let opening = opening.at(addresses.0, addresses.1).on_server(|socket| {
        socket.set_send_buffer_size(FIXED)?;
        socket.set_recv_buffer_size(FIXED)
    });
    let connection = opening.open()?;
    let resets = Resets::count(&hosts, client)?;
    let flow = connection.flow();
    let [inbound, outbound] = [flow, flow.reversed()].map(|it| Match::tcp().flow(it));
    let (mut socket, peer) = (connection.server, connection.client);
    let first = trio.holder().enter(|| soccr::save(&socket))??;
    let mut busy = Busy::start(&socket, peer)?;
    // Nothing was said yet: from here both streams are counted.
    busy.check(&first)?;
    while tally.moves < last && course.goes_on(tally.moves) {
        busy = busy.until_both_have_heard(&socket, BETWEEN)?;
        let locks = locks::around(&hosts, inbound, outbound)?;
        socket = to_the_other_host(trio, socket, &mut busy, || drop(locks))?;
        tally.moves += 1;
    }
    busy = busy.until_both_have_heard(&socket, BETWEEN)?;
    let said = busy.end(&socket)?;
    planted.knock(client, trio.address(family))?;
    resets.expect_none()?;
    tally.again += resets.sent_again()?;
    tally.said.by_subject += said.by_subject;
    tally.said.by_peer += said.by_peer;
    Ok(())
}

/// Moves the end that a socket is to the host that has not the address, and the address with it.
fn to_the_other_host(
    trio: &Trio,
    socket: TcpStream,
    busy: &mut Busy,
    unlock: impl FnOnce(),
) -> Result<TcpStream, Error> {
    let saved = trio.holder().enter(|| soccr::save_and_close(socket))??;
    busy.check(&saved)?;
    // Nothing but bytes goes to the other host.
    let image = saved.to_image();
    trio.move_address()?;
    let there = Snapshot::from_image(&image)?;
    let restored = trio.holder().enter(|| there.restore())??;
    unlock();
    Ok(restored.resume()?)
}
