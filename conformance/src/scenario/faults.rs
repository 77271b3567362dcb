//! What the network of a scenario does to segments.

use super::network::Hosts;
use super::step::Step;
use crate::oracle::stream::End;
use crate::verdict::Verdict;
use lab::wire::{Frame, Matcher, Rule, RuleGuard, Verdict as Fate};
use lab::{Blackhole, Direction, Flow, Match};

/// What is in force; gone once it is dropped.
#[derive(Default)]
pub(super) struct Faults {
    rules: Vec<RuleGuard>,
    blackholes: Vec<Blackhole>,
}

impl Faults {
    /// Puts a fault in force. Steps that are none change nothing.
    pub(super) fn add(&mut self, hosts: &Hosts, of_subject: Flow, step: &Step) -> Verdict {
        let Some(pair) = hosts.wire() else {
            if let Step::Lose(end, None) = *step {
                self.swallow(hosts, end.flow(of_subject), end)?;
            }
            return Ok(());
        };
        let wire = pair.wire();
        match *step {
            Step::Lose(end, count) => {
                let lost = Matcher::flow(end.flow(of_subject));
                self.rules.push(wire.rule(first(count, lost, Fate::Drop))?);
            }
            Step::Hold(end) => wire.hold(Matcher::flow(end.flow(of_subject)))?,
            Step::Reorder(end, by) => {
                let late = Matcher::flow(end.flow(of_subject)).and(Matcher::data());
                let fate = Fate::Reorder(by as usize);
                self.rules.push(wire.rule(first(Some(1), late, fate))?);
            }
            Step::Duplicate(end, count) => {
                let twice = Matcher::flow(end.flow(of_subject));
                self.rules
                    .push(wire.rule(first(Some(count), twice, Fate::Duplicate))?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets the network be as it should be.
    pub(super) fn clear(&mut self, hosts: &Hosts) -> Verdict {
        self.rules.clear();
        self.blackholes.clear();
        if let Some(pair) = hosts.wire() {
            pair.wire().release()?;
        }
        Ok(())
    }

    /// Where it would arrive: that it was sent is seen.
    fn swallow(&mut self, hosts: &Hosts, flow: Flow, from: End) -> Verdict {
        for host in hosts.all_of(from.other()) {
            let lost = Match::tcp().flow(flow);
            self.blackholes
                .push(host.blackhole(Direction::Ingress, lost)?);
        }
        Ok(())
    }
}

/// The rule for the first so many frames that are meant, or for all of them.
fn first(count: Option<u32>, meant: Matcher, fate: Fate) -> impl Rule + 'static {
    let mut left = count;
    move |frame: &Frame| {
        if !meant.matches(frame) || left == Some(0) {
            return Fate::Pass;
        }
        left = left.map(|left| left - 1);
        fate.clone()
    }
}
