//! A scenario in Rust: over networks of `lab`, by the calls of `soccr`.

mod opening;

use super::{Part, assemble, congestion, constant, quoted};
use crate::oracle::stream::End;
use crate::scenario::{
    Clock, Model, Network, Opening, Scaling, Scenario, Setting, Setup, Step, Who,
};
use lab::Family;

const TEMPLATE: &str = include_str!("templates/repro.rs");

/// Longer arguments are put on a line each, as rustfmt does.
const WIDTH: usize = 60;

/// Writes the program.
pub(super) fn program(scenario: &Scenario) -> String {
    let uses = Uses::of(scenario);
    let body = assemble(TEMPLATE, |part| Part::taken_if(uses.takes(part)));
    let main = main(scenario, &uses);
    format!("{}\n{body}\n{main}", head(scenario))
}

/// What of the template a program uses.
struct Uses {
    wire: bool,
    checkpoints: bool,
    restores: bool,
    moves: bool,
    urges: bool,
    reads: bool,
    sets: bool,
    mtu: bool,
    loses: bool,
    loses_all: bool,
    duplicates: bool,
    reorders: bool,
    holds: bool,
    clears: bool,
}

impl Uses {
    fn of(scenario: &Scenario) -> Self {
        let any = |which: fn(&Step) -> bool| scenario.steps.iter().any(which);
        Self {
            wire: scenario.setup.network == Network::Wire,
            checkpoints: any(|step| matches!(step, Step::Checkpoint(_))),
            restores: any(|step| matches!(step, Step::Restore(_))),
            moves: any(|step| matches!(step, Step::Move)),
            urges: any(|step| matches!(step, Step::Urgent(_))),
            reads: any(|step| matches!(step, Step::Read(..))),
            sets: any(|step| matches!(step, Step::Set(..))),
            mtu: any(|step| matches!(step, Step::Mtu(_))),
            loses: any(|step| matches!(step, Step::Lose(_, Some(_)))),
            loses_all: any(|step| matches!(step, Step::Lose(_, None))),
            duplicates: any(|step| matches!(step, Step::Duplicate(..))),
            reorders: any(|step| matches!(step, Step::Reorder(..))),
            holds: any(|step| matches!(step, Step::Hold(_))),
            clears: any(|step| matches!(step, Step::Clear)),
        }
    }

    /// Whether sockets are closed and come back.
    fn leaves(&self) -> bool {
        self.restores || self.moves
    }

    fn faults(&self) -> bool {
        self.loses || self.loses_all || self.duplicates || self.reorders || self.holds
    }

    fn flow(&self) -> bool {
        self.leaves() || self.faults()
    }

    /// Whether anything is asked of the hosts once the connection is open.
    fn hosts(&self) -> bool {
        self.wire || self.leaves() || self.loses_all || self.mtu
    }

    fn takes(&self, part: &str) -> bool {
        match part {
            "network wire" | "quiet wire" => self.wire,
            "network move" | "quiet move" => !self.wire,
            "hosts_of wire" => self.wire && (self.leaves() || self.loses_all),
            "hosts_of move" => !self.wire && (self.leaves() || self.loses_all),
            "host wire" => self.wire && self.leaves(),
            "host move" => !self.wire && self.leaves(),
            "reads" => self.reads,
            "urges" => self.urges,
            "sets" => self.sets,
            "hosts" => self.hosts(),
            "flow" => self.flow(),
            "first" => self.loses || self.duplicates,
            "lose" => self.loses,
            "duplicate" => self.duplicates,
            "reorder" => self.reorders,
            "hold" => self.holds,
            "lose all" => self.loses_all,
            "clear" | "clear end" => self.faults() || self.clears,
            "clear wire" => self.wire && (self.faults() || self.clears),
            "mtu" => self.mtu,
            "checkpoint" => self.checkpoints,
            "save" => self.checkpoints && !self.urges,
            "save urgent" => (self.checkpoints || self.leaves()) && self.urges,
            "leave" | "leave end" | "gone" => self.leaves(),
            "leave urgent" => self.leaves() && self.urges,
            "restore" => self.restores,
            "moves" => self.moves,
            "state" => self.checkpoints || self.leaves(),
            _ => true,
        }
    }
}

fn head(scenario: &Scenario) -> String {
    format!(
        "//! Both ends of a TCP connection over a network of `lab`, and what happens to it. It is saved and restored by `soccr`.\n\
         //!\n\
         //! ```toml\n\
         //! [dependencies] # of the repository that `conformance` is in\n\
         //! lab = {{ path = \"lab\" }}\n\
         //! soccr = {{ path = \"soccr\" }}\n\
         //! ```\n\
         //!\n\
         //! It prints \"ok\" where every byte has arrived in its place, or says what differs and ends with 1. Written by\n\
         //! `conformance repro` from this scenario:\n\
         //!\n\
         //! ```text\n\
         {}\
         //! ```\n",
        quoted(scenario, "//! ")
    )
}

fn main(scenario: &Scenario, uses: &Uses) -> String {
    let setup = &scenario.setup;
    let mut text = "fn main() -> Result {\n    \
                        lab::Sandbox::enter()?; // first of all: before there are threads\n"
        .to_owned();
    text += &network(setup);
    text += &match setup.opening {
        Opening::Handshake | Opening::Lost { .. } => opening::handshake(setup, uses),
        Opening::Forged {
            subject,
            peer,
            clock,
        } => opening::forged(setup, uses, [subject, peer], clock),
    };
    text += &on_both_sockets(setup, uses);
    let field = |used, name| if used { name } else { "" };
    let hosts = field(uses.hosts(), "        hosts,\n");
    let flow = field(uses.flow(), "        flow,\n");
    text += &format!(
        "    let mut it = World {{\n\
                 {hosts}        \
                 sockets: sockets.map(Some),\n\
                 {flow}        \
                 written: [0; 2],\n        \
                 read: [0; 2],\n        \
                 ended: [false; 2],\n        \
                 faults: Vec::new(),\n    \
             }};\n    \
             it.settle()?;\n\n"
    );
    text += &steps(scenario);
    text + "    println!(\"ok\");\n    \
            Ok(())\n\
            }\n"
}

fn network(setup: &Setup) -> String {
    let mut text = format!(
        "    let hosts = Hosts::builder()\n        \
                 .mtu({})\n        \
                 .offload({})\n",
        setup.mtu, setup.offload
    );
    let sysctls = [
        (setup.timestamps == Clock::Off, "tcp_timestamps"),
        (!setup.sack, "tcp_sack"),
        (setup.scaling == Scaling::Off, "tcp_window_scaling"),
        // A tail loss probe would send at a time of its own, in repair mode too.
        (true, "tcp_early_retrans"),
    ];
    for (off, name) in sysctls {
        if off {
            text += &format!("        .sysctl(\"net.ipv4.{name}\", \"0\")\n");
        }
    }
    text + "        .build()?;\n"
}

fn on_both_sockets(setup: &Setup, uses: &Uses) -> String {
    let mut calls = String::new();
    if uses.urges {
        calls += "        raw::set_int(socket, Opt::SO_OOBINLINE, 1)?;\n";
    }
    if let Some(name) = congestion(setup.congestion) {
        calls += &format!(
            "        if let Err(error) = raw::set(socket, Opt::TCP_CONGESTION, b\"{name}\") {{\n            \
                         eprintln!(\"note: no {name} here: {{error}}\");\n        \
                     }}\n"
        );
    }
    match calls.is_empty() {
        true => calls,
        false => format!("    for socket in &sockets {{\n{calls}    }}\n"),
    }
}

/// A line for each step, and for what has to be over before the end.
fn steps(scenario: &Scenario) -> String {
    let family = scenario.setup.family;
    let mut text = String::new();
    let mut model = Model::new(scenario.setup);
    for (index, step) in scenario.steps.iter().enumerate() {
        text += &line(&format!("{}: {step}", index + 1), &call(step, family));
        model.apply(step);
    }
    if !model.is_clear() {
        text += &line("the end", "it.clear()");
    }
    for end in [End::Subject, End::Peer] {
        if model.corked[end as usize] {
            let uncork = Step::Set(end, Setting::Cork(false));
            text += &line("the end", &call(&uncork, family));
        }
    }
    text + &line("the end", "it.finish()")
}

fn line(what: &str, call: &str) -> String {
    let arguments = format!("\"{what}\", {call}");
    match arguments.len() <= WIDTH {
        true => format!("    step({arguments})?;\n"),
        false => format!("    step(\n        \"{what}\",\n        {call},\n    )?;\n"),
    }
}

fn call(step: &Step, family: Family) -> String {
    let call = match *step {
        Step::Write(end, bytes) => format!("writes({}, {bytes})", constant(end)),
        Step::Read(end, Some(bytes)) => format!("reads({}, {bytes})", constant(end)),
        Step::Read(end, None) => format!("reads({}, usize::MAX)", constant(end)),
        Step::End(end) => format!("ends({})", constant(end)),
        Step::Urgent(end) => format!("urges({})", constant(end)),
        Step::Set(end, setting) => {
            let (option, value) = option(setting, family);
            format!("sets({}, Opt::{option}, {value})", constant(end))
        }
        Step::Lose(end, Some(segments)) => format!("lose({}, {segments})", constant(end)),
        Step::Lose(end, None) => format!("lose_all({})", constant(end)),
        Step::Hold(end) => format!("hold({})", constant(end)),
        Step::Reorder(end, by) => format!("reorder({}, {by})", constant(end)),
        Step::Duplicate(end, segments) => format!("duplicate({}, {segments})", constant(end)),
        Step::Clear => "clear()".to_owned(),
        Step::Mtu(bytes) => format!("mtu({bytes})"),
        Step::Checkpoint(who) => format!("checkpoint(&[{}])", ends(who)),
        Step::Restore(who) => format!("restore(&[{}])", ends(who)),
        Step::Move => "moves()".to_owned(),
    };
    format!("it.{call}")
}

fn option(setting: Setting, family: Family) -> (&'static str, u32) {
    match setting {
        Setting::NoDelay => ("TCP_NODELAY", 1),
        Setting::Cork(on) => ("TCP_CORK", on.into()),
        Setting::KeepAlive => ("SO_KEEPALIVE", 1),
        Setting::ReceiveBuffer(bytes) => ("SO_RCVBUF", bytes),
        Setting::SendBuffer(bytes) => ("SO_SNDBUF", bytes),
        Setting::WindowClamp(bytes) => ("TCP_WINDOW_CLAMP", bytes),
        Setting::NotSentLowat(bytes) => ("TCP_NOTSENT_LOWAT", bytes),
        Setting::UserTimeout(ms) => ("TCP_USER_TIMEOUT", ms),
        Setting::Tos(tos) => match family {
            Family::V6 => ("IPV6_TCLASS", tos.into()),
            Family::V4 | Family::V4Mapped => ("IP_TOS", tos.into()),
        },
    }
}

fn ends(who: Who) -> String {
    let ends: Vec<_> = who.ends().iter().map(|end| constant(*end)).collect();
    ends.join(", ")
}
