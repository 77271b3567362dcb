//! How the connection of a program in Rust comes about.

use super::Uses;
use crate::oracle::stream::End;
use crate::scenario::{Network, PEER_PORT, SUBJECT_PORT, Setup, by_hand};
use lab::Family;
use soccr::{Endpoints, Snapshot};
use std::net::{IpAddr, SocketAddr};

/// Both ends by a handshake.
pub(super) fn handshake(setup: &Setup, uses: &Uses) -> String {
    let family = family(setup.family);
    let [mine, theirs] = setup.receive_buffers;
    let mut server = Vec::new();
    if let Some(mss) = setup.mss {
        server.push(format!("it.set_tcp_mss({mss})"));
    }
    if let Some(bytes) = theirs {
        server.push(format!("it.set_recv_buffer_size({bytes})"));
    }
    let mut options = String::new();
    if let Some(bytes) = mine {
        options += &format!("        .on_client(|it| it.set_recv_buffer_size({bytes}))\n");
    }
    match &server[..] {
        [] => {}
        [one] => options += &format!("        .on_server(|it| {one})\n"),
        several => {
            let calls = several.join("?;\n            ");
            options += &format!("        .on_server(|it| {{\n            {calls}\n        }})\n");
        }
    }
    let opening = match setup.network {
        Network::Wire if options.is_empty() => {
            format!("    let connection = hosts.connection({family}).open()?;\n")
        }
        Network::Wire => format!(
            "    let connection = hosts\n        \
                 .connection({family})\n\
                 {options}        \
                 .open()?;\n"
        ),
        Network::Move => format!(
            "    let family = {family};\n    \
             let addresses = (hosts.address(family), hosts.client().address(family));\n    \
             let connection = hosts\n        \
                 .old_host()\n        \
                 .connection_to(hosts.client(), family)\n        \
                 .at(addresses.0, addresses.1)\n\
                 {options}        \
                 .open()?;\n"
        ),
    };
    let flow = match uses.flow() {
        true => "    let flow = connection.flow();\n",
        false => "",
    };
    format!("{opening}{flow}    let sockets = [connection.client, connection.server];\n")
}

/// Both ends from snapshots that are written by hand.
pub(super) fn forged(setup: &Setup, uses: &Uses, first: [u32; 2], clock: u32) -> String {
    let (subject, peer) = match (setup.network, setup.family) {
        (Network::Wire, Family::V6) => (v6(1), v6(2)),
        (Network::Wire, Family::V4 | Family::V4Mapped) => (v4(1), v4(2)),
        (Network::Move, Family::V6) => (v6(0x100), v6(1)),
        (Network::Move, Family::V4 | Family::V4Mapped) => (v4(100), v4(1)),
    };
    let subject = SocketAddr::new(subject, SUBJECT_PORT);
    let peer = SocketAddr::new(peer, PEER_PORT);
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) if setup.family == Family::V4Mapped => {
            SocketAddr::new(v4.to_ipv6_mapped().into(), address.port())
        }
        _ => address,
    };
    let ends = [
        (End::Subject, mapped(subject), mapped(peer)),
        (End::Peer, peer, subject),
    ];
    let mut text = String::new();
    for (end, local, remote) in ends {
        let endpoints = Endpoints { local, remote };
        text += &snapshot(&by_hand(setup, end, endpoints, first, clock), end);
    }
    let [near, far] = match setup.network {
        Network::Wire => ["a", "b"],
        Network::Move => ["old_host", "client"],
    };
    text += &format!(
        "    let subject = hosts.{near}().enter(|| subject.restore())??;\n    \
             let peer = hosts.{far}().enter(|| peer.restore())??;\n    \
             let sockets = [subject.resume()?, peer.resume()?];\n"
    );
    if uses.flow() {
        text += &format!(
            "    let flow = lab::Flow::new(\"{subject}\".parse()?, \"{peer}\".parse()?);\n"
        );
    }
    for (index, bytes) in setup.receive_buffers.iter().enumerate() {
        if let Some(bytes) = bytes {
            let socket = format!("&sockets[{index}]");
            text += &format!("    raw::set_int({socket}, Opt::SO_RCVBUF, {bytes})?;\n");
        }
    }
    text
}

/// As the lab numbers its hosts.
fn v4(host: u8) -> IpAddr {
    [10, 77, 0, host].into()
}

fn v6(host: u16) -> IpAddr {
    [0xfd77, 0, 0, 0, 0, 0, 0, host].into()
}

/// The text that makes a snapshot.
fn snapshot(snapshot: &Snapshot, end: End) -> String {
    let Endpoints { local, remote } = snapshot.endpoints;
    let mut text = format!(
        "    let mut {end} = soccr::Snapshot::new(soccr::Endpoints {{\n        \
                 local: \"{local}\".parse()?,\n        \
                 remote: \"{remote}\".parse()?,\n    \
             }});\n    \
             {end}.send.end = soccr::Seq({});\n    \
             {end}.receive.end = soccr::Seq({});\n    \
             {end}.options.mss_clamp = {};\n    \
             {end}.options.sack = {};\n",
        snapshot.send.end, snapshot.receive.end, snapshot.options.mss_clamp, snapshot.options.sack
    );
    if let Some(scale) = snapshot.options.window_scale {
        text += &format!(
            "    {end}.options.window_scale = Some(soccr::WindowScale {{ snd: {}, rcv: {} }});\n",
            scale.snd, scale.rcv
        );
    }
    if let Some(timestamps) = snapshot.options.timestamps {
        text += &format!(
            "    {end}.options.timestamps = Some(soccr::Timestamps {{\n        \
                     value: {},\n        \
                     microseconds: {},\n    \
                 }});\n",
            timestamps.value, timestamps.microseconds
        );
    }
    if let Some(window) = snapshot.window {
        text += &format!(
            "    {end}.window = Some(soccr::Window {{\n        \
                     snd_wl1: {end}.receive.end,\n        \
                     snd_wnd: {},\n        \
                     max_window: {},\n        \
                     rcv_wnd: {},\n        \
                     rcv_wup: {end}.receive.end,\n    \
                 }});\n",
            window.snd_wnd, window.max_window, window.rcv_wnd
        );
    }
    text
}

fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "lab::Family::V4",
        Family::V6 => "lab::Family::V6",
        Family::V4Mapped => "lab::Family::V4Mapped",
    }
}
