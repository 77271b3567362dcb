//! Comparing a run with an earlier one: by ratios within each run, never by times.
//!
//! Another machine, another kernel or another day has other times; it has nearly the same ratio to the floor of the same run.
//! Worse is what lies beyond both intervals, and further than two runs of one program ever lie apart.

use crate::results::{Calls, Crowd, Latency, Results, size};
use crate::run::LONG;
use crate::statistics::Ratio;
use crate::subject::name;
use crate::targets::shown;

/// By how much the same program differs from run to run, beyond the intervals of each.
const BETWEEN_RUNS: f64 = 0.1;
/// The same where copying is all that takes time: that goes by where pages lie, and by who else uses the cache.
const BETWEEN_RUNS_OF_COPIES: f64 = 0.2;

/// What fidelity is called, turned round.
const TWIN: &str = "what a twin carries, to a restored connection";

/// What a comparison has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What is worse than it was.
    pub worse: Vec<String>,
    /// What is better.
    pub better: Vec<String>,
    /// What only the earlier run has measured.
    pub missing: Vec<String>,
    /// How much was compared.
    pub compared: usize,
}

impl Comparison {
    /// Compares a run with an earlier one, as far as both have measured the same.
    #[must_use]
    pub fn of(old: &Results, new: &Results) -> Self {
        let mut comparison = Self::default();
        for latency in new.latencies.iter().filter(ours) {
            let Some(before) = old.latencies.iter().find(|before| before.is_as(latency)) else {
                continue;
            };
            let title = latency.title();
            let standstill = (before.to_floor, latency.to_floor);
            let slack = match latency.bytes >= LONG {
                true => BETWEEN_RUNS_OF_COPIES,
                false => BETWEEN_RUNS,
            };
            comparison.add(
                format!("{title}: standstill to the floor's"),
                standstill,
                slack,
            );
            // How long the kernel takes to find memory depends on who else wants some.
            if latency.subject != name::COLD {
                let call = (before.call_to_floor, latency.call_to_floor);
                comparison.add(format!("{title}: all of it to the floor's"), call, slack);
            }
        }
        for crowd in &new.crowds {
            let same = |it: &&Crowd| (it.sockets, it.threads) == (crowd.sockets, crowd.threads);
            if let Some(before) = old.crowds.iter().find(same) {
                comparison.add(crowd.title(), (before.to_one, crowd.to_one), BETWEEN_RUNS);
            }
        }
        let slowness = |results: &Results| {
            let fidelity = results.fidelity.as_ref();
            fidelity.map(|fidelity| turned(fidelity.ratio))
        };
        let carried = (slowness(old), slowness(new));
        comparison.add(TWIN.to_owned(), carried, BETWEEN_RUNS);
        comparison.count_again(old, new);
        comparison.count_calls(old, new);
        comparison.missing = missing(old, new);
        comparison
    }

    /// Of a ratio that is to be small.
    fn add(&mut self, title: String, (before, now): (Option<Ratio>, Option<Ratio>), slack: f64) {
        let (Some(before), Some(now)) = (before, now) else {
            return;
        };
        self.compared += 1;
        let told = format!("{title}: {} was {}", shown(&now), shown(&before));
        if now.is_above(&before, slack) {
            self.worse.push(told);
        } else if before.is_above(&now, slack) {
            self.better.push(told);
        }
    }

    /// What is counted has no interval: one more is one more.
    fn count(&mut self, title: String, [before, now]: [u64; 2]) {
        self.compared += 1;
        let told = format!("{title}: {now} was {before}");
        match now.cmp(&before) {
            std::cmp::Ordering::Greater => self.worse.push(told),
            std::cmp::Ordering::Less => self.better.push(told),
            std::cmp::Ordering::Equal => {}
        }
    }

    fn count_again(&mut self, old: &Results, new: &Results) {
        for now in &new.undisturbed {
            let same = old.undisturbed.iter().find(|it| it.pattern == now.pattern);
            // More freezes have more occasions, and none is to be used.
            if let Some(before) = same.filter(|it| it.freezes >= now.freezes) {
                let pattern = now.pattern;
                let retransmissions = [before, now].map(|it| it.retransmissions as u64);
                self.count(format!("retransmissions, {pattern}"), retransmissions);
                let resets = [before, now].map(|it| it.resets as u64);
                self.count(format!("resets, {pattern}"), resets);
            }
        }
    }

    /// Only in repair mode: how much is asked before depends on the kernel.
    fn count_calls(&mut self, old: &Results, new: &Results) {
        for now in &new.calls {
            let same = |it: &&Calls| {
                (it.queue, it.bytes, &it.subject) == (now.queue, now.bytes, &now.subject)
            };
            // A user who may not force sizes makes other calls.
            let comparable = old.machine.root == new.machine.root;
            if let Some(before) = old.calls.iter().find(same).filter(|_| comparable) {
                let (queue, length, subject) = (now.queue, size(now.bytes), &now.subject);
                let of = format!("{queue} queue of {length}, {subject}");
                let paused = [before, now].map(|it| it.paused);
                self.count(format!("system calls while paused, {of}"), paused);
                let cycle = [before, now].map(Calls::of_a_cycle);
                self.count(format!("system calls of a full cycle, {of}"), cycle);
            }
        }
    }
}

/// What the earlier run has measured and this one has not, of what is ours to judge.
fn missing(old: &Results, new: &Results) -> Vec<String> {
    let gone = |it: &&Latency| !new.latencies.iter().any(|now| now.is_as(it));
    let latencies = old.latencies.iter().filter(ours).filter(gone);
    let mut missing: Vec<_> = latencies.map(Latency::title).collect();
    let crowds = old.crowds.iter().map(Crowd::title);
    missing.extend(crowds.filter(|title| !new.crowds.iter().any(|now| now.title() == *title)));
    if old.fidelity.is_some() && new.fidelity.is_none() {
        missing.push(TWIN.to_owned());
    }
    missing
}

/// Not the baseline's, which is not ours to judge.
fn ours(latency: &&Latency) -> bool {
    latency.subject != name::BASELINE
}

/// Of the other by the one.
fn turned(ratio: Ratio) -> Ratio {
    Ratio {
        value: 1.0 / ratio.value,
        low: 1.0 / ratio.high,
        high: 1.0 / ratio.low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::results;

    #[test]
    fn a_run_is_no_worse_than_itself() {
        let run = results();
        let comparison = Comparison::of(&run, &run);
        assert!(comparison.compared > 4, "{comparison:?}");
        assert!(comparison.worse.is_empty() && comparison.better.is_empty());
    }

    #[test]
    fn twice_the_time_on_a_machine_that_is_half_as_fast_is_not_worse() {
        let (old, mut new) = (results(), results());
        for latency in &mut new.latencies {
            for time in &mut latency.standstill.percentiles {
                *time *= 2.0;
            }
        }
        assert_eq!(Comparison::of(&old, &new).worse, [""; 0]);
    }

    #[test]
    fn a_ratio_beyond_both_intervals_is_worse_and_the_other_way_round_better() {
        let (old, mut new) = (results(), results());
        new.latencies[0].to_floor = Some(Ratio {
            value: 1.5,
            low: 1.45,
            high: 1.55,
        });
        let worse = Comparison::of(&old, &new).worse;
        assert_eq!(
            worse,
            [
                "pause, save, resume, receive queue of 64 KiB, soccr: standstill to the floor's: 1.50 [1.45, 1.55] was 1.05 \
                 [1.00, 1.10]"
            ]
        );
        assert_eq!(Comparison::of(&new, &old).better.len(), 1);
        // Where copying is all that takes time, as much differs from run to run.
        let (mut long_before, mut long_now) = (old.clone(), new.clone());
        for (results, low) in [(&mut long_before, 1.0), (&mut long_now, 1.3)] {
            results.latencies[0].bytes = LONG;
            results.latencies[0].to_floor = Some(Ratio {
                value: low + 0.05,
                low,
                high: low + 0.1,
            });
        }
        assert_eq!(Comparison::of(&long_before, &long_now).worse, [""; 0]);
        long_now.latencies[0].bytes = 64 << 10;
        long_before.latencies[0].bytes = 64 << 10;
        assert_eq!(Comparison::of(&long_before, &long_now).worse.len(), 1);
        // As large as the other interval allows: noise.
        new.latencies[0].to_floor = Some(Ratio {
            value: 1.5,
            low: 1.1,
            high: 1.9,
        });
        assert_eq!(Comparison::of(&old, &new).worse, [""; 0]);
    }

    #[test]
    fn what_only_the_earlier_run_has_measured_is_told() {
        let (old, mut new) = (results(), results());
        new.latencies.remove(0);
        new.crowds.clear();
        new.fidelity = None;
        let missing = Comparison::of(&old, &new).missing;
        assert_eq!(missing.len(), 2 + old.crowds.len(), "{missing:?}");
        assert_eq!(
            missing[0],
            "pause, save, resume, receive queue of 64 KiB, soccr"
        );
        assert!(Comparison::of(&new, &old).missing.is_empty());
    }

    #[test]
    fn what_is_counted_has_no_interval_and_what_is_to_be_large_is_turned_round() {
        let (old, mut new) = (results(), results());
        new.undisturbed[0].retransmissions = 1;
        new.undisturbed[0].resets = 1;
        new.calls[0].paused += 1;
        new.calls[0].closed += 1;
        if let Some(fidelity) = &mut new.fidelity {
            fidelity.ratio = Ratio {
                value: 0.5,
                low: 0.4,
                high: 0.6,
            };
        }
        let worse = Comparison::of(&old, &new).worse;
        assert_eq!(worse.len(), 5, "{worse:?}");
        for expected in [
            "retransmissions, idle: 1 was 0",
            "resets, idle: 1 was 0",
            "system calls of a full cycle, receive queue of 0, soccr: ",
        ] {
            assert!(worse.iter().any(|it| it.contains(expected)), "{worse:?}");
        }
    }
}
