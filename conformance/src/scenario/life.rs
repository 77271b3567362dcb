//! The life of one end on the wire: what a TCP may send from the first segment to the last, whoever it is that sends it.
//!
//! Nothing here knows what was saved. An end that was moved or restored has to go on as if nothing had been: the same rules
//! hold across it, and nothing at all is sent in between.

use crate::verdict::{Failure, Stop, Verdict};
use lab::{Direction, Flow, Item, Segment, Stream, TcpOption, Trace};
use soccr::Seq;

/// The end is about to be paused.
pub(super) const PAUSING: &str = "pausing";
/// The end is paused.
pub(super) const PAUSED: &str = "paused";
/// The saved socket is gone.
pub(super) const CLOSED: &str = "closed";
/// The connection is restored, and still paused.
pub(super) const RESTORED: &str = "restored";
/// All that the resume has caused has come to rest.
pub(super) const SETTLED: &str = "settled";

/// What is known of an end without having looked at the wire.
pub(super) struct Life<'a> {
    /// From this end to the other.
    pub(super) flow: Flow,
    /// What its application writes.
    pub(super) stream: Stream,
    /// How many bytes it has written.
    pub(super) written: u64,
    /// Whether what comes late may be answered by a RST once both streams have ended.
    pub(super) late_reset: bool,
    /// Whether a segment can have been lost at the link of the end itself, where nobody sees it.
    pub(super) lost_at_home: bool,
    /// Whether timestamps were negotiated.
    pub(super) timestamps: bool,
    /// Whether SACK was negotiated.
    pub(super) sack: bool,
    /// The shift of the windows that it announces.
    pub(super) shift: u8,
    /// Its first sequence number, where no SYN tells it.
    pub(super) first: Option<Seq>,
    /// On which of the hosts it is, from the beginning and after each restore.
    pub(super) homes: &'a [usize],
    /// What it is restored from, time after time.
    pub(super) restores: &'a [Restored],
}

/// What is known of a restore.
pub(super) struct Restored {
    /// The oldest byte that the peer had not acknowledged; none where the connection is over, of which the socket keeps no
    /// numbers.
    pub(super) snd_una: Option<Seq>,
    /// The end of what counts as sent from then on, also what nobody has seen: a FIN that never was, and what a timer, or the pace
    /// of the congestion control, has sent behind the rule that kept the traffic back.
    pub(super) snd_nxt: Option<Seq>,
    /// Whether the peer's FIN had come: what of it comes again is acknowledged again, paused or not (guide E4, E6).
    pub(super) has_peer_fin: bool,
    /// Whether a window probe is due at the resume.
    pub(super) probe: bool,
    /// Whether others may follow: the peer's window is closed, or somebody asks of his own accord whether he is there.
    pub(super) more_probes: bool,
}

/// What the end has said so far, which it must not take back.
struct Said {
    /// The number of the first byte of its stream.
    first: Option<Seq>,
    /// The end of what was sent.
    snd_nxt: Option<Seq>,
    /// Nothing below is sent any more, but for probes.
    snd_una: Option<Seq>,
    /// What it has heard of being acknowledged: a probe stands right before one of these.
    heard: Vec<Seq>,
    ack: Option<Seq>,
    edge: Option<Seq>,
    tsval: Option<u32>,
    /// Whether a FIN was seen, its own and that of the other end.
    ended: [bool; 2],
    phase: Phase,
    /// How many restores there were.
    restores: usize,
    probes: usize,
}

/// Where in a checkpoint the end is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Talking,
    Pausing,
    Paused,
    Closed,
}

impl Life<'_> {
    /// Judges what was captured at the links of all hosts that the end has been on.
    pub(super) fn judge(&self, traces: &[Trace]) -> Verdict {
        let traces: Vec<_> = traces
            .iter()
            .map(|trace| epochs(&trace.of(&self.flow)))
            .collect();
        let mut said = Said::new(self);
        for (epoch, &home) in self.homes.iter().enumerate() {
            for (place, trace) in traces.iter().enumerate() {
                let items = trace.get(epoch).map_or(&[][..], Vec::as_slice);
                match place == home {
                    true => items.iter().try_for_each(|item| said.take(self, item))?,
                    false => self.silent(items)?,
                }
            }
        }
        Ok(())
    }

    /// Nothing leaves a host that the end is not on.
    fn silent(&self, items: &[Item]) -> Verdict {
        let packets = items.iter().filter_map(|item| match item {
            Item::Packet(packet) => packet.segment(),
            Item::Mark(_) => None,
        });
        let mut leaked = packets.filter(|segment| segment.flow == self.flow);
        match leaked.next() {
            Some(segment) => {
                Err(Failure::new("the wire", "nothing from where it is not", segment).into())
            }
            None => Ok(()),
        }
    }
}

/// What stands in a trace until the first save is over, from there until the second is, and so on: the end is on another
/// host by then, or on the same again.
fn epochs(trace: &Trace) -> Vec<Vec<Item>> {
    let mut epochs = vec![Vec::new()];
    for item in trace.items() {
        if let Some(epoch) = epochs.last_mut() {
            epoch.push(item.clone());
        }
        if matches!(item, Item::Mark(mark) if mark.direction == Direction::Egress && mark.text == CLOSED)
        {
            epochs.push(Vec::new());
        }
    }
    epochs
}

impl Said {
    fn new(life: &Life<'_>) -> Self {
        Self {
            first: life.first,
            snd_nxt: life.first,
            snd_una: life.first,
            heard: life.first.into_iter().collect(),
            ack: None,
            edge: None,
            tsval: None,
            ended: [false; 2],
            phase: Phase::Talking,
            restores: 0,
            probes: 0,
        }
    }

    fn take(&mut self, life: &Life<'_>, item: &Item) -> Verdict {
        match item {
            Item::Mark(mark) if mark.direction == Direction::Egress => self.mark(life, &mark.text),
            Item::Mark(_) => Ok(()),
            Item::Packet(packet) => match packet.segment() {
                Some(segment) if segment.flow == life.flow => self.judge(life, segment),
                Some(segment) => {
                    self.hear(segment);
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    fn hear(&mut self, segment: &Segment) {
        self.heard.push(Seq(segment.ack));
        self.ended[1] |= segment.flags.fin();
    }

    fn mark(&mut self, life: &Life<'_>, text: &str) -> Verdict {
        self.phase = match text {
            PAUSING => Phase::Pausing,
            PAUSED => Phase::Paused,
            CLOSED => Phase::Closed,
            RESTORED => {
                self.probes = 0;
                let restored = life.restores.get(self.restores);
                self.snd_una = restored.and_then(|it| it.snd_una).or(self.snd_una);
                let sent = restored.and_then(|it| it.snd_nxt);
                if let Some(sent) = sent
                    && self.snd_nxt.is_none_or(|seen| sent.after(seen))
                {
                    self.snd_nxt = Some(sent);
                }
                self.restores += 1;
                Phase::Talking
            }
            SETTLED => {
                self.count_probes(life)?;
                self.phase
            }
            _ => self.phase,
        };
        Ok(())
    }

    /// What was restored last.
    fn last<'a>(&self, life: &Life<'a>) -> Option<&'a Restored> {
        life.restores.get(self.restores.checked_sub(1)?)
    }

    fn count_probes(&self, life: &Life<'_>) -> Verdict {
        let Some(restored) = self.last(life) else {
            return Ok(());
        };
        let (held, expected) = match (restored.probe, restored.more_probes) {
            (false, _) => (true, ""),
            (true, true) => (self.probes >= 1, "at least 1"),
            (true, false) => (self.probes == 1, "1"),
        };
        if held {
            return Ok(());
        }
        let what = format!("window probes after restore {}", self.restores);
        Err(Failure::new(what, expected, self.probes).into())
    }

    fn judge(&mut self, life: &Life<'_>, segment: &Segment) -> Verdict {
        let broken = |rule: String| Err(Stop::from(Failure::new("the wire", rule, segment)));
        if segment.flags.rst() {
            return match life.late_reset && self.ended == [true; 2] {
                true => Ok(()),
                false => broken("no RST".to_owned()),
            };
        }
        if segment.flags.syn() {
            if self.phase != Phase::Talking {
                return broken("no SYN between the pause and the resume".to_owned());
            }
            return match self.first {
                None => {
                    let first = Seq(segment.seq) + 1;
                    self.first = Some(first);
                    self.snd_nxt = Some(first);
                    self.snd_una = Some(first);
                    self.heard.push(first);
                    Ok(())
                }
                Some(first) if first == Seq(segment.seq) + 1 && self.ack.is_none() => Ok(()),
                Some(_) => broken("no SYN but the first one".to_owned()),
            };
        }
        let (Some(first), Some(snd_nxt), Some(snd_una)) = (self.first, self.snd_nxt, self.snd_una)
        else {
            return broken("nothing before the SYN".to_owned());
        };
        let fin_again = self.phase == Phase::Closed
            && life
                .restores
                .get(self.restores)
                .is_some_and(|it| it.has_peer_fin);
        let only_acknowledges =
            segment.payload_len == 0 && !segment.flags.fin() && segment.flags.ack();
        match self.phase {
            Phase::Talking => {}
            Phase::Pausing if only_acknowledges => {}
            Phase::Closed if fin_again && only_acknowledges => {}
            Phase::Pausing => return broken("no data while it is being paused".to_owned()),
            Phase::Paused | Phase::Closed => {
                return broken("nothing between the pause and the resume".to_owned());
            }
        }
        self.judge_numbers(life, segment, [first, snd_nxt, snd_una])?;
        self.judge_window(life, segment)?;
        self.judge_options(life, segment)
    }

    /// The bytes are those of the stream, none is left out, and none is sent that was acknowledged.
    fn judge_numbers(
        &mut self,
        life: &Life<'_>,
        segment: &Segment,
        [first, snd_nxt, snd_una]: [Seq; 3],
    ) -> Verdict {
        let broken = |rule: String| Err(Stop::from(Failure::new("the wire", rule, segment)));
        let seq = Seq(segment.seq);
        let empty = segment.payload_len == 0 && !segment.flags.fin();
        if empty && self.heard.contains(&(seq + 1)) && seq.before(snd_nxt) {
            self.probes += 1;
            return Ok(());
        }
        if seq.before(snd_una) {
            return broken(format!("nothing below {snd_una}, which is acknowledged"));
        }
        if seq.after(snd_nxt) && !life.lost_at_home {
            return broken(format!("no gap after {snd_nxt}"));
        }
        // A stream is shorter than the numbers are.
        let offset = u64::from(seq.0.wrapping_sub(first.0));
        if let Err(mismatch) = life.stream.check(offset, &segment.payload) {
            return broken(format!(
                "byte {} of the stream to be {:02x?}",
                mismatch.offset, mismatch.expected
            ));
        }
        let data_end = offset + u64::from(segment.payload_len);
        if data_end > life.written && !empty {
            return broken(format!("no more than the {} bytes written", life.written));
        }
        if segment.flags.fin() {
            if data_end != life.written {
                return broken(format!("the FIN behind {} bytes", life.written));
            }
            self.ended[0] = true;
        }
        let end = Seq(segment.end_seq());
        if end.after(snd_nxt) {
            self.snd_nxt = Some(end);
        }
        Ok(())
    }

    /// What is acknowledged stays so, and so does what may be sent.
    fn judge_window(&mut self, life: &Life<'_>, segment: &Segment) -> Verdict {
        let broken = |rule: String| Err(Stop::from(Failure::new("the wire", rule, segment)));
        let ack = Seq(segment.ack);
        if let Some(last) = self.ack
            && ack.before(last)
        {
            return broken(format!("an acknowledgement of {last} or more"));
        }
        self.ack = Some(ack);
        let edge = ack + (u32::from(segment.window) << life.shift);
        // The kernel closes the window over what it has offered when small segments have used up the buffer (guide B24). What
        // TIME-WAIT announces nobody will use.
        let void = segment.window == 0 || self.ended == [true; 2];
        if let Some(last) = self.edge
            && edge.before(last)
            && !void
        {
            return broken(format!(
                "a window up to {last} or further, not retracted to {edge}"
            ));
        }
        self.edge = Some(edge);
        Ok(())
    }

    fn judge_options(&mut self, life: &Life<'_>, segment: &Segment) -> Verdict {
        let broken = |rule: String| Err(Stop::from(Failure::new("the wire", rule, segment)));
        let mut tsval = None;
        for option in &segment.options {
            match option {
                TcpOption::Timestamps { value, .. } => tsval = Some(*value),
                TcpOption::Sack(_) if !life.sack => {
                    return broken("no SACK blocks, which were not negotiated".to_owned());
                }
                _ => {}
            }
        }
        // The peer's last timestamp does not come back, and TIME-WAIT without one sends none itself (guide A15).
        let forgotten = tsval.is_none() && self.restores > 0 && self.ended == [true; 2];
        if tsval.is_some() != life.timestamps && !forgotten {
            return broken(match life.timestamps {
                true => "timestamps, which were negotiated".to_owned(),
                false => "no timestamps, which were not negotiated".to_owned(),
            });
        }
        if let (Some(last), Some(now)) = (self.tsval, tsval)
            && Seq(now).before(Seq(last))
        {
            return broken(format!("a TSval of {last} or later"));
        }
        self.tsval = tsval.or(self.tsval);
        Ok(())
    }
}
