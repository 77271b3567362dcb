//! Medians, ratios, and how sure they are.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// How often a bootstrap draws.
const DRAWS: usize = 1000;
/// What is left out at each end, so that 95 % are within.
const TAIL: f64 = 0.025;
/// How many points of a distribution are kept.
const POINTS: usize = 101;

/// A ratio of two medians or sums, and the interval in which 95 % of its bootstrap draws lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The ratio itself.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Ratio {
    /// Whether it is larger than one of another run, beyond both intervals and the part that two runs of one program may differ
    /// by besides.
    #[must_use]
    pub fn is_above(&self, other: &Self, between_runs: f64) -> bool {
        self.low > other.high * (1.0 + between_runs)
    }
}

/// What a number of measurements looks like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// How many there were.
    pub count: usize,
    /// The smallest, the percentiles, the largest.
    pub percentiles: Vec<f64>,
}

impl Distribution {
    /// That of these values.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let last = sorted.len().saturating_sub(1);
            sorted.get(last * percent / (POINTS - 1)).copied()
        };
        Self {
            count: values.len(),
            percentiles: (0..POINTS).filter_map(at).collect(),
        }
    }

    /// The value that `percent` of all are not above; NaN of nothing.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        self.percentiles.get(percent).copied().unwrap_or(f64::NAN)
    }

    /// The value in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }
}

/// How many values are made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// By the one in the middle: a round that was disturbed does not count.
    Median,
    /// By their sum: every round counts.
    Sum,
}

impl Estimate {
    fn of(self, values: &mut [f64]) -> f64 {
        match self {
            Self::Sum => values.iter().sum(),
            Self::Median if values.is_empty() => f64::NAN,
            Self::Median => {
                let middle = (values.len() - 1) / 2;
                *values.select_nth_unstable_by(middle, f64::total_cmp).1
            }
        }
    }
}

/// The ratio of what was measured in pairs, block by block: a pair shares its moment, a block its connection.
///
/// The interval is that of a bootstrap which draws blocks and, within a block, pairs: what differs from connection to
/// connection widens it as well as what differs from round to round. The same values have the same interval.
#[must_use]
pub fn ratio(pairs: &[Vec<(f64, f64)>], by: Estimate) -> Ratio {
    let mut random = Rng::with_seed(0x50cc);
    let all: Vec<_> = pairs.iter().flatten().copied().collect();
    let mut draws: Vec<_> = (0..DRAWS)
        .map(|_| quotient(&draw(pairs, &mut random), by))
        .collect();
    draws.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (share * (DRAWS - 1) as f64).round() as usize;
        draws.get(index).copied().unwrap_or(f64::NAN)
    };
    Ratio {
        value: quotient(&all, by),
        low: at(TAIL),
        high: at(1.0 - TAIL),
    }
}

fn quotient(pairs: &[(f64, f64)], by: Estimate) -> f64 {
    let (mut over, mut under): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    by.of(&mut over) / by.of(&mut under)
}

fn draw(blocks: &[Vec<(f64, f64)>], random: &mut Rng) -> Vec<(f64, f64)> {
    let mut drawn = Vec::new();
    for _ in blocks {
        let Some(block) = random.choice(blocks) else {
            continue;
        };
        drawn.extend(block.iter().filter_map(|_| random.choice(block)));
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(random: &mut Rng, level: f64) -> f64 {
        level * (1.0 + random.f64() / 10.0)
    }

    fn blocks(factor: f64) -> Vec<Vec<(f64, f64)>> {
        let mut random = Rng::with_seed(7);
        let mut block = || {
            (0..50)
                .map(|_| (noisy(&mut random, factor), noisy(&mut random, 1.0)))
                .collect()
        };
        (0..4).map(|_| block()).collect()
    }

    #[test]
    fn a_ratio_lies_in_its_interval_and_the_true_one_too() {
        for by in [Estimate::Median, Estimate::Sum] {
            let ratio = ratio(&blocks(1.5), by);
            assert!(
                ratio.low < ratio.value && ratio.value < ratio.high,
                "{ratio:?}"
            );
            assert!(ratio.low < 1.5 && 1.5 < ratio.high, "{ratio:?}");
            assert!(ratio.high - ratio.low < 0.1, "{ratio:?}");
        }
    }

    #[test]
    fn only_what_no_noise_explains_is_above() {
        let ratio = |factor| ratio(&blocks(factor), Estimate::Median);
        assert!(ratio(1.3).is_above(&ratio(1.0), 0.05));
        assert!(!ratio(1.0).is_above(&ratio(1.0), 0.05));
        assert!(!ratio(1.001).is_above(&ratio(1.0), 0.0));
        assert!(!ratio(1.0).is_above(&ratio(1.3), 0.0));
        assert!(!ratio(1.3).is_above(&ratio(1.0), 0.5));
    }

    #[test]
    fn a_block_that_differs_widens_the_interval() {
        let mut blocks = blocks(1.0);
        let width = |ratio: Ratio| ratio.high - ratio.low;
        let before = width(ratio(&blocks, Estimate::Sum));
        for (over, _) in &mut blocks[0] {
            *over *= 2.0;
        }
        assert!(width(ratio(&blocks, Estimate::Sum)) > 2.0 * before);
    }

    #[test]
    fn a_disturbed_round_moves_the_sum_and_not_the_median() {
        let mut blocks = vec![vec![(1.0, 1.0); 11]];
        blocks[0][3].0 = 1000.0;
        assert!((ratio(&blocks, Estimate::Median).value - 1.0).abs() < 1e-9);
        assert!(ratio(&blocks, Estimate::Sum).value > 90.0);
    }

    #[test]
    fn a_distribution_has_its_ends_and_its_middle() {
        let values: Vec<_> = (0..=1000).rev().map(f64::from).collect();
        let distribution = Distribution::of(&values);
        let at = |percent| distribution.percentile(percent);
        assert_eq!(
            (at(0), at(50), at(99), at(100)),
            (0.0, 500.0, 990.0, 1000.0)
        );
        assert_eq!(distribution.count, 1001);
        assert!(Distribution::of(&[]).median().is_nan());
    }
}
