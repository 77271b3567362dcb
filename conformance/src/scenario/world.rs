//! The interpreter: carries out one step after the other, and asks after each.

use super::Scenario;
use super::bins::Moment;
use super::faults::Faults;
use super::life::Restored;
use super::model::Model;
use super::network::{Place, Stock};
use super::opening;
use super::setup::Setup;
use super::step::{Setting, Step};
use crate::context::Context;
use crate::oracle::stream::{End, Talk};
use crate::subject::Library;
use crate::verdict::{Stop, Verdict};
use lab::{Capture, Counters, Family, Flow, Host, wait};
use soccr::raw::{self, Opt};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long nothing may move: a bound against hanging, not an expectation. Where something was lost more than once, or waits
/// for a window, a timer of TCP lets it go on after ever more time (guide A64), 120 s at most (`TCP_RTO_MAX`).
pub(super) const PATIENCE: Duration = Duration::from_secs(130);

/// Carries out a scenario; `taken` is told of each step before it is taken.
///
/// # Errors
/// [`Stop::Fail`] with the step after which something was not as it should be.
pub fn run(ctx: &Context, scenario: &Scenario, mut taken: impl FnMut()) -> Verdict {
    if let Some(why) = scenario.contradiction() {
        return Err(Stop::Broken(format!("no scenario: {why}")));
    }
    let saved = |end| scenario.steps.iter().any(|step| step.saves(end));
    let conditions = Conditions {
        watched: [End::Subject, End::Peer].map(saved),
        steady: false,
    };
    let mut world = World::open(ctx, scenario.setup, conditions)?;
    for (index, step) in scenario.steps.iter().enumerate() {
        taken();
        world
            .take(step)
            .map_err(|stop| at(stop, &format!("step {} (`{step}`)", index + 1)))?;
    }
    let moments = world.conclude().map_err(|stop| at(stop, "the end"))?;
    ctx.coverage().add(&moments);
    Ok(())
}

/// Says where it was.
pub(super) fn at(stop: Stop, place: &str) -> Stop {
    match stop {
        Stop::Fail(mut failure) => {
            failure.what = format!("{place}: {}", failure.what);
            failure.into()
        }
        Stop::Broken(error) => Stop::Broken(format!("{place}: {error}")),
        skip @ Stop::Skip(_) => skip,
    }
}

/// Under which conditions a scenario is carried out.
#[derive(Clone, Copy)]
pub(super) struct Conditions {
    /// Of which ends all is captured that they send and hear.
    pub(super) watched: [bool; 2],
    /// Whether what depends on the time is kept from it as far as that can be: the sizes of buffers, where writes are joined.
    pub(super) steady: bool,
}

/// The two ends, what is between them, and what was said.
pub(super) struct World {
    pub(super) hosts: Place,
    pub(super) sockets: [TcpStream; 2],
    /// From the subject.
    pub(super) flow: Flow,
    pub(super) talk: Talk,
    pub(super) library: Library,
    pub(super) model: Model,
    pub(super) restores: [Vec<Restored>; 2],
    /// In which circumstances something was saved.
    pub(super) moments: Vec<Moment>,
    /// The captures at the hosts that each end may be on, if it is watched.
    pub(super) captures: [Vec<Arc<Capture>>; 2],
    /// On which of these hosts each end is, from the beginning and after each restore.
    pub(super) homes: [Vec<usize>; 2],
    faults: Faults,
    pub(super) stock: Arc<Stock>,
    /// Where the peer will be accepted, until the connection has come about.
    listener: Option<TcpListener>,
    /// Whether a window was ever closed over what was in flight: what was dropped is sent again then, and a FIN twice.
    pub(super) cut_off: bool,
    pub(super) counters: Vec<Counters>,
    /// The shifts of the windows that each end announces.
    pub(super) shifts: [u8; 2],
}

impl World {
    /// Builds the network, and opens the connection.
    pub(super) fn open(ctx: &Context, setup: Setup, conditions: Conditions) -> Result<Self, Stop> {
        let setup = opening::possible_here(ctx, setup)?;
        let hosts = Place::find(ctx, &setup, conditions.steady)?;
        let mut captures = [Vec::new(), Vec::new()];
        for end in [End::Subject, End::Peer] {
            if conditions.watched[end as usize] {
                for host in hosts.all_of(end) {
                    captures[end as usize].push(ctx.capture(host)?);
                }
            }
        }
        let mut faults = Faults::default();
        let open = opening::open(ctx, &hosts, &setup, &mut faults)?;
        let mut world = Self {
            hosts,
            sockets: open.sockets,
            flow: open.flow,
            talk: Talk::patient(PATIENCE),
            library: ctx.library(),
            model: Model::new(setup),
            restores: [Vec::new(), Vec::new()],
            moments: Vec::new(),
            captures,
            homes: [vec![0], vec![0]],
            faults,
            stock: Arc::clone(ctx.stock()),
            listener: open.listener,
            cut_off: false,
            counters: Vec::new(),
            shifts: [0; 2],
        };
        world.count()?;
        world.read_shifts()?;
        world.settle()?;
        world.judge()?;
        Ok(world)
    }

    /// Counts from now on what the hosts notice.
    fn count(&mut self) -> Verdict {
        let counters = self.hosts.all().into_iter().map(Host::counters);
        self.counters = counters.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Counts from now on what the host of an end notices.
    pub(super) fn count_at(&mut self, end: End) -> Verdict {
        let host = self.hosts.of(end);
        let all = self.hosts.all().into_iter();
        for (it, counters) in all.zip(&mut self.counters) {
            if it.name() == host.name() {
                *counters = host.counters()?;
            }
        }
        Ok(())
    }

    fn read_shifts(&mut self) -> Verdict {
        for end in [End::Subject, End::Peer] {
            self.shifts[end as usize] = raw::tcp_info(self.socket(end))?.rcv_wscale;
        }
        Ok(())
    }

    /// Accepts the peer of a connection whose SYN was lost until now: it is sent again.
    fn come_about(&mut self) -> Verdict {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        wait::readable("the connection to come about", PATIENCE, &listener)?;
        let (peer, _) = listener.accept()?;
        self.sockets[End::Peer as usize] = peer;
        // A SYN that has waited for long on its way was sent again meanwhile; what answers the second is challenged.
        self.quiet()?;
        self.count()?;
        self.read_shifts()
    }

    pub(super) fn socket(&self, end: End) -> &TcpStream {
        &self.sockets[end as usize]
    }

    pub(super) fn sockets(&self) -> [&TcpStream; 2] {
        let [subject, peer] = &self.sockets;
        [subject, peer]
    }

    /// From an end to the other.
    pub(super) fn flow_of(&self, end: End) -> Flow {
        end.flow(self.flow)
    }

    /// Waits until nothing is on its way any more.
    pub(super) fn quiet(&self) -> Verdict {
        match self.hosts.wire() {
            Some(pair) => pair.wire().until_quiet()?,
            None => {
                for capture in self.captures.iter().flatten() {
                    capture.sync()?;
                }
            }
        }
        Ok(())
    }

    /// Takes a step, lets it come to rest, and asks.
    pub(super) fn take(&mut self, step: &Step) -> Verdict {
        match *step {
            Step::Write(end, bytes) => {
                self.talk.write(end, self.socket(end), bytes as usize)?;
            }
            Step::Urgent(end) => self.talk.urge(end, self.socket(end))?,
            Step::Read(end, limit) => self.read(end, limit)?,
            Step::End(end) => self.talk.end(end, self.socket(end))?,
            Step::Set(end, setting) => self.set(end, setting)?,
            Step::Lose(..) | Step::Hold(_) | Step::Reorder(..) | Step::Duplicate(..) => {
                self.faults.add(&self.hosts, self.flow, step)?;
            }
            Step::Clear => {
                if self.listener.is_some() {
                    // What answers a SYN that comes twice is counted.
                    self.expect_undisturbed()?;
                }
                self.faults.clear(&self.hosts)?;
                self.come_about()?;
            }
            Step::Mtu(bytes) => self.hosts.set_mtu(bytes)?,
            Step::Checkpoint(who) => self.checkpoint(step, who)?,
            Step::Restore(who) => self.restore(step, who)?,
            Step::Move => self.move_subject(step)?,
        }
        self.model.apply(step);
        self.settle()?;
        self.cut_off |= self.is_cut_off()?;
        if let Step::Read(end, _) = *step {
            self.has_read(end);
        }
        self.judge()
    }

    fn read(&self, end: End, limit: Option<u32>) -> Verdict {
        let mut left = limit.map_or(usize::MAX, |limit| limit as usize);
        while left > 0 {
            match self.talk.read_at_most(end, self.socket(end), left)? {
                Some(0) | None => break,
                Some(count) => left -= count,
            }
        }
        Ok(())
    }

    /// Where all was read, so was what is urgent.
    fn has_read(&mut self, end: End) {
        if self.talk.was_read(end) == self.talk.written(end.other()) {
            self.model.urged[end as usize] = false;
        }
    }

    pub(super) fn set(&self, end: End, setting: Setting) -> Verdict {
        let socket = self.socket(end);
        let set = |option, value| raw::set_int(socket, option, value);
        match setting {
            Setting::NoDelay => set(Opt::TCP_NODELAY, 1)?,
            Setting::Cork(on) => set(Opt::TCP_CORK, on.into())?,
            Setting::KeepAlive => set(Opt::SO_KEEPALIVE, 1)?,
            Setting::ReceiveBuffer(bytes) => set(Opt::SO_RCVBUF, bytes as i32)?,
            Setting::SendBuffer(bytes) => set(Opt::SO_SNDBUF, bytes as i32)?,
            Setting::WindowClamp(bytes) => set(Opt::TCP_WINDOW_CLAMP, bytes as i32)?,
            Setting::NotSentLowat(bytes) => set(Opt::TCP_NOTSENT_LOWAT, bytes as i32)?,
            Setting::UserTimeout(ms) => set(Opt::TCP_USER_TIMEOUT, ms as i32)?,
            Setting::Tos(tos) => match self.model.setup.family {
                Family::V6 => set(Opt::IPV6_TCLASS, tos.into())?,
                Family::V4 | Family::V4Mapped => set(Opt::IP_TOS, tos.into())?,
            },
        }
        Ok(())
    }
}
