//! Which statements of the facts are asked by which cases, and which are not and why: the list in `statements.toml`.

use crate::case::Case;
use crate::{facts, glob};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// The list, as people read it.
const LIST: &str = include_str!("../statements.toml");

/// One thing that a fact states, and who asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The number of the fact, such as `A47`.
    pub number: String,
    /// Its place among the statements of that fact, from 1.
    pub place: usize,
    /// What is stated.
    pub says: String,
    /// Who asks it.
    pub asked: Asked,
}

/// Who asks a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The cases that match these patterns and name the number of the fact: at least one a pattern.
    By {
        /// The patterns, as they are written.
        patterns: Vec<String>,
        /// The ids of the cases, in the order of the catalogue.
        ids: Vec<String>,
    },
    /// Nobody yet, though it could be asked: why.
    NotYet(String),
    /// Nobody ever: why it cannot be asked.
    Untestable(String),
}

/// What is wrong with a list of statements.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no such list.
    #[error("the list of statements cannot be read: {0}")]
    Format(#[from] toml::de::Error),
    /// An entry is filed under something that is no number.
    #[error("{0} is no number of a fact: write a letter and a place, such as A47")]
    Number(String),
    /// An entry says nothing, or not once who asks it.
    #[error("{0} needs exactly one of `cases`, `open` and `untestable`, and none of them empty")]
    Unclear(String),
    /// A pattern matches no case that names the number.
    #[error("{statement}: no case that names {number} matches {pattern}")]
    NoCase {
        /// The statement, such as `A47.2`.
        statement: String,
        /// The number of its fact.
        number: String,
        /// The pattern.
        pattern: String,
    },
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    says: String,
    cases: Option<Vec<String>>,
    open: Option<String>,
    untestable: Option<String>,
}

impl Statement {
    /// Whether a case could ask it.
    #[must_use]
    pub fn is_testable(&self) -> bool {
        !matches!(self.asked, Asked::Untestable(_))
    }

    /// The ids of the cases that ask it.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        match &self.asked {
            Asked::By { ids, .. } => ids,
            Asked::NotYet(_) | Asked::Untestable(_) => &[],
        }
    }
}

/// The number and the place, such as `A47.2`.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.place)
    }
}

/// All statements, in the order of their numbers, with those of `cases` that ask them.
///
/// # Errors
/// [`Error`] where the list and the cases do not fit each other.
pub fn statements(cases: &[Case]) -> Result<Vec<Statement>, Error> {
    parse(LIST, cases)
}

fn parse(list: &str, cases: &[Case]) -> Result<Vec<Statement>, Error> {
    let list: BTreeMap<String, Vec<Entry>> = toml::from_str(list)?;
    if let Some(number) = list.keys().find(|number| facts::place(number).is_none()) {
        return Err(Error::Number(number.clone()));
    }
    let mut list: Vec<_> = list.into_iter().collect();
    list.sort_by(|(a, _), (b, _)| facts::place(a).cmp(&facts::place(b)));
    let mut statements = Vec::new();
    for (number, entries) in list {
        for (index, entry) in entries.into_iter().enumerate() {
            statements.push(statement(&number, index + 1, entry, cases)?);
        }
    }
    Ok(statements)
}

fn statement(number: &str, place: usize, entry: Entry, cases: &[Case]) -> Result<Statement, Error> {
    let name = format!("{number}.{place}");
    let asked = match (entry.cases, entry.open, entry.untestable) {
        (Some(patterns), None, None) if !patterns.is_empty() => {
            let ids = asking(&name, number, &patterns, cases)?;
            Asked::By { patterns, ids }
        }
        (None, Some(why), None) if !why.is_empty() => Asked::NotYet(why),
        (None, None, Some(why)) if !why.is_empty() => Asked::Untestable(why),
        _ => return Err(Error::Unclear(name)),
    };
    match entry.says.is_empty() {
        true => Err(Error::Unclear(name)),
        false => Ok(Statement {
            number: number.to_owned(),
            place,
            says: entry.says,
            asked,
        }),
    }
}

/// The cases that match one of the patterns and name the number.
fn asking(
    statement: &str,
    number: &str,
    patterns: &[String],
    cases: &[Case],
) -> Result<Vec<String>, Error> {
    let names = |case: &&Case| case.guide.contains(&number);
    for pattern in patterns {
        let matches = |case: &Case| glob::matches(pattern, &case.id);
        if !cases.iter().filter(names).any(matches) {
            return Err(Error::NoCase {
                statement: statement.to_owned(),
                number: number.to_owned(),
                pattern: pattern.clone(),
            });
        }
    }
    let any = |case: &&Case| patterns.iter().any(|it| glob::matches(it, &case.id));
    let found = cases.iter().filter(names).filter(any);
    Ok(found.map(|case| case.id.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use std::collections::HashSet;

    /// How many numbers each area has; a new one goes here and into the list.
    const NUMBERS: [(char, usize); 8] = [
        ('A', 68),
        ('B', 29),
        ('C', 30),
        ('D', 15),
        ('E', 15),
        ('F', 9),
        ('G', 16),
        ('H', 9),
    ];

    fn cases() -> Vec<Case> {
        vec![
            Case::new("kernel/a/v4", "x", &["A2", "A10"], |_| Ok(())),
            Case::new("kernel/a/v6", "x", &["A10"], |_| Ok(())),
        ]
    }

    #[test]
    fn every_number_is_a_fact_with_cases_or_says_why_not() {
        let statements = statements(&catalogue::all()).unwrap();
        let listed: HashSet<_> = statements.iter().map(|it| it.number.clone()).collect();
        for (area, count) in NUMBERS {
            for place in 1..=count {
                let number = format!("{area}{place}");
                assert!(listed.contains(&number), "{number} has no statement");
            }
        }
        let known = NUMBERS.iter().map(|(_, count)| count).sum::<usize>() + 1;
        assert_eq!(listed.len(), known, "all of them, and D15b");
        for number in &listed {
            let asked = statements
                .iter()
                .any(|it| it.number == *number && !it.ids().is_empty());
            let fact = facts::text(number).is_some();
            assert_eq!(
                asked, fact,
                "{number}: an entry in FACTS.md, and a case, or neither"
            );
        }
    }

    #[test]
    fn statements_come_in_the_order_of_their_numbers_with_their_cases() {
        let list = r#"
            A10 = [{ says = "two", cases = ["kernel/a/*"] }, { says = "three", open = "later" }]
            A2 = [{ says = "one", cases = ["kernel/a/*"] }]
            B1 = [{ says = "four", untestable = "no" }]"#;
        let statements = parse(list, &cases()).unwrap();
        let names: Vec<_> = statements.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["A2.1", "A10.1", "A10.2", "B1.1"]);
        assert_eq!(
            statements[0].ids(),
            ["kernel/a/v4"],
            "the other one does not name A2"
        );
        assert_eq!(statements[1].ids().len(), 2);
        let testable = statements.iter().filter(|it| it.is_testable()).count();
        assert_eq!(testable, 3);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for (list, said) in [
            (
                "A2 = [{ says = 'x', cases = ['kernel/b*'] }]",
                "A2.1: no case that names A2 matches kernel/b*",
            ),
            (
                "B1 = [{ says = 'x', cases = ['kernel/*'] }]",
                "B1.1: no case that names B1 matches kernel/*",
            ),
            ("A2 = [{ says = 'x' }]", "A2.1 needs exactly one"),
            (
                "A2 = [{ says = 'x', cases = [] }]",
                "A2.1 needs exactly one",
            ),
            ("A2 = [{ says = 'x', open = '' }]", "A2.1 needs exactly one"),
            ("A2 = [{ says = '', open = 'y' }]", "A2.1 needs exactly one"),
            (
                "A2 = [{ says = 'x', open = 'y', untestable = 'z' }]",
                "A2.1 needs exactly one",
            ),
            ("A2 = [{ says = 'x', untestabel = 'z' }]", "cannot be read"),
            ("a2 = [{ says = 'x', open = 'z' }]", "a2 is no number"),
            ("A2 = 7", "cannot be read"),
        ] {
            let error = parse(list, &cases()).unwrap_err().to_string();
            assert!(error.contains(said), "{list}: {error}");
        }
    }
}
