//! The rules of the wire: what the host of a restored socket may send, and when.

use crate::verdict::{Failure, Stop, Verdict, expect, expect_eq};
use lab::{Flags, Flow, Segment, TcpOption, Trace};
use soccr::{Seq, Snapshot};

/// Mark: the socket is about to be paused.
pub const PAUSING: &str = "pausing";
/// Mark: the socket is paused.
pub const PAUSED: &str = "paused";
/// Mark: the saved socket is closed.
pub const CLOSED: &str = "closed";
/// Mark: the connection is restored and still paused.
pub const RESTORED: &str = "restored";
/// Mark: the application has closed the connection: FINs are in order from here on.
pub const CLOSING: &str = "closing";

/// What the wire is judged against.
#[derive(Debug)]
pub struct WireRules<'a> {
    /// The connection, from the saved end to its peer.
    pub flow: Flow,
    /// What was saved.
    pub snapshot: &'a Snapshot,
    /// How many window probes are due after the resume.
    pub probes: Probes,
    /// Whether our FIN may be sent again though the peer has acknowledged it: where no packet put that back.
    pub repeated_fin: bool,
    /// Whether what was in flight may be sent again before the resume: where the connection was restored for so long that
    /// its timer has ended (guide A9).
    pub sends_again: bool,
}

/// How many window probes may be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probes {
    /// Exactly one; at most one of a connection whose peer is told of its room when it is read (see [`told_when_read`]).
    One,
    /// One or more.
    AtLeastOne,
    /// None that is due: only a connection that is ESTABLISHED sends one, and what else looks like one does no harm.
    NoneDue,
}

impl WireRules<'_> {
    /// Judges what was captured at the link of the saved end, from before the pause until after the close.
    ///
    /// # Errors
    /// [`Stop::Fail`] with the rule and the segment that broke it; [`Stop::Broken`] where a mark is missing.
    pub fn judge(&self, trace: &Trace) -> Verdict {
        let trace = trace.of(&self.flow);
        self.silence(&trace)?;
        self.flags(&trace)?;
        let before = trace.before(PAUSED)?;
        let after = trace.after(RESTORED)?;
        let mut last = Last::new(self, &before.outgoing());
        let mut probes = 0;
        for segment in after.segments() {
            if segment.flow != self.flow {
                last.acknowledged.push(Seq(segment.ack));
                continue;
            }
            if last.is_probe(segment) {
                probes += 1;
            }
            last.judge(self, segment)?;
        }
        self.count_probes(probes)
    }

    /// Nothing of the connection leaves between the pause and the resume, and nothing but an acknowledgement that is
    /// due while it is being paused.
    fn silence(&self, trace: &Trace) -> Verdict {
        let due = trace.between(PAUSING, PAUSED)?.outgoing();
        expect(
            format!("the wire between {PAUSING:?} and {PAUSED:?}"),
            "acknowledgements without data",
            &due,
            due.segments()
                .all(|segment| segment.flags == Flags::ACK && segment.payload_len == 0),
        )?;
        let leaked = trace.between(PAUSED, CLOSED)?.outgoing();
        expect(
            format!("the wire between {PAUSED:?} and {CLOSED:?}"),
            "nothing leaves",
            &leaked,
            leaked.segments().next().is_none(),
        )?;
        // A FIN that comes in again is acknowledged again, in repair mode too (guide E4, E6).
        let acknowledges = self.snapshot.state.has_peer_fin();
        let leaked = trace.between(CLOSED, RESTORED)?.outgoing();
        let acknowledgement = |segment: &Segment| {
            acknowledges
                && segment.flags == Flags::ACK
                && segment.payload_len == 0
                && Seq(segment.ack) == self.snapshot.rcv_nxt()
                && self.has_its_clock(segment)
        };
        let again = |segment: &Segment| {
            let (start, end) = (Seq(segment.seq), Seq(segment.end_seq()));
            self.sends_again
                && start != end
                && !start.before(self.snd_una())
                && !end.after(self.snd_nxt())
        };
        let allowed = |segment: &Segment| acknowledgement(segment) || again(segment);
        expect(
            format!("the wire between {CLOSED:?} and {RESTORED:?}"),
            match self.sends_again {
                true => "what was in flight, and an acknowledgement of a FIN that came in again",
                false => "nothing leaves, but an acknowledgement of a FIN that came in again",
            },
            &leaked,
            leaked.segments().all(allowed),
        )
    }

    /// No RST and no SYN at any time, and before the application closes no FIN but those that were sent before: the same
    /// one again.
    fn flags(&self, trace: &Trace) -> Verdict {
        let check = |rule: &str, segment: Option<&Segment>| match segment {
            Some(segment) => Err(Stop::from(Failure::new("the wire", rule, segment))),
            None => Ok(()),
        };
        let since = trace.after(PAUSING)?;
        check(
            "no RST",
            since.segments().find(|segment| segment.flags.rst()),
        )?;
        check(
            "no SYN",
            since.segments().find(|segment| segment.flags.syn()),
        )?;
        let until = trace.between(PAUSING, CLOSING)?;
        let (rcv_nxt, write_seq) = (self.snapshot.rcv_nxt(), self.snapshot.write_seq());
        let state = self.snapshot.state;
        let again = |segment: &Segment| match segment.flow == self.flow {
            true => (state.owes_fin() || self.repeated_fin) && Seq(segment.end_seq()) == write_seq,
            false => state.has_peer_fin() && Seq(segment.end_seq()) == rcv_nxt,
        };
        check(
            "no FIN but those of before, at their numbers",
            until
                .segments()
                .find(|segment| segment.flags.fin() && !again(segment)),
        )
    }

    /// Whether a segment of an attempt has the clock of what was saved: from there on, and not so far that it is another.
    fn has_its_clock(&self, segment: &Segment) -> bool {
        let Some(clock) = self.snapshot.options.timestamps else {
            return true;
        };
        let minute = match clock.microseconds {
            true => 60_000_000,
            false => 60_000,
        };
        tsval(segment).is_some_and(|value| value.wrapping_sub(clock.value) < minute)
    }

    /// The oldest byte that may be sent again.
    fn snd_una(&self) -> Seq {
        match self.repeated_fin {
            true => self.snapshot.send.end,
            false => self.snapshot.snd_una(),
        }
    }

    /// The end of what was sent before the save.
    fn snd_nxt(&self) -> Seq {
        let snapshot = self.snapshot;
        match snapshot.state.has_own_fin() && !snapshot.send.fin_unsent {
            true => snapshot.write_seq(),
            false => snapshot.send.start() + snapshot.send.sent().len() as u32,
        }
    }

    fn count_probes(&self, probes: usize) -> Verdict {
        match self.probes {
            Probes::One if told_when_read(self.snapshot) => expect(
                "window probes after the resume",
                "at most 1",
                probes,
                probes <= 1,
            ),
            Probes::One => expect_eq("window probes after the resume", probes, 1),
            Probes::AtLeastOne => expect(
                "window probes after the resume",
                "at least 1",
                probes,
                probes > 0,
            ),
            Probes::NoneDue => Ok(()),
        }
    }
}

/// Whether the peer knows of less room than there are bytes to be read, and nothing waits to be sent: it is told of more when
/// they are read, unless a probe was sent first (`tcp_cleanup_rbuf`, `tcp_select_window`).
#[must_use]
pub fn told_when_read(snapshot: &Snapshot) -> bool {
    let Some(window) = snapshot.window else {
        return false;
    };
    let known = (window.rcv_wup + window.rcv_wnd) - snapshot.rcv_nxt();
    let is_behind = (known.max(0) as usize) < snapshot.receive.bytes.len();
    is_behind && snapshot.send.bytes.is_empty()
}

/// What the host has said last, which it must not take back.
struct Last {
    /// The oldest byte that the peer had not acknowledged at the save.
    snd_una: Seq,
    /// What the peer has acknowledged since: it may speak first, even before the resume.
    acknowledged: Vec<Seq>,
    /// The end of what was sent.
    snd_nxt: Seq,
    ack: Seq,
    /// The right edge of the window; `None` before one was advertised that has to be kept.
    edge: Option<Seq>,
    tsval: Option<u32>,
    receive_shift: u8,
}

impl Last {
    fn new(rules: &WireRules<'_>, before: &Trace) -> Self {
        let snapshot = rules.snapshot;
        let receive_shift = snapshot.options.window_scale.map_or(0, |scale| scale.rcv);
        let said = before
            .segments()
            .filter(|segment| !segment.flags.syn())
            .last();
        Self {
            snd_una: rules.snd_una(),
            acknowledged: Vec::new(),
            snd_nxt: rules.snd_nxt(),
            ack: snapshot.rcv_nxt(),
            // A snapshot without a window cannot keep the one that was advertised.
            edge: said
                .filter(|_| snapshot.window.is_some())
                .map(|segment| edge(segment, receive_shift)),
            tsval: said.and_then(tsval),
            receive_shift,
        }
    }

    /// An empty segment in front of the oldest byte that is not acknowledged, as far as the sender may have known.
    fn is_probe(&self, segment: &Segment) -> bool {
        let next = Seq(segment.seq) + 1;
        segment.payload_len == 0
            && segment.flags == Flags::ACK
            && (next == self.snd_una || self.acknowledged.contains(&next))
    }

    fn judge(&mut self, rules: &WireRules<'_>, segment: &Segment) -> Verdict {
        let broken = |rule: String| {
            Err(Stop::from(Failure::new(
                "the wire after the resume",
                rule,
                segment,
            )))
        };
        let (seq, ack) = (Seq(segment.seq), Seq(segment.ack));
        if !self.is_probe(segment) {
            if seq.before(self.snd_una) {
                return broken(format!(
                    "nothing below {}, which is acknowledged",
                    self.snd_una
                ));
            }
            if seq.after(self.snd_nxt) {
                return broken(format!("no gap after {}", self.snd_nxt));
            }
            let end = seq + segment.payload_len + u32::from(segment.flags.fin());
            if end.after(self.snd_nxt) {
                self.snd_nxt = end;
            }
        }
        if ack.before(self.ack) {
            return broken(format!("an acknowledgement of {} or more", self.ack));
        }
        self.ack = ack;
        let edge = edge(segment, self.receive_shift);
        if let Some(last) = self.edge
            && edge.before(last)
        {
            return broken(format!(
                "a window up to {last} or further, not retracted to {edge}"
            ));
        }
        self.edge = Some(edge);
        self.judge_options(rules, segment)
    }

    fn judge_options(&mut self, rules: &WireRules<'_>, segment: &Segment) -> Verdict {
        let broken = |rule: String| {
            Err(Stop::from(Failure::new(
                "the options after the resume",
                rule,
                segment,
            )))
        };
        let options = &rules.snapshot.options;
        let tsval = tsval(segment);
        if tsval.is_some() != options.timestamps.is_some() {
            return broken(match options.timestamps {
                Some(_) => "timestamps, which were negotiated".to_owned(),
                None => "no timestamps, which were not negotiated".to_owned(),
            });
        }
        if let (Some(last), Some(now)) = (self.tsval, tsval)
            && Seq(now).before(Seq(last))
        {
            return broken(format!("a TSval of {last} or later"));
        }
        self.tsval = tsval;
        let sacks = segment
            .options
            .iter()
            .any(|option| matches!(option, TcpOption::Sack(_)));
        if sacks && !options.sack {
            return broken("no SACK blocks, which were not negotiated".to_owned());
        }
        Ok(())
    }
}

/// The right edge of the window that a segment advertises (RFC 7323, section 2.3).
fn edge(segment: &Segment, shift: u8) -> Seq {
    Seq(segment.ack) + (u32::from(segment.window) << shift)
}

fn tsval(segment: &Segment) -> Option<u32> {
    segment.options.iter().find_map(|option| match option {
        TcpOption::Timestamps { value, .. } => Some(*value),
        _ => None,
    })
}
