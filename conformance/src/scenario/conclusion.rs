//! What a scenario ends with, and what can only be asked of the whole.

use super::bins::Moment;
use super::life::Life;
use super::setup::{Clock, Opening};
use super::step::{Setting, Step};
use super::world::{PATIENCE, World, at};
use crate::oracle::peer::{self, OLDER_CLOCKS, PEER_TELLTALES, TELLTALES};
use crate::oracle::stream::End;
use crate::verdict::{Stop, Verdict, expect};
use lab::{Flow, Trace, wait};
use soccr::{Seq, TcpState, raw};

/// Bytes that each end writes once all is over.
const AFTERWARDS: usize = 10_000;
/// A receive buffer in which there is room for all that is written then, bytes.
const ROOMY: u32 = 200_000;
/// Counters that move when segments arrive late or twice.
const MOVED_BY_DISORDER: [&str; 2] = ["TcpExt.TCPChallengeACK", "TcpExt.TCPSYNChallenge"];
/// What comes late to an end that is over by then is answered by a RST.
const RESETS: &str = "Tcp.OutRsts";

impl World {
    /// Whether segments can have come late or twice.
    fn is_disordered(&self) -> bool {
        self.model.disordered || self.cut_off
    }

    /// Whether something can come to an end that is over by then.
    fn may_reset_late(&self) -> bool {
        self.is_disordered() || self.model.lossy_end
    }

    /// Judges strictly, and what does not hold then once more with a RST allowed, if something has come behind the end of its
    /// stream.
    fn judge_resets(&self, judge: impl Fn(bool) -> Verdict) -> Verdict {
        let may_reset = self.may_reset_late();
        match judge(may_reset) {
            Err(Stop::Fail(_)) if !may_reset && self.resets_answer_what_was_late()? => judge(true),
            judged => judged,
        }
    }

    /// Whether there is a RST, and before each of them something of a stream has come behind its end: sent again, because the answer
    /// has taken longer than a timer waits, or sent before, by a timer on another processor. What answers it can come to an end
    /// that is over by then.
    fn resets_answer_what_was_late(&self) -> Result<bool, Stop> {
        let captures = self.captures.iter().flatten();
        let traces = captures
            .map(|capture| capture.trace())
            .collect::<Result<Vec<_>, _>>()?;
        let late = traces
            .iter()
            .map(|trace| late_resets(&trace.of(&self.flow)))
            .collect::<Option<Vec<_>>>();
        Ok(late.is_some_and(|late| late.iter().any(|resets| *resets > 0)))
    }

    /// Lets everything arrive, lets both ends talk and close, and asks what can only be asked of the whole.
    pub(super) fn conclude(mut self) -> Result<Vec<Moment>, Stop> {
        self.take(&Step::Clear)?;
        for end in [End::Subject, End::Peer] {
            if self.model.corked[end as usize] {
                self.take(&Step::Set(end, Setting::Cork(false)))?;
            }
        }
        for end in [End::Subject, End::Peer] {
            if self.model.small[end as usize] {
                // What has to wait for room for a segment takes minutes a kilobyte (RFC 9293, section 3.8.6.2.1).
                self.set(end, Setting::ReceiveBuffer(ROOMY))?;
            }
        }
        let [subject, peer] = self.sockets();
        self.talk.drain(subject, peer)?;
        self.talk.exchange(subject, peer, AFTERWARDS)?;
        for end in [End::Subject, End::Peer] {
            let error = self.socket(end).take_error()?;
            expect(
                format!("SO_ERROR at the {end}"),
                "none",
                format!("{error:?}"),
                error.is_none(),
            )?;
        }
        self.talk.close(subject, peer)?;
        for end in [End::Subject, End::Peer] {
            self.expect_over(end)?;
        }
        self.quiet()?;
        self.expect_undisturbed()?;
        for end in [End::Subject, End::Peer] {
            self.judge_life(end)?;
        }
        let Self {
            hosts,
            sockets,
            flow,
            stock,
            moments,
            ..
        } = self;
        drop(sockets);
        hosts.expect_nothing_left(&flow)?;
        stock.put(hosts);
        Ok(moments)
    }

    fn expect_over(&self, end: End) -> Verdict {
        let socket = self.socket(end);
        let over = || raw::tcp_info(socket).is_ok_and(|info| info.state == TcpState::Close as u8);
        let what = format!("the state of the {end} after the close");
        let held = wait::until(&what, PATIENCE, over).is_ok();
        let actual = raw::tcp_info(socket)?.state;
        let actual = format!("{:?}", TcpState::from_kernel(actual));
        expect(what, TcpState::Close, actual, held)
    }

    /// No host has counted what an undisturbed connection does not cause.
    pub(super) fn expect_undisturbed(&self) -> Verdict {
        let disordered = self.is_disordered();
        let hosts = || self.hosts.all().into_iter().zip(&self.counters);
        // What a timer sends on one processor may be overtaken by what an application sends on another: a clock of microseconds
        // always tells, and one of milliseconds where a processor had much else to do (285 ms were seen). So nobody is asked here
        // for what is older; what the clocks say is judged on the wire, where it was sent.
        let moves = |name: &str, may_reset: bool| {
            disordered && MOVED_BY_DISORDER.contains(&name)
                || name == OLDER_CLOCKS
                || may_reset && name == RESETS
        };
        self.judge_resets(|may_reset| {
            let telltales = TELLTALES.iter().copied();
            let telltales: Vec<_> = telltales.filter(|name| !moves(name, may_reset)).collect();
            hosts().try_for_each(|(host, before)| peer::expect_unmoved(host, before, &telltales))
        })?;
        // A silent close counts as a reset: where the peer was never closed, none is due.
        if self.restores[End::Peer as usize].is_empty() && !disordered {
            let peer = self.hosts.of(End::Peer);
            for (_, before) in hosts().filter(|(host, _)| host.name() == peer.name()) {
                peer::expect_unmoved(peer, before, PEER_TELLTALES)?;
            }
        }
        Ok(())
    }

    fn judge_life(&self, end: End) -> Verdict {
        let captures = &self.captures[end as usize];
        if captures.is_empty() {
            return Ok(());
        }
        let traces = captures.iter().map(|capture| capture.trace());
        let traces = traces.collect::<Result<Vec<_>, _>>()?;
        let setup = self.model.setup;
        let first = match setup.opening {
            Opening::Handshake => None,
            Opening::Lost { subject } => (end == End::Subject).then_some(Seq(subject) + 1),
            Opening::Forged { subject, peer, .. } => Some(match end {
                End::Subject => Seq(subject),
                End::Peer => Seq(peer),
            }),
        };
        let life = |may_reset: bool| Life {
            flow: self.flow_of(end),
            stream: end.stream(),
            written: self.talk.written(end),
            late_reset: may_reset,
            lost_at_home: self.model.narrowed,
            timestamps: setup.timestamps != Clock::Off,
            sack: setup.sack,
            shift: self.shifts[end as usize],
            first,
            homes: &self.homes[end as usize],
            restores: &self.restores[end as usize],
        };
        self.judge_resets(|may_reset| life(may_reset).judge(&traces))
            .map_err(|stop| at(stop, &format!("the {end}")))
    }
}

/// How many RSTs there are, if before each of them something below the end of a stream has come behind its FIN.
fn late_resets(trace: &Trace) -> Option<usize> {
    let mut ends: Vec<(Flow, Seq)> = Vec::new();
    let (mut late, mut resets) = (0, 0);
    for segment in trace.segments() {
        let flags = segment.flags;
        let end = ends.iter().find(|(flow, _)| *flow == segment.flow);
        match end {
            _ if flags.rst() => resets += 1,
            Some((_, end)) if Seq(segment.seq).before(*end) => late += 1,
            None if flags.fin() => ends.push((segment.flow, Seq(segment.end_seq()))),
            _ => {}
        }
        if resets > late {
            return None;
        }
    }
    Some(resets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Direction, Packet};

    const ACK: u8 = 0x10;
    const FIN: u8 = 0x11;
    const RST: u8 = 0x04;

    /// A segment without data, as it was sent.
    fn packet(time: u64, seq: u32, flags: u8) -> Packet {
        let ethernet = [&[0; 12][..], &[8, 0]].concat();
        let ip = [
            69, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2,
        ];
        let (ports, ack) = ([0, 1, 0, 2], [0, 0, 0, 9]);
        let rest = [0x50, flags, 1, 0, 0, 0, 0, 0];
        let tcp = [&ports[..], &seq.to_be_bytes(), &ack, &rest].concat();
        Packet::decode(time, Direction::Egress, [&ethernet[..], &ip, &tcp].concat())
    }

    #[test]
    fn a_reset_is_late_behind_what_came_behind_the_end_of_its_stream() {
        let late = |flags: &[(u32, u8)]| {
            let packets = (0..)
                .zip(flags)
                .map(|(time, (seq, flags))| packet(time, *seq, *flags));
            late_resets(&Trace::of_packets("a/veth0", packets))
        };
        assert_eq!(late(&[(5, ACK), (5, FIN), (5, FIN), (6, RST)]), Some(1));
        let overtaken = [(5, ACK), (5, FIN), (6, ACK), (4, ACK), (6, RST)];
        assert_eq!(late(&overtaken), Some(1));
        assert_eq!(late(&[(5, FIN), (5, FIN), (6, ACK)]), Some(0));
        let in_time = [(4, ACK), (4, ACK), (5, FIN), (6, ACK), (6, RST)];
        assert_eq!(late(&in_time), None);
        assert_eq!(late(&[(5, FIN), (6, RST), (5, FIN)]), None, "before it");
        assert_eq!(late(&[(5, FIN), (5, FIN), (6, RST), (6, RST)]), None);
        assert_eq!(late(&[(5, FIN), (4, RST), (6, RST)]), None, "itself");
    }
}
