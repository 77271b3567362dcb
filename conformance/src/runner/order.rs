//! In which order cases are begun.

use crate::case::Case;

/// The indices of the cases, in the order in which they are begun: those that may take long, and mostly wait, evenly among the
/// others, and none of them last, where nothing would be left to do meanwhile.
pub(super) fn order(cases: &[Case]) -> Vec<usize> {
    let (long, short): (Vec<_>, Vec<_>) =
        (0..cases.len()).partition(|&index| cases[index].bound.is_some());
    let spread = |indices: Vec<usize>, quarters: usize| {
        let count = indices.len();
        let places = indices.into_iter().enumerate();
        // In parts of all, so that both kinds can be compared.
        places.map(move |(place, index)| (place * quarters * cases.len() / count, index))
    };
    let mut order: Vec<_> = spread(long, 3).chain(spread(short, 4)).collect();
    order.sort_by_key(|&(place, _)| place);
    order.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_is_begun_once_and_those_that_take_long_are_not_last() {
        let case = |number: usize| {
            let case = Case::new(format!("case/{number}"), "", &[], |_| Ok(()));
            match number < 60 {
                true => case,
                false => case.bound(Duration::from_secs(600)),
            }
        };
        let cases: Vec<_> = (0..100).map(case).collect();
        let order = order(&cases);
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        let long = |from: usize, to: usize| order[from..to].iter().filter(|&&it| it >= 60).count();
        assert_eq!((long(86, 100), long(0, 86)), (0, 40), "{order:?}");
        assert!(long(0, 20) >= 8, "{order:?}");
        let short: Vec<_> = order.iter().filter(|&&it| it < 60).collect();
        assert!(short.is_sorted(), "{short:?}");
    }
}
