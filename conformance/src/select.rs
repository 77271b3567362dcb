//! Which cases are meant.

use crate::case::Case;
use crate::glob;
use std::fmt;
use std::str::FromStr;

/// How many ids are offered where one was not found.
const SUGGESTIONS: usize = 5;

/// Which cases to take: those that match one of `filter`, all if it is empty, but none that match one of `exclude`.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Selection {
    /// Only cases whose id matches; `*` stands for anything, `/` included (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub filter: Vec<String>,
    /// No case whose id matches (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Only a part of them, for several machines: `2/3` for the second of three parts, each about as long
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
}

/// One of several parts: every case is in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    number: usize,
    /// Of how many.
    of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("a part is K/N, with K from 1 to N, such as 2/3".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// A pattern or an id that no case has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchCase {
    /// What was asked for, as it is to be named in a message.
    pub asked: String,
    /// What may have been meant.
    pub suggestions: Vec<String>,
}

impl Selection {
    /// The chosen cases, in the order in which they were given.
    ///
    /// # Errors
    /// The first pattern that matches no case at all: a mistake in writing, which would otherwise look like success.
    pub fn apply(&self, cases: Vec<Case>) -> Result<Vec<Case>, NoSuchCase> {
        for (option, patterns) in [("--filter", &self.filter), ("--exclude", &self.exclude)] {
            for pattern in patterns {
                if !cases.iter().any(|case| glob::matches(pattern, &case.id)) {
                    return Err(NoSuchCase {
                        asked: format!("`{option} {pattern}` matches no case"),
                        suggestions: patterns_like(pattern, &cases),
                    });
                }
            }
        }
        let any = |patterns: &[String], case: &Case| {
            patterns
                .iter()
                .any(|pattern| glob::matches(pattern, &case.id))
        };
        let chosen = |case: &Case| {
            (self.filter.is_empty() || any(&self.filter, case)) && !any(&self.exclude, case)
        };
        let chosen = cases.into_iter().filter(chosen);
        Ok(match self.shard {
            // Neighbours take about as long, so that they go to different parts.
            Some(Shard { number, of }) => chosen.skip(number - 1).step_by(of).collect(),
            None => chosen.collect(),
        })
    }
}

/// The case with this id.
///
/// # Errors
/// [`NoSuchCase`] with the ids that come closest.
pub fn by_id(id: &str, cases: Vec<Case>) -> Result<Case, NoSuchCase> {
    let suggestions = closest(id, &cases);
    let found = cases.into_iter().find(|case| case.id == id);
    found.ok_or_else(|| NoSuchCase {
        asked: format!("no case has the id `{id}`"),
        suggestions,
    })
}

/// A whole area, if that was named without a star; otherwise the closest ids.
fn patterns_like(pattern: &str, cases: &[Case]) -> Vec<String> {
    let stem = pattern.trim_end_matches(['*', '/']);
    let below = format!("{stem}/*");
    if !stem.is_empty() && cases.iter().any(|case| glob::matches(&below, &case.id)) {
        return vec![below];
    }
    closest(stem, cases)
}

/// The ids that share most with `wanted`: its beginning counts, and each of its words.
fn closest(wanted: &str, cases: &[Case]) -> Vec<String> {
    let words = || {
        wanted
            .split(['/', '-', '*', '?'])
            .filter(|word| word.len() > 1)
    };
    let likeness = |id: &str| {
        let shared = wanted.bytes().zip(id.bytes());
        let prefix = shared.take_while(|(a, b)| a == b).count();
        prefix
            + words()
                .filter(|word| id.contains(word))
                .map(str::len)
                .sum::<usize>()
    };
    let mut ranked: Vec<_> = cases
        .iter()
        .map(|case| (likeness(&case.id), &case.id))
        .collect();
    // Stable: those that are equally close stay in the order of the catalogue.
    ranked.sort_by_key(|&(likeness, _)| std::cmp::Reverse(likeness));
    let best = ranked.first().map_or(0, |&(likeness, _)| likeness);
    ranked
        .into_iter()
        // Half as close as the best one is noise, and so is a shared first letter or two.
        .filter(|&(likeness, _)| likeness > 2 && likeness * 2 > best)
        .take(SUGGESTIONS)
        .map(|(_, id)| id.clone())
        .collect()
}

impl fmt::Display for NoSuchCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.asked)?;
        if !self.suggestions.is_empty() {
            write!(f, "\n  did you mean: {}", self.suggestions.join(", "))?;
        }
        write!(f, "\n  `conformance list` prints the ids of all cases")
    }
}

impl std::error::Error for NoSuchCase {}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 4] = [
        "kernel/options/order",
        "restore/window/no-wscale/v4",
        "restore/window/no-wscale/v6",
        "save/queues/empty",
    ];

    fn cases() -> Vec<Case> {
        IDS.map(|id| Case::new(id, "", &["A2"], |_| Ok(()))).into()
    }

    fn chosen(filter: &[&str], exclude: &[&str]) -> Result<Vec<String>, NoSuchCase> {
        let owned = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect();
        let selection = Selection {
            filter: owned(filter),
            exclude: owned(exclude),
            shard: None,
        };
        let cases = selection.apply(cases())?;
        Ok(cases.into_iter().map(|case| case.id).collect())
    }

    #[test]
    fn without_patterns_all_are_chosen() {
        assert_eq!(chosen(&[], &[]).unwrap(), IDS);
    }

    #[test]
    fn filters_add_up_and_exclusions_take_away_in_catalogue_order() {
        assert_eq!(
            chosen(&["save/*", "restore/*"], &["*/v4"]).unwrap(),
            [IDS[2], IDS[3]]
        );
    }

    #[test]
    fn a_selection_can_be_empty_without_being_a_mistake() {
        assert!(chosen(&["save/*"], &["*"]).unwrap().is_empty());
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_named() {
        for (filter, exclude, named) in [
            (vec!["save/*", "nothing*"], vec![], "--filter nothing*"),
            (vec![], vec!["nothing*"], "--exclude nothing*"),
        ] {
            let error = chosen(&filter, &exclude).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn an_area_without_its_star_is_suggested_with_it() {
        let error = chosen(&["restore/window"], &[]).unwrap_err();
        assert_eq!(error.suggestions, ["restore/window/*"]);
    }

    #[test]
    fn an_unknown_id_comes_with_those_that_are_like_it() {
        let error = by_id("restore/window/no-scale/v6", cases()).unwrap_err();
        assert_eq!(error.suggestions, [IDS[2], IDS[1]]);
        assert_eq!(by_id("wscale", cases()).unwrap_err().suggestions, IDS[1..3]);
        assert!(by_id("xyz", cases()).unwrap_err().suggestions.is_empty());
    }

    #[test]
    fn a_known_id_is_found() {
        assert_eq!(by_id(IDS[3], cases()).unwrap().id, IDS[3]);
    }

    #[test]
    fn every_case_is_in_one_part() {
        let parts = |text: &str| {
            let selection = Selection {
                shard: Some(text.parse().unwrap()),
                ..Selection::default()
            };
            let cases = crate::catalogue::all();
            let part = selection.apply(cases).unwrap();
            part.into_iter().map(|case| case.id).collect::<Vec<_>>()
        };
        let [one, two, three] = ["1/3", "2/3", "3/3"].map(parts);
        assert!(one.len() - three.len() <= 1);
        let mut all = [one, two, three].concat();
        all.sort();
        let mut whole: Vec<_> = crate::catalogue::all();
        whole.sort_by(|a, b| a.id.cmp(&b.id));
        assert!(whole.iter().map(|case| &case.id).eq(&all));
        for text in ["0/3", "4/3", "1", "a/b", "1/0"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
