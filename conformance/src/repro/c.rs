//! A scenario in C: both ends in one process, on the loopback link of a network namespace, and nothing but system calls.

use super::{Inexpressible, Part, assemble, congestion, constant, quoted};
use crate::oracle::stream::End;
use crate::scenario::{
    Clock, Model, Opening, PEER_PORT, SUBJECT_PORT, Scaling, Scenario, Setting, Setup, Step, Who,
    by_hand,
};
use lab::Family;
use soccr::Endpoints;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

const TEMPLATE: &str = include_str!("templates/repro.c");

/// Writes the program.
pub(super) fn program(scenario: &Scenario) -> Result<String, Inexpressible> {
    refuse(scenario)?;
    let setup = &scenario.setup;
    let uses = |which: fn(&Step) -> bool| scenario.steps.iter().any(which);
    let forged = matches!(setup.opening, Opening::Forged { .. });
    let checkpoints = uses(|step| matches!(step, Step::Checkpoint(_)));
    let restores = uses(|step| matches!(step, Step::Restore(_)));
    let loses = uses(|step| matches!(step, Step::Lose(..)));
    let clears = loses || uses(|step| matches!(step, Step::Clear));
    let (saves, builds) = (checkpoints || restores, restores || forged);
    let names = carried(scenario);
    let carries = !names.is_empty();
    let body = assemble(TEMPLATE, |part| match part {
        "offload" => Part::taken_if(!setup.offload),
        "family" => Part::Instead(families(setup.family)),
        "on every socket" => Part::Instead(on_every_socket(scenario)),
        "urges" => Part::taken_if(uses(|step| matches!(step, Step::Urgent(_)))),
        "deaf" => Part::taken_if(saves || builds || loses),
        "hear" => Part::taken_if(saves || builds || clears),
        "lose" => Part::taken_if(loses),
        "clear" => Part::taken_if(clears),
        "carried" | "carried end" => Part::taken_if(carries && (saves || builds)),
        "names" if carries && (saves || builds) => Part::Instead(names.clone()),
        "names" => Part::Left,
        "saved" | "saved end" => Part::taken_if(saves || builds),
        "carried and saved" => Part::taken_if(carries && saves),
        "carried and built" => Part::taken_if(carries && builds),
        "save" | "save end" => Part::taken_if(saves),
        "checkpoint" => Part::taken_if(checkpoints),
        "build" | "build end" => Part::taken_if(builds),
        "restore" => Part::taken_if(restores),
        "handshake" if forged => Part::Instead(forge(setup)),
        "before the handshake" if forged => Part::Left,
        "before the handshake" => Part::Instead(before_the_handshake(setup)),
        "handshake end" => Part::taken_if(!forged),
        _ => Part::Taken,
    });
    Ok(head(scenario) + &body + &main(scenario))
}

/// Finds the first step that one host by itself, without packets of its own, cannot take.
fn refuse(scenario: &Scenario) -> Result<(), Inexpressible> {
    let mut model = Model::new(scenario.setup);
    for (index, step) in scenario.steps.iter().enumerate() {
        let why = match step {
            Step::Lose(_, Some(_)) | Step::Hold(_) | Step::Reorder(..) | Step::Duplicate(..) => {
                Some("a program without a network of its own cannot do that; `--emit rust` can")
            }
            Step::Move => Some("a program without a second host cannot do that; `--emit rust` can"),
            Step::Checkpoint(who) | Step::Restore(who) if model.may_be_refused(*who) => {
                Some("urgent data may wait there, which cannot be saved")
            }
            Step::Checkpoint(_) if model.ended == [true; 2] => {
                Some("both streams have ended, and the kernel may have no connection any more")
            }
            Step::Restore(_) if model.ended != [false; 2] => Some(
                "a stream has ended, and what the other end says of that is put back by a packet only; `--emit rust` can",
            ),
            _ => None,
        };
        if let Some(why) = why {
            return Err(Inexpressible {
                step: index + 1,
                text: step.to_string(),
                why,
            });
        }
        model.apply(step);
    }
    Ok(())
}

fn head(scenario: &Scenario) -> String {
    format!(
        "/*\n\
         \x20* Both ends of a TCP connection in one process, and what happens to it. It is saved and restored by TCP_REPAIR.\n\
         \x20*\n\
         \x20*     cc -Wall -o repro repro.c && ./repro\n\
         \x20*\n\
         \x20* on Linux 5.15 or later, as root or as an ordinary user who may make user namespaces. It prints \"ok\" and ends with\n\
         \x20* 0 where every byte has arrived in its place, or says what differs and ends with 1. Written by\n\
         \x20* `conformance repro` from this scenario:\n\
         \x20*\n\
         {}\
         \x20*/\n",
        quoted(scenario, " *     ")
    )
}

fn families(family: Family) -> String {
    let (families, loopback) = match family {
        Family::V4 => ("AF_INET, AF_INET", "::1"),
        Family::V6 => ("AF_INET6, AF_INET6", "::1"),
        Family::V4Mapped => ("AF_INET6, AF_INET", "::ffff:127.0.0.1"),
    };
    format!(
        "\n#define LOOPBACK6 \"{loopback}\"\n\
         static const int family[] = {{{families}}};\n"
    )
}

fn on_every_socket(scenario: &Scenario) -> String {
    let mut text = String::new();
    if scenario
        .steps
        .iter()
        .any(|it| matches!(it, Step::Urgent(_)))
    {
        text += "\tset(sock, SOL_SOCKET, SO_OOBINLINE, 1);\n";
    }
    if let Some(name) = congestion(scenario.setup.congestion) {
        text += &format!(
            "\tif (setsockopt(sock, IPPROTO_TCP, TCP_CONGESTION, \"{name}\", {}) < 0)\n\
             \t\tfprintf(stderr, \"note: no {name} here: %s\\n\", strerror(errno));\n",
            name.len()
        );
    }
    text
}

/// The options that the application sets at some time, which a restore has to bring back. Sizes of buffers it always does.
fn carried(scenario: &Scenario) -> String {
    let mut names = BTreeSet::new();
    for step in &scenario.steps {
        match step {
            Step::Set(_, Setting::ReceiveBuffer(_) | Setting::SendBuffer(_)) => {}
            Step::Set(_, setting) => {
                let (level, option, _) = option(*setting, scenario.setup.family);
                names.insert(format!("\t{{{level}, {option}}},\n"));
            }
            _ => {}
        }
    }
    names.into_iter().collect()
}

fn before_the_handshake(setup: &Setup) -> String {
    let mut text = String::new();
    if let Some(mss) = setup.mss {
        text += &format!("\tset(listener, IPPROTO_TCP, TCP_MAXSEG, {mss});\n");
    }
    let sockets = ["fd[SUBJECT]", "listener"];
    for (socket, bytes) in sockets.iter().zip(setup.receive_buffers) {
        if let Some(bytes) = bytes {
            text += &format!("\tset({socket}, SOL_SOCKET, SO_RCVBUF, {bytes});\n");
        }
    }
    text
}

/// Both ends from numbers that were chosen, without a handshake.
fn forge(setup: &Setup) -> String {
    let mut text = "\n/* Both ends, without a handshake, from numbers that were chosen. */\n\
                    static void forge(void)\n\
                    {\n\
                    \tstatic const struct saved saved[] = {\n"
        .to_owned();
    if let Opening::Forged {
        subject,
        peer,
        clock,
    } = setup.opening
    {
        text += &written(setup, End::Subject, [subject, peer], clock);
        text += &written(setup, End::Peer, [subject, peer], clock);
    }
    text += "\t};\n\
             \n\
             \tbuild(SUBJECT, &saved[SUBJECT]);\n\
             \tbuild(PEER, &saved[PEER]);\n\
             \tunlock();\n\
             \tresume(SUBJECT, &saved[SUBJECT]);\n\
             \tresume(PEER, &saved[PEER]);\n";
    for (end, bytes) in [End::Subject, End::Peer].iter().zip(setup.receive_buffers) {
        if let Some(bytes) = bytes {
            let end = constant(*end);
            text += &format!("\tset(fd[{end}], SOL_SOCKET, SO_RCVBUF, {bytes});\n");
        }
    }
    text + "}\n"
}

/// One end that was written by hand, as an initializer.
fn written(setup: &Setup, end: End, first: [u32; 2], clock: u32) -> String {
    // The addresses are not in it.
    let nowhere = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let endpoints = Endpoints {
        local: nowhere(SUBJECT_PORT),
        remote: nowhere(PEER_PORT),
    };
    let snapshot = by_hand(setup, end, endpoints, first, clock);
    let options = snapshot.options;
    let scale = options.window_scale.unwrap_or_default();
    let window = snapshot.window.unwrap_or_default();
    let mut flags = Vec::new();
    if options.sack {
        flags.push("TCPI_OPT_SACK");
    }
    if let Some(timestamps) = options.timestamps {
        flags.push("TCPI_OPT_TIMESTAMPS");
        if timestamps.microseconds {
            flags.push("TCPI_OPT_USEC_TS");
        }
    }
    if flags.is_empty() {
        flags.push("0");
    }
    format!(
        "\t\t[{}] = {{\n\
         \t\t\t.write_seq = {}u,\n\
         \t\t\t.rcv_nxt = {}u,\n\
         \t\t\t.mss = {},\n\
         \t\t\t.options = {},\n\
         \t\t\t.snd_wscale = {},\n\
         \t\t\t.rcv_wscale = {},\n\
         \t\t\t.timestamp = {}u,\n\
         \t\t\t.window = {{{}u, {}, {}, {}, {}u}},\n\
         \t\t}},\n",
        constant(end),
        snapshot.send.end,
        snapshot.receive.end,
        options.mss_clamp,
        flags.join(" | "),
        scale.snd,
        scale.rcv,
        options.timestamps.map_or(0, |it| it.value),
        window.snd_wl1,
        window.snd_wnd,
        window.max_window,
        window.rcv_wnd,
        window.rcv_wup,
    )
}

fn main(scenario: &Scenario) -> String {
    let setup = &scenario.setup;
    let mut text = format!(
        "\nint main(void)\n\
         {{\n\
         \tlink_up();\n\
         \tmtu({});\n",
        setup.mtu
    );
    if !setup.offload {
        text += "\toffload_off();\n";
    }
    let mut sysctl = |off: bool, name: &str| {
        if off {
            text += &format!("\tsysctl(\"/proc/sys/net/ipv4/{name}\", \"0\");\n");
        }
    };
    // A tail loss probe would send at a time of its own, in repair mode too.
    sysctl(true, "tcp_early_retrans");
    sysctl(setup.timestamps == Clock::Off, "tcp_timestamps");
    sysctl(!setup.sack, "tcp_sack");
    sysctl(setup.scaling == Scaling::Off, "tcp_window_scaling");
    text += match setup.opening {
        Opening::Handshake | Opening::Lost { .. } => "\thandshake();\n",
        Opening::Forged { .. } => "\tforge();\n",
    };
    text += "\tsettle();\n\n";
    let mut model = Model::new(*setup);
    for step in &scenario.steps {
        text += &format!("\tSTEP({});\n", call(step, setup.family));
        model.apply(step);
    }
    if !model.is_clear() {
        text += "\tSTEP(clear());\n";
    }
    for end in [End::Subject, End::Peer] {
        if model.corked[end as usize] {
            let uncork = Step::Set(end, Setting::Cork(false));
            text += &format!("\tSTEP({});\n", call(&uncork, setup.family));
        }
    }
    text + "\tSTEP(finish());\n\
            \tprintf(\"ok\\n\");\n\
            \treturn 0;\n\
            }\n"
}

/// The call that takes a step. What [`refuse`] has refused does not come here, and would not compile.
fn call(step: &Step, family: Family) -> String {
    match *step {
        Step::Write(end, bytes) => format!("writes({}, {bytes})", constant(end)),
        Step::Read(end, Some(bytes)) => format!("reads({}, {bytes})", constant(end)),
        Step::Read(end, None) => format!("reads({}, ALL)", constant(end)),
        Step::End(end) => format!("ends({})", constant(end)),
        Step::Urgent(end) => format!("urges({})", constant(end)),
        Step::Set(end, setting) => {
            let (level, option, value) = option(setting, family);
            format!("set(fd[{}], {level}, {option}, {value})", constant(end))
        }
        Step::Lose(end, None) => format!("lose({})", constant(end)),
        Step::Clear => "clear()".to_owned(),
        Step::Mtu(bytes) => format!("mtu({bytes})"),
        Step::Checkpoint(who) => format!("checkpoint({})", whom(who)),
        Step::Restore(who) => format!("restore({})", whom(who)),
        Step::Lose(_, Some(_))
        | Step::Hold(_)
        | Step::Reorder(..)
        | Step::Duplicate(..)
        | Step::Move => step.to_string(),
    }
}

fn option(setting: Setting, family: Family) -> (&'static str, &'static str, u32) {
    match setting {
        Setting::NoDelay => ("IPPROTO_TCP", "TCP_NODELAY", 1),
        Setting::Cork(on) => ("IPPROTO_TCP", "TCP_CORK", on.into()),
        Setting::KeepAlive => ("SOL_SOCKET", "SO_KEEPALIVE", 1),
        Setting::ReceiveBuffer(bytes) => ("SOL_SOCKET", "SO_RCVBUF", bytes),
        Setting::SendBuffer(bytes) => ("SOL_SOCKET", "SO_SNDBUF", bytes),
        Setting::WindowClamp(bytes) => ("IPPROTO_TCP", "TCP_WINDOW_CLAMP", bytes),
        Setting::NotSentLowat(bytes) => ("IPPROTO_TCP", "TCP_NOTSENT_LOWAT", bytes),
        Setting::UserTimeout(ms) => ("IPPROTO_TCP", "TCP_USER_TIMEOUT", ms),
        Setting::Tos(tos) => match family {
            Family::V6 => ("SOL_IPV6", "IPV6_TCLASS", tos.into()),
            Family::V4 | Family::V4Mapped => ("SOL_IP", "IP_TOS", tos.into()),
        },
    }
}

fn whom(who: Who) -> &'static str {
    match who {
        Who::One(end) => constant(end),
        Who::Both => "BOTH",
    }
}
