//! What was to be reached, and whether it was.

use crate::bench_connection::Filled;
use crate::results::{Calls, Crowd, Latency, Results, Verdict, Work, size};
use crate::statistics::Ratio;
use crate::subject::name;

/// The standstill next to the floor's.
const FLOOR: f64 = 1.10;
/// That with buffers that have to be allocated, next to that with buffers that are there.
const COLD: f64 = 1.15;
/// What a socket costs among many, next to one alone.
const CROWD: f64 = 1.0;
/// What a restored connection carries, next to its twin.
const FIDELITY: f64 = 0.97;

/// Judges a run. What was not measured has no verdict.
#[must_use]
pub fn verdicts(results: &Results) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for work in Work::BOTH {
        let target = format!("{work}: at most {FLOOR:.2} x the floor at every size");
        let ratios = ratios(results, work, name::WARM, |latency| latency.to_floor);
        verdicts.extend(at_most(target, FLOOR, &ratios).map(|mut verdict| {
            if !verdict.met {
                verdict.measured += &calls(&results.calls, work);
            }
            verdict
        }));
    }
    for work in Work::BOTH {
        let target = format!("{work}: cold buffers at most {COLD:.2} x warm ones at every size");
        let ratios = ratios(results, work, name::COLD, |latency| latency.to_warm);
        verdicts.extend(at_most(target, COLD, &ratios));
    }
    verdicts.extend(crowd(&results.crowds));
    verdicts.extend(results.fidelity.as_ref().map(|fidelity| Verdict {
        target: format!("a restored connection carries at least {FIDELITY:.2} x its twin"),
        met: fidelity.ratio.value >= FIDELITY,
        measured: shown(&fidelity.ratio),
    }));
    verdicts.extend(undisturbed(results));
    verdicts
}

/// A ratio with its interval.
#[must_use]
pub fn shown(ratio: &Ratio) -> String {
    let Ratio { value, low, high } = ratio;
    format!("{value:.2} [{low:.2}, {high:.2}]")
}

/// What each ratio is about, and the ratio.
type Named = Vec<(String, Ratio)>;

fn ratios(
    results: &Results,
    work: Work,
    subject: &str,
    of: fn(&Latency) -> Option<Ratio>,
) -> Named {
    let mut named = Vec::new();
    for queue in Filled::ALL {
        for latency in results.latencies_of(work, queue, subject) {
            let title = format!("{queue} {}", size(latency.bytes));
            named.extend(of(latency).map(|ratio| (title, ratio)));
        }
    }
    named
}

fn at_most(target: String, limit: f64, ratios: &Named) -> Option<Verdict> {
    let missed: Vec<_> = ratios
        .iter()
        .filter(|(_, ratio)| ratio.value > limit)
        .map(|(title, ratio)| format!("{title}: {}", shown(ratio)))
        .collect();
    let worst = ratios
        .iter()
        .max_by(|(_, one), (_, other)| one.value.total_cmp(&other.value))?;
    Some(Verdict {
        target,
        met: missed.is_empty(),
        measured: match missed.is_empty() {
            true => format!("at most {} ({})", shown(&worst.1), worst.0),
            false => format!(
                "{} of {} sizes missed: {}",
                missed.len(),
                ratios.len(),
                missed.join("; ")
            ),
        },
    })
}

/// Why it cannot be the same: what the library asks the kernel, and the floor does not.
fn calls(calls: &[Calls], work: Work) -> String {
    let made = |subject: &str| {
        let of = |it: &&Calls| it.subject == subject && it.bytes == 0;
        let calls = calls.iter().find(of)?;
        Some(match work {
            Work::PauseToResume => calls.paused,
            Work::FullCycle => calls.of_a_cycle(),
        })
    };
    match (made(name::WARM), made(name::FLOOR)) {
        (Some(ours), Some(floor)) => {
            format!(". With empty queues {ours} system calls, where the floor makes {floor}")
        }
        _ => String::new(),
    }
}

fn crowd(crowds: &[Crowd]) -> Option<Verdict> {
    let most = crowds.iter().map(|crowd| crowd.sockets).max()?;
    let largest = crowds.iter().filter(|crowd| crowd.sockets == most);
    let ratios: Vec<_> = largest
        .filter_map(|crowd| Some((crowd.threads, crowd.to_one?)))
        .collect();
    let measured: Vec<_> = ratios
        .iter()
        .map(|(threads, ratio)| match threads {
            1 => format!("{} on one thread", shown(ratio)),
            threads => format!("{} on {threads} threads", shown(ratio)),
        })
        .collect();
    (!ratios.is_empty()).then(|| Verdict {
        target: format!("one of {most} sockets costs at most as much as one alone"),
        met: ratios.iter().all(|(_, ratio)| ratio.value <= CROWD),
        measured: measured.join(", "),
    })
}

fn undisturbed(results: &Results) -> Option<Verdict> {
    let all = &results.undisturbed;
    let told: Vec<_> = all
        .iter()
        .map(|it| {
            let (pattern, freezes) = (it.pattern, it.freezes);
            format!(
                "{pattern}: {} retransmissions and {} resets in {freezes} freezes",
                it.retransmissions, it.resets
            )
        })
        .collect();
    (!all.is_empty()).then(|| Verdict {
        target: "no retransmission caused by a freeze and thaw of a connection that is not busy"
            .to_owned(),
        met: all.iter().all(|it| it.retransmissions + it.resets == 0),
        measured: told.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(value: f64) -> Ratio {
        Ratio {
            value,
            low: value - 0.01,
            high: value + 0.01,
        }
    }

    fn named(values: &[f64]) -> Named {
        let named = values.iter().zip(["a", "b", "c"]);
        named
            .map(|(value, name)| (name.to_owned(), ratio(*value)))
            .collect()
    }

    #[test]
    fn every_size_has_to_reach_it_and_those_that_do_not_are_named() {
        let met = at_most("x".to_owned(), 1.1, &named(&[0.9, 1.1, 1.0])).unwrap();
        assert!(met.met);
        assert_eq!(met.measured, "at most 1.10 [1.09, 1.11] (b)");
        let missed = at_most("x".to_owned(), 1.1, &named(&[1.3, 1.1, 1.2])).unwrap();
        assert!(!missed.met);
        assert_eq!(
            missed.measured,
            "2 of 3 sizes missed: a: 1.30 [1.29, 1.31]; c: 1.20 [1.19, 1.21]"
        );
        assert_eq!(at_most("x".to_owned(), 1.1, &named(&[])), None);
    }

    #[test]
    fn the_largest_crowd_counts_on_any_number_of_threads() {
        let one = |sockets, threads, to_one| Crowd {
            sockets,
            threads,
            per_socket: Default::default(),
            standstill: 0.0,
            to_one,
        };
        let alone = one(1, 1, None);
        let crowds = |value| {
            let small = one(10, 1, Some(ratio(2.0)));
            let large = one(100, 1, Some(ratio(value)));
            [alone.clone(), small, large, one(100, 2, Some(ratio(0.6)))]
        };
        assert!(crowd(&crowds(0.9)).unwrap().met);
        assert!(!crowd(&crowds(1.1)).unwrap().met);
        assert_eq!(crowd(&[alone]), None);
    }
}
