//! Which kernels are meant.

use serde::Deserialize;
use std::cmp::Ordering;
use std::str::FromStr;

/// The numbers of a kernel's release: `6.18.44` of `6.18.44-generic`. What is not there is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release([u32; 3]);

/// Some kernels: those that satisfy all of a list of comparisons.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Range(Vec<Comparison>);

/// One comparison with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Comparison {
    /// The orderings of the kernel to the release with which it holds.
    holds: &'static [Ordering],
    release: Release,
}

/// Something that names no kernels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no kernels: write `any`, or comparisons such as `>= 6.17, < 6.18.3`")]
pub struct BadRange(String);

/// The word for all kernels.
const ANY: &str = "any";

/// The longer ones first, as they begin with the shorter ones.
const OPERATORS: [(&str, &[Ordering]); 5] = [
    (">=", &[Ordering::Greater, Ordering::Equal]),
    ("<=", &[Ordering::Less, Ordering::Equal]),
    (">", &[Ordering::Greater]),
    ("<", &[Ordering::Less]),
    ("=", &[Ordering::Equal]),
];

impl Range {
    /// Whether a kernel is meant, by its release as `uname -r` prints it. One that has no numbers is not, unless all are.
    #[must_use]
    pub fn contains(&self, release: &str) -> bool {
        match leading(release) {
            Some(release) => self
                .0
                .iter()
                .all(|it| it.holds.contains(&release.cmp(&it.release))),
            None => self.0.is_empty(),
        }
    }
}

/// The numbers that a release begins with.
fn leading(release: &str) -> Option<Release> {
    let end = release.find(|c: char| c != '.' && !c.is_ascii_digit());
    let numbers = release[..end.unwrap_or(release.len())].trim_end_matches('.');
    numbers.parse().ok()
}

impl FromStr for Release {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = [0; 3];
        let mut fields = text.split('.');
        for (at, number) in numbers.iter_mut().enumerate() {
            match fields.next() {
                Some(field) if field.bytes().all(|byte| byte.is_ascii_digit()) => {
                    *number = field.parse().map_err(drop)?;
                }
                None if at > 0 => {}
                _ => return Err(()),
            }
        }
        match fields.next() {
            None => Ok(Self(numbers)),
            Some(_) => Err(()),
        }
    }
}

impl FromStr for Range {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        if text.trim() == ANY {
            return Ok(Self(Vec::new()));
        }
        let comparison = |part: &str| {
            let part = part.trim();
            let found = OPERATORS.into_iter().find_map(|(sign, holds)| {
                let release = part.strip_prefix(sign)?.trim().parse().ok()?;
                Some(Comparison { holds, release })
            });
            found.ok_or_else(|| BadRange(text.to_owned()))
        };
        text.split(',')
            .map(comparison)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl TryFrom<String> for Range {
    type Error = BadRange;

    fn try_from(text: String) -> Result<Self, BadRange> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_the_kernels_between_its_ends() {
        for (range, release, held) in [
            ("any", "6.18.44-generic", true),
            ("any", "nonsense", true),
            (">= 6.17", "6.17.0-rc3", true),
            (">= 6.17", "6.16.12", false),
            (">= 6.17, < 6.18.3", "6.18.2", true),
            (">= 6.17, < 6.18.3", "6.18.3-arch1", false),
            (">=6.17,<7", "7.0.0", false),
            ("> 6.18", "6.18.0", false),
            ("> 6.18", "6.18.1", true),
            ("<= 6.9", "6.10.0", false),
            ("= 6.18.44", "6.18.44-fc-v595", true),
            ("= 6.18", "6.18.44", false),
            (">= 5", "nonsense", false),
        ] {
            let parsed: Range = range.parse().unwrap();
            assert_eq!(parsed.contains(release), held, "{range} {release}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "6.17",
            ">=",
            ">= 6.x",
            ">= 6.17,",
            "~ 6.17",
            ">= 6.1.2.3",
            "> = 6",
            ">= 6..1",
            "all",
            ">= 6.+1",
        ] {
            assert_eq!(text.parse::<Range>(), Err(BadRange(text.into())));
        }
    }
}
