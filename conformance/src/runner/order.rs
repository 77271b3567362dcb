//! In which order cases are begun.

use crate::case::Case;
use crate::expectations::Expected;

/// The indices of the cases, in the order in which they are begun: first those that are expected to fail, which may wait for
/// minutes for what does not come; those that may take long, and mostly wait, evenly among the others, and none of them last,
/// where nothing would be left to do meanwhile.
pub(super) fn order(cases: &[Case], expected: &Expected) -> Vec<usize> {
    let (mut order, others): (Vec<_>, Vec<_>) =
        (0..cases.len()).partition(|&index| expected.includes(&cases[index]));
    let (long, short): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|&index| cases[index].bound.is_some());
    let spread = |indices: Vec<usize>, quarters: usize| {
        let count = indices.len();
        let places = indices.into_iter().enumerate();
        // In parts of all, so that both kinds can be compared.
        places.map(move |(place, index)| (place * quarters * cases.len() / count, index))
    };
    let mut places: Vec<_> = spread(long, 3).chain(spread(short, 4)).collect();
    places.sort_by_key(|&(place, _)| place);
    order.extend(places.into_iter().map(|(_, index)| index));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectations::{Book, Here};
    use crate::probe::Answer;
    use crate::subject::Subject;
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
        let order = order(&cases, &Expected::default());
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        let long = |from: usize, to: usize| order[from..to].iter().filter(|&&it| it >= 60).count();
        assert_eq!((long(86, 100), long(0, 86)), (0, 40), "{order:?}");
        assert!(long(0, 20) >= 8, "{order:?}");
        let short: Vec<_> = order.iter().filter(|&&it| it < 60).collect();
        assert!(short.is_sorted(), "{short:?}");
    }

    #[test]
    fn those_that_are_expected_to_fail_come_first() {
        let cases: Vec<_> = ["a/b/v4", "a/c/v4", "a/d/v4"]
            .map(|id| Case::new(id, "", &[], |_| Ok(())))
            .into();
        let text = "[[expectation]]\ncase = 'a/d/*'\nsubject = 'rust'\nkernel = 'any'\nreason = 'x'\n\
                    link = 'https://example.org'\nexpires = '2027-01-31'\n";
        let expected = Book::parse(text, &cases).unwrap().here(&Here {
            subject: &Subject::Rust,
            release: "6.18.1",
            today: "2026-01-31".parse().unwrap(),
            probe: &|_| Answer::Here,
        });
        assert_eq!(order(&cases, &expected), [2, 0, 1]);
    }
}
