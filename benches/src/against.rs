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
        comparison.add_latencies(old, new);
        for before in &old.crowds {
            let same = |it: &&Crowd| (it.sockets, it.threads) == (before.sockets, before.threads);
            let now = new.crowds.iter().find(same).and_then(|it| it.to_one);
            comparison.add(before.title(), (before.to_one, now), BETWEEN_RUNS);
        }
        let slowness = |results: &Results| {
            let fidelity = results.fidelity.as_ref();
            fidelity.map(|fidelity| turned(fidelity.ratio))
        };
        let twin = "what a twin carries, to a restored connection".to_owned();
        comparison.add(twin, (slowness(old), slowness(new)), BETWEEN_RUNS);
        comparison.count_again(old, new);
        comparison.count_calls(old, new);
        comparison
    }

    fn add_latencies(&mut self, old: &Results, new: &Results) {
        // Not the baseline's, which is not ours to judge.
        let ours = |latency: &&Latency| latency.subject != name::BASELINE;
        for before in old.latencies.iter().filter(ours) {
            let now = new.latencies.iter().find(|now| now.is_as(before));
            let title = before.title();
            let slack = match before.bytes >= LONG {
                true => BETWEEN_RUNS_OF_COPIES,
                false => BETWEEN_RUNS,
            };
            let standstill = (before.to_floor, now.and_then(|it| it.to_floor));
            self.add(
                format!("{title}: standstill to the floor's"),
                standstill,
                slack,
            );
            // How long the kernel takes to find memory depends on who else wants some.
            if before.subject != name::COLD {
                let call = (before.call_to_floor, now.and_then(|it| it.call_to_floor));
                self.add(format!("{title}: all of it to the floor's"), call, slack);
            }
        }
    }

    /// Of a ratio that is to be small.
    fn add(&mut self, title: String, (before, now): (Option<Ratio>, Option<Ratio>), slack: f64) {
        let Some(before) = before else { return };
        let Some(now) = now else {
            self.missing.push(title);
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
        for before in &old.undisturbed {
            let pattern = before.pattern;
            let same = new.undisturbed.iter().find(|it| it.pattern == pattern);
            // More freezes have more occasions, and none is to be used.
            let Some(now) = same.filter(|it| it.freezes <= before.freezes) else {
                let freezes = before.freezes;
                self.missing
                    .push(format!("{pattern}, {freezes} freezes at most"));
                continue;
            };
            let retransmissions = [before, now].map(|it| it.retransmissions as u64);
            self.count(format!("retransmissions, {pattern}"), retransmissions);
            let resets = [before, now].map(|it| it.resets as u64);
            self.count(format!("resets, {pattern}"), resets);
        }
    }

    /// Only in repair mode: how much is asked before depends on the kernel.
    fn count_calls(&mut self, old: &Results, new: &Results) {
        if old.machine.root != new.machine.root {
            // A user who may not force sizes makes other calls.
            let other = "system calls: of one run by root, and one by another user";
            self.missing.push(other.to_owned());
            return;
        }
        for before in &old.calls {
            let (queue, length, subject) = (before.queue, size(before.bytes), &before.subject);
            let of = format!("{queue} queue of {length}, {subject}");
            let same = |it: &&Calls| {
                (it.queue, it.bytes, &it.subject) == (before.queue, before.bytes, subject)
            };
            let Some(now) = new.calls.iter().find(same) else {
                self.missing.push(format!("system calls, {of}"));
                continue;
            };
            let paused = [before, now].map(|it| it.paused);
            self.count(format!("system calls while paused, {of}"), paused);
            let cycle = [before, now].map(Calls::of_a_cycle);
            self.count(format!("system calls of a full cycle, {of}"), cycle);
        }
    }
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
        new.calls.remove(0);
        new.undisturbed[0].freezes += 1;
        let missing = Comparison::of(&old, &new).missing;
        let ratios = old.crowds.iter().filter(|it| it.to_one.is_some()).count();
        assert_eq!(missing.len(), 5 + ratios, "{missing:?}");
        assert_eq!(
            missing[0],
            "pause, save, resume, receive queue of 64 KiB, soccr: standstill to the floor's"
        );
        new.machine.root = !new.machine.root;
        let missing = Comparison::of(&old, &new).missing;
        assert!(missing.last().unwrap().starts_with("system calls: "));
        assert!(Comparison::of(&old, &old).missing.is_empty());
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
