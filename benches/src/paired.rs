//! Measuring side by side: everybody once a round, so that what changes on the machine changes for all of them.
//!
//! criterion measures one function after the other; between them a machine may have become another one. Here each round
//! begins with somebody else (A B C, B C A, …), and only rounds are compared with rounds.

use crate::error::Error;
use crate::statistics::{Distribution, Estimate, Ratio, ratio};
use nix::sys::resource::{UsageWho, getrusage};
use std::io;
use std::time::{Duration, Instant};

/// Who is measured in a round, and how.
pub trait Contender {
    /// Its name in results.
    fn name(&self) -> &'static str;

    /// What is done before the clock starts.
    ///
    /// # Errors
    /// What cannot be done.
    fn prepare(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// What is measured; returns how long the connection stood still in it.
    ///
    /// # Errors
    /// What has failed.
    fn run(&mut self) -> Result<Duration, Error>;
}

/// What a round of one contender has cost.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How long the connection stood still, nanoseconds.
    pub standstill: f64,
    /// How long all of it took, nanoseconds.
    pub call: f64,
    /// How often a page of memory had to be found for it.
    pub page_faults: f64,
}

/// All rounds of one contender, in blocks.
#[derive(Clone, Debug)]
pub struct Series {
    /// Whose.
    pub name: &'static str,
    blocks: Vec<Vec<Sample>>,
}

/// Rounds that do not count: caches, branch predictors and allocators learn.
const WARM_UP: usize = 3;

impl Series {
    /// A number of each sample.
    pub fn distribution(&self, of: impl Fn(&Sample) -> f64) -> Distribution {
        let values: Vec<_> = self.blocks.iter().flatten().map(of).collect();
        Distribution::of(&values)
    }

    /// How large a number of it is, measured by that of somebody else in the same rounds.
    pub fn ratio_to(&self, other: &Self, of: impl Fn(&Sample) -> f64) -> Ratio {
        let both = self.blocks.iter().zip(&other.blocks);
        let pairs: Vec<_> = both
            .map(|(ours, theirs)| {
                let pairs = ours.iter().zip(theirs);
                pairs.map(|(ours, theirs)| (of(ours), of(theirs))).collect()
            })
            .collect();
        ratio(&pairs, Estimate::Median)
    }

    /// Puts the blocks of one who was measured again behind these.
    pub fn extend(&mut self, other: Self) {
        self.blocks.extend(other.blocks);
    }
}

/// Measures everybody, round by round, as one block.
///
/// # Errors
/// The first that anybody meets: a figure over failed rounds is worth nothing.
pub fn measure<C: Contender>(contenders: &mut [C], rounds: usize) -> Result<Vec<Series>, Error> {
    let mut samples = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..WARM_UP + rounds {
        for turn in 0..contenders.len() {
            let at = position(round, turn, contenders.len());
            let sample = once(&mut contenders[at])?;
            if round >= WARM_UP {
                samples[at].push(sample);
            }
        }
    }
    let series = contenders
        .iter()
        .zip(samples)
        .map(|(contender, samples)| Series {
            name: contender.name(),
            blocks: vec![samples],
        });
    Ok(series.collect())
}

/// Whose turn it is: each round begins with somebody else, and nobody always comes behind the same one.
fn position(round: usize, turn: usize, of: usize) -> usize {
    match (round / of).is_multiple_of(2) {
        true => (round + turn) % of,
        false => (round + of - turn) % of,
    }
}

fn once(contender: &mut impl Contender) -> Result<Sample, Error> {
    contender.prepare()?;
    let faults = page_faults()?;
    let start = Instant::now();
    let standstill = contender.run()?;
    let call = start.elapsed();
    Ok(Sample {
        standstill: standstill.as_nanos() as f64,
        call: call.as_nanos() as f64,
        page_faults: (page_faults()? - faults) as f64,
    })
}

/// How often a page of memory had to be found for the calling thread so far.
///
/// # Errors
/// What the system says.
pub fn page_faults() -> Result<i64, Error> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).map_err(io::Error::from)?;
    Ok(usage.minor_page_faults())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// One that always takes the same time.
    struct Steady<'a>(&'static str, &'a RefCell<String>, u64);

    impl Contender for Steady<'_> {
        fn name(&self) -> &'static str {
            self.0
        }

        fn run(&mut self) -> Result<Duration, Error> {
            self.1.borrow_mut().push_str(self.0);
            match self.2 {
                0 => Err(Error::broken("on purpose")),
                nanoseconds => Ok(Duration::from_nanos(nanoseconds)),
            }
        }
    }

    #[test]
    fn each_round_begins_with_somebody_else() {
        let order = RefCell::new(String::new());
        let mut both = [Steady("A", &order, 1), Steady("B", &order, 1)];
        let series = measure(&mut both, 2).unwrap();
        assert_eq!(order.borrow().as_str(), "ABBAABBAAB");
        assert_eq!(series[0].distribution(|sample| sample.standstill).count, 2);
    }

    #[test]
    fn nobody_always_comes_behind_the_same_one() {
        let order = |round| [0, 1, 2].map(|turn| position(round, turn, 3));
        let orders: Vec<_> = (0..6).map(order).collect();
        assert_eq!(orders[..3], [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
        assert_eq!(orders[3..], [[0, 2, 1], [1, 0, 2], [2, 1, 0]]);
    }

    #[test]
    fn rounds_are_compared_with_rounds() {
        let order = RefCell::new(String::new());
        let mut both = [Steady("A", &order, 300), Steady("B", &order, 200)];
        let mut series = measure(&mut both, 5).unwrap();
        let again = measure(&mut both, 5).unwrap();
        for (series, again) in series.iter_mut().zip(again) {
            series.extend(again);
        }
        let ratio = series[0].ratio_to(&series[1], |sample| sample.standstill);
        assert!((ratio.value - 1.5).abs() < 1e-9 && ratio.low <= ratio.high);
        assert_eq!(series[0].distribution(|sample| sample.standstill).count, 10);
    }

    #[test]
    fn a_round_that_fails_ends_it() {
        let order = RefCell::new(String::new());
        let mut failing = [Steady("A", &order, 0)];
        let error = measure(&mut failing, 1).unwrap_err();
        assert_eq!(error.to_string(), "on purpose");
    }
}
